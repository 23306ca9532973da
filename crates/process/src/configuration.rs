//! What to run, and how to end it.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::process::Command;

use crate::LineSink;
use crate::owner::Owner;

/// A process that is usual gets nine tenths of a processor that both want (nice(1), sched(7)).
const GIVES_WAY: i32 = 10;

/// What asks a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM: the usual one.
    Terminate,
    /// SIGINT: PostgreSQL's "fast" shutdown, which ends sessions and leaves clean files.
    Interrupt,
    /// SIGQUIT: PostgreSQL's "immediate" shutdown, after which the next start recovers from the log; to the API: another process
    /// has taken over its socket.
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

/// What to run, and how to end it.
#[derive(Clone)]
pub struct Configuration {
    /// The name in messages and logs, such as `postgres`.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments. They are visible to every user of the machine: never a secret.
    pub args: Vec<OsString>,
    /// Variables that differ from the tool's own environment: set, or removed where there is no value.
    pub env: Vec<(OsString, Option<OsString>)>,
    /// The folder it starts in; the tool's own when `None`.
    pub current_dir: Option<PathBuf>,
    /// The user it runs as; the tool's own when `None`.
    pub run_as: Option<Owner>,
    /// A file that the process holds locked for as long as it (or a descendant) lives; see [`crate::PidFile`].
    pub pid_file: Option<PathBuf>,
    /// Whether it leaves the processors to whatever else wants them.
    pub gives_way: bool,
    /// What asks it to end; also what the kernel sends when the tool is killed (Linux).
    pub stop_signal: StopSignal,
    /// How long it may take to end after that, before it is killed.
    pub stop_bound: Duration,
    /// What a dropped process is sent before SIGKILL, if anything.
    pub drop_signal: Option<StopSignal>,
    /// Listening sockets that the process inherits as file descriptors from 3 on, announced by `LISTEN_FDS` (sd_listen_fds(3)).
    pub listeners: Vec<Arc<TcpListener>>,
    /// Who gets its lines.
    pub sink: Option<LineSink>,
}

impl Configuration {
    /// A program without arguments, stopped with SIGTERM and 10 seconds of patience.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            current_dir: None,
            run_as: None,
            pid_file: None,
            gives_way: false,
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

    /// Sets one variable.
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
        if self.gives_way {
            let give_way = || {
                // A sandbox may refuse it, and what is to be done matters more.
                let _refused = rustix::process::nice(GIVES_WAY);
                Ok(())
            };
            // SAFETY: between fork and exec only async-signal-safe things are allowed. It makes the system calls getpriority and
            // setpriority.
            #[allow(unsafe_code)]
            unsafe {
                command.pre_exec(give_way);
            }
        }
        command
    }
}
