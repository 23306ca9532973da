//! The rules of the supervisor: which events lead to which actions.
//!
//! A [`Machine`] does no I/O and has no clock. The [event loop](super::event_loop) passes it events and carries its actions out. An action
//! that takes time is a [`Job`]: it runs until it ends with its event, or until the machine cancels it.

mod change;
mod first_start;
#[cfg(test)]
mod random_tests;
mod running;
mod stopping;
mod switching;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Instant;

use crate::Error;
use crate::report::status::State as ServiceState;
use crate::report::up::Service;
use crate::supervisor::backoff::RestartBackoff;
use process::ProcessError;

use first_start::FirstStart;
use running::Running;
use stopping::Stopping;
use switching::Switching;

type Files = BTreeSet<PathBuf>;

/// Something that happened.
#[derive(Debug)]
pub(super) enum Event {
    /// Files were saved: all of them, and those whose contents differ from what was last read.
    Saved { files: Files, new: Files },
    /// A command waits for this.
    Ordered(OrderId, Order),
    /// The environment is to stop in order.
    StopAsked,
    /// It is to stop at once.
    StopInsisted,
    /// The time that [`Machine::next_due`] returned has come.
    TimePassed,

    /// [`Job::Open`] ended.
    Opened(Result<(), Error>),
    /// [`Job::Build`] ended.
    Built(Result<(), Error>),
    /// [`Job::StartDatabase`] ended.
    DatabaseStarted(Result<Started, Error>),
    /// [`Job::StopDatabase`] ended.
    DatabaseStopped,
    /// [`Job::Migrate`] ended.
    Migrated(Result<(), Error>),
    /// [`Job::StartApi`] ended: the process exists. Its readiness is another event.
    ApiStarted(Result<(), Error>),
    /// [`Job::Prepare`] ended.
    Prepared(Result<Prepared, Error>),
    /// [`Job::UpdateDatabase`] ended.
    DatabaseUpdated(Result<Updated, Error>),
    /// [`Job::SetPasswords`] ended; the settings file that was changed.
    PasswordsSet(Result<PathBuf, Error>),
    /// [`Job::StartCandidate`] ended.
    CandidateStarted(Result<(), Error>),
    /// [`Job::RollBack`] ended.
    RolledBack,
    /// [`Job::StopServices`] ended.
    ServicesStopped,

    /// The API that was started is ready.
    ApiReady,
    /// The API was not ready within its bound. It still runs.
    ApiNotReady(ProcessError),
    /// The API ended.
    ApiExited(ProcessError),
    /// PostgreSQL ended.
    DatabaseExited(Error),
    /// PostgreSQL runs and cannot be used until it is restarted.
    DatabaseBroken(String),
    /// PostgreSQL refused a session for a reason that lasts until a restart.
    SessionRefused(String),
    /// PostgreSQL accepted a session, or refused it for a temporary reason.
    SessionAccepted,
}

/// Something to do.
#[derive(Debug)]
pub(super) enum Action {
    /// Starts a job.
    Start(Job),
    /// Drops a job. What it has started ends with it.
    Cancel(JobKind),
    /// Drops all jobs.
    CancelAll,
    /// Replaces the settings by the prepared ones, and keeps the former ones.
    AdoptSettings,
    /// Replaces the settings by the former ones.
    RestoreSettings,
    /// The candidate takes the place of the API, which finishes its requests and ends.
    Commit,
    /// The API finishes its requests and ends.
    Drain,
    /// The running program is the result of the sources: it is kept for restarts, and the next edit is compared with them.
    Settle,
    /// The answers of the API report that the sources are newer.
    SignalStale,
    /// Asks for a session soon, and not after the usual interval.
    CheckSessionSoon,
    /// Reports the result of a reload.
    Report {
        changed: Files,
        since: Instant,
        result: Result<(), Error>,
    },
    /// Reports where everything answers.
    Announce,
    /// Ends the waiting of a command.
    Answer(OrderId, Result<Done, Error>),
    Note(String),
    Warn(String),
    Phase(String),
    /// Everything has ended.
    End(Result<(), Error>),
    /// An event that no rule expects in this state.
    Unexpected(String),
}

/// Work that takes time. At most one job of a kind runs at a time.
#[derive(Debug, PartialEq)]
pub(super) enum Job {
    /// Ends what an earlier run has left, opens the listening sockets, and watches the sources.
    Open,
    /// Builds the service for the first start.
    Build,
    StartDatabase(DatabaseStart),
    /// Stops a server that cannot be used.
    StopDatabase,
    /// Applies the pending migrations while no API runs.
    Migrate,
    /// Starts a process of the API. Builds the program first if its file is gone.
    StartApi,
    /// Reads the settings again, and builds.
    Prepare(Preparation),
    /// Gives the roles the passwords of the prepared settings, and applies migrations.
    UpdateDatabase,
    /// Sets new passwords in the database and in the settings files.
    SetPasswords(OrderId),
    /// Starts a process of the API next to the one that runs, until it is ready: with the prepared settings, or with the present ones if
    /// nothing is prepared.
    StartCandidate,
    /// Gives the roles the passwords of the settings that stay.
    RollBack,
    /// Stops the API, the draining processes, then the database.
    StopServices,
}

/// A job without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum JobKind {
    Open,
    Build,
    StartDatabase,
    StopDatabase,
    Migrate,
    StartApi,
    Prepare,
    UpdateDatabase,
    SetPasswords,
    StartCandidate,
    RollBack,
    StopServices,
}

impl Job {
    pub(super) fn kind(&self) -> JobKind {
        match self {
            Self::Open => JobKind::Open,
            Self::Build => JobKind::Build,
            Self::StartDatabase(_) => JobKind::StartDatabase,
            Self::StopDatabase => JobKind::StopDatabase,
            Self::Migrate => JobKind::Migrate,
            Self::StartApi => JobKind::StartApi,
            Self::Prepare(_) => JobKind::Prepare,
            Self::UpdateDatabase => JobKind::UpdateDatabase,
            Self::SetPasswords(_) => JobKind::SetPasswords,
            Self::StartCandidate => JobKind::StartCandidate,
            Self::RollBack => JobKind::RollBack,
            Self::StopServices => JobKind::StopServices,
        }
    }
}

/// Which database is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DatabaseStart {
    /// The one of the settings; missing secrets are generated first.
    First,
    /// The one that ended, with the same settings.
    Again,
    /// The one of the adopted or restored settings.
    Adopted,
}

/// What is prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Preparation {
    /// Saved files.
    Save {
        changed: Files,
        /// A new process is wanted even if nothing changed for the service.
        forced: bool,
        builder: Builder,
    },
    /// A restart.
    Restart(Option<Service>),
}

/// How a save is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builder {
    /// Only the edited parts, if that is possible.
    Fast,
    Cargo,
}

/// What a change needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prepared {
    /// The service is not affected.
    Nothing,
    /// A new process of the API.
    Live {
        /// The database must be updated first.
        updates_database: bool,
        built_by: Builder,
    },
    /// Another database, or a restart of the database.
    Switch,
}

/// How far the database was updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Updated {
    Migrated,
    /// The database does not answer. Migrations are applied after its restart.
    Unreachable,
}

/// A database that accepts sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Started {
    /// A server of this supervisor.
    Own {
        /// The API must use another address.
        moved: bool,
    },
    External,
}

/// Identifies an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OrderId(pub(super) u64);

/// What a command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Restart(Option<Service>),
    ChangePassword,
}

/// The result of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Restarted,
    PasswordsWritten(PathBuf),
}

/// The state of everything.
#[derive(Debug)]
enum State {
    FirstStart(FirstStart),
    Running(Running),
    Switching(Switching),
    Stopping(Stopping),
    Stopped,
}

/// See the [module](self).
pub(super) struct Machine {
    state: State,
    /// Whether sources that do not compile at the first start are waited for until they are edited.
    waits_for_sources: bool,
    waiting: Waiting,
    database: Restarts,
    api: Restarts,
    actions: Vec<Action>,
}

/// What is done after the current change.
#[derive(Debug, Default)]
struct Waiting {
    orders: VecDeque<(OrderId, Order)>,
    /// Saved files, and since when.
    saved: Option<(Files, Instant)>,
    /// Saved files that a failed or interrupted change did not apply. The next change includes them.
    unapplied: Files,
    /// The next change starts a new process even if nothing changed for the service.
    forced: bool,
    /// The API must use the new address of the database.
    moved: bool,
}

/// The restarts of a service.
#[derive(Debug, Default)]
struct Restarts {
    backoff: RestartBackoff,
    count: u32,
}

impl Machine {
    /// Returns the machine and its first actions.
    pub(super) fn new(waits_for_sources: bool) -> (Self, Vec<Action>) {
        let machine = Self {
            state: State::FirstStart(FirstStart::Opening),
            waits_for_sources,
            waiting: Waiting::default(),
            database: Restarts::default(),
            api: Restarts::default(),
            actions: Vec::new(),
        };
        (machine, vec![Action::Start(Job::Open)])
    }

    /// Returns what an event leads to.
    pub(super) fn on_event(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let state = std::mem::replace(&mut self.state, State::Stopped);
        self.state = match (state, event) {
            (State::Stopped, _) => State::Stopped,
            (State::Stopping(stopping), event) => self.while_stopping(stopping, event),
            (state, Event::StopAsked) => self.stop(&state, Ok(())),
            (State::FirstStart(first), event) => self.in_first_start(first, event, now),
            (State::Running(running), event) => self.in_running(running, event, now),
            (State::Switching(switching), event) => self.while_switching(switching, event, now),
        };
        std::mem::take(&mut self.actions)
    }

    /// Returns when [`Event::TimePassed`] is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let State::Running(running) = &self.state else {
            return None;
        };
        [running.database.due(), running.api.due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Returns whether a command waits for the services to start.
    pub(super) fn is_starting(&self) -> bool {
        matches!(self.state, State::FirstStart(_) | State::Switching(_))
    }

    /// Returns whether everything was started once and nothing stops.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_) | State::Switching(_))
    }

    /// Returns whether the environment is stopping or has stopped.
    pub(super) fn is_stopping(&self) -> bool {
        matches!(self.state, State::Stopping(_) | State::Stopped)
    }

    /// Returns whether nothing is being changed.
    pub(super) fn is_idle(&self) -> bool {
        matches!(&self.state, State::Running(running) if running.change.is_none())
    }

    /// Returns the state of the API, as `status` reports it.
    pub(super) fn api_state(&self) -> ServiceState {
        match &self.state {
            State::Running(running) => running.api.state(),
            State::FirstStart(FirstStart::StartingApi(_)) => ServiceState::Starting,
            State::Switching(switching) if switching.starts_api() => ServiceState::Starting,
            _ => ServiceState::Stopped,
        }
    }

    /// Returns the state of a database that this supervisor starts, as `status` reports it, and the reason why it does not run.
    pub(super) fn database_state(&self) -> (ServiceState, Option<&str>) {
        match &self.state {
            State::Running(running) => running.database.state(),
            State::FirstStart(first) if first.has_database() => (ServiceState::Running, None),
            State::Switching(switching) if switching.has_database() => {
                (ServiceState::Running, None)
            }
            _ => (ServiceState::Stopped, None),
        }
    }

    /// Returns how often the API and the database were restarted because they ended.
    pub(super) fn restarts(&self) -> (u32, u32) {
        (self.api.count, self.database.count)
    }

    fn emit(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn start(&mut self, job: Job) {
        self.emit(Action::Start(job));
    }

    fn unexpected(&mut self, event: &Event) {
        self.emit(Action::Unexpected(format!("{event:?}")));
    }

    /// Remembers saved files for the next change.
    fn save_later(&mut self, files: Files, now: Instant) {
        if !files.is_empty() {
            let (saved, _) = self.waiting.saved.get_or_insert((Files::new(), now));
            saved.extend(files);
        }
    }

    /// Begins the orderly stop; `outcome` is the result of the whole run.
    fn stop(&mut self, state: &State, outcome: Result<(), Error>) -> State {
        if let State::Running(running) = state
            && let Some(order) = running.sets_passwords()
        {
            // Until the job ends, the file and the database may have different passwords.
            return State::Stopping(Stopping::SettingPasswords(order));
        }
        self.emit(Action::CancelAll);
        self.start(Job::StopServices);
        State::Stopping(Stopping::Services(outcome))
    }
}
