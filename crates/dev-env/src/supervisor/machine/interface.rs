//! What goes into the machine and what comes out of it: events, and actions with their jobs. Data only.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use crate::Error;
use crate::report::up::Service;
use process::ProcessError;

pub(in crate::supervisor) type Files = BTreeSet<PathBuf>;

/// Something that happened.
#[derive(Debug)]
pub(in crate::supervisor) enum Event {
    /// Files were saved: all of them, and those whose contents differ from what was last read.
    Saved { files: Files, new: Files },
    /// A command waits for this.
    Ordered(OrderId, Order),
    /// The environment is to stop in order.
    StopAsked,
    /// It is to stop at once.
    StopInsisted,
    /// The time that [`Machine::next_due`](super::Machine::next_due) returned has come.
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
pub(in crate::supervisor) enum Action {
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
pub(in crate::supervisor) enum Job {
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
pub(in crate::supervisor) enum JobKind {
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
    pub(in crate::supervisor) fn kind(&self) -> JobKind {
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
pub(in crate::supervisor) enum DatabaseStart {
    /// The one of the settings; missing secrets are generated first.
    First,
    /// The one that ended, with the same settings.
    Again,
    /// The one of the adopted or restored settings.
    Adopted,
}

/// What is prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::supervisor) enum Preparation {
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
pub(in crate::supervisor) enum Builder {
    /// Only the edited parts, if that is possible.
    Fast,
    Cargo,
}

/// What a change needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervisor) enum Prepared {
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
pub(in crate::supervisor) enum Updated {
    Migrated,
    /// The database does not answer. Migrations are applied after its restart.
    Unreachable,
}

/// A database that accepts sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervisor) enum Started {
    /// A server of this supervisor.
    Own {
        /// The API must use another address.
        moved: bool,
    },
    External,
}

/// Identifies an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::supervisor) struct OrderId(pub(in crate::supervisor) u64);

/// What a command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervisor) enum Order {
    Restart(Option<Service>),
    ChangePassword,
}

/// The result of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::supervisor) enum Done {
    Restarted,
    PasswordsWritten(PathBuf),
}
