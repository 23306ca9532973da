//! A pid file whose lock says whether the process lives.
//!
//! The child gets the open, exclusively locked file as its standard input. A `flock` belongs to the open file description,
//! which the child and its descendants share: it is held exactly as long as one of them lives, however the tool ended, and
//! whoever else got the pid since.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::future::ready;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::file_lock;
use super::file_lock::FileLock;
use super::file_lock::FileLockError;
use super::parent::same_program as supervisor_of;
use super::poll::after;
use super::poll::poll_until;
use crate::StopSignal;
use crate::files;

const POLL: Duration = Duration::from_millis(5);
/// Asking who holds a file locks it for an instant: longer than any number of those.
const PROBE_PATIENCE: Duration = Duration::from_millis(200);
/// How long another process of this program may take to end its child.
pub const SUPERVISOR_BOUND: Duration = Duration::from_secs(10);
/// The pause between two looks at a supervisor.
pub const SUPERVISOR_POLL: Duration = Duration::from_millis(50);
/// How long the holders may take to disappear after SIGKILL.
const KILL_BOUND: Duration = Duration::from_secs(10);

/// Why a pid file could not be taken, or its holder not be ended.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// Another process has it.
    #[error("{} is held by a process that runs (pid {})", path.display(), pid.map_or("unknown".to_owned(), |pid| pid.to_string()))]
    Held {
        /// The file.
        path: PathBuf,
        /// Who, where the file says so.
        pid: Option<u32>,
    },
    /// The holder did not end, SIGKILL included.
    #[error("the process of an earlier run (pid {}) does not end; {} names it", pid.map_or("unknown".to_owned(), |pid| pid.to_string()), path.display())]
    Survived {
        /// The file.
        path: PathBuf,
        /// Who, where the file says so.
        pid: Option<u32>,
    },
    /// It is not left behind.
    #[error(
        "process {pid} is not left behind: its parent (pid {parent}) runs, and this command cannot reach it. Nothing was changed\n\
         hint: stop that process first: kill {parent}"
    )]
    Supervised {
        /// Its pid.
        pid: u32,
        /// The parent.
        parent: u32,
    },
    /// The file could not be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A pid file that this process holds locked, on its way to a child; see the module's text in the source.
#[derive(Debug)]
pub struct PidFile {
    file: File,
}

impl PidFile {
    /// Makes the file, or takes the one that a dead process left, and locks it.
    pub async fn create(path: &Path) -> Result<Self, PidFileError> {
        let io = |source| PidFileError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let file = files::open(OpenOptions::new().read(true).write(true), path).map_err(io)?;
        let file = match FileLock::acquire(file, path, PROBE_PATIENCE, |_| {}).await {
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

    /// The file as a child's standard input, which takes the lock along.
    pub fn as_stdin(&self) -> std::io::Result<Stdio> {
        self.file.try_clone().map(Stdio::from)
    }

    /// Names `pid` as the holder.
    pub fn write(&self, pid: u32) -> std::io::Result<()> {
        write_pid(&self.file, pid)
    }

    pub(super) fn into_file(self) -> File {
        self.file
    }

    /// Returns the pid in the file and its parent, if another living process of this program is the parent.
    async fn supervised(path: &Path) -> Option<(u32, u32)> {
        let pid = read_pid(path).filter(|_| Self::is_held(path))?;
        supervisor_of(i32::try_from(pid).ok()?)
            .await
            .map(|parent| (pid, parent))
    }

    /// Whether a process holds the file.
    pub fn is_held(path: &Path) -> bool {
        file_lock::is_held(path)
    }

    /// Ends the process group that an earlier run left behind: `signal`, `bound`, SIGKILL. Returns whether there was one,
    /// when nothing of it lives any more. The child of another living process of this program is not ended: the other process may be
    /// ending it, so it is waited for.
    pub async fn end_leftover(
        path: &Path,
        signal: StopSignal,
        bound: Duration,
    ) -> Result<bool, PidFileError> {
        if !Self::is_held(path) {
            return Ok(false);
        }
        let supervised = Cell::new(None);
        let ends = poll_until(after(SUPERVISOR_BOUND), SUPERVISOR_POLL, || async {
            supervised.set(Self::supervised(path).await);
            supervised.get().is_none().then_some(())
        });
        ends.await;
        if let Some((pid, parent)) = supervised.get() {
            return Err(PidFileError::Supervised { pid, parent });
        }
        // Descendants in groups of their own (PostgreSQL's backends) end by themselves once the leader has; the lock says when.
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

/// Allocates nothing: it runs between fork and exec.
pub(super) fn write_pid(mut file: &File, pid: u32) -> std::io::Result<()> {
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
    // 0 and 1 would address the tool's own group, and everything.
    text.trim().parse().ok().filter(|pid| *pid > 1)
}

fn signal_holder(path: &Path, signal: Signal) {
    let pid = read_pid(path).and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid {
        // Gone already, with descendants that still hold the file: the caller goes on waiting for those.
        let _gone = killpg(Pid::from_raw(pid), signal);
    }
}

async fn released_within(path: &Path, bound: Duration) -> bool {
    poll_until(after(bound), POLL, || {
        ready((!PidFile::is_held(path)).then_some(()))
    })
    .await
    .is_some()
}
