//! Locks on files and folders that processes share (`flock`). The system releases them when their holder ends, however it ends.

use std::fs::{File, Metadata, TryLockError};
use std::future::ready;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, io};

use crate::poll::{after, poll_until};

const POLL: Duration = Duration::from_millis(10);
/// Shorter waits are usual.
const NAMED_AFTER: Duration = Duration::from_secs(3);

/// A lock on an open file or folder. Dropping it releases the lock, unless a child process has inherited the file.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

/// Why a file is not locked.
#[derive(Debug, thiserror::Error)]
pub enum FileLockError {
    /// Another process has locked it.
    #[error("{} is locked by {}, which did not release it within {} s", path.display(), name(holder.as_ref()), waited.as_secs())]
    Held {
        /// The file.
        path: PathBuf,
        /// The process, if the system reports it.
        holder: Option<LockHolder>,
        /// How long this process waited.
        waited: Duration,
    },
    /// The file cannot be opened or locked.
    #[error("{} could not be locked: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// A process that has locked a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// Its pid.
    pub pid: u32,
    /// Its command line.
    pub command: String,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" (pid {})", self.command, self.pid)
    }
}

/// Returns a description of the holder for messages.
pub fn name(holder: Option<&LockHolder>) -> String {
    holder.map_or_else(|| "another process".to_owned(), LockHolder::to_string)
}

impl FileLock {
    /// Locks a file exclusively, or returns `None` if another process has locked it.
    ///
    /// # Errors
    /// The file system refuses locks.
    pub fn try_exclusive(file: File) -> io::Result<Option<Self>> {
        locked(file.try_lock(), file)
    }

    /// Locks a file together with other holders of shared locks, or returns `None` if a process has locked it exclusively.
    ///
    /// # Errors
    /// The file system refuses locks.
    pub fn try_shared(file: File) -> io::Result<Option<Self>> {
        locked(file.try_lock_shared(), file)
    }

    /// Waits until no other process has locked the file, and locks it exclusively. After three seconds it calls `waits` once with a
    /// description of the holder. Dropping the future ends the wait.
    ///
    /// # Errors
    /// The holder does not release the lock within `bound`, or the file system refuses locks.
    pub async fn acquire(
        file: File,
        path: &Path,
        bound: Duration,
        waits: impl FnOnce(String),
    ) -> Result<Self, FileLockError> {
        Self::acquire_naming_after(NAMED_AFTER, file, path, bound, waits).await
    }

    async fn acquire_naming_after(
        named_after: Duration,
        file: File,
        path: &Path,
        bound: Duration,
        waits: impl FnOnce(String),
    ) -> Result<Self, FileLockError> {
        let begun = tokio::time::Instant::now();
        let mut waits = Some(waits);
        let tried = poll_until(after(bound), POLL, || {
            ready(match file.try_lock() {
                Ok(()) => Some(Ok(())),
                Err(TryLockError::Error(source)) => Some(Err(source)),
                Err(TryLockError::WouldBlock) => {
                    if begun.elapsed() >= named_after
                        && let Some(waits) = waits.take()
                    {
                        waits(name(holder(&file).as_ref()));
                    }
                    None
                }
            })
        });
        match tried.await {
            Some(Ok(())) => Ok(Self { file }),
            Some(Err(source)) => Err(FileLockError::Io {
                path: path.to_owned(),
                source,
            }),
            None => Err(FileLockError::Held {
                path: path.to_owned(),
                holder: holder(&file),
                waited: bound,
            }),
        }
    }

    /// Returns whether other processes find the locked file at `path`: it may have been removed or replaced.
    pub fn is_at(&self, path: &Path) -> bool {
        let identity = |file: io::Result<Metadata>| file.map(|file| (file.dev(), file.ino())).ok();
        identity(self.file.metadata()) == identity(std::fs::metadata(path))
    }

    /// The locked file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Returns the file, which keeps its lock until it and its duplicates are closed.
    pub fn into_file(self) -> File {
        self.file
    }
}

fn locked(tried: Result<(), TryLockError>, file: File) -> io::Result<Option<FileLock>> {
    match tried {
        Ok(()) => Ok(Some(FileLock { file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Returns whether a process has locked the file exclusively. Does not disturb other calls of this function.
pub fn is_held(path: &Path) -> bool {
    File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Returns the process that has locked the file, from `/proc/locks` (proc(5)).
#[cfg(target_os = "linux")]
fn holder(file: &File) -> Option<LockHolder> {
    use nix::sys::stat::{major, minor};

    let metadata = file.metadata().ok()?;
    let (device, inode) = (metadata.dev(), metadata.ino());
    let wanted = format!("{:02x}:{:02x}:{inode}", major(device), minor(device));
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        // A process that waits has `->` in this column.
        (fields.next()? == "FLOCK").then_some(())?;
        let pid: u32 = fields.nth(2)?.parse().ok()?;
        (fields.next()? == wanted).then_some(pid)
    })?;
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = command
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .collect::<Vec<_>>();
    Some(LockHolder {
        pid,
        command: words.join(" ").trim().to_owned(),
    })
}

#[cfg(not(target_os = "linux"))]
fn holder(_file: &File) -> Option<LockHolder> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &tempfile::TempDir) -> File {
        File::open(folder.path()).unwrap()
    }

    #[tokio::test]
    async fn a_lock_has_one_exclusive_or_several_shared_holders() {
        let folder = tempfile::tempdir().unwrap();
        let shared = [
            FileLock::try_shared(open(&folder)).unwrap().unwrap(),
            FileLock::try_shared(open(&folder)).unwrap().unwrap(),
        ];
        assert!(FileLock::try_exclusive(open(&folder)).unwrap().is_none());
        assert!(!is_held(folder.path()));
        drop(shared);
        let exclusive = FileLock::try_exclusive(open(&folder)).unwrap().unwrap();
        assert!(FileLock::try_shared(open(&folder)).unwrap().is_none());
        assert!(is_held(folder.path()));
        assert!(exclusive.is_at(folder.path()));
        assert!(!exclusive.is_at(&folder.path().join("absent")));
        drop(exclusive);
        FileLock::acquire(open(&folder), folder.path(), Duration::ZERO, |_| {})
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_lock_that_is_not_released_is_reported_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let _held = FileLock::try_exclusive(open(&folder)).unwrap().unwrap();
        let refused = FileLock::acquire(open(&folder), folder.path(), Duration::ZERO, |_| {})
            .await
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains(&folder.path().display().to_string()),
            "{refused}"
        );
        // Some file systems have other device numbers in /proc/locks.
        let pid = format!("(pid {})", std::process::id());
        assert!(
            refused.contains(&pid) || refused.contains("another process"),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn a_long_wait_is_reported_once_and_ends_with_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let held = FileLock::try_exclusive(open(&folder)).unwrap().unwrap();
        let mut named = Vec::new();
        let waiting = FileLock::acquire_naming_after(
            Duration::from_millis(1),
            open(&folder),
            folder.path(),
            Duration::from_secs(60),
            |holder| {
                named.push(holder);
                drop(held);
            },
        );
        waiting.await.unwrap();
        assert!(matches!(&named[..], [holder] if !holder.is_empty()));
    }
}
