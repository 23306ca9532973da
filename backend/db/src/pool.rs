//! Connections.

use std::time::Duration;

use emotionviz_settings::{Database, DatabaseUrl};
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{Connection, PgPool};

/// How long a request waits for a connection: long enough for a restart of PostgreSQL, short enough to hear of its absence.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that nobody used for longer is asked whether it lives. Under load that costs nothing, and after a restart of
/// PostgreSQL no request fails on a dead one.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// When PostgreSQL gives up a statement, so that none outlives the request that wanted it for long.
const STATEMENT_TIMEOUT: &str = "30s";
/// More than the service has statements, so that each is planned once per connection.
const STATEMENT_CACHE: usize = 256;

/// How to connect as a URL says.
pub fn connect_options(url: &DatabaseUrl) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass()
        .port(url.port)
        .username(&url.user)
        .database(&url.database)
        .application_name("emotionviz")
        .statement_cache_capacity(STATEMENT_CACHE)
        .ssl_mode(ssl_mode(url));
    let options = if url.host.starts_with('/') { options.socket(&url.host) } else { options.host(&url.host) };
    match &url.password {
        Some(password) => options.password(password.expose_secret()),
        None => options,
    }
}

/// libpq's modes, and what asyncpg calls them. A word that neither knows means encryption, rather than none.
fn ssl_mode(url: &DatabaseUrl) -> PgSslMode {
    match url.ssl_mode.as_deref() {
        None | Some("") => PgSslMode::Prefer,
        Some("false") => PgSslMode::Disable,
        Some(mode) => mode.parse().unwrap_or(PgSslMode::Require),
    }
}

/// A pool that connects when a connection is first needed: the service starts while PostgreSQL is still away.
pub fn open(settings: &Database) -> PgPool {
    let options = connect_options(&settings.url).options([("statement_timeout", STATEMENT_TIMEOUT)]);
    PgPoolOptions::new()
        .max_connections(settings.connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_url() {
        let options = connect_options(&"postgres://ann:p%40ss@db:5433/journal?sslmode=verify-full".parse().unwrap());
        assert_eq!((options.get_host(), options.get_port(), options.get_username()), ("db", 5433, "ann"));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
        let socket = connect_options(&"postgresql+asyncpg://ann@localhost/journal?host=/tmp/pg&ssl=true".parse().unwrap());
        assert_eq!(socket.get_socket().map(|p| p.to_str().unwrap()), Some("/tmp/pg"));
        assert!(matches!(socket.get_ssl_mode(), PgSslMode::Require));
    }
}
