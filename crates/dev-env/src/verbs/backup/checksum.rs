//! The checksum next to a copy, in a file of the same name with `.sha256` that `sha256sum --check` reads.
//!
//! Lines that begin with `#` are comments for `sha256sum`. They mark the file as written by this tool, and hold the next checksum while a
//! copy is replaced. A hash of the first bytes (with the time of the copy) distinguishes a damaged copy from another copy of this name.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::seal::Key;

const MARK: &str = "# written by cargo dev backup";
const BEGINS: &str = "# the copy begins with ";
const NEXT: &str = "# while it is replaced: ";
const SEAL: &str = "# sealed by its checkout: ";
/// The header of an archive, with its time: <https://www.postgresql.org/docs/current/app-pgdump.html>, `WriteHead` in pg_backup_archiver.c.
pub(super) const HEADER: usize = 64;
/// Larger files are not checksum files.
const LARGEST: u64 = 64 * 1024;

/// The checksums of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checksum {
    /// The SHA-256 of the whole copy.
    pub(super) whole: String,
    /// The SHA-256 of its first [`HEADER`] bytes.
    pub(super) begins: String,
}

/// The result of comparing a copy with its checksum file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The copy matches.
    Whole {
        /// Whether the checksum says that this tool wrote it, which anyone can write.
        is_ours: bool,
        /// Whether this checkout has written the copy.
        is_sealed: bool,
    },
    /// The checksum does not apply to this copy, with the reason.
    Unknown(String),
    /// The copy differs from its checksum.
    Damaged,
    /// The checksum was written before the copy was changed.
    Older,
}

/// Returns the path of the checksum file of a copy.
pub(super) fn path(copy: &Path) -> PathBuf {
    let mut name = copy.as_os_str().to_owned();
    name.push(".sha256");
    name.into()
}

/// Returns the text of the checksum file of a copy with this name.
pub(super) fn text(checksum: &Checksum, name: &OsStr, key: &Key) -> Vec<u8> {
    let mut text = line(&checksum.whole, name);
    text.extend_from_slice(
        format!(
            "{MARK}\n{BEGINS}{}\n{SEAL}{}\n",
            checksum.begins,
            key.seal(&checksum.whole)
        )
        .as_bytes(),
    );
    text
}

/// Returns the text of the checksum file while a copy is replaced: it matches the old copy and the new copy.
pub(super) fn text_for_both(old: &[u8], new: &Checksum, key: &Key) -> Vec<u8> {
    let mut text = old.to_owned();
    text.extend_from_slice(
        format!("{NEXT}{}\n{SEAL}{}\n", new.whole, key.seal(&new.whole)).as_bytes(),
    );
    text
}

/// Formats a line like `sha256sum`: a name with a backslash or a line break is escaped, which a leading backslash marks.
fn line(hash: &str, name: &OsStr) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in name.as_bytes() {
        match byte {
            b'\\' => escaped.extend_from_slice(b"\\\\"),
            b'\n' => escaped.extend_from_slice(b"\\n"),
            b'\r' => escaped.extend_from_slice(b"\\r"),
            byte => escaped.push(*byte),
        }
    }
    let prefix = if escaped.len() == name.len() {
        ""
    } else {
        "\\"
    };
    [prefix.as_bytes(), hash.as_bytes(), b"  ", &escaped, b"\n"].concat()
}

/// Returns whether this tool wrote the text of a checksum file.
pub(super) fn is_ours(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n')
        .any(|line| line == MARK.as_bytes())
}

/// Returns the text of a checksum file, or the reason why it cannot be read.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| reason(&error))?;
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text))
        .map_err(|error| reason(&error))?;
    if text.len() as u64 > LARGEST {
        Err("is not a checksum file".to_owned())
    } else {
        Ok(text)
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "cannot be read (permission denied)".to_owned(),
        _ => format!("cannot be read ({error})"),
    }
}

/// Returns the checksums in a file, each with the name of its copy.
fn hashes(text: &[u8]) -> Vec<(String, Vec<u8>)> {
    let lines = text
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    lines.filter_map(hash_of).collect()
}

fn hash_of(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let (line, escaped) = line
        .strip_prefix(b"\\")
        .map_or((line, false), |rest| (rest, true));
    let (hash, rest) = line.split_at_checked(64)?;
    let hash = std::str::from_utf8(hash)
        .ok()
        .filter(|hash| hash.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    let name = match rest {
        [] => Vec::new(),
        [b' ', b' ' | b'*', name @ ..] => name.to_owned(),
        _ => return None,
    };
    let name = if escaped {
        String::from_utf8_lossy(&name)
            .replace("\\n", "\n")
            .replace("\\\\", "\\")
            .into_bytes()
    } else {
        name
    };
    Some((hash.to_lowercase(), name))
}

/// Compares a copy with a checksum file, whose seal is one of this key.
///
/// # Errors
/// The copy cannot be read.
pub(crate) fn compare(copy: &Path, key: Option<&Key>) -> std::io::Result<Verdict> {
    let mut beside = path(copy);
    if !beside.exists()
        && let Ok(real) = copy.canonicalize()
    {
        beside = path(&real);
    }
    let unknown = |what: &str| Ok(Verdict::Unknown(format!("{} {what}", beside.display())));
    let text = match read(&beside) {
        Ok(text) => text,
        Err(reason) => return unknown(&reason),
    };
    if text.trim_ascii().is_empty() {
        return unknown("is empty");
    }
    let found = hashes(&text);
    if found.is_empty() {
        return unknown("is not a checksum file (it has no SHA-256)");
    }
    let whole = process::files::sha256_of(copy)?;
    let next = comments(&text, NEXT).next();
    if found.iter().any(|(hash, _)| *hash == whole) || next.as_ref() == Some(&whole) {
        let is_sealed =
            key.is_some_and(|key| comments(&text, SEAL).any(|seal| key.fits(&whole, &seal)));
        return Ok(Verdict::Whole {
            is_ours: is_ours(&text),
            is_sealed,
        });
    }
    let name = copy.file_name().unwrap_or_default().as_bytes();
    let of_this = |other: &[u8]| {
        other.is_empty()
            || Path::new(OsStr::from_bytes(other))
                .file_name()
                .is_some_and(|n| n.as_bytes() == name)
    };
    if let Some((_, other)) = found
        .first()
        .filter(|_| !found.iter().any(|(_, name)| of_this(name)))
    {
        let other = PathBuf::from(std::ffi::OsString::from_vec(other.clone()));
        return unknown(&format!(
            "is the checksum of another file, {}",
            other.display()
        ));
    }
    match comments(&text, BEGINS).next() {
        Some(begins) if begins != beginning(copy)? => {
            unknown("is the checksum of another copy that had this name")
        }
        None if is_older(&beside, copy) => Ok(Verdict::Older),
        _ => Ok(Verdict::Damaged),
    }
}

/// Returns whether a copy matches a checksum file of this tool.
pub(super) fn is_our_copy(copy: &Path) -> bool {
    compare(copy, None).is_ok_and(|verdict| matches!(verdict, Verdict::Whole { is_ours: true, .. }))
}

fn comments(text: &[u8], prefix: &str) -> impl Iterator<Item = String> {
    let lines = text
        .split(|byte| *byte == b'\n')
        .filter_map(move |line| line.strip_prefix(prefix.as_bytes()));
    lines.map(|line| String::from_utf8_lossy(line).trim().to_owned())
}

fn beginning(copy: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(copy)?
        .take(HEADER as u64)
        .read_to_end(&mut bytes)?;
    Ok(process::files::sha256(bytes))
}

fn is_older(beside: &Path, copy: &Path) -> bool {
    let time = |path: &Path| {
        std::fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH)
    };
    time(beside) < time(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn checksum(bytes: &str) -> Checksum {
        Checksum {
            whole: process::files::sha256(bytes),
            begins: process::files::sha256(&bytes.as_bytes()[..bytes.len().min(HEADER)]),
        }
    }

    fn key(folder: &Path) -> Key {
        Key::make(folder).unwrap()
    }

    #[test]
    fn a_copy_is_this_checkouts_by_its_seal_alone() {
        let (mine, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (copy, name) = (mine.path().join("a.dump"), OsStr::new("a.dump"));
        std::fs::write(&copy, "abc").unwrap();
        let of_another = text(&checksum("abd"), name, &key(mine.path()));
        let seal = String::from_utf8_lossy(&of_another)
            .lines()
            .last()
            .unwrap()
            .to_owned();
        let both = text_for_both(&of_another, &checksum("abc"), &key(mine.path()));
        for (case, sums, expected) in [
            (
                "written here",
                text(&checksum("abc"), name, &key(mine.path())),
                true,
            ),
            ("while it is replaced", both, true),
            (
                "of another checkout",
                text(&checksum("abc"), name, &key(theirs.path())),
                false,
            ),
            (
                "marked by hand",
                format!("{HASH}  a.dump\n{MARK}\n").into_bytes(),
                false,
            ),
            (
                "with the seal of another copy",
                format!("{HASH}  a.dump\n{MARK}\n{seal}\n").into_bytes(),
                false,
            ),
        ] {
            std::fs::write(path(&copy), sums).unwrap();
            let found = |key: Option<Key>| compare(&copy, key.as_ref()).unwrap();
            assert_eq!(
                found(Key::read(mine.path())),
                Verdict::Whole {
                    is_ours: true,
                    is_sealed: expected
                },
                "{case}"
            );
            assert_eq!(
                found(None),
                Verdict::Whole {
                    is_ours: true,
                    is_sealed: false
                },
                "{case}"
            );
        }
    }

    #[test]
    fn sha256sum_reads_the_checksum_file_of_any_name() {
        if !test_needs::program("sha256sum", "install coreutils") {
            return;
        }
        for name in ["a.dump", "a b.dump", "a\\b\nc.dump", "*é.dump"] {
            let folder = tempfile::tempdir().unwrap();
            let copy = folder.path().join(name);
            std::fs::write(&copy, "abc").unwrap();
            std::fs::write(
                path(&copy),
                text(
                    &checksum("abc"),
                    copy.file_name().unwrap(),
                    &key(folder.path()),
                ),
            )
            .unwrap();
            let mut check = std::process::Command::new("sha256sum");
            check
                .args(["--check", "--strict", "--quiet"])
                .arg(path(&copy))
                .current_dir(folder.path());
            assert!(check.status().unwrap().success(), "{name}");
            assert!(is_our_copy(&copy), "{name}");
        }
    }

    #[test]
    fn only_a_well_formed_checksum_that_differs_is_damage() {
        let header = "x".repeat(HEADER);
        let ours = String::from_utf8(text(
            &checksum(&format!("{header} old")),
            OsStr::new("a.dump"),
            &key(tempfile::tempdir().unwrap().path()),
        ))
        .unwrap();
        let cases: [(&str, &str, &str, &str); 12] = [
            (
                "of an altered copy",
                &format!("{header} new"),
                &ours,
                "damaged",
            ),
            (
                "of an earlier copy",
                "another header of another copy",
                &ours,
                "is the checksum of another copy that had this name",
            ),
            ("empty", "abc", " \n", "is empty"),
            (
                "a sentence",
                "abc",
                "no checksum at all\n",
                "is not a checksum file",
            ),
            (
                "SHA-1",
                "abc",
                "a9993e364706816aba3e25717850c26c9cd0d89d  a.dump\n",
                "is not a checksum file",
            ),
            ("comments", "abc", "# nothing\n", "is not a checksum file"),
            (
                "of another file",
                "abd",
                &format!("{HASH}  b.dump\n"),
                "is the checksum of another file, b.dump",
            ),
            (
                "of a renamed file that is whole",
                "abc",
                &format!("{HASH}  b.dump\n"),
                "whole",
            ),
            (
                "in capitals, binary",
                "abc",
                &format!("{} *a.dump\r\n", HASH.to_uppercase()),
                "whole",
            ),
            ("without a name", "abc", HASH, "whole"),
            (
                "with a path",
                "abc",
                &format!("{HASH}  ../backups/a.dump"),
                "whole",
            ),
            (
                "while it is replaced",
                "abc",
                &format!("{ours}{NEXT}{HASH}\n"),
                "whole",
            ),
        ];
        for (name, copy_text, checksum_text, expected) in cases {
            let folder = tempfile::tempdir().unwrap();
            let copy = folder.path().join("a.dump");
            std::fs::write(&copy, copy_text).unwrap();
            std::fs::write(path(&copy), checksum_text).unwrap();
            let found = match compare(&copy, None).unwrap() {
                Verdict::Whole { .. } => "whole".to_owned(),
                Verdict::Damaged => "damaged".to_owned(),
                Verdict::Older => "older".to_owned(),
                Verdict::Unknown(reason) => reason,
            };
            assert!(found.contains(expected), "{name}: {found}");
        }
    }

    #[test]
    fn a_checksum_from_before_the_last_change_is_older() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("a.dump");
        std::fs::write(path(&copy), format!("{HASH}  a.dump\n")).unwrap();
        let an_hour_ago = SystemTime::now() - std::time::Duration::from_secs(3600);
        File::open(path(&copy))
            .unwrap()
            .set_modified(an_hour_ago)
            .unwrap();
        std::fs::write(&copy, "newer").unwrap();
        assert_eq!(compare(&copy, None).unwrap(), Verdict::Older);
    }

    #[test]
    fn a_checksum_path_that_is_not_a_file_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("a.dump");
        std::fs::write(&copy, "abc").unwrap();
        assert!(
            matches!(compare(&copy, None).unwrap(), Verdict::Unknown(reason) if reason.ends_with("does not exist"))
        );
        nix::unistd::mkfifo(&path(&copy), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(
            matches!(compare(&copy, None).unwrap(), Verdict::Unknown(reason) if reason.ends_with("is not a file"))
        );
    }
}
