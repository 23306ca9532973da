//! Opens and unpacks the copy, and detects its format.

use std::fs::{File, OpenOptions};
use std::io::{
    BufWriter, Cursor, Error as IoError, ErrorKind, IsTerminal, Read, Result as IoResult, Seek,
    Write,
};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::error::RestoreError;
use super::format::{Format, HEAD, Kind, Layer, archive_version, recognise};
use super::utf16::Utf16;
use process::disk;

/// How long a pipe may send nothing.
const SILENCE_BOUND: Duration = Duration::from_secs(30);
/// How often Ctrl-C is checked.
const POLL: u16 = 100;
/// The maximum number of compression layers.
const LAYERS: usize = 8;
/// The disk space that stays free for the running database.
const RESERVE: u64 = 64 << 20;
const PART: usize = 1 << 20;

/// A copy that can be read several times.
#[derive(Debug)]
pub(super) struct Copy {
    /// Its name in messages.
    pub(super) shown: String,
    /// Its format.
    pub(super) format: Format,
    /// The unpacked copy, or `toc.dat` of a folder.
    file: File,
    /// The path that was opened.
    pub(super) path: PathBuf,
}

impl Copy {
    /// Returns a reader from the beginning of the copy.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn rewound(&self) -> IoResult<File> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(file)
    }
}

/// Opens the copy at `path`, or standard input for `-`. Compressed or piped input is written to an unnamed file in `folder`, which
/// disappears with this process.
///
/// # Errors
/// The copy cannot be read or is not a dump, or the pipe sends nothing.
pub(super) fn open(
    path: &Path,
    folder: &Path,
    cancelled: &AtomicBool,
) -> Result<Copy, RestoreError> {
    open_within(path, folder, cancelled, SILENCE_BOUND)
}

fn open_within(
    path: &Path,
    folder: &Path,
    cancelled: &AtomicBool,
    bound: Duration,
) -> Result<Copy, RestoreError> {
    let shown = if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    let failed = |source: IoError| match source.kind() {
        ErrorKind::TimedOut => RestoreError::Silent {
            copy: shown.clone(),
            seconds: bound.as_secs(),
        },
        _ => RestoreError::Read {
            copy: shown.clone(),
            source,
        },
    };
    if path.is_dir() {
        return open_folder(path, shown);
    }
    let file = if path == Path::new("-") {
        if std::io::stdin().is_terminal() {
            return Err(RestoreError::Terminal);
        }
        File::from(
            std::io::stdin()
                .as_fd()
                .try_clone_to_owned()
                .map_err(failed)?,
        )
    } else {
        // A FIFO without a writer is opened too; the reader then waits.
        OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)
            .map_err(failed)?
    };
    let is_regular = file.metadata().map_err(failed)?.is_file();
    let original = file.try_clone().map_err(failed)?;
    let mut reader: Box<dyn Read + '_> = Box::new(Patient {
        file,
        cancelled,
        bound,
    });
    for layers in 0..LAYERS {
        let (head, rest) = peek(reader).map_err(failed)?;
        reader = match recognise(&head) {
            Kind::Layer(layer) => unpack(layer, rest).map_err(failed)?,
            Kind::Dump(format) => {
                let file = if layers == 0 && is_regular && path != Path::new("-") {
                    original
                } else {
                    spool(rest, folder, &shown).map_err(|error| error.unwrap_or_else(failed))?
                };
                return Ok(Copy {
                    shown,
                    format,
                    file,
                    path: path.to_owned(),
                });
            }
            Kind::Other { what, hint } => {
                let is_piped = path == Path::new("-");
                let hint = if is_piped {
                    "pipe a dump in: pg_dump <DATABASE> | cargo dev restore -".to_owned()
                } else {
                    hint.replace("{}", &shown)
                };
                return Err(RestoreError::Format {
                    copy: shown,
                    what,
                    hint,
                });
            }
        };
    }
    let what = format!("compressed more than {LAYERS} times");
    Err(RestoreError::Format {
        hint: format!("check its format: file '{shown}'"),
        copy: shown,
        what,
    })
}

/// A dump of `pg_dump --format=directory`.
fn open_folder(path: &Path, shown: String) -> Result<Copy, RestoreError> {
    let mut head = Vec::new();
    let toc = File::open(path.join("toc.dat"));
    let file = match toc.and_then(|mut file| {
        (&mut file)
            .take(HEAD as u64)
            .read_to_end(&mut head)
            .map(|_| file)
    }) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let (what, hint) = if path.join("PG_VERSION").is_file() {
                (
                    "a data directory of PostgreSQL",
                    "stop its server, start a server on a copy of the folder, then: pg_dump --file=backup.sql <DATABASE>",
                )
            } else {
                (
                    "a folder without toc.dat",
                    "name a file in it: cargo dev restore <FILE>",
                )
            };
            return Err(RestoreError::Format {
                copy: shown,
                what: what.to_owned(),
                hint: hint.to_owned(),
            });
        }
        Err(source) => {
            return Err(RestoreError::Read {
                copy: shown,
                source,
            });
        }
    };
    match archive_version(&head) {
        Some(version) => Ok(Copy {
            shown,
            format: Format::Folder { version },
            file,
            path: path.to_owned(),
        }),
        None => Err(RestoreError::Format {
            copy: shown,
            what: "a folder with a toc.dat that pg_dump did not write".to_owned(),
            hint: "dump the database again: pg_dump --format=directory --file=backup <DATABASE>"
                .to_owned(),
        }),
    }
}

/// Returns the first bytes, and a reader that begins with them.
fn peek<'a>(mut reader: Box<dyn Read + 'a>) -> IoResult<(Vec<u8>, Box<dyn Read + 'a>)> {
    let mut head = Vec::with_capacity(HEAD);
    (&mut reader).take(HEAD as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Box::new(Cursor::new(head).chain(reader))))
}

fn unpack<'a>(layer: Layer, mut packed: Box<dyn Read + 'a>) -> IoResult<Box<dyn Read + 'a>> {
    Ok(match layer {
        Layer::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
        Layer::Zstandard => Box::new(super::zstandard::Frames::new(packed)),
        Layer::Utf16 { big_endian } => {
            packed.read_exact(&mut [0; 2])?;
            Box::new(Utf16::new(packed, big_endian))
        }
        Layer::Utf8Mark => {
            packed.read_exact(&mut [0; 3])?;
            packed
        }
    })
}

/// Writes the input to an unnamed file.
fn spool(mut from: Box<dyn Read + '_>, folder: &Path, shown: &str) -> Result<File, Spooling> {
    let full = |written| {
        let free = disk::free(folder).unwrap_or(0);
        let (folder, mount) = (folder.to_owned(), disk::mount(folder));
        Spooling::Full(RestoreError::DiskFull {
            copy: shown.to_owned(),
            folder,
            mount,
            written,
            free,
        })
    };
    let file = tempfile::tempfile_in(folder)?;
    let (mut to, mut part, mut written) = (BufWriter::with_capacity(PART, file), vec![0; PART], 0);
    loop {
        let read = match from.read(&mut part) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        if disk::free(folder).is_some_and(|free| free < RESERVE) {
            return Err(full(written));
        }
        match to.write_all(&part[..read]) {
            Err(error) if disk::is_full(&error) => return Err(full(written)),
            other => other?,
        }
        written += read as u64;
    }
    to.into_inner()
        .map_err(|error| Spooling::System(error.into_error()))
}

enum Spooling {
    Full(RestoreError),
    System(IoError),
}

impl From<IoError> for Spooling {
    fn from(error: IoError) -> Self {
        Self::System(error)
    }
}

impl Spooling {
    fn unwrap_or_else(self, failed: impl FnOnce(IoError) -> RestoreError) -> RestoreError {
        match self {
            Self::Full(error) => error,
            Self::System(error) => failed(error),
        }
    }
}

/// A reader of a file, FIFO or device that waits until a bound, or until the caller is gone.
struct Patient<'a> {
    file: File,
    cancelled: &'a AtomicBool,
    bound: Duration,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let deadline = Instant::now() + self.bound;
        loop {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(IoError::other("it was interrupted"));
            }
            let mut asked = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            match poll(&mut asked, PollTimeout::from(POLL)) {
                Ok(0) if Instant::now() >= deadline => return Err(ErrorKind::TimedOut.into()),
                Ok(0) | Err(nix::errno::Errno::EINTR) => {}
                Ok(_) => match self.file.read(buffer) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    read => return read,
                },
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "--\n-- PostgreSQL database dump\n--\nSELECT 'ä€😀';\n";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    fn zstandard(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        std::iter::once(0xfeff)
            .chain(text.encode_utf16())
            .flat_map(bytes)
            .collect()
    }

    fn read(bytes: &[u8]) -> Result<(Format, Vec<u8>), RestoreError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, bytes).unwrap();
        let copy = open(&path, folder.path(), &AtomicBool::new(false))?;
        let mut text = Vec::new();
        for _twice in 0..2 {
            text.clear();
            copy.rewound().unwrap().read_to_end(&mut text).unwrap();
        }
        Ok((copy.format, text))
    }

    #[test]
    fn compressed_and_encoded_dumps_are_unpacked_in_any_order() {
        let dump = DUMP.as_bytes();
        let little = utf16(DUMP, u16::to_le_bytes);
        for (name, bytes) in [
            ("plain", dump.to_owned()),
            ("gzip", gzip(dump)),
            (
                "two members of gzip",
                [gzip(&dump[..20]), gzip(&dump[20..])].concat(),
            ),
            ("zstandard", zstandard(dump)),
            (
                "two frames of zstandard",
                [zstandard(&dump[..20]), zstandard(&dump[20..])].concat(),
            ),
            ("UTF-8 with a mark", [b"\xef\xbb\xbf", dump].concat()),
            ("UTF-16, little endian", little.clone()),
            ("UTF-16, big endian", utf16(DUMP, u16::to_be_bytes)),
            ("gzip of zstandard of UTF-16", gzip(&zstandard(&little))),
            ("zstandard of gzip", zstandard(&gzip(dump))),
        ] {
            let (format, text) = read(&bytes).unwrap();
            assert_eq!(
                (format, String::from_utf8(text).unwrap().as_str()),
                (Format::Sql, DUMP),
                "{name}"
            );
        }
    }

    #[test]
    fn damaged_compressed_dumps_are_refused() {
        let (zipped, zstd) = (gzip(DUMP.as_bytes()), zstandard(DUMP.as_bytes()));
        let odd = [&utf16(DUMP, u16::to_le_bytes)[..], &[1]].concat();
        let lone = utf16(DUMP, u16::to_le_bytes)
            .into_iter()
            .chain([0, 0xd8, b'a', 0])
            .collect::<Vec<_>>();
        for (name, bytes) in [
            ("gzip cut off", &zipped[..zipped.len() - 9]),
            ("zstandard cut off", &zstd[..zstd.len() - 9]),
            ("half a unit of UTF-16", &odd),
            ("half a pair of UTF-16", &lone),
        ] {
            assert!(
                matches!(read(bytes), Err(RestoreError::Read { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn a_copy_is_read_from_a_fifo_with_a_writer_and_refused_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let opened = open_within(
            &path,
            folder.path(),
            &AtomicBool::new(false),
            Duration::from_millis(1),
        );
        assert!(matches!(opened, Err(RestoreError::Silent { .. })));
        assert!(
            matches!(
                open(&path, folder.path(), &AtomicBool::new(true)),
                Err(RestoreError::Read { .. })
            ),
            "the caller is gone"
        );
        let writer = path.clone();
        let written = std::thread::spawn(move || std::fs::write(writer, DUMP).unwrap());
        let copy = open(&path, folder.path(), &AtomicBool::new(false)).unwrap();
        written.join().unwrap();
        let mut text = String::new();
        copy.rewound().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, DUMP);
    }

    #[test]
    fn dump_folders_are_detected() {
        let folder = tempfile::tempdir().unwrap();
        let what = || match open(folder.path(), folder.path(), &AtomicBool::new(false)) {
            Ok(copy) => format!("{:?}", copy.format),
            Err(error) => error.to_string(),
        };
        assert!(what().contains("a folder without toc.dat"));
        std::fs::write(folder.path().join("PG_VERSION"), "15\n").unwrap();
        assert!(what().contains("a data directory"));
        std::fs::write(folder.path().join("toc.dat"), "something").unwrap();
        assert!(what().contains("that pg_dump did not write"));
        std::fs::write(folder.path().join("toc.dat"), "PGDMP\x01\x0e\0").unwrap();
        assert_eq!(what(), "Folder { version: (1, 14) }");
    }
}
