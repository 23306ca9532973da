//! The target of a copy: a file or a stream. Other files are never overwritten.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::future::ready;
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::{BackupError, checksum};
use crate::{Checkout, Error};
use process::poll::{after, poll_until};

/// How long to wait for a process that opens the other end of a FIFO.
const READER_BOUND: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// The maximum number of links that Linux follows (path_resolution(7)).
const LINKS: usize = 40;

/// The target of a copy.
pub(super) enum Target {
    /// A file, which gets its name when it is complete.
    File(PathBuf),
    /// Standard output, a FIFO or a device.
    Stream(Stdio),
}

/// Checks that a copy may be written to `asked`, and creates its folder below `data/`.
///
/// # Errors
/// Another file exists there, or the folder does not exist.
pub(super) async fn choose(
    checkout: &Checkout,
    asked: &Path,
    force: bool,
) -> Result<Target, Error> {
    if asked == Path::new("-") {
        if std::io::stdout().is_terminal() {
            return Err(BackupError::Terminal.into());
        }
        return Ok(Target::Stream(Stdio::from(std::io::stdout())));
    }
    let io = |source| BackupError::Io {
        path: asked.to_owned(),
        source,
    };
    let path = std::path::absolute(asked).map_err(io)?;
    if asked.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(BackupError::Folder { path }.into());
    }
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => Err(BackupError::Folder { path }.into()),
        Ok(metadata) if metadata.file_type().is_socket() => {
            Err(BackupError::Socket { path }.into())
        }
        Ok(metadata) if metadata.file_type().is_fifo() => fifo(&path).await.map(Target::Stream),
        Ok(metadata) if metadata.file_type().is_block_device() && !force => {
            Err(BackupError::Exists {
                asked: path.clone(),
                path,
                what: "a disk, whose contents the copy would overwrite",
            }
            .into())
        }
        Ok(metadata) if !metadata.is_file() => {
            let device = OpenOptions::new()
                .write(true)
                .open(&path)
                .map_err(|source| BackupError::Io { path, source })?;
            Ok(Target::Stream(device.into()))
        }
        Ok(_) => {
            let real = path.canonicalize().map_err(io)?;
            let replaced = real.clone();
            let ours = tokio::task::spawn_blocking(move || checksum::is_our_copy(&replaced))
                .await
                .unwrap_or(false);
            if !ours && !force {
                return Err(BackupError::Exists {
                    path: real,
                    asked: path,
                    what: "not a copy that this tool made",
                }
                .into());
            }
            file(checkout, real, &path, force)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let real = followed(path.clone()).map_err(io)?;
            file(checkout, real, &path, force)
        }
        Err(source) => Err(io(source).into()),
    }
}

/// Checks a file: its checksum must not replace another file, and its folder must exist.
fn file(checkout: &Checkout, to: PathBuf, asked: &Path, force: bool) -> Result<Target, Error> {
    let beside = checksum::path(&to);
    match std::fs::symlink_metadata(&beside) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(BackupError::NotAFile { path: beside }.into());
        }
        Ok(_) if !force && !checksum::read(&beside).is_ok_and(|text| checksum::is_ours(&text)) => {
            let what = "not a checksum that this tool wrote";
            return Err(BackupError::Exists {
                path: beside,
                asked: asked.to_owned(),
                what,
            }
            .into());
        }
        _ => {}
    }
    make_folder(checkout, &to)?;
    Ok(Target::File(to))
}

/// Returns the target of a broken link, or any other path unchanged.
fn followed(mut path: PathBuf) -> std::io::Result<PathBuf> {
    for _ in 0..LINKS {
        match std::fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(Errno::ELOOP.into())
}

/// Creates the folder of a file if it is below `data/`.
fn make_folder(checkout: &Checkout, to: &Path) -> Result<(), Error> {
    let folder = to.parent().unwrap_or(Path::new("/"));
    if folder.is_dir() {
        return Ok(());
    }
    let data = checkout.root().join("data");
    let missing = || BackupError::NoFolder {
        folder: folder.to_owned(),
        data: data.clone(),
    };
    // Links are resolved, and the missing part must not contain `..`.
    let existing = folder
        .ancestors()
        .find(|above| above.exists())
        .unwrap_or(Path::new("/"));
    let rest = folder.strip_prefix(existing).unwrap_or(Path::new(""));
    let real = existing.canonicalize().map_err(|source| BackupError::Io {
        path: to.to_owned(),
        source,
    })?;
    let real_data = data.canonicalize().unwrap_or_else(|_| data.clone());
    let plain = rest
        .components()
        .all(|part| part.as_os_str() != OsStr::new(".."));
    if !plain || !real.join(rest).starts_with(&real_data) {
        return Err(missing().into());
    }
    Ok(process::files::make_parents(to)?)
}

/// Opens a FIFO as soon as a process reads from it.
async fn fifo(path: &Path) -> Result<Stdio, Error> {
    let io = |source| BackupError::Io {
        path: path.to_owned(),
        source,
    };
    let opened = poll_until(after(READER_BOUND), POLL, || {
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path);
        let has_no_reader =
            |error: &std::io::Error| error.raw_os_error() == Some(Errno::ENXIO as i32);
        ready((!opened.as_ref().is_err_and(has_no_reader)).then_some(opened))
    });
    let file = opened
        .await
        .ok_or_else(|| BackupError::NoReader {
            path: path.to_owned(),
            seconds: READER_BOUND.as_secs(),
        })?
        .map_err(io)?;
    // The copy waits for a slow reader.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty())).map_err(|errno| io(errno.into()))?;
    Ok(file.into())
}

/// Syncs the folder, so that the name of a file survives a crash.
pub(super) fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
