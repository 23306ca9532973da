//! Reads a settings file, which may be a file, a link, the pipe of a password manager, or a folder that Docker created.

pub(crate) mod error;

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Error;
use error::SettingsFileError;
use process::FileLock;
use process::poll::poll_blocking;

/// How long to wait for a pipe: a password manager may ask its user first.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);
const LARGEST: usize = 1024 * 1024;

/// Returns the text of a settings file, or `None` without a file.
///
/// # Errors
/// The file cannot be read in time, or cannot hold settings.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    read_within(path, PATIENCE)
}

fn read_within(path: &Path, patience: Duration) -> Result<Option<Vec<u8>>, Error> {
    let io = |source| Error::io("read", path, source);
    let unfit = |what| SettingsFileError::Unfit {
        path: path.to_owned(),
        what,
    };
    let metadata = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(io)?,
    };
    let kind = metadata.file_type();
    let what = name(kind);
    if kind.is_dir() || kind.is_socket() || kind.is_block_device() {
        return Err(unfit(what).into());
    }
    let silent = || SettingsFileError::Silent {
        path: path.to_owned(),
        what,
        waited: patience,
    };
    let deadline = Instant::now() + patience;
    let _reader = if kind.is_fifo() {
        only_reader(path, deadline).ok_or_else(silent)?
    } else {
        None
    };
    // Opening a pipe would wait for its writer.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(io)?;
    let mut bytes = Vec::new();
    let ended = poll_blocking(deadline, POLL, || {
        read_available(&mut file, kind.is_fifo(), &mut bytes).transpose()
    });
    match ended.transpose().map_err(io)? {
        Some(()) if bytes.len() > LARGEST => Err(unfit("larger than 1 MB").into()),
        Some(()) => Ok(Some(bytes)),
        None if bytes.is_empty() => Err(silent().into()),
        None => Err(SettingsFileError::Unfinished {
            path: path.to_owned(),
            what,
            waited: patience,
        }
        .into()),
    }
}

/// Reads what is there. Returns `Some` at the end of the input, or slightly after the size limit. A pipe without a writer looks like the
/// end of the input.
fn read_available(
    file: &mut File,
    is_pipe: bool,
    bytes: &mut Vec<u8>,
) -> std::io::Result<Option<()>> {
    let mut part = [0; 16 * 1024];
    while bytes.len() <= LARGEST {
        match file.read(&mut part) {
            Ok(0) => return Ok((!is_pipe || !bytes.is_empty()).then_some(())),
            Ok(length) => bytes.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(()))
}

/// Waits until no other command reads or changes settings in the folder of a pipe: of two readers each gets a part of what is written.
/// `None` at the deadline. `Some(None)` if the folder cannot be locked.
fn only_reader(pipe: &Path, deadline: Instant) -> Option<Option<FileLock>> {
    let real = pipe.canonicalize().unwrap_or_else(|_| pipe.to_owned());
    let folder = real.parent().unwrap_or(Path::new("/"));
    poll_blocking(deadline, POLL, || {
        match File::open(folder).and_then(FileLock::try_exclusive) {
            Ok(None) => None,
            Ok(lock) => Some(lock),
            Err(_) => Some(None),
        }
    })
}

/// Returns the regular file that a write to `path` replaces: the target of a link.
///
/// # Errors
/// The path is not a regular file.
pub(crate) fn to_be_written(path: &Path) -> Result<PathBuf, Error> {
    match path.canonicalize() {
        Ok(real) => {
            let kind = std::fs::metadata(&real)
                .map_err(|source| Error::io("read", &real, source))?
                .file_type();
            if kind.is_file() {
                Ok(real)
            } else {
                Err(SettingsFileError::NotReplaced {
                    path: path.to_owned(),
                    what: name(kind),
                }
                .into())
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => match path.read_link() {
            Ok(target) => Err(SettingsFileError::LeadsNowhere {
                path: path.to_owned(),
                target,
            }
            .into()),
            Err(_) => Ok(path.to_owned()),
        },
        Err(source) => Err(Error::io("read", path, source)),
    }
}

fn name(kind: std::fs::FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe (FIFO)"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_file() {
        "a regular file"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    fn pipe(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join(".env");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        path
    }

    #[test]
    fn a_settings_pipe_can_be_read_repeatedly() {
        let folder = tempfile::tempdir().unwrap();
        let path = pipe(&folder);
        let large = "A=1\n".repeat(40_000);
        for text in ["A=1\n", "B=2\n", &large] {
            std::thread::scope(|scope| {
                scope.spawn(|| std::fs::write(&path, text).unwrap());
                assert_eq!(read(&path).unwrap().unwrap(), text.as_bytes());
            });
        }
    }

    #[test]
    fn a_settings_pipe_without_a_writer_times_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = pipe(&folder);
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        // One program has it open and writes nothing.
        let held = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        for path in [&path, &link] {
            let refused = read_within(path, SOON).unwrap_err().to_string();
            assert!(
                refused.contains("is a pipe (FIFO)") && refused.contains("hint: "),
                "{refused}"
            );
        }
        drop(held);
        read_within(&path, SOON).unwrap_err();
    }

    #[test]
    fn a_settings_pipe_that_is_not_closed_after_writing_is_reported_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let path = pipe(&folder);
        let mut held = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        held.write_all(b"A=1\n").unwrap();
        let refused = read_within(&path, SOON).unwrap_err().to_string();
        assert!(
            refused.contains("did not close it") && refused.contains("hint: "),
            "{refused}"
        );
    }

    #[test]
    fn concurrent_readers_of_a_settings_pipe_get_complete_texts() {
        let folder = tempfile::tempdir().unwrap();
        let path = pipe(&folder);
        let text = "A=1\n".repeat(40_000);
        let readers = 4;
        let (done, waits) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..readers {
                let (done, path, text) = (done.clone(), &path, &text);
                scope.spawn(move || {
                    assert!(read(path).unwrap().unwrap() == text.as_bytes());
                    done.send(()).unwrap();
                });
            }
            for _ in 0..readers {
                std::fs::write(&path, &text).unwrap();
                waits.recv().unwrap();
            }
        });
    }

    #[test]
    fn a_path_that_cannot_hold_settings_is_reported_with_its_file_type() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let _listener = UnixListener::bind(at("socket")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("large"), "A=1\n".repeat(300_000)).unwrap();
        for (name, target) in [
            ("socket link", at("socket")),
            ("zero", "/dev/zero".into()),
            ("null", "/dev/null".into()),
        ] {
            symlink(target, at(name)).unwrap();
        }
        let cases = [
            ("socket", "a socket"),
            ("socket link", "a socket"),
            ("folder", "a folder"),
            ("large", "larger than"),
            ("zero", "larger than"),
        ];
        for (name, what) in cases {
            let refused = read_within(&at(name), SOON).unwrap_err().to_string();
            assert!(
                refused.contains(what) && refused.contains(name),
                "{name}: {refused}"
            );
        }
        assert_eq!(read(&at("null")).unwrap(), Some(Vec::new()));
        assert_eq!(read(&at("absent")).unwrap(), None);
    }

    #[test]
    fn settings_are_written_to_regular_files_only() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        pipe(&folder);
        let _listener = UnixListener::bind(at("socket")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        let links: [(&str, PathBuf); 5] = [
            ("null", "/dev/null".into()),
            ("to a pipe", at(".env")),
            ("to nothing", at("gone")),
            ("to a file", at("file")),
            ("twice", at("to a file")),
        ];
        for (name, target) in links {
            symlink(target, at(name)).unwrap();
        }
        for name in [
            ".env",
            "socket",
            "folder",
            "null",
            "to a pipe",
            "to nothing",
        ] {
            let refused = to_be_written(&at(name)).unwrap_err().to_string();
            assert!(
                refused.contains("nothing was changed") && refused.contains("hint: "),
                "{name}: {refused}"
            );
        }
        for (name, written) in [
            ("file", "file"),
            ("to a file", "file"),
            ("twice", "file"),
            ("new", "new"),
        ] {
            assert_eq!(
                to_be_written(&at(name)).unwrap().file_name().unwrap(),
                written
            );
        }
    }
}
