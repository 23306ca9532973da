//! Connections.

mod opening;

use std::io::ErrorKind;
use std::sync::Mutex;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{
    self, Manager, Metrics, PoolError, QueueMode, RecycleError, RecycleResult,
};
use emotionviz_settings::{Database, DatabaseUrl};
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::time::{Instant, sleep, timeout_at};

use crate::Result;

/// How long a request waits for a connection: long enough for a restart of PostgreSQL, short enough to hear of its absence.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a server that is not there yet is asked again within that time.
const RETRY: Duration = Duration::from_millis(50);
/// A connection that nobody used for longer is asked whether it lives. Under load that costs nothing, and after a restart of
/// PostgreSQL no request fails on a dead one.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// How long it has for the answer.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// PostgreSQL gives up a statement after a while, so that none outlives the request that wanted it for long. It plans each once, and
/// not anew for each page's LIMIT, which takes as long as the page itself; and for tables that have grown, whatever they hold then. To
/// look through a small table seems so dear to it then that it would compile the statement first, which takes 90 ms.
const SESSION: [(&str, &str); 4] = [
    ("statement_timeout", "30s"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("jit", "off"),
];
/// More than the service has statements, so that each is planned once per connection.
const STATEMENT_CACHE: usize = 256;

/// The schema of this application. It is pinned for each session: a schema with the name of the role, or `ALTER ROLE … SET search_path` and
/// `ALTER DATABASE … SET search_path`, would move names without a schema elsewhere.
const SEARCH_PATH: (&str, &str) = ("search_path", "public");

/// How to connect as a URL says.
pub fn connect_options(url: &DatabaseUrl) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass()
        .port(url.port)
        .username(&url.user)
        .database(&url.database)
        .application_name("emotionviz")
        .statement_cache_capacity(STATEMENT_CACHE)
        .options([SEARCH_PATH])
        .ssl_mode(ssl_mode(url));
    let options = if url.host.starts_with('/') {
        options.socket(&url.host)
    } else {
        options.host(&url.host)
    };
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

/// Connections that are made when they are first needed: the service starts while PostgreSQL is still away.
///
/// Not sqlx's own pool, which asks the server whether a connection lives each time that it is given back: twice the round trips.
#[derive(Clone)]
pub struct Pool(managed::Pool<Connector>);

impl Pool {
    /// Connections as the settings say.
    pub fn new(settings: &Database) -> Self {
        let options = connect_options(&settings.url).options(SESSION);
        let size = usize::try_from(settings.connections).unwrap_or(usize::MAX);
        let pool = managed::Pool::builder(Connector {
            options,
            opened: Mutex::default(),
            checking: tokio::sync::Mutex::default(),
        })
        .max_size(size)
        .queue_mode(QueueMode::Lifo)
        .wait_timeout(Some(ACQUIRE_TIMEOUT))
        .recycle_timeout(Some(PING_TIMEOUT))
        .runtime(Runtime::Tokio1)
        .build()
        .expect("the time-outs have their runtime");
        Self(pool)
    }

    /// Lends a connection for a piece of work.
    ///
    /// # Errors
    /// Those of the work, and [`crate::Error::is_away`] when there is no connection.
    pub async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>,
    ) -> Result<T> {
        let mut lent = self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(_) => sqlx::Error::PoolTimedOut,
            _ => sqlx::Error::PoolClosed,
        })?;
        // Work that is dropped half way, with the request that it was for, leaves it so.
        lent.between_queries = false;
        let done = work(&mut lent.connection).await;
        lent.between_queries = done.is_ok();
        if done.as_ref().is_err_and(crate::Error::spoils_connection) {
            // The server probably closed the other connections too. New connections are opened on demand.
            drop(managed::Object::take(lent));
            self.0.retain(|_, _| false);
        }
        done
    }

    /// How its connections are used at this moment.
    pub fn usage(&self) -> Usage {
        let status = self.0.status();
        Usage {
            most: status.max_size,
            open: status.size,
            idle: status.available,
            waiting: status.waiting,
        }
    }

    /// Closes the connections that nobody uses; nobody gets one from now on.
    pub fn close(&self) {
        self.0.close();
    }
}

/// How the connections of a [`Pool`] are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// How many there may be.
    pub most: usize,
    /// How many there are.
    pub open: usize,
    /// How many of them nobody uses.
    pub idle: usize,
    /// How many requests wait for one.
    pub waiting: usize,
}

struct Connector {
    options: PgConnectOptions,
    /// The time of the last opened connection.
    opened: Mutex<Option<Instant>>,
    /// Held by the one caller that tries whether a connection can be opened.
    checking: tokio::sync::Mutex<()>,
}

struct Lent {
    connection: PgConnection,
    between_queries: bool,
}

impl Manager for Connector {
    type Type = Lent;
    type Error = sqlx::Error;

    async fn create(&self) -> std::result::Result<Lent, sqlx::Error> {
        let deadline = Instant::now() + ACQUIRE_TIMEOUT;
        loop {
            match timeout_at(deadline, self.options.connect()).await {
                Ok(Ok(connection)) => {
                    self.note_opened();
                    return Ok(Lent {
                        connection,
                        between_queries: true,
                    });
                }
                Ok(Err(error)) if is_starting(&error) && Instant::now() + RETRY < deadline => {
                    sleep(RETRY).await
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(sqlx::Error::PoolTimedOut),
            }
        }
    }

    async fn recycle(&self, lent: &mut Lent, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if lent.between_queries && metrics.last_used() < TRUSTED_IDLE {
            return Ok(());
        }
        // Also ends what a dropped piece of work left: its answer, its transaction.
        lent.connection.ping().await.map_err(RecycleError::Backend)
    }
}

/// Whether a server that is just starting says no in this way.
fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(e) => {
            matches!(e.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound)
        }
        sqlx::Error::Database(e) => e.code().as_deref() == Some("57P03"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_url() {
        let options = connect_options(
            &"postgres://ann:p%40ss@db:5433/journal?sslmode=verify-full"
                .parse()
                .unwrap(),
        );
        assert_eq!(
            (
                options.get_host(),
                options.get_port(),
                options.get_username()
            ),
            ("db", 5433, "ann")
        );
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
        let socket = connect_options(
            &"postgresql+asyncpg://ann@localhost/journal?host=/tmp/pg&ssl=true"
                .parse()
                .unwrap(),
        );
        assert_eq!(
            socket.get_socket().map(|p| p.to_str().unwrap()),
            Some("/tmp/pg")
        );
        assert!(matches!(socket.get_ssl_mode(), PgSslMode::Require));
    }
}
