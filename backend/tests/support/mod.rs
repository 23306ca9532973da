//! What the tests stand on: databases, the service in this process or in one of its own, clients.

mod client;
mod database;
mod proxy;
mod server;
mod service;

pub(crate) use client::{Client, Reply, User, entry, http_client};
pub(crate) use database::TestDatabase;
pub(crate) use proxy::Proxy;
pub(crate) use server::{Server, command as server_command};
pub(crate) use service::{Local, Process, Service};

use std::time::{Duration, Instant};

/// The longest that anything which is waited for may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A URL at which there is no database.
pub(crate) const NOWHERE: &str = "postgres://nobody:nothing@127.0.0.1:1/none";

/// Waits until a condition holds, and panics after [`PATIENCE`].
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
