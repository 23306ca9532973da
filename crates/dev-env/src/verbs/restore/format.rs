//! Detects the format of a file by its first bytes.

/// The number of bytes that the detection needs.
pub(super) const HEAD: usize = 4096;
/// The magic bytes of an archive of pg_dump, and of the file `toc.dat` in its other formats.
const ARCHIVE: &[u8] = b"PGDMP";
const TAR_BLOCK: usize = 512;

/// The compression or encoding of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Gzip,
    Zstandard,
    Utf16 { big_endian: bool },
    Utf8Mark,
}

/// A format of pg_dump. The version is the archive version (K_VERS in pg_backup_archiver.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Sql,
    Archive { version: (u8, u8) },
    Tar { version: (u8, u8) },
    Folder { version: (u8, u8) },
}

/// The kind of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Layer(Layer),
    Dump(Format),
    /// Another format, with a hint; `{}` stands for the file.
    Other {
        what: String,
        hint: &'static str,
    },
}

const DUMP: &str = "make a copy with pg_dump: pg_dump --file=backup.sql <DATABASE>";

/// Unsupported formats by their first bytes, each with a hint.
const OTHERS: [(&[u8], &str, &str); 24] = [
    (b"%PDF", "a PDF", DUMP),
    (b"\x89PNG", "a PNG image", DUMP),
    (b"\xff\xd8\xff", "a JPEG image", DUMP),
    (b"GIF8", "a GIF image", DUMP),
    (b"RIFF", "a RIFF file (sound, film or image)", DUMP),
    (
        b"PK\x03\x04",
        "a ZIP archive",
        "unpack it, and restore what is in it: unzip -p '{}' | cargo dev restore -",
    ),
    (b"PK\x05\x06", "an empty ZIP archive", DUMP),
    (b"SQLite format 3\0", "a database of SQLite", DUMP),
    (
        b"7z\xbc\xaf",
        "a 7-Zip archive",
        "unpack it, and restore what is in it: 7z x -so '{}' | cargo dev restore -",
    ),
    (
        b"Rar!",
        "a RAR archive",
        "unpack it, and restore what is in it: unrar p -inul '{}' | cargo dev restore -",
    ),
    (
        b"BZh",
        "compressed with bzip2",
        "unpack it: bzip2 -dc '{}' | cargo dev restore -",
    ),
    (
        b"\xfd7zXZ",
        "compressed with xz",
        "unpack it: xz -dc '{}' | cargo dev restore -",
    ),
    (
        b"\x04\x22\x4d\x18",
        "compressed with lz4",
        "unpack it: lz4 -dc '{}' | cargo dev restore -",
    ),
    (
        b"\x1f\x9d",
        "compressed with compress",
        "unpack it: uncompress -c '{}' | cargo dev restore -",
    ),
    (b"\x7fELF", "a program", DUMP),
    (
        b"-----BEGIN PGP",
        "encrypted with PGP",
        "decrypt it: gpg --decrypt '{}' | cargo dev restore -",
    ),
    (
        b"age-encryption.org",
        "encrypted with age",
        "decrypt it: age --decrypt '{}' | cargo dev restore -",
    ),
    (
        b"Salted__",
        "encrypted with OpenSSL",
        "decrypt it: openssl enc -d … -in '{}' | cargo dev restore -",
    ),
    (
        b"version https://git-lfs",
        "a pointer of Git LFS",
        "fetch the file itself: git lfs pull",
    ),
    (
        b"<",
        "a page or document (HTML or XML)",
        "see what it says: head '{}'",
    ),
    (b"{", "JSON", DUMP),
    (b"[", "JSON", DUMP),
    (b"TAPE", "a backup of SQL Server", DUMP),
    (b"REDIS", "a dump of Redis", DUMP),
];

/// Words at the beginning of SQL of other systems.
const DIALECTS: [(&str, &str); 7] = [
    (
        "PostgreSQL database cluster dump",
        "the output of pg_dumpall, which holds all databases and roles of a server",
    ),
    ("MySQL dump", "a dump of MySQL"),
    ("MariaDB dump", "a dump of MariaDB"),
    ("phpMyAdmin SQL Dump", "a dump of MySQL (phpMyAdmin)"),
    ("/*!40101", "a dump of MySQL"),
    ("PRAGMA foreign_keys", "a dump of SQLite"),
    ("SET ANSI_NULLS", "a script of SQL Server"),
];

/// Words with which SQL begins.
const BEGINNINGS: [&str; 22] = [
    "--",
    "/*",
    "\\",
    "set ",
    "select ",
    "create ",
    "insert ",
    "begin",
    "start ",
    "copy ",
    "alter ",
    "drop ",
    "comment ",
    "do ",
    "with ",
    "grant ",
    "revoke ",
    "update ",
    "delete ",
    "truncate ",
    "lock ",
    ";",
];

/// Returns the kind of a file by its first bytes.
pub(super) fn recognise(head: &[u8]) -> Kind {
    let other = |what: &str, hint: &'static str| Kind::Other {
        what: what.to_owned(),
        hint,
    };
    match head {
        [] => return other("empty (0 bytes)", DUMP),
        [0x1f, 0x8b, ..] => return Kind::Layer(Layer::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => return Kind::Layer(Layer::Zstandard),
        [0xff, 0xfe, ..] => return Kind::Layer(Layer::Utf16 { big_endian: false }),
        [0xfe, 0xff, ..] => return Kind::Layer(Layer::Utf16 { big_endian: true }),
        [0xef, 0xbb, 0xbf, ..] => return Kind::Layer(Layer::Utf8Mark),
        _ => {}
    }
    if let Some(version) = archive_version(head) {
        return Kind::Dump(Format::Archive { version });
    }
    if head.get(257..262) == Some(b"ustar") {
        return tar(head);
    }
    let start = head.trim_ascii_start();
    if let Some((_, what, hint)) = OTHERS
        .iter()
        .find(|(begins, ..)| head.starts_with(begins) || start.starts_with(begins))
    {
        return other(what, hint);
    }
    if head.iter().filter(|byte| **byte == 0).count() >= head.len() / 3
        && start.first().is_some_and(u8::is_ascii_graphic)
    {
        return other(
            "UTF-16 text without a byte order mark",
            "convert it: iconv -f UTF-16LE -t UTF-8 '{}' | cargo dev restore -",
        );
    }
    let text = String::from_utf8_lossy(head);
    if let Some((_, what)) = DIALECTS.iter().find(|(words, _)| text.contains(words)) {
        return other(what, DUMP);
    }
    let lower = text.trim_start().to_lowercase();
    let is_sql = BEGINNINGS
        .iter()
        .any(|begins| lower.starts_with(begins) || lower.is_empty());
    if head.contains(&0) || !is_sql {
        let first: Vec<String> = head
            .iter()
            .take(4)
            .map(|byte| hex::encode([*byte]))
            .collect();
        // The last character may be truncated.
        let is_utf8 =
            std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
        let is_text = is_utf8
            && head
                .iter()
                .all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace());
        return match is_text {
            true => other("text that is not SQL", "see what it is: head '{}'"),
            false => other(
                &format!(
                    "of an unknown format (its first bytes are {})",
                    first.join(" ")
                ),
                "see what it is: file '{}'",
            ),
        };
    }
    Kind::Dump(Format::Sql)
}

/// Returns the version of an archive.
pub(super) fn archive_version(head: &[u8]) -> Option<(u8, u8)> {
    let rest = head.strip_prefix(ARCHIVE)?;
    Some((*rest.first()?, *rest.get(1)?))
}

fn tar(head: &[u8]) -> Kind {
    let name: Vec<u8> = head
        .iter()
        .take(100)
        .copied()
        .take_while(|byte| *byte != 0)
        .collect();
    match head.get(TAR_BLOCK..).and_then(archive_version) {
        Some(version) if name == b"toc.dat" => Kind::Dump(Format::Tar { version }),
        _ => Kind::Other {
            what: format!(
                "a tar archive that pg_dump did not write (its first member is {})",
                String::from_utf8_lossy(&name)
            ),
            hint: "unpack it, and restore what is in it: tar -xf '{}'",
        },
    }
}

/// Returns the oldest major version of PostgreSQL whose pg_restore reads an archive of this version.
pub(super) fn oldest_reader((major, minor): (u8, u8)) -> u32 {
    match (major, minor) {
        (0, _) | (1, ..=14) => 0,
        (1, 15) => 16,
        (1, 16) => 17,
        // A future version.
        _ => 19,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dump_formats_are_detected() {
        for text in [
            "--\n-- PostgreSQL database dump\n--\n",
            "SET x = 1;",
            "\n\n  create table t ();",
            "\\restrict abc\n",
            "-- Adminer 4.8.1 PostgreSQL dump",
        ] {
            assert_eq!(
                recognise(text.as_bytes()),
                Kind::Dump(Format::Sql),
                "{text}"
            );
        }
        assert_eq!(
            recognise(b"PGDMP\x01\x10\x00"),
            Kind::Dump(Format::Archive { version: (1, 16) })
        );
        let mut tar = vec![0; 1024];
        tar[..7].copy_from_slice(b"toc.dat");
        tar[257..262].copy_from_slice(b"ustar");
        tar[512..519].copy_from_slice(b"PGDMP\x01\x0e");
        assert_eq!(
            recognise(&tar),
            Kind::Dump(Format::Tar { version: (1, 14) })
        );
        assert_eq!(recognise(b"\x1f\x8b\x08"), Kind::Layer(Layer::Gzip));
        assert_eq!(
            [
                oldest_reader((1, 14)),
                oldest_reader((1, 15)),
                oldest_reader((1, 16))
            ],
            [0, 16, 17]
        );
    }

    #[test]
    fn other_file_formats_are_reported_by_name() {
        let mut tar = vec![0; 1024];
        tar[..9].copy_from_slice(b"notes.txt");
        tar[257..262].copy_from_slice(b"ustar");
        let cases: [(&[u8], &str); 23] = [
            (b"", "empty"),
            (b"%PDF-1.7\n", "a PDF"),
            (b"\x89PNG\r\n\x1a\n\0\0", "PNG"),
            (b"\xff\xd8\xff\xe0", "JPEG"),
            (b"PK\x03\x04\x14\0", "ZIP"),
            (b"SQLite format 3\0\x10\0", "SQLite"),
            (b"BZh91AY", "bzip2"),
            (b"\xfd7zXZ\0", "xz"),
            (b"\x04\x22\x4d\x18\x64", "lz4"),
            (b"\x7fELF\x02\x01", "program"),
            (b"\n <!DOCTYPE html>", "HTML"),
            (b"<?xml version", "XML"),
            (b"{\"users\": []}", "JSON"),
            (b"-- MySQL dump 10.13\n", "MySQL"),
            (b"-- phpMyAdmin SQL Dump\n", "MySQL"),
            (b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;", "SQLite"),
            (
                b"--\n-- PostgreSQL database cluster dump\n--\n",
                "pg_dumpall",
            ),
            (b"id,email\n1,a@b.c\n", "not SQL"),
            (b"\x8f\x3a\x00\x17\x9c\x44\xd1", "8f 3a 00 17"),
            (b"\xb4\xf0\x9d\xd2\x8e\xc3", "b4 f0 9d d2"),
            (b"-\0-\0 \0P\0o\0s\0t\0", "UTF-16"),
            (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
            (&tar, "notes.txt"),
        ];
        for (head, expected) in cases {
            let Kind::Other { what, .. } = recognise(head) else {
                panic!("{expected}")
            };
            assert!(what.contains(expected), "{expected}: {what}");
        }
    }
}
