//! Errors of processes.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::configuration::Configuration;
use crate::pid_file::PidFileError;

/// How many lines of the tail a message shows.
const SHOWN_LINES: usize = 10;

/// Why an operation on a process failed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("{name} could not be started ({}): {source}", program.display())]
    Spawn {
        /// The name of the process.
        name: String,
        /// Its program.
        program: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// Its pid file could not be locked.
    #[error("{name} could not take its pid file: {source}")]
    PidFile {
        /// The name of the process.
        name: String,
        /// The reason.
        source: PidFileError,
    },
    /// It exited before it was ready, or with an error.
    #[error("{name} ended ({}){}", describe(*status), evidence(tail))]
    Exited {
        /// The name of the process.
        name: String,
        /// Its exit status.
        status: ExitStatus,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// It runs and is not ready, or has not finished.
    #[error("{name} was not ready after {} s: {last}{}", waited.as_secs(), evidence(tail))]
    NotReady {
        /// The name of the process.
        name: String,
        /// The time limit.
        waited: Duration,
        /// The error of the last probe.
        last: String,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// It survived SIGKILL, as a process in an uninterruptible system call does.
    #[error("{name} (pid {pid}) did not end when it was killed")]
    Survived {
        /// The name of the process.
        name: String,
        /// Its pid.
        pid: u32,
    },
    /// It could not be waited for, or a pipe to it broke.
    #[error("{name} could not be waited for: {source}")]
    Wait {
        /// The name of the process.
        name: String,
        /// The error of the system.
        source: std::io::Error,
    },
}

impl ProcessError {
    pub(crate) fn spawn(configuration: &Configuration, source: std::io::Error) -> Self {
        Self::Spawn {
            name: configuration.name.clone(),
            program: configuration.program.clone(),
            source,
        }
    }

    pub(crate) fn wait(configuration: &Configuration, source: std::io::Error) -> Self {
        Self::Wait {
            name: configuration.name.clone(),
            source,
        }
    }

    pub(crate) fn unfinished(name: String, waited: Duration, tail: Vec<String>) -> Self {
        Self::NotReady {
            name,
            waited,
            last: "it had not finished".to_owned(),
            tail,
        }
    }
}

/// Formats an exit status: `exit status 1`, `signal 9`.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

fn evidence(tail: &[String]) -> String {
    if tail.is_empty() {
        return "; it printed nothing".to_owned();
    }
    let shown = tail.len().saturating_sub(SHOWN_LINES);
    format!("; it last printed:\n  {}", tail[shown..].join("\n  "))
}
