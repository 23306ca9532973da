//! The engine of a checkout: the one that is asked for, that the settings name, that last ran here; else the native one.

pub mod container;
pub mod docker;
pub(crate) mod last_used;
pub(crate) mod moved_data;
pub mod native;

use std::path::PathBuf;

use emotionviz_settings::DatabaseUrl;
pub use emotionviz_settings::Engine as Kind;

use crate::database::maker;
use crate::database::session::{RunBy, Session};
use crate::engines::docker::Docker;
use crate::engines::native::Native;
use crate::project::logs::{Entry, Follower, Query};
use crate::report::events::Events;
use crate::report::status::Status;
use crate::report::up::{Service, Up, UpOptions};
use crate::{Environment, Error};
use process::shutdown::Shutdown;

/// One of the two.
#[derive(Clone, Debug)]
pub enum Engine {
    /// Processes of this machine.
    Native(Native),
    /// Containers.
    Docker(Docker),
}

macro_rules! either {
    ($self:ident, $engine:ident => $work:expr) => {
        match $self {
            Self::Native($engine) => $work,
            Self::Docker($engine) => $work,
        }
    };
}

impl Engine {
    /// The engine of a checkout; `asked` comes first.
    ///
    /// # Errors
    /// `DEV_ENGINE` names none.
    pub fn of(environment: Environment, asked: Option<Kind>) -> Result<Self, Error> {
        let kind = match asked {
            Some(kind) => kind,
            None => environment
                .configuration
                .engine()?
                .or_else(|| last_used::last(&environment.checkout))
                .unwrap_or(Kind::Native),
        };
        Ok(Self::new(environment, kind))
    }

    pub(crate) fn new(environment: Environment, kind: Kind) -> Self {
        match kind {
            Kind::Native => Self::Native(Native::new(environment)),
            Kind::Docker => Self::Docker(Docker::new(environment)),
        }
    }

    /// Which one it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Native(_) => Kind::Native,
            Self::Docker(_) => Kind::Docker,
        }
    }

    pub(crate) fn environment(&self) -> &Environment {
        match self {
            Self::Native(native) => native.environment(),
            Self::Docker(docker) => docker.environment(),
        }
    }

    /// Sees to it that the database is whole and this engine's.
    async fn check_database(&self, events: &Events) -> Result<(), Error> {
        let environment = self.environment();
        moved_data::recover(environment, events).await?;
        // Somebody else's database is nobody's here.
        if environment.configuration.external()?.is_some() {
            Ok(())
        } else {
            maker::refuse_other(&environment.checkout, self.kind())
        }
    }

    /// A session on the database of this engine, which is made where there is none, for the moment.
    pub(crate) async fn new_database(&self, events: &Events) -> Result<Session, Error> {
        match self {
            Self::Native(native) => {
                native
                    .session_on("cargo dev engine switch", true, events)
                    .await
            }
            Self::Docker(docker) => docker.session_on(true, events).await,
        }
    }
}

impl Engine {
    /// Starts the services, watches over them, and ends them in order when `stop` is asked.
    pub async fn up(
        &self,
        options: UpOptions,
        events: &Events,
        stop: &Shutdown,
    ) -> Result<Up, Error> {
        tokio::select! {
            biased;
            () = stop.requested() => return Ok(Up::Interrupted),
            checked = self.check_database(events) => checked?,
        }
        // An engine whose settings are refused does not run here.
        either!(self, engine => engine.check_settings())?;
        last_used::remember(&self.environment().checkout, self.kind())?;
        let up = either!(self, engine => engine.up(options, events, stop).await)?;
        // The first `up` does this when it starts the database. It may have just started, and have no address yet.
        if let Up::Already {
            doing: None,
            addresses,
            ..
        } = &up
            && !addresses.is_empty()
        {
            let session = self.session("cargo dev up", events).await?;
            let let_in = session.let_writers_in().await;
            session.end().await?;
            let_in?;
        }
        Ok(up)
    }

    /// Ends the services, wherever they were started. Data stays. `false` when none ran.
    pub async fn stop(&self, events: &Events) -> Result<bool, Error> {
        either!(self, engine => engine.stop(events).await)
    }

    /// The same, and leaves nothing but the data.
    pub async fn down(&self, events: &Events) -> Result<bool, Error> {
        either!(self, engine => engine.down(events).await)
    }

    /// Reads the settings again and starts one service anew, or all.
    pub async fn restart(&self, service: Option<Service>, events: &Events) -> Result<(), Error> {
        either!(self, engine => engine.restart(service, events).await)
    }

    /// How the services are.
    pub async fn status(&self) -> Result<Status, Error> {
        either!(self, engine => engine.status().await)
    }

    /// The database, started for the moment where it does not run, in the name of `what`.
    pub async fn session(&self, what: &'static str, events: &Events) -> Result<Session, Error> {
        self.check_database(events).await?;
        let session = either!(self, engine => engine.session(what, events).await)?;
        if session.run_by() == RunBy::Services {
            return Ok(session);
        }
        match session.let_writers_in().await {
            Ok(()) => Ok(session),
            Err(error) => {
                // The reason is more useful than a failure to stop.
                let _stopped = session.end().await;
                Err(error)
            }
        }
    }

    /// The owner's URL of the database, and whether it runs now.
    pub async fn url(&self) -> Result<(DatabaseUrl, bool), Error> {
        either!(self, engine => engine.url().await)
    }

    /// Gives the database's roles new passwords, everywhere: in the database, in `.env`, in the API that runs. Works without the
    /// old ones. Returns the file that was changed; `None` when `stop` was asked before that was known. Whatever happens, either
    /// all of it has changed or nothing.
    pub async fn change_password(
        &self,
        password: Option<String>,
        events: &Events,
        stop: &Shutdown,
    ) -> Result<Option<PathBuf>, Error> {
        tokio::select! {
            biased;
            () = stop.requested() => return Ok(None),
            checked = self.check_database(events) => checked?,
        }
        either!(self, engine => engine.change_password(password, events, stop).await)
    }

    /// What the services have said, oldest first.
    pub async fn logs(&self, query: &Query) -> Result<Vec<Entry>, Error> {
        either!(self, engine => engine.logs(query).await)
    }

    /// What they say from now on.
    pub async fn follow(&self, query: Query) -> Result<Follower, Error> {
        either!(self, engine => engine.follow(query).await)
    }
}
