//! Programs that run to their end.

use std::io::IsTerminal;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;
use tokio::signal::unix::{SignalKind, signal};

use crate::child::Process;
use crate::configuration::Configuration;
use crate::error::ProcessError;
use crate::group::{Group, KillOnDrop};
use crate::spawn;

/// The output of a program that has exited.
#[derive(Debug)]
pub struct Output {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its whole standard output.
    pub stdout: Vec<u8>,
    /// Its whole standard error. Invalid UTF-8 is replaced.
    pub stderr: String,
}

/// Runs a program to its end, and passes its lines to the sink.
///
/// # Errors
/// It fails ([`ProcessError::Exited`]), does not finish within `bound` ([`ProcessError::NotReady`]), or cannot be started.
pub async fn run(configuration: Configuration, bound: Duration) -> Result<(), ProcessError> {
    let name = configuration.name.clone();
    let mut process = Process::new(configuration);
    process.start().await?;
    let tail = |process: &Process| process.tail();
    match tokio::time::timeout(bound, process.exited()).await {
        Ok(status) => succeeded(name, status?, || tail(&process)),
        Err(_) => {
            let tail = tail(&process);
            process.stop().await?;
            Err(ProcessError::unfinished(name, bound, tail))
        }
    }
}

/// Runs a program to its end with `input` as standard input, and returns its output, also if it fails.
///
/// # Errors
/// It does not finish within `bound` ([`ProcessError::NotReady`]), or cannot be started. Its group is killed then.
pub async fn capture(
    configuration: Configuration,
    input: &[u8],
    bound: Duration,
) -> Result<Output, ProcessError> {
    output(configuration, Stdio::piped(), Stdio::piped(), input, bound).await
}

/// Does the same with a file, from its current offset, or a pipe as standard input.
///
/// # Errors
/// See [`capture`].
pub async fn from_file(
    configuration: Configuration,
    from: impl Into<Stdio>,
    bound: Duration,
) -> Result<Output, ProcessError> {
    output(configuration, from.into(), Stdio::piped(), b"", bound).await
}

/// Runs a program to its end with its standard output in a file, from the file's current offset, or a pipe.
///
/// # Errors
/// See [`run`].
pub async fn into_file(
    configuration: Configuration,
    to: impl Into<Stdio>,
    bound: Duration,
) -> Result<(), ProcessError> {
    from_file_into(configuration, Stdio::null(), to, bound).await
}

/// Does the same with a file or a pipe as standard input, too.
///
/// # Errors
/// See [`run`].
pub async fn from_file_into(
    configuration: Configuration,
    from: impl Into<Stdio>,
    to: impl Into<Stdio>,
    bound: Duration,
) -> Result<(), ProcessError> {
    let name = configuration.name.clone();
    let output = output(configuration, from.into(), to.into(), b"", bound).await?;
    succeeded(name, output.status, || {
        output.stderr.lines().map(str::to_owned).collect()
    })
}

fn succeeded(
    name: String,
    status: ExitStatus,
    tail: impl FnOnce() -> Vec<String>,
) -> Result<(), ProcessError> {
    if status.success() {
        return Ok(());
    }
    Err(ProcessError::Exited {
        name,
        status,
        tail: tail(),
    })
}

async fn output(
    configuration: Configuration,
    stdin: Stdio,
    stdout: Stdio,
    input: &[u8],
    bound: Duration,
) -> Result<Output, ProcessError> {
    let mut command = configuration.command();
    command
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    spawn::prepare(&mut command, Signal::SIGKILL, None);
    let mut child = command
        .spawn()
        .map_err(|source| ProcessError::spawn(&configuration, source))?;
    // The program may have started others.
    let group = KillOnDrop::new(Group::led_by(&child));
    let mut stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin.take() {
            // A program that exits early closes the pipe. Its exit status is more useful than the broken pipe.
            let _closed = stdin.write_all(input).await;
        }
    };
    let finished = async { tokio::join!(feed, child.wait_with_output()).1 };
    let Ok(output) = tokio::time::timeout(bound, finished).await else {
        return Err(ProcessError::unfinished(
            configuration.name,
            bound,
            Vec::new(),
        ));
    };
    let output = output.map_err(|source| ProcessError::wait(&configuration, source))?;
    group.disarm();
    Ok(Output {
        status: output.status,
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs a program on the terminal of this process, as a shell does: it inherits the standard streams and receives Ctrl-C itself. Other
/// termination signals are forwarded to it.
///
/// # Errors
/// It cannot be started or waited for.
pub async fn on_terminal(configuration: Configuration) -> Result<ExitStatus, ProcessError> {
    on_terminal_with(configuration, Stdio::inherit(), Stdio::inherit()).await
}

/// Does the same with another standard input and standard error.
///
/// # Errors
/// See [`on_terminal`].
pub async fn on_terminal_with(
    configuration: Configuration,
    stdin: Stdio,
    stderr: Stdio,
) -> Result<ExitStatus, ProcessError> {
    let wait_error = |source| ProcessError::wait(&configuration, source);
    let mut command = configuration.command();
    // Its own group would be in the background of the terminal, and the system would stop it when it reads.
    command
        .process_group(nix::unistd::getpgrp().as_raw())
        .stdin(stdin)
        .stderr(stderr)
        .kill_on_drop(true);
    spawn::prepare(&mut command, Signal::SIGTERM, None);
    let mut terminate = signal(SignalKind::terminate()).map_err(wait_error)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(wait_error)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(wait_error)?;
    let mut child = command
        .spawn()
        .map_err(|source| ProcessError::spawn(&configuration, source))?;
    loop {
        let forwarded = tokio::select! {
            ended = child.wait() => return ended.map_err(wait_error),
            _ = terminate.recv() => Signal::SIGTERM,
            _ = hang_up.recv() => Signal::SIGHUP,
            // A terminal sends it to both.
            _ = interrupt.recv() => if std::io::stdin().is_terminal() { continue } else { Signal::SIGINT },
        };
        if let Some(program) = Group::led_by(&child) {
            program.signal_leader(forwarded);
        }
    }
}
