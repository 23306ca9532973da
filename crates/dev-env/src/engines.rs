//! The engine of a checkout: the one that is asked for, that the settings name, that last ran here; else the native one.

use std::path::PathBuf;

use emotionviz_settings::{DatabaseUrl, Engine as Kind, Kind as _};

use crate::docker::Docker;
use crate::engine::{Engine, Service, Up, UpOptions};
use crate::events::Events;
use crate::logs::{Entry, Follower, Query};
use crate::native::Native;
use crate::owner::files;
use crate::session::{RunBy, Session};
use crate::status::Status;
use crate::stop::Stop;
use crate::{Checkout, Environment, Error, maker, switch};

/// One of the two.
#[derive(Clone, Debug)]
pub enum Chosen {
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

impl Chosen {
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
                .or_else(|| last(&environment.checkout))
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
        switch::recover(environment, events).await?;
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

fn path(checkout: &Checkout) -> PathBuf {
    checkout.run().join("engine")
}

/// What last ran here.
fn last(checkout: &Checkout) -> Option<Kind> {
    Kind::read(std::fs::read_to_string(path(checkout)).ok()?.trim()).ok()
}

/// Remembers what runs here.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn remember(checkout: &Checkout, kind: Kind) -> Result<(), Error> {
    if last(checkout) == Some(kind) {
        return Ok(());
    }
    checkout.make_folders()?;
    let path = path(checkout);
    files::write_atomically(&path, format!("{kind}\n").as_bytes(), files::READABLE)
        .map_err(|source| Error::io("write", &path, source))
}

impl Engine for Chosen {
    async fn up(&self, options: UpOptions, events: &Events, stop: &Stop) -> Result<Up, Error> {
        tokio::select! {
            biased;
            () = stop.asked() => return Ok(Up::Interrupted),
            checked = self.check_database(events) => checked?,
        }
        // An engine whose settings are refused does not run here.
        either!(self, engine => engine.check_settings())?;
        remember(&self.environment().checkout, self.kind())?;
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

    async fn stop(&self, events: &Events) -> Result<bool, Error> {
        either!(self, engine => engine.stop(events).await)
    }

    async fn down(&self, events: &Events) -> Result<bool, Error> {
        either!(self, engine => engine.down(events).await)
    }

    async fn restart(&self, service: Option<Service>, events: &Events) -> Result<(), Error> {
        either!(self, engine => engine.restart(service, events).await)
    }

    async fn status(&self) -> Result<Status, Error> {
        either!(self, engine => engine.status().await)
    }

    async fn session(&self, what: &'static str, events: &Events) -> Result<Session, Error> {
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

    async fn url(&self) -> Result<(DatabaseUrl, bool), Error> {
        either!(self, engine => engine.url().await)
    }

    async fn change_password(
        &self,
        password: Option<String>,
        events: &Events,
        stop: &Stop,
    ) -> Result<Option<PathBuf>, Error> {
        tokio::select! {
            biased;
            () = stop.asked() => return Ok(None),
            checked = self.check_database(events) => checked?,
        }
        either!(self, engine => engine.change_password(password, events, stop).await)
    }

    async fn logs(&self, query: &Query) -> Result<Vec<Entry>, Error> {
        either!(self, engine => engine.logs(query).await)
    }

    async fn follow(&self, query: Query) -> Result<Follower, Error> {
        either!(self, engine => engine.follow(query).await)
    }
}
