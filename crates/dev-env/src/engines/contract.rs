//! What every engine does. A verb that only one of them can do does not exist.

use std::future::Future;
use std::path::PathBuf;

use emotionviz_settings::DatabaseUrl;
pub use emotionviz_settings::Engine as Kind;

use crate::Error;
use crate::database::session::Session;
use crate::project::logs::{Entry, Follower, Query};
use crate::report::events::Events;
use crate::report::status::Status;
use crate::report::up::{Service, Up, UpOptions};
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
