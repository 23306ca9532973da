//! What every engine does. A verb that only one of them can do does not exist.

use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::events::{Address, Events};
use crate::session::Session;
use crate::status::Status;
use crate::stop::Stop;

/// What runs the services of a checkout.
pub trait Engine {
    /// Starts the services, watches over them, and ends them in order when `stop` is asked.
    fn up(&self, options: UpOptions, events: &Events, stop: &Stop) -> impl Future<Output = Result<Up, Error>>;

    /// Ends the services, wherever they were started. Data stays. `false` when none ran.
    fn stop(&self, events: &Events) -> impl Future<Output = Result<bool, Error>>;

    /// Reads the settings again and starts one service anew, or all.
    fn restart(&self, service: Option<Service>, events: &Events) -> impl Future<Output = Result<(), Error>>;

    /// How the services are.
    fn status(&self) -> impl Future<Output = Result<Status, Error>>;

    /// The database, started for the moment where it does not run, in the name of `what`.
    fn session(&self, what: &'static str, events: &Events) -> impl Future<Output = Result<Session, Error>>;
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
    /// Whether messages of cargo are to have colours.
    pub colour: bool,
}

/// How `up` ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Up {
    /// The services ran, and were ended as asked.
    Stopped,
    /// They run in the background.
    Background {
        /// The supervisor.
        pid: u32,
    },
    /// They ran already.
    Already {
        /// The supervisor.
        pid: u32,
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
