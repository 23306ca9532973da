//! Tools that do one thing and end: `initdb`, `psql`, `pip`.

use std::io::IsTerminal;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use crate::{Configuration, Process, ProcessError, prepare_child};

/// What a tool printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All of standard output.
    pub stdout: Vec<u8>,
    /// All of standard error, as text.
    pub stderr: String,
}

/// Runs a tool to its end, handing its lines to the sink. Anything but success is an error with its last lines.
pub async fn run(configuration: Configuration, bound: Duration) -> Result<(), ProcessError> {
    let name = configuration.name.clone();
    let mut process = Process::new(configuration);
    process.start().await?;
    match tokio::time::timeout(bound, process.exited()).await {
        Ok(status) => {
            let status = status?;
            if status.success() {
                Ok(())
            } else {
                Err(ProcessError::Exited {
                    name,
                    status,
                    tail: process.tail(),
                })
            }
        }
        Err(_) => {
            let tail = process.tail();
            process.stop().await?;
            Err(ProcessError::NotReady {
                name,
                waited: bound,
                last: "it had not finished".to_owned(),
                tail,
            })
        }
    }
}

/// Runs a tool to its end with `input` on its standard input, and returns all that it printed, success or not.
pub async fn capture(
    configuration: Configuration,
    input: &[u8],
    bound: Duration,
) -> Result<Output, ProcessError> {
    captured(configuration, Stdio::piped(), input, bound).await
}

/// Runs a tool with a file or a pipe as standard input.
pub async fn from_file(
    configuration: Configuration,
    file: impl Into<Stdio>,
    bound: Duration,
) -> Result<Output, ProcessError> {
    captured(configuration, file.into(), b"", bound).await
}

async fn captured(
    configuration: Configuration,
    stdin: Stdio,
    input: &[u8],
    bound: Duration,
) -> Result<Output, ProcessError> {
    let name = configuration.name.clone();
    let wait_error = |source| ProcessError::Wait {
        name: name.clone(),
        source,
    };
    let mut command = configuration.command();
    command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    prepare_child(&mut command, Signal::SIGKILL, None);
    let mut child = command.spawn().map_err(|source| ProcessError::Spawn {
        name: name.clone(),
        program: configuration.program.clone(),
        source,
    })?;
    let mut group = Group::of(&child);
    let mut stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin.take() {
            // A tool that ends early closes its end: how it ended says more than the broken pipe.
            let _closed = stdin.write_all(input).await;
        }
    };
    let finished = async { tokio::join!(feed, child.wait_with_output()).1 };
    match tokio::time::timeout(bound, finished).await {
        Ok(output) => {
            let output = output.map_err(wait_error)?;
            // It has ended by itself, and its number may be somebody else's from now on.
            group.0 = None;
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            Ok(Output {
                status: output.status,
                stdout: output.stdout,
                stderr,
            })
        }
        Err(_) => Err(ProcessError::NotReady {
            name,
            waited: bound,
            last: "it had not finished".to_owned(),
            tail: Vec::new(),
        }),
    }
}

/// Runs a tool with standard output redirected to a file, at its current offset, or to a pipe. A non-zero exit is an error with the text
/// of standard error.
pub async fn into_file(
    configuration: Configuration,
    file: impl Into<Stdio>,
    bound: Duration,
) -> Result<(), ProcessError> {
    from_file_into(configuration, Stdio::null(), file, bound).await
}

/// Also redirects standard input from a file or a pipe.
pub async fn from_file_into(
    configuration: Configuration,
    from: impl Into<Stdio>,
    to: impl Into<Stdio>,
    bound: Duration,
) -> Result<(), ProcessError> {
    let name = configuration.name.clone();
    let wait_error = |source| ProcessError::Wait {
        name: name.clone(),
        source,
    };
    let mut command = configuration.command();
    command
        .stdin(from)
        .stdout(to)
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    prepare_child(&mut command, Signal::SIGKILL, None);
    let child = command.spawn().map_err(|source| ProcessError::Spawn {
        name: name.clone(),
        program: configuration.program.clone(),
        source,
    })?;
    let mut group = Group::of(&child);
    match tokio::time::timeout(bound, child.wait_with_output()).await {
        Ok(output) => {
            let output = output.map_err(wait_error)?;
            group.0 = None;
            if output.status.success() {
                return Ok(());
            }
            let tail = String::from_utf8_lossy(&output.stderr)
                .lines()
                .map(str::to_owned)
                .collect();
            Err(ProcessError::Exited {
                name,
                status: output.status,
                tail,
            })
        }
        Err(_) => Err(ProcessError::NotReady {
            name,
            waited: bound,
            last: "it had not finished".to_owned(),
            tail: Vec::new(),
        }),
    }
}

/// A tool's process group, ended with this: a tool that is dropped may have started others.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(
            child
                .id()
                .and_then(|pid| i32::try_from(pid).ok())
                .map(Pid::from_raw),
        )
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone already, which is what is wanted.
            let _gone = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Runs a program on the terminal, as if it were typed there: it has the tool's standard streams and hears its Ctrl-C itself.
/// Returns how it ended.
pub async fn on_terminal(configuration: Configuration) -> Result<ExitStatus, ProcessError> {
    on_terminal_with(configuration, Stdio::inherit(), Stdio::inherit()).await
}

/// Also sets standard input and standard error.
pub async fn on_terminal_with(
    configuration: Configuration,
    stdin: Stdio,
    stderr: Stdio,
) -> Result<ExitStatus, ProcessError> {
    let name = configuration.name.clone();
    let wait_error = |source| ProcessError::Wait {
        name: name.clone(),
        source,
    };
    let mut command = configuration.command();
    // A group of its own would be in the background of the terminal, where reading stops it.
    command
        .process_group(nix::unistd::getpgrp().as_raw())
        .stdin(stdin)
        .stderr(stderr)
        .kill_on_drop(true);
    prepare_child(&mut command, Signal::SIGTERM, None);
    let mut terminate = signal(SignalKind::terminate()).map_err(wait_error)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(wait_error)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(wait_error)?;
    let mut child = command.spawn().map_err(|source| ProcessError::Spawn {
        name: name.clone(),
        program: configuration.program.clone(),
        source,
    })?;
    loop {
        let passed_on = tokio::select! {
            ended = child.wait() => return ended.map_err(wait_error),
            _ = terminate.recv() => Signal::SIGTERM,
            _ = hang_up.recv() => Signal::SIGHUP,
            // A terminal sends it to both.
            _ = interrupt.recv() => if std::io::stdin().is_terminal() { continue } else { Signal::SIGINT },
        };
        if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended this moment.
            let _gone = kill(Pid::from_raw(pid), passed_on);
        }
    }
}
