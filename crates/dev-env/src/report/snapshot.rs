//! The state of the services at one time, as the supervisor reports it to other commands.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::report::events::Address;
use crate::report::reload::{Reload, Watching};
use crate::report::status::State;

/// What the supervisor does while nothing runs because the sources do not compile.
pub(crate) const WAITING_FOR_SOURCES: &str = "waiting for sources that compile";

/// How far the supervisor is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// The first start is not complete.
    #[default]
    Starting,
    Running,
    Stopping,
}

/// The supervisor's state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub stage: Stage,
    /// What it does; `None` while everything runs and nothing is changed.
    pub doing: Option<String>,
    pub api: ServiceSnapshot,
    pub db: ServiceSnapshot,
    /// The service's program, once it is known.
    pub program: Option<PathBuf>,
    /// The folder of PostgreSQL's programs, once it is known.
    pub bin_dir: Option<PathBuf>,
    /// Where everything answers.
    pub addresses: Vec<Address>,
    /// How changed files are noticed; `None` with `--no-reload`.
    pub watching: Option<Watching>,
    /// The last reloads, oldest first.
    pub reloads: Vec<Reload>,
}

/// One service.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ServiceSnapshot {
    pub state: State,
    pub pid: Option<u32>,
    pub port: Option<u16>,
    pub url: Option<String>,
    pub since: Option<SystemTime>,
    pub version: Option<String>,
    /// The reason why it does not run, if known.
    pub reason: Option<String>,
    pub restarts: u32,
}

impl ServiceSnapshot {
    /// Sets the state and the process, which runs since now if it is another one.
    pub(crate) fn set(&mut self, state: State, pid: Option<u32>) {
        if self.pid != pid {
            self.since = pid.map(|_| SystemTime::now());
        }
        (self.state, self.pid) = (state, pid);
    }
}
