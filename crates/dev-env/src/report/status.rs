//! How the services are: what `cargo dev status` shows, under names that stay.

use serde::{Deserialize, Serialize};

use crate::report::migrations::{Applied, File};
use crate::report::reload::{Reload, Watching};

/// The whole environment.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// What runs the services: `native` or `docker`.
    pub engine: &'static str,
    /// The top folder of the checkout.
    pub checkout: String,
    /// The supervisor's pid, while it runs.
    pub pid: Option<u32>,
    /// What it does, while it is starting or stopping.
    pub doing: Option<String>,
    /// Each service.
    pub services: Vec<ServiceStatus>,
    /// The database's schema against the code's.
    pub schema: Schema,
    /// How changed files are noticed; `None` where they are not.
    pub watching: Option<Watching>,
    /// The last reloads, oldest first.
    pub reloads: Vec<Reload>,
}

/// One service.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceStatus {
    /// `api`, `db` or `adminer`.
    pub name: &'static str,
    /// Where it is in its life.
    pub state: State,
    /// Whether it does its work; `None` when it does not run.
    pub health: Option<Health>,
    /// Why it is not healthy, where that is known.
    pub reason: Option<String>,
    /// Its pid, where it is a process of this machine.
    pub pid: Option<u32>,
    /// Its container, where it is in one.
    pub container: Option<String>,
    /// Its port on 127.0.0.1.
    pub port: Option<u16>,
    /// Where it answers; a password is masked.
    pub url: Option<String>,
    /// Since when it runs, in seconds.
    pub uptime_seconds: Option<u64>,
    /// Its version.
    pub version: Option<String>,
    /// How often it was started again after it died.
    pub restarts: u32,
}

/// Where a service is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It does not run.
    #[default]
    Stopped,
    /// It has not been seen ready.
    Starting,
    /// It was seen ready.
    Running,
    /// It died, and is started again soon.
    Failed,
    /// Somebody else runs it.
    External,
}

impl State {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::External => "external",
        }
    }
}

/// Whether a service does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It does.
    Healthy,
    /// It does not.
    Unhealthy,
}

impl Health {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// The database's schema against the code's.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Schema {
    /// The newest applied migration; `None` when there is none or the database does not run.
    pub revision: Option<i64>,
    /// The newest migration file in which something is written.
    pub code: Option<i64>,
    /// How the two stand to each other.
    pub state: SchemaState,
    /// How many migrations are not applied, when that is known.
    pub pending: Option<usize>,
    /// How many are not written yet, when that is known.
    pub empty: Option<usize>,
    /// Whether automatic migration is paused since a `down`.
    pub paused: Option<bool>,
}

/// How the database's schema stands to the code's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaState {
    /// The database does not run.
    #[default]
    Unknown,
    /// Everything that is written is applied.
    Current,
    /// Something is not.
    Behind,
    /// A migration is applied that the code has not.
    Ahead,
    /// An applied migration's file is not what it was.
    Edited,
}

impl SchemaState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Current => "current",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Edited => "edited",
        }
    }
}

impl Schema {
    /// What is applied against the files.
    pub(crate) fn compare(code: &[File], applied: Option<&Applied>) -> Self {
        let newest = |file: Option<&File>| file.map(|file| file.version);
        let Some(applied) = applied else {
            return Self {
                code: newest(code.last()),
                ..Self::default()
            };
        };
        // The files are the code; a program that was built before the newest of them knows less.
        let is = |file: &&File, state: &str| {
            applied
                .of(file)
                .is_some_and(|migration| migration.state == state)
        };
        let pending = code
            .iter()
            .filter(|file| applied.of(file).is_none() || is(file, "pending"))
            .count();
        let empty = code.iter().filter(|file| is(file, "empty")).count();
        let ahead = applied
            .migrations
            .iter()
            .any(|m| m.is_applied() && code.iter().all(|file| file.version != m.version));
        let state = match (applied.count("edited"), pending, ahead) {
            (1.., ..) => SchemaState::Edited,
            (_, 1.., _) => SchemaState::Behind,
            (_, 0, true) => SchemaState::Ahead,
            (_, 0, false) => SchemaState::Current,
        };
        Self {
            revision: applied.revision,
            code: newest(code.iter().rfind(|file| !is(file, "empty"))),
            state,
            pending: Some(pending),
            empty: Some(empty),
            paused: Some(applied.paused),
        }
    }
}
