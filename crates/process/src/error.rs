//! Why a process did not do what was asked of it, with its last words.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::PidFileError;

/// Why a process did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("{name} could not be started ({}): {source}", program.display())]
    Spawn {
        /// The process.
        name: String,
        /// What was to run.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its pid file could not be taken.
    #[error("{name} could not take its pid file: {source}")]
    PidFile {
        /// The process.
        name: String,
        /// Why.
        source: PidFileError,
    },
    /// It ended before it was ready, or unasked.
    #[error("{name} ended ({}){}", describe(*status), evidence(tail))]
    Exited {
        /// The process.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// It still runs and is not ready.
    #[error("{name} was not ready after {} s: {last}{}", waited.as_secs(), evidence(tail))]
    NotReady {
        /// The process.
        name: String,
        /// The bound that passed.
        waited: Duration,
        /// What the last probe said.
        last: String,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// It survived SIGKILL, as a process in an uninterruptible system call does.
    #[error("{name} (pid {pid}) did not end when it was killed")]
    Survived {
        /// The process.
        name: String,
        /// Its pid.
        pid: u32,
    },
    /// The system would not say how it is.
    #[error("{name} could not be waited for: {source}")]
    Wait {
        /// The process.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// An exit status in words: `exit status 1`, `signal 9`.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

fn evidence(tail: &[String]) -> String {
    if tail.is_empty() {
        return "; it said nothing".to_owned();
    }
    // A message shows the end of the tail; all of it is in the error for whoever wants it.
    let last = tail.len().saturating_sub(10);
    format!("; it last said:\n  {}", tail[last..].join("\n  "))
}
