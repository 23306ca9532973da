//! The state of the machine, as data, and what follows from it without an event.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Instant;

use super::interface::{Action, Builder, Event, Files, Job, Order, OrderId, Started, Updated};
use crate::Error;
use crate::report::status::State as ServiceState;
use crate::report::up::Service;
use crate::supervisor::backoff::RestartBackoff;

/// See the [module](super).
pub(in crate::supervisor) struct Machine {
    pub(super) state: State,
    /// Whether sources that do not compile at the first start are waited for until they are edited.
    pub(super) waits_for_sources: bool,
    pub(super) waiting: Waiting,
    pub(super) database: Restarts,
    pub(super) api: Restarts,
    pub(super) actions: Vec<Action>,
}

impl Machine {
    /// Returns when [`Event::TimePassed`] is due.
    pub(in crate::supervisor) fn next_due(&self) -> Option<Instant> {
        let State::Running(running) = &self.state else {
            return None;
        };
        [running.database.due(), running.api.due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Returns whether a command waits for the services to start.
    pub(in crate::supervisor) fn is_starting(&self) -> bool {
        matches!(self.state, State::FirstStart(_) | State::Switching(_))
    }

    /// Returns whether everything was started once and nothing stops.
    pub(in crate::supervisor) fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_) | State::Switching(_))
    }

    /// Returns whether the environment is stopping or has stopped.
    pub(in crate::supervisor) fn is_stopping(&self) -> bool {
        matches!(self.state, State::Stopping(_) | State::Stopped)
    }

    /// Returns whether nothing is being changed.
    pub(in crate::supervisor) fn is_idle(&self) -> bool {
        matches!(&self.state, State::Running(running) if running.change.is_none())
    }

    /// Returns the state of the API, as `status` reports it.
    pub(in crate::supervisor) fn api_state(&self) -> ServiceState {
        match &self.state {
            State::Running(running) => running.api.state(),
            State::FirstStart(FirstStart::StartingApi(_)) => ServiceState::Starting,
            State::Switching(switching) if switching.starts_api() => ServiceState::Starting,
            _ => ServiceState::Stopped,
        }
    }

    /// Returns the state of a database that this supervisor starts, as `status` reports it, and the reason why it does not run.
    pub(in crate::supervisor) fn database_state(&self) -> (ServiceState, Option<&str>) {
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
    pub(in crate::supervisor) fn restarts(&self) -> (u32, u32) {
        (self.api.count, self.database.count)
    }

    pub(super) fn emit(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(super) fn start(&mut self, job: Job) {
        self.emit(Action::Start(job));
    }

    pub(super) fn unexpected(&mut self, event: &Event) {
        self.emit(Action::Unexpected(format!("{event:?}")));
    }

    /// Remembers saved files for the next change.
    pub(super) fn save_later(&mut self, files: Files, now: Instant) {
        if !files.is_empty() {
            let (saved, _) = self.waiting.saved.get_or_insert((Files::new(), now));
            saved.extend(files);
        }
    }
}

/// What is done after the current change.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) orders: VecDeque<(OrderId, Order)>,
    /// Saved files, and since when.
    pub(super) saved: Option<(Files, Instant)>,
    /// Saved files that a failed or interrupted change did not apply. The next change includes them.
    pub(super) unapplied: Files,
    /// The next change starts a new process even if nothing changed for the service.
    pub(super) forced: bool,
    /// The API must use the new address of the database.
    pub(super) moved: bool,
}

/// The restarts of a service.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    pub(super) backoff: RestartBackoff,
    pub(super) count: u32,
}

/// The state of everything.
#[derive(Debug)]
pub(super) enum State {
    FirstStart(FirstStart),
    Running(Running),
    Switching(Switching),
    Stopping(Stopping),
    Stopped,
}

/// The database starts while the service is built, then migrations, then the API.
#[derive(Debug)]
pub(super) enum FirstStart {
    Opening,
    /// The database starts and the service is built.
    Assembling,
    /// The service is built; the database runs.
    Building(Started),
    /// The database starts; the service is built.
    StartingDatabase,
    Migrating(Started),
    /// A process of the API starts or is not ready yet.
    StartingApi(Started),
    /// The sources do not compile. The next save tries again.
    WaitingForSources,
}

impl FirstStart {
    pub(super) fn has_database(&self) -> bool {
        matches!(
            self,
            Self::Building(_) | Self::Migrating(_) | Self::StartingApi(_)
        )
    }
}

/// The services run, or are restarted because they ended.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) database: Database,
    pub(super) api: Api,
    pub(super) change: Option<Change>,
}

/// The database. Each state but the first two leads to a start.
#[derive(Debug)]
pub(super) enum Database {
    /// Another program runs it.
    External,
    Ready {
        refusals: u32,
    },
    /// The job that stops a server which cannot be used.
    StoppingBroken {
        reason: String,
    },
    BackingOff {
        due: Instant,
        reason: String,
    },
    /// The job that starts it.
    Starting {
        reason: String,
    },
}

/// The API.
#[derive(Debug)]
pub(super) enum Api {
    /// The job that starts a process.
    Spawning,
    /// The process runs and is not ready yet.
    Starting,
    Ready,
    BackingOff {
        due: Instant,
    },
}

impl Database {
    pub(super) fn started(started: Started) -> Self {
        match started {
            Started::Own { .. } => Self::Ready { refusals: 0 },
            Started::External => Self::External,
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::BackingOff { due, .. } => Some(*due),
            _ => None,
        }
    }

    pub(super) fn state(&self) -> (ServiceState, Option<&str>) {
        match self {
            Self::External => (ServiceState::External, None),
            Self::Ready { .. } => (ServiceState::Running, None),
            Self::StoppingBroken { reason }
            | Self::BackingOff { reason, .. }
            | Self::Starting { reason } => (ServiceState::Failed, Some(reason)),
        }
    }
}

impl Api {
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::BackingOff { due } => Some(*due),
            _ => None,
        }
    }

    pub(super) fn state(&self) -> ServiceState {
        match self {
            Self::Spawning | Self::BackingOff { .. } => ServiceState::Failed,
            Self::Starting => ServiceState::Starting,
            Self::Ready => ServiceState::Running,
        }
    }
}

impl Running {
    /// Returns the order whose passwords are being set.
    pub(super) fn sets_passwords(&self) -> Option<OrderId> {
        self.change.as_ref().and_then(Change::sets_passwords)
    }
}

/// A change of what runs.
#[derive(Debug)]
pub(super) enum Change {
    Save(Save),
    Restart(Restart),
    Password(OrderId, PasswordStep),
    /// The API gets the new address of the database.
    Move,
}

/// Saved sources or settings.
#[derive(Debug)]
pub(super) struct Save {
    pub(super) changed: Files,
    pub(super) forced: bool,
    pub(super) since: Instant,
    pub(super) step: SaveStep,
}

#[derive(Debug)]
pub(super) enum SaveStep {
    Preparing,
    /// Never interrupted by another save or by an order.
    UpdatingDatabase,
    Starting(Builder),
    /// The database was updated for the candidate, and only the candidate or a roll back fits it. Never interrupted.
    StartingUpdated,
    RollingBack(Error),
}

#[derive(Debug)]
pub(super) struct Restart {
    pub(super) order: OrderId,
    pub(super) service: Option<Service>,
    pub(super) step: RestartStep,
}

#[derive(Debug)]
pub(super) enum RestartStep {
    Preparing,
    UpdatingDatabase(Way),
    Starting,
    RollingBack(Error),
}

/// How a restart takes effect.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// A candidate replaces the API.
    Live,
    /// Everything is stopped and started.
    Switch,
}

#[derive(Debug)]
pub(super) enum PasswordStep {
    /// Never interrupted, not even by a stop.
    Setting,
    /// The candidate uses the new password.
    Starting(PathBuf),
}

impl Change {
    pub(super) fn sets_passwords(&self) -> Option<OrderId> {
        match self {
            Self::Password(order, PasswordStep::Setting) => Some(*order),
            _ => None,
        }
    }
}

/// A restart that stops everything first.
#[derive(Debug)]
pub(super) struct Switching {
    pub(super) order: OrderId,
    pub(super) service: Option<Service>,
    pub(super) step: SwitchStep,
}

#[derive(Debug)]
pub(super) enum SwitchStep {
    Stopping(Updated),
    StartingDatabase(Updated),
    Migrating(Started),
    StartingApi(Started),
    GoingBack(BackStep, Error),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum BackStep {
    Stopping,
    StartingDatabase,
    /// The job that starts a process of the API.
    SpawningApi(Started),
    /// The process is not ready yet.
    StartingApi(Started),
}

impl Switching {
    pub(super) fn starts_api(&self) -> bool {
        matches!(
            self.step,
            SwitchStep::StartingApi(_)
                | SwitchStep::GoingBack(BackStep::SpawningApi(_) | BackStep::StartingApi(_), _)
        )
    }

    pub(super) fn has_database(&self) -> bool {
        self.starts_api() || matches!(self.step, SwitchStep::Migrating(_))
    }
}

/// The orderly stop.
#[derive(Debug)]
pub(super) enum Stopping {
    /// New passwords are set. That is never interrupted.
    SettingPasswords(OrderId),
    /// The services stop; with the result of the whole run.
    Services(Result<(), Error>),
}
