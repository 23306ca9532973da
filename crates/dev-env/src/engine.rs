//! What every engine does. A verb that only one of them can do does not exist.

use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;

use emotionviz_settings::DatabaseUrl;
pub use emotionviz_settings::Engine as Kind;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::events::{Address, Events};
use crate::logs::{Entry, Follower, Query};
use crate::session::Session;
use crate::status::Status;
use process::stop::Stop;

/// What runs the services of a checkout.
pub trait Engine {
    /// Starts the services, watches over them, and ends them in order when `stop` is asked.
    fn up(
        &self,
        options: UpOptions,
        events: &Events,
        stop: &Stop,
    ) -> impl Future<Output = Result<Up, Error>>;

    /// Ends the services, wherever they were started. Data stays. `false` when none ran.
    fn stop(&self, events: &Events) -> impl Future<Output = Result<bool, Error>>;

    /// The same, and leaves nothing but the data.
    fn down(&self, events: &Events) -> impl Future<Output = Result<bool, Error>>;

    /// Reads the settings again and starts one service anew, or all.
    fn restart(
        &self,
        service: Option<Service>,
        events: &Events,
    ) -> impl Future<Output = Result<(), Error>>;

    /// How the services are.
    fn status(&self) -> impl Future<Output = Result<Status, Error>>;

    /// The database, started for the moment where it does not run, in the name of `what`.
    fn session(
        &self,
        what: &'static str,
        events: &Events,
    ) -> impl Future<Output = Result<Session, Error>>;

    /// The owner's URL of the database, and whether it runs now.
    fn url(&self) -> impl Future<Output = Result<(DatabaseUrl, bool), Error>>;

    /// Gives the database's roles new passwords, everywhere: in the database, in `.env`, in the API that runs. Works without the
    /// old ones. Returns the file that was changed; `None` when `stop` was asked before that was known. Whatever happens, either
    /// all of it has changed or nothing.
    fn change_password(
        &self,
        password: Option<String>,
        events: &Events,
        stop: &Stop,
    ) -> impl Future<Output = Result<Option<PathBuf>, Error>>;

    /// What the services have said, oldest first.
    fn logs(&self, query: &Query) -> impl Future<Output = Result<Vec<Entry>, Error>>;

    /// What they say from now on.
    fn follow(&self, query: Query) -> impl Future<Output = Result<Follower, Error>>;
}

/// How services are started.
#[derive(Clone, Copy, Debug)]
pub struct UpOptions {
    /// Whether to apply migrations.
    pub migrate: bool,
    /// Whether what is changed is to go live by itself.
    pub reload: bool,
    /// Whether the API is to answer the local network too.
    pub lan: bool,
    /// The LAN address of the container's host, which cannot be determined in the container.
    pub lan_address: Option<IpAddr>,
    /// Whether Adminer is to run.
    pub tools: bool,
    /// Whether to return when everything is ready, and to leave it running.
    pub detach: bool,
    /// Whether messages of cargo are to have colours.
    pub colour: bool,
}

impl UpOptions {
    /// As `up` without any.
    pub(crate) fn plain() -> Self {
        Self {
            migrate: true,
            reload: true,
            lan: false,
            lan_address: None,
            tools: false,
            detach: false,
            colour: false,
        }
    }
}

/// How `up` ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Up {
    /// The services ran, and were ended as asked.
    Stopped,
    /// What ran before goes on; not all that was asked for may have been done.
    Interrupted,
    /// They run in the background.
    Background {
        /// The supervisor, where there is one.
        pid: Option<u32>,
    },
    /// They ran already.
    Already {
        /// The supervisor, where there is one.
        pid: Option<u32>,
        /// What it does, unless everything runs.
        doing: Option<String>,
        /// Where everything answers.
        addresses: Vec<Address>,
    },
}

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// The HTTP service.
    Api,
    /// PostgreSQL.
    Db,
}
