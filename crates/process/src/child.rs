//! A supervised child process.

use std::net::TcpListener;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::Signal;
use tokio::process::{Child, Command};

use crate::configuration::{Configuration, StopSignal};
use crate::error::ProcessError;
use crate::group::Group;
use crate::output::Collected;
use crate::pid_file::PidFile;
use crate::poll::poll_blocking;
use crate::spawn;

/// The first file descriptor of the `LISTEN_FDS` protocol (sd_listen_fds(3)).
const FIRST_LISTENER: i32 = 3;
/// How long a group may take to disappear after SIGKILL.
const KILL_BOUND: Duration = Duration::from_secs(10);
/// How long dropping a running process may block. A process is dropped while it runs only after an error or a panic.
const DROP_BOUND: Duration = Duration::from_secs(1);

/// A child process that does not outlive its owner; see the [crate](crate).
pub struct Process {
    configuration: Configuration,
    running: Option<Running>,
    output: Collected,
    status: Option<ExitStatus>,
}

struct Running {
    child: Child,
    group: Group,
}

impl Process {
    /// Creates a process that is configured and not started.
    pub fn new(configuration: Configuration) -> Self {
        Self {
            configuration,
            running: None,
            output: Collected::default(),
            status: None,
        }
    }

    /// Returns its pid while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.group.leader())
    }

    /// Returns its last lines, 50 at most, oldest first.
    pub fn tail(&self) -> Vec<String> {
        self.output.tail()
    }

    /// Starts it, if it does not run. A process that has stopped is started again.
    ///
    /// # Errors
    /// [`ProcessError::Spawn`] or [`ProcessError::PidFile`]; it does not run then.
    pub async fn start(&mut self) -> Result<(), ProcessError> {
        if self.running.is_some() {
            return Ok(());
        }
        let spawn_error = |source| ProcessError::spawn(&self.configuration, source);
        let mut command = self.configuration.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let pid_file = match &self.configuration.pid_file {
            Some(path) => {
                let file = PidFile::create(path)
                    .await
                    .map_err(|source| ProcessError::PidFile {
                        name: self.configuration.name.clone(),
                        source,
                    })?;
                command.stdin(file.as_stdin().map_err(spawn_error)?);
                Some(file.into_file())
            }
            None => {
                command.stdin(Stdio::null());
                None
            }
        };
        pass_listeners(&mut command, &self.configuration.listeners).map_err(spawn_error)?;
        spawn::prepare(
            &mut command,
            self.configuration.stop_signal.into(),
            pid_file,
        );
        let mut child = command.spawn().map_err(spawn_error)?;
        let group = Group::led_by(&child).expect("a child that was not waited for has a pid");
        self.output = Collected::from_child(&mut child, self.configuration.sink.clone());
        self.running = Some(Running { child, group });
        self.status = None;
        Ok(())
    }

    /// Calls `probe` every `every` until it returns `Ok`, for `bound` at most. The probe's `Err` describes what is missing.
    ///
    /// # Errors
    /// [`ProcessError::Exited`] as soon as the process exits, or [`ProcessError::NotReady`] after `bound`. A process that is not ready keeps
    /// running: stop or drop it.
    pub async fn until_ready<P, F>(
        &mut self,
        bound: Duration,
        every: Duration,
        mut probe: P,
    ) -> Result<(), ProcessError>
    where
        P: FnMut() -> F,
        F: Future<Output = Result<(), String>>,
    {
        let deadline = tokio::time::Instant::now() + bound;
        let mut last = "it did not answer in time".to_owned();
        loop {
            let Some(running) = &mut self.running else {
                return Err(self.exited_error());
            };
            // A probe that hangs must not hide an exit or outlast the bound.
            tokio::select! {
                biased;
                ended = running.child.wait() => {
                    self.ended(ended).await?;
                    return Err(self.exited_error());
                }
                answer = tokio::time::timeout_at(deadline, probe()) => match answer {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(reason)) => last = reason,
                    Err(_) => {}
                },
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(ProcessError::NotReady {
                    name: self.configuration.name.clone(),
                    waited: bound,
                    last,
                    tail: self.tail(),
                });
            }
            let Some(running) = &mut self.running else {
                continue;
            };
            tokio::select! {
                biased;
                ended = running.child.wait() => {
                    self.ended(ended).await?;
                }
                () = tokio::time::sleep(every) => {}
            }
        }
    }

    /// Waits until it exits by itself. Cancel safe.
    ///
    /// # Errors
    /// [`ProcessError::Wait`], also if it was never started.
    pub async fn exited(&mut self) -> Result<ExitStatus, ProcessError> {
        if let Some(running) = &mut self.running {
            let ended = running.child.wait().await;
            self.ended(ended).await?;
        }
        self.status.ok_or_else(|| self.never_started())
    }

    /// Sends a signal to the process, if it runs, and not to its group.
    pub fn send(&self, signal: Signal) {
        if let Some(running) = &self.running {
            running.group.signal_leader(signal);
        }
    }

    /// Sends the stop signal to its group, and SIGKILL after the stop bound. Returns its exit status, or `None` if it was never started.
    ///
    /// # Errors
    /// [`ProcessError::Survived`], if it has not exited 10 s after SIGKILL, or [`ProcessError::Wait`].
    pub async fn stop(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        self.stop_by(
            self.configuration.stop_signal,
            self.configuration.stop_bound,
        )
        .await
    }

    /// Does the same with another signal and bound. Cancel safe: it can be stopped again, with another signal.
    ///
    /// # Errors
    /// See [`stop`](Self::stop).
    pub async fn stop_by(
        &mut self,
        signal: StopSignal,
        bound: Duration,
    ) -> Result<Option<ExitStatus>, ProcessError> {
        let Some(running) = &mut self.running else {
            return Ok(self.status);
        };
        running.group.signal(signal.into());
        let ended = match tokio::time::timeout(bound, running.child.wait()).await {
            Ok(ended) => ended,
            Err(_) => {
                running.group.signal(Signal::SIGKILL);
                match tokio::time::timeout(KILL_BOUND, running.child.wait()).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        return Err(ProcessError::Survived {
                            name: self.configuration.name.clone(),
                            pid: running.group.leader(),
                        });
                    }
                }
            }
        };
        self.ended(ended).await?;
        Ok(self.status)
    }

    /// The leader has exited: the rest of its group is killed, and its last output is read.
    async fn ended(&mut self, status: std::io::Result<ExitStatus>) -> Result<(), ProcessError> {
        let status = status.map_err(|source| ProcessError::wait(&self.configuration, source))?;
        if let Some(running) = self.running.take() {
            running.group.signal(Signal::SIGKILL);
        }
        self.output.drain().await;
        self.status = Some(status);
        Ok(())
    }

    fn exited_error(&self) -> ProcessError {
        match self.status {
            Some(status) => ProcessError::Exited {
                name: self.configuration.name.clone(),
                status,
                tail: self.tail(),
            },
            None => self.never_started(),
        }
    }

    fn never_started(&self) -> ProcessError {
        ProcessError::wait(
            &self.configuration,
            std::io::Error::other("it was never started"),
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        if let Some(signal) = self.configuration.drop_signal {
            running.group.signal(signal.into());
            if exits_within(&mut running.child, DROP_BOUND) {
                running.group.signal(Signal::SIGKILL);
                return;
            }
        }
        running.group.signal(Signal::SIGKILL);
        exits_within(&mut running.child, DROP_BOUND);
    }
}

/// Lets the child inherit the sockets as sd_listen_fds(3) describes it.
fn pass_listeners(command: &mut Command, listeners: &[Arc<TcpListener>]) -> std::io::Result<()> {
    if listeners.is_empty() {
        return Ok(());
    }
    let mapping = |(child_fd, listener): (i32, &Arc<TcpListener>)| {
        Ok(FdMapping {
            parent_fd: listener.try_clone()?.into(),
            child_fd,
        })
    };
    let mappings: std::io::Result<_> = (FIRST_LISTENER..).zip(listeners).map(mapping).collect();
    command
        .fd_mappings(mappings?)
        .expect("each descriptor has its own number");
    // The pid for LISTEN_PID is not known before the fork, and the variable cannot be set after it. It only protects a child's
    // children, which inherit the variables: without it any process that has the variables uses them (https://docs.rs/listenfd).
    command
        .env("LISTEN_FDS", listeners.len().to_string())
        .env_remove("LISTEN_PID");
    Ok(())
}

/// Blocks, because `drop` cannot wait in another way, and a process that is left behind is worse than a short block.
fn exits_within(child: &mut Child, bound: Duration) -> bool {
    let exited = || (!matches!(child.try_wait(), Ok(None))).then_some(());
    poll_blocking(Instant::now() + bound, Duration::from_millis(2), exited).is_some()
}
