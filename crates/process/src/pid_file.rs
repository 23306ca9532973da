//! A pid file whose lock shows whether the process lives.
//!
//! The child gets the open, exclusively locked file as its standard input. A lock of flock(2) belongs to the open file description, which
//! the child and its descendants share. So the file is locked exactly as long as one of them lives, however their owner ended, and also
//! if another process has got the same pid.

use std::fs::{File, OpenOptions};
use std::future::ready;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::configuration::StopSignal;
use crate::file_lock::{self, FileLock, FileLockError};
use crate::files;
use crate::group::Group;
use crate::parent::wait_for_supervisor;
use crate::poll::{after, poll_until};

const POLL: Duration = Duration::from_millis(5);
/// [`PidFile::is_held`] locks the file for an instant. This is longer than many calls of it.
const PROBE_BOUND: Duration = Duration::from_millis(200);
/// How long the holders may take to disappear after SIGKILL.
const KILL_BOUND: Duration = Duration::from_secs(10);

/// Why a pid file could not be locked, or its holder not be stopped.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// A running process holds it.
    #[error("{} is held by a process that runs (pid {})", path.display(), shown(*pid))]
    Held {
        /// The file.
        path: PathBuf,
        /// The pid in the file.
        pid: Option<u32>,
    },
    /// The holder did not exit after SIGKILL.
    #[error("the process of an earlier run (pid {}) does not end; {} names it", shown(*pid), path.display())]
    Survived {
        /// The file.
        path: PathBuf,
        /// The pid in the file.
        pid: Option<u32>,
    },
    /// The holder is not a leftover: another living process of this program is its parent. It was not stopped.
    #[error("process {pid} was not left behind: its parent (pid {parent}) runs")]
    Supervised {
        /// The pid of the holder.
        pid: u32,
        /// The pid of its parent.
        parent: u32,
    },
    /// The file could not be created, opened, locked or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
}

fn shown(pid: Option<u32>) -> String {
    pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
}

/// A file with the pid of a process. The process and its descendants hold it locked while they live, so that the next owner can find and
/// stop what a killed owner left behind. [`crate::Configuration::pid_file`] gives one to a process.
#[derive(Debug)]
pub struct PidFile {
    file: File,
}

impl PidFile {
    /// Creates the file, or opens the one that a dead process left, and locks it.
    pub(crate) async fn create(path: &Path) -> Result<Self, PidFileError> {
        let io = |source| PidFileError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let file = files::open(OpenOptions::new().read(true).write(true), path).map_err(io)?;
        let file = match FileLock::acquire(file, path, PROBE_BOUND, |_| {}).await {
            Ok(lock) => lock.into_file(),
            Err(FileLockError::Held { path, .. }) => {
                let pid = read_pid(&path);
                return Err(PidFileError::Held { path, pid });
            }
            Err(FileLockError::Io { path, source }) => {
                return Err(PidFileError::Io { path, source });
            }
        };
        file.set_len(0).map_err(io)?;
        Ok(Self { file })
    }

    /// Returns the file as a child's standard input, which shares the lock.
    pub(crate) fn as_stdin(&self) -> std::io::Result<Stdio> {
        self.file.try_clone().map(Stdio::from)
    }

    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// Returns whether a process holds the file.
    pub fn is_held(path: &Path) -> bool {
        file_lock::is_held(path)
    }

    /// Stops the process group that a dead owner left behind: with `signal`, and after `bound` with SIGKILL. Returns when no process of it
    /// lives any more, and whether there was one.
    ///
    /// # Errors
    /// [`PidFileError::Supervised`], if the owner lives and does not stop it within 10 s, or [`PidFileError::Survived`].
    pub async fn end_leftover(
        path: &Path,
        signal: StopSignal,
        bound: Duration,
    ) -> Result<bool, PidFileError> {
        if !Self::is_held(path) {
            return Ok(false);
        }
        let holder = || read_pid(path).filter(|_| Self::is_held(path));
        if let Some((pid, parent)) = wait_for_supervisor(holder).await {
            return Err(PidFileError::Supervised { pid, parent });
        }
        // Descendants in other groups, such as the backends of PostgreSQL, exit after the leader. Then the lock is released.
        signal_holder(path, signal.into());
        if released_within(path, bound).await {
            return Ok(true);
        }
        signal_holder(path, Signal::SIGKILL);
        if released_within(path, KILL_BOUND).await {
            return Ok(true);
        }
        Err(PidFileError::Survived {
            path: path.to_owned(),
            pid: read_pid(path),
        })
    }
}

/// Does not allocate, because it runs between fork and exec.
pub(crate) fn write_pid(mut file: &File, pid: u32) -> std::io::Result<()> {
    let mut text = [0_u8; 12];
    let mut rest = &mut text[..];
    writeln!(rest, "{pid}")?;
    let unused = rest.len();
    let used = text.len() - unused;
    file.write_all(&text[..used])
}

fn read_pid(path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path)
        .ok()?
        .take(32)
        .read_to_string(&mut text)
        .ok()?;
    // kill(2) of group 0 means the own group, and of group 1 all processes.
    text.trim().parse().ok().filter(|pid| *pid > 1)
}

fn signal_holder(path: &Path, signal: Signal) {
    if let Some(group) = read_pid(path).and_then(Group::with_leader) {
        group.signal(signal);
    }
}

async fn released_within(path: &Path, bound: Duration) -> bool {
    poll_until(after(bound), POLL, || {
        ready((!PidFile::is_held(path)).then_some(()))
    })
    .await
    .is_some()
}
