//! What to run, and how to stop it.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::process::Command;

use crate::output::LineSink;
use crate::user::User;

/// A process of normal priority gets nine tenths of a processor that both want (nice(1), sched(7)).
const LOW_PRIORITY: i32 = 10;

/// The signal that asks a process to exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// SIGQUIT.
    Quit,
}

impl From<StopSignal> for Signal {
    fn from(signal: StopSignal) -> Self {
        match signal {
            StopSignal::Terminate => Signal::SIGTERM,
            StopSignal::Interrupt => Signal::SIGINT,
            StopSignal::Quit => Signal::SIGQUIT,
        }
    }
}

/// What to run, and how to stop it.
#[derive(Clone)]
pub struct Configuration {
    /// The name in messages, such as `postgres`.
    pub name: String,
    /// The program: a path, or a name that is searched for in `PATH`.
    pub program: PathBuf,
    /// Its arguments. All users of the machine can see them: never put a secret here.
    pub args: Vec<OsString>,
    /// Changes to the environment of this process. `None` removes a variable.
    pub env: Vec<(OsString, Option<OsString>)>,
    /// The folder in which it starts. `None`: the one of this process.
    pub current_dir: Option<PathBuf>,
    /// The user that it runs as. `None`: the user of this process.
    pub run_as: Option<User>,
    /// A file that the process and its descendants hold locked while they live; see [`crate::PidFile`].
    pub pid_file: Option<PathBuf>,
    /// Whether it runs with niceness 10.
    pub low_priority: bool,
    /// The signal that stops it. On Linux the kernel also sends it when this process is killed.
    pub stop_signal: StopSignal,
    /// The time between the stop signal and SIGKILL.
    pub stop_bound: Duration,
    /// The signal that is sent, a second before SIGKILL, when the process is dropped. `None`: SIGKILL at once.
    pub drop_signal: Option<StopSignal>,
    /// Listening sockets that the process inherits as file descriptors from 3 on, announced by `LISTEN_FDS` (sd_listen_fds(3)).
    pub listeners: Vec<Arc<TcpListener>>,
    /// Called with each line of its output.
    pub sink: Option<LineSink>,
}

impl Configuration {
    /// Creates a configuration without arguments. SIGKILL follows 10 s after SIGTERM.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            current_dir: None,
            run_as: None,
            pid_file: None,
            low_priority: false,
            stop_signal: StopSignal::Terminate,
            stop_bound: Duration::from_secs(10),
            drop_signal: None,
            listeners: Vec::new(),
            sink: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I, A>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = A>,
        A: Into<OsString>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), Some(value.into())));
        self
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).process_group(0);
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(owner) = &self.run_as {
            owner.apply(&mut command);
        }
        if let Some(folder) = &self.current_dir {
            command.current_dir(folder);
        }
        if self.low_priority {
            let lower_priority = || {
                // A sandbox may refuse it. The process is more important than its priority.
                let _refused = rustix::process::nice(LOW_PRIORITY);
                Ok(())
            };
            // SAFETY: between fork and exec only async-signal-safe functions are allowed. The closure makes the system calls getpriority
            // and setpriority.
            #[allow(unsafe_code)]
            unsafe {
                command.pre_exec(lower_priority);
            }
        }
        command
    }
}
