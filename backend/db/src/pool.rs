//! The connection pool.

use std::io::ErrorKind;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::Runtime;
pub use deadpool::Status;
use deadpool::managed::{
    self, Manager, Metrics, PoolError, QueueMode, RecycleError, RecycleResult,
};
use emotionviz_core::Clock;
use emotionviz_settings::{Database, DatabaseUrl};
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::time::{sleep, timeout_at};

use crate::error::{Error, Result, is_undefined};
use crate::schema::{self, SchemaState};

/// How long a request waits for a connection. A restart of PostgreSQL is shorter.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// The pause between attempts to connect to a server that is starting.
const RETRY: Duration = Duration::from_millis(50);
/// A connection that was idle for longer is pinged before it is used, so that no request fails after a restart of PostgreSQL. Under load
/// no connection is idle for so long.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an opened connection proves that another one can be opened. A login is expensive, mostly because of the password's hash.
const TRUSTED_OPENING: Duration = Duration::from_secs(10);
/// SQLSTATE too_many_connections.
const FULL: &str = "53300";
/// Statements end soon after the request that needed them. Each is planned once (planning takes as long as a page of entries), and for
/// tables that will grow. With sequential scans off, a plan on a small table has a high cost, for which the JIT compiler would run: 90 ms.
const SESSION: [(&str, &str); 4] = [
    ("statement_timeout", "30s"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("jit", "off"),
];
/// More than the number of statements, so that each is planned once per connection.
const STATEMENT_CACHE: usize = 256;

/// The schema of this application. It is pinned for each session: a schema with the name of the role, or `ALTER ROLE … SET search_path` and
/// `ALTER DATABASE … SET search_path`, would move names without a schema elsewhere.
const SEARCH_PATH: (&str, &str) = ("search_path", "public");

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

/// Accepts the modes of libpq and of asyncpg. An unknown mode means encryption.
fn ssl_mode(url: &DatabaseUrl) -> PgSslMode {
    match url.ssl_mode.as_deref() {
        None | Some("") => PgSslMode::Prefer,
        Some("false") => PgSslMode::Disable,
        Some(mode) => mode.parse().unwrap_or(PgSslMode::Require),
    }
}

/// Opens connections when they are first needed, so that the service can start before PostgreSQL.
///
/// sqlx's own pool pings the server each time a connection is returned, which doubles the round trips.
#[derive(Clone)]
pub struct Pool(managed::Pool<Connector>);

impl Pool {
    pub fn new(settings: &Database, clock: Clock) -> Self {
        let options = connect_options(&settings.url).options(SESSION);
        let size = usize::try_from(settings.connections).unwrap_or(usize::MAX);
        let pool = managed::Pool::builder(Connector {
            options,
            clock,
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
    /// The error [`Error::is_away`](crate::Error::is_away) if there is no connection, or if the work needs a table or column that is missing
    /// because the schema is not the one that this program needs.
    pub async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>,
    ) -> Result<T> {
        match self.lend(work).await {
            Err(Error::Query(cause)) if is_undefined(&cause) => {
                match self.lend(async |c| schema::check(c).await).await {
                    Ok(SchemaState::Current) => Err(Error::Query(cause)),
                    _ => Err(Error::Schema(cause)),
                }
            }
            done => done,
        }
    }

    async fn lend<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        let mut lent = self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(_) => sqlx::Error::PoolTimedOut,
            _ => sqlx::Error::PoolClosed,
        })?;
        // Stays false if the request is dropped before the work is done.
        lent.between_queries = false;
        let done = work(&mut lent.connection).await;
        lent.between_queries = done.is_ok();
        lent.last_used = self.0.manager().clock.instant();
        if done.as_ref().is_err_and(Error::spoils_connection) {
            // The server probably closed the other connections too. New connections are opened on demand.
            drop(managed::Object::take(lent));
            self.0.retain(|_, _| false);
        }
        done
    }

    /// Checks whether a new connection can be opened: open connections keep working when the server's socket was removed, for example.
    ///
    /// Does nothing if a connection was opened just now, or if the pool is full. One caller at a time opens a connection. A server without
    /// a free slot counts as reachable while the pool has an open connection.
    pub async fn check_opening(&self) -> Result<()> {
        let connector = self.0.manager();
        let _alone = connector.checking.lock().await;
        let status = self.status();
        if status.size >= status.max_size || connector.has_just_opened() {
            return Ok(());
        }
        match connector.create().await {
            // The connection was opened, which is all that the check needs.
            Ok(lent) => drop(lent.connection.close().await),
            Err(sqlx::Error::Database(e))
                if e.code().as_deref() == Some(FULL) && status.size > 0 =>
            {
                connector.note_opened()
            }
            Err(other) => return Err(other.into()),
        }
        Ok(())
    }

    pub fn status(&self) -> Status {
        self.0.status()
    }

    /// Closes the idle connections, and lends none from now on.
    pub fn close(&self) {
        self.0.close();
    }
}

struct Connector {
    options: PgConnectOptions,
    clock: Clock,
    /// When the last connection was opened.
    opened: Mutex<Option<Instant>>,
    /// Held by the caller that checks whether a connection can be opened.
    checking: tokio::sync::Mutex<()>,
}

impl Connector {
    fn note_opened(&self) {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.instant());
    }

    fn has_just_opened(&self) -> bool {
        self.opened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|at| self.clock.instant() - at < TRUSTED_OPENING)
    }
}

struct Lent {
    connection: PgConnection,
    between_queries: bool,
    last_used: Instant,
}

impl Manager for Connector {
    type Type = Lent;
    type Error = sqlx::Error;

    async fn create(&self) -> std::result::Result<Lent, sqlx::Error> {
        let deadline = tokio::time::Instant::now() + ACQUIRE_TIMEOUT;
        let connection = loop {
            match timeout_at(deadline, self.options.connect()).await {
                Ok(Err(error))
                    if is_starting(&error) && tokio::time::Instant::now() + RETRY < deadline =>
                {
                    sleep(RETRY).await
                }
                Ok(done) => break done?,
                Err(_) => return Err(sqlx::Error::PoolTimedOut),
            }
        };
        self.note_opened();
        Ok(Lent {
            connection,
            between_queries: true,
            last_used: self.clock.instant(),
        })
    }

    async fn recycle(&self, lent: &mut Lent, _: &Metrics) -> RecycleResult<sqlx::Error> {
        if lent.between_queries && self.clock.instant() - lent.last_used < TRUSTED_IDLE {
            return Ok(());
        }
        // Also consumes the answer and ends the transaction that dropped work left.
        lent.connection.ping().await.map_err(RecycleError::Backend)
    }
}

/// Returns whether the error may be that of a server that is starting.
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
    use tokio::net::TcpListener;

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

    fn pool(url: DatabaseUrl) -> Pool {
        let settings = Database {
            migration_url: url.clone(),
            url,
            connections: 9,
        };
        Pool::new(&settings, Clock::default())
    }

    #[tokio::test]
    async fn of_callers_at_once_one_opens_a_connection() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = pool(
            format!("postgres://ann@{}/journal", server.local_addr().unwrap())
                .parse()
                .unwrap(),
        );
        let check = || {
            let pool = pool.clone();
            tokio::spawn(async move { pool.check_opening().await })
        };
        let _callers: Vec<_> = (0..9).map(|_| check()).collect();
        // It never answers, so each that connects stays.
        let _first = server.accept().await.unwrap();
        assert!(
            tokio::time::timeout(Duration::from_millis(200), server.accept())
                .await
                .is_err(),
            "a second one connects"
        );
    }

    #[tokio::test]
    async fn a_full_server_counts_where_no_connection_is_open_alone() {
        let url = std::env::var("TEST_DATABASE_URL")
            .expect("TEST_DATABASE_URL is not set: run the tests with `cargo dev test`");
        let mut url: DatabaseUrl = url.parse().unwrap();
        let mut admin = connect_options(&url).connect().await.unwrap();
        let drop_role = "DROP ROLE IF EXISTS test_one_connection";
        for sql in [
            drop_role,
            "CREATE ROLE test_one_connection LOGIN PASSWORD 'x' CONNECTION LIMIT 1",
        ] {
            sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
        }
        url.user = "test_one_connection".to_owned();
        url.password = Some("x".to_owned().into());
        let pool = pool(url);
        pool.run(async |c| Ok(c.ping().await?)).await.unwrap();
        let forget = || *pool.0.manager().opened.lock().unwrap() = None;
        forget();
        pool.check_opening().await.unwrap();
        // Where nothing is open, nothing serves.
        pool.0.retain(|_, _| false);
        let connect = async {
            loop {
                if let Ok(other) = pool.0.manager().options.connect().await {
                    break other;
                }
            }
        };
        let other = tokio::time::timeout(Duration::from_secs(20), connect)
            .await
            .expect("the pool's connection ends");
        forget();
        pool.check_opening().await.unwrap_err();
        drop(other);
        pool.close();
        sqlx::raw_sql(drop_role).execute(&mut admin).await.unwrap();
    }
}
