//! What the tests stand on: databases, servers, clients.

mod client;
mod database;
mod proxy;
mod server;

pub(crate) use client::{Reply, User, entry};
pub(crate) use database::TestDatabase;
pub(crate) use proxy::Proxy;
pub(crate) use server::{Server, command as server_command};

use std::time::{Duration, Instant};

/// The longest that anything which is waited for may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until something is so, and panics when it never is.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A database and a server on it.
pub(crate) struct Service {
    pub(crate) server: Server,
    // Dropped after the server, which is connected to it.
    pub(crate) database: TestDatabase,
}

impl Service {
    /// One without limits.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// One with other settings.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::create().await;
        let server = Server::start(&database.url, settings);
        Self { server, database }
    }
}
