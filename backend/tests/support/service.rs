use std::ops::Deref;

use emotionviz_app::app::{self, App};
use emotionviz_core::Clock;
use emotionviz_settings::{Service as Settings, Values};

use super::server::settings_of;
use super::{Client, Server, TestDatabase};

/// The service's router in this process. Its clock stands still.
pub(crate) struct Local {
    client: Client,
    pub(crate) app: App,
    pub(crate) clock: Clock,
}

impl Local {
    pub(crate) fn start(database_url: &str, settings: &[(&str, &str)]) -> Self {
        let settings = settings_of(database_url, settings);
        let variables = settings
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        let settings = Settings::from_values(&Values::from_environment(variables)).unwrap();
        let clock = Clock::stopped();
        let app = app::build(&settings, clock.clone());
        Self {
            client: Client::of_router(app.router.clone()),
            app,
            clock,
        }
    }
}

impl Deref for Local {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// A database, and the service on it in this process.
pub(crate) struct Service {
    pub(crate) server: Local,
    // Dropped after the server, which is connected to it.
    pub(crate) database: TestDatabase,
}

impl Service {
    /// Starts the service without rate limits.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::create().await;
        let server = Local::start(&database.url, settings);
        Self { server, database }
    }

    /// Starts another replica on the same database.
    pub(crate) fn replica(&self, settings: &[(&str, &str)]) -> Local {
        Local::start(&self.database.url, settings)
    }
}

/// A database, and the service on it in a process of its own: for start, stop, signals, connections and logs.
pub(crate) struct Process {
    pub(crate) server: Server,
    // Dropped after the server, which is connected to it.
    pub(crate) database: TestDatabase,
}

impl Process {
    /// Starts the service without rate limits.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::create().await;
        let server = Server::start(&database.url, settings);
        Self { server, database }
    }
}
