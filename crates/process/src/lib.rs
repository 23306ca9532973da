//! One type for every child process of the environment: PostgreSQL, the API, a build, a one-off tool.
//!
//! A [`Process`] goes *configured → starting → ready → stopping → stopped*. It runs in a process group of its own, so that
//! a terminal's Ctrl-C reaches the tool alone and the tool decides the order in which things end. It keeps the last lines
//! of output as evidence, and it never outlives its owner: [`Process::stop`] ends it in order, dropping it ends it at
//! once, and on Linux the kernel ends it when the tool itself is killed.
//!
//! That last one (`PR_SET_PDEATHSIG`) fires when the *thread* that started the child ends, not the process. Start
//! processes from a thread that lives as long as they should: the tool runs on a current-thread runtime.

#![warn(missing_docs)]

mod configuration;
pub mod disk;
mod error;
pub mod file_lock;
pub mod files;
pub mod locked_temp;
pub mod log_file;
mod outliving;
mod output;
pub mod owner;
mod parent;
mod pid_file;
pub mod poll;
pub mod ports;
pub mod ready_socket;
pub mod stop;
pub mod thread;
mod tool;

use std::future::Future;
use std::net::TcpListener;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

pub use configuration::{Configuration, StopSignal};
pub use error::{ProcessError, describe};
pub use file_lock::{FileLock, FileLockError};
pub use locked_temp::{LockedTemp, LockedTempFile};
pub use outliving::Outliving;
pub use output::{LineSink, Stream};
pub use parent::same_program as supervisor_of;
pub use pid_file::{PidFile, PidFileError};
pub use pid_file::{SUPERVISOR_BOUND, SUPERVISOR_POLL};
pub use tool::on_terminal_with;
pub use tool::{Output, capture, from_file, from_file_into, into_file, on_terminal, run};

use output::Collected;
use poll::poll_blocking;

/// Where the protocol of `LISTEN_FDS` begins to count.
const FIRST_HANDED_OVER: i32 = 3;
/// How long a group that was sent SIGKILL may take to disappear.
const KILL_BOUND: Duration = Duration::from_secs(10);
/// How long dropping a running process may block: only on the way out of an error or a panic.
const DROP_BOUND: Duration = Duration::from_secs(1);

/// A child process; see the [module](self).
pub struct Process {
    configuration: Configuration,
    running: Option<Running>,
    output: Collected,
    status: Option<ExitStatus>,
}

struct Running {
    child: Child,
    group: Pid,
}

impl Process {
    /// A process that is described and not started.
    pub fn new(configuration: Configuration) -> Self {
        Self {
            configuration,
            running: None,
            output: Collected::default(),
            status: None,
        }
    }

    /// Its pid, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.running
            .as_ref()
            .map(|running| running.group.as_raw().unsigned_abs())
    }

    /// Its last lines, oldest first.
    pub fn tail(&self) -> Vec<String> {
        self.output.tail()
    }

    /// Starts it. A process that runs already is left alone; one that has stopped is started again.
    pub async fn start(&mut self) -> Result<(), ProcessError> {
        if self.running.is_some() {
            return Ok(());
        }
        let name = &self.configuration.name;
        let mut command = self.configuration.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let spawn_error = |source| ProcessError::Spawn {
            name: name.clone(),
            program: self.configuration.program.clone(),
            source,
        };
        let pid_file = match &self.configuration.pid_file {
            Some(path) => {
                let file = PidFile::create(path)
                    .await
                    .map_err(|source| ProcessError::PidFile {
                        name: name.clone(),
                        source,
                    })?;
                command.stdin(file.as_stdin().map_err(spawn_error)?);
                Some(file)
            }
            None => {
                command.stdin(Stdio::null());
                None
            }
        };
        let listeners = &self.configuration.listeners;
        if !listeners.is_empty() {
            let mapping = |(child_fd, listener): (i32, &Arc<TcpListener>)| {
                Ok(FdMapping {
                    parent_fd: listener.try_clone()?.into(),
                    child_fd,
                })
            };
            let mappings: std::io::Result<_> =
                (FIRST_HANDED_OVER..).zip(listeners).map(mapping).collect();
            command
                .fd_mappings(mappings.map_err(spawn_error)?)
                .expect("each has a number of its own");
            // The protocol's LISTEN_PID cannot be known before the fork nor set after it. It protects a child's children, who would
            // inherit the variables: without it they are meant for whoever has them (https://docs.rs/listenfd).
            command
                .env("LISTEN_FDS", listeners.len().to_string())
                .env_remove("LISTEN_PID");
        }
        let died_with_tool = self.configuration.stop_signal.into();
        prepare_child(
            &mut command,
            died_with_tool,
            pid_file.map(PidFile::into_file),
        );
        let mut child = command.spawn().map_err(spawn_error)?;
        let pid = child
            .id()
            .expect("a child that was not waited for has a pid");
        let group = Pid::from_raw(i32::try_from(pid).expect("a pid fits into pid_t"));
        self.output = Collected::of(&mut child, self.configuration.sink.clone());
        self.running = Some(Running { child, group });
        self.status = None;
        Ok(())
    }

    /// Asks `probe` every `every` until it says `Ok`, for `bound` at most, watching for an early end meanwhile.
    /// The probe's `Err` says what is still missing. A process that is never ready keeps running: stop or drop it.
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

    /// Waits until it ends by itself, and says how. Cancel safe.
    pub async fn exited(&mut self) -> Result<ExitStatus, ProcessError> {
        if let Some(running) = &mut self.running {
            let ended = running.child.wait().await;
            self.ended(ended).await?;
        }
        self.status.ok_or_else(|| ProcessError::Wait {
            name: self.configuration.name.clone(),
            source: std::io::Error::other("it was never started"),
        })
    }

    /// Sends it a signal, if it runs.
    pub fn send(&self, signal: Signal) {
        if let Some(running) = &self.running {
            // It may have ended this moment.
            let _gone = kill(running.group, signal);
        }
    }

    /// Ends it in order: the stop signal, the bound, then SIGKILL for the whole group. Nothing to do is not an error.
    pub async fn stop(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        self.stop_by(
            self.configuration.stop_signal,
            self.configuration.stop_bound,
        )
        .await
    }

    /// The same by another signal and bound. Cancel safe: it can be stopped again, by another signal.
    pub async fn stop_by(
        &mut self,
        signal: StopSignal,
        bound: Duration,
    ) -> Result<Option<ExitStatus>, ProcessError> {
        let Some(running) = &mut self.running else {
            return Ok(self.status);
        };
        signal_group(running.group, signal.into());
        let ended = match tokio::time::timeout(bound, running.child.wait()).await {
            Ok(ended) => ended,
            Err(_) => {
                signal_group(running.group, Signal::SIGKILL);
                match tokio::time::timeout(KILL_BOUND, running.child.wait()).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        return Err(ProcessError::Survived {
                            name: self.configuration.name.clone(),
                            pid: running.group.as_raw().unsigned_abs(),
                        });
                    }
                }
            }
        };
        self.ended(ended).await?;
        Ok(self.status)
    }

    /// What is known once the leader has ended: nothing of its group may stay, and its last words count as evidence.
    async fn ended(&mut self, status: std::io::Result<ExitStatus>) -> Result<(), ProcessError> {
        let status = status.map_err(|source| ProcessError::Wait {
            name: self.configuration.name.clone(),
            source,
        })?;
        if let Some(running) = self.running.take() {
            signal_group(running.group, Signal::SIGKILL);
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
            None => ProcessError::Wait {
                name: self.configuration.name.clone(),
                source: std::io::Error::other("it was never started"),
            },
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        if let Some(signal) = self.configuration.drop_signal {
            signal_group(running.group, signal.into());
            if reaped_within(&mut running.child, DROP_BOUND) {
                signal_group(running.group, Signal::SIGKILL);
                return;
            }
        }
        signal_group(running.group, Signal::SIGKILL);
        reaped_within(&mut running.child, DROP_BOUND);
    }
}

/// Blocks: there is no waiting in `drop`, and leaving a process behind is worse than a few milliseconds.
fn reaped_within(child: &mut Child, bound: Duration) -> bool {
    let ended = || (!matches!(child.try_wait(), Ok(None))).then_some(());
    poll_blocking(Instant::now() + bound, Duration::from_millis(2), ended).is_some()
}

/// The group may be gone already, which is what was wanted.
fn signal_group(group: Pid, signal: Signal) {
    let _gone = killpg(group, signal);
}

/// What the child does between fork and exec: ask to be ended with the tool, and write its own pid into its pid file,
/// so that no moment exists in which it lives and the file does not name it.
fn prepare_child(command: &mut Command, with_tool: Signal, pid_file: Option<std::fs::File>) {
    let tool = std::process::id();
    let prepare = move || {
        #[cfg(target_os = "linux")]
        {
            nix::sys::prctl::set_pdeathsig(with_tool)?;
            // The tool may have ended before the line above: then nobody is left to send the signal.
            if nix::unistd::getppid().as_raw().unsigned_abs() != tool {
                return Err(std::io::Error::other(
                    "the tool ended while it started a process",
                ));
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (with_tool, tool);
        match &pid_file {
            Some(file) => {
                // cargo gives its compilers another standard input: they hold the lock by this one.
                nix::fcntl::fcntl(
                    file,
                    nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()),
                )?;
                pid_file::write_pid(file, std::process::id())
            }
            None => Ok(()),
        }
    };
    // SAFETY: between fork and exec only async-signal-safe things are allowed. The closure makes the system calls prctl,
    // getppid, getpid, fcntl and write, formats into a buffer on the stack, and allocates only on the way to a failed start.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(prepare);
    }
}
