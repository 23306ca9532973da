//! The schema's migrations: reversible, embedded in the binary, applied one at a time under a lock.
//!
//! sqlx applies and records each one in a transaction. What is added here: waiters poll the lock instead of waiting in it,
//! a failed migration outside a transaction leaves no invalid index behind, a newer schema is served unless it says that it
//! breaks older binaries, `migrate down` pauses automatic migration, and the Python backend's databases are adopted.
//!
//! A migration whose file begins with `-- no-transaction` runs outside a transaction and holds one statement. One with a line
//! `-- breaking` tells older binaries not to serve on it. One that holds comments and blanks alone is not written yet, and waits; later
//! ones do not wait for it, as whatever is not applied is applied in the order of the versions, whenever it comes.

mod adoption;
mod empty;
mod error;
mod identity;
mod kept;
mod line_ends;
mod lock;
mod odd_rows;
mod owner;
mod pause;
mod status;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use sqlx::migrate::{Migrate, Migration, Migrator};
use sqlx::{Connection, PgConnection};

pub use adoption::Adoption;
pub(crate) use empty::is_empty;
pub use error::Error;
use identity::Identity;
pub(crate) use line_ends::crlf_checksum;
pub use owner::connect;
pub use status::{Entry, State, Status};

static MIGRATIONS: LazyLock<Vec<Migration>> = LazyLock::new(|| {
    static EMBEDDED: Migrator = sqlx::migrate!();
    line_ends::normalised(&EMBEDDED)
});

/// What this binary may apply, oldest first, written or not.
pub(crate) fn ups() -> impl Iterator<Item = &'static Migration> {
    MIGRATIONS
        .iter()
        .filter(|migration| migration.migration_type.is_up_migration())
}

/// The table in which sqlx records what is applied.
const APPLIED: &str = "_sqlx_migrations";

/// Why `up` is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody asked for it: a pause ends.
    Asked,
    /// The environment does it by itself: a pause is kept.
    Automatic,
}

/// A migration that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its version, `YYYYMMDDHHMMSS`.
    pub version: i64,
    /// What it does.
    pub description: String,
    /// How long it took.
    pub took: Duration,
}

/// What `up` did.
#[derive(Debug)]
pub enum Up {
    /// These were applied; none when the schema was up to date.
    Applied {
        /// The migrations, in order.
        steps: Vec<Step>,
        /// These were left, since nothing is written into them.
        empty: Vec<Entry>,
        /// What was found in a database of the Python backend, when this was the first `up` on it.
        adoption: Option<Adoption>,
    },
    /// Automatic migration is paused since the last `down` or `to`.
    Paused,
}

/// Applies every pending migration; those that are not written yet are left.
///
/// # Errors
/// Nothing of the migration that failed is applied; those before it are.
pub async fn up(conn: &mut PgConnection, cause: Cause) -> Result<Up, Error> {
    lock::acquire(conn).await?;
    let done = up_locked(conn, cause, i64::MAX).await;
    lock::release(conn).await;
    done
}

async fn up_locked(conn: &mut PgConnection, cause: Cause, target: i64) -> Result<Up, Error> {
    // The check of the database and the first migrations are one transaction.
    let mut first = conn.begin().await?;
    let identity = identity::recognise(&mut first).await?;
    if cause == Cause::Automatic && pause::is_on(&mut first).await? {
        first.rollback().await?;
        if identity == Identity::Ours {
            grant(conn).await?;
        }
        return Ok(Up::Paused);
    }
    let aside = if identity == Identity::Python {
        tracing::info!("adopting a database of the Python backend");
        let aside = kept::put_aside_first(&mut first).await?;
        odd_rows::refuse_inconsistent(&mut first).await?;
        Some(aside)
    } else {
        None
    };
    prepare(&mut first).await?;
    let now = status::status(&mut first).await?;
    if let Some(edited) = now.entries.iter().find(|e| e.state == State::Edited) {
        return Err(Error::Edited {
            version: edited.version,
            description: edited.description.clone(),
        });
    }
    adoption::key_addresses_again(&mut first).await?;
    let mut pending = ups()
        .filter(|m| m.version <= target && now.is_pending(m.version))
        .peekable();
    let (mut steps, mut adoption) = (Vec::new(), None);
    while let Some(migration) =
        pending.next_if(|m| m.version <= adoption::LAST || aside.is_some() && !m.no_tx)
    {
        if migration.version == adoption::LAST {
            let (step, adopted) = adoption::apply(&mut first, migration).await?;
            steps.push(step);
            adoption = (identity == Identity::Python).then_some(adopted);
        } else {
            steps.push(step(&mut first, migration).await?);
        }
    }
    if let Some(aside) = aside {
        grant(&mut first).await?;
        aside.put_back(&mut first).await?;
    }
    first.commit().await?;
    let are_granted = identity == Identity::Python && pending.peek().is_none();
    for migration in pending {
        steps.push(step(conn, migration).await?);
    }
    if !are_granted {
        grant(conn).await?;
    }
    pause::end(conn).await?;
    let empty = now
        .entries
        .into_iter()
        .filter(|e| e.state == State::Empty && e.version <= target)
        .collect();
    Ok(Up::Applied {
        steps,
        empty,
        adoption,
    })
}

/// Reverts the newest `count` migrations, and pauses automatic migration.
///
/// # Errors
/// Nothing of the migration that failed is reverted; those after it are. Nothing is reverted when this binary lacks one of them, or what
/// undoes one that is written is not.
pub async fn down(conn: &mut PgConnection, count: usize) -> Result<Vec<Step>, Error> {
    lock::acquire(conn).await?;
    let done = down_locked(conn, |applied| applied.len().saturating_sub(count)).await;
    lock::release(conn).await;
    done
}

async fn down_locked(
    conn: &mut PgConnection,
    keep: impl FnOnce(&[i64]) -> usize,
) -> Result<Vec<Step>, Error> {
    if identity::recognise(conn).await? != Identity::Ours {
        return Ok(Vec::new());
    }
    prepare(conn).await?;
    let applied: Vec<i64> = conn
        .list_applied_migrations(APPLIED)
        .await?
        .iter()
        .map(|m| m.version)
        .collect();
    let reverted = &applied[keep(&applied)..];
    // Its row alone would go, and what it made would be in the way of the next `up`.
    if let Some(version) = reverted.iter().find(|v| !is_reversible(**v)) {
        let up = ups().find(|up| up.version == *version);
        return Err(up.map_or(Error::Unknown(*version), |up| Error::NoUndo {
            version: up.version,
            description: up.description.to_string(),
        }));
    }
    let mut steps = Vec::new();
    for migration in reverted.iter().rev().filter_map(|v| undo(*v)) {
        pause::begin(conn).await?;
        let took = conn
            .revert(APPLIED, migration)
            .await
            .map_err(|e| Error::failed(migration, e))?;
        tracing::info!(version = migration.version, "migration reverted");
        steps.push(Step {
            version: migration.version,
            description: migration.description.to_string(),
            took,
        });
    }
    Ok(steps)
}

/// What `to` did.
#[derive(Debug)]
pub enum To {
    /// It went up.
    Up(Up),
    /// It went down.
    Down(Vec<Step>),
}

/// Applies or reverts migrations until `version` is the newest applied one; 0 reverts all of them. Where that is not the newest
/// one there is, automatic migration pauses.
///
/// # Errors
/// As [`up`] and [`down`], and when there is no such version.
pub async fn to(conn: &mut PgConnection, version: i64) -> Result<To, Error> {
    if version != 0 && MIGRATIONS.iter().all(|m| m.version != version) {
        return Err(Error::Unknown(version));
    }
    lock::acquire(conn).await?;
    let done = to_locked(conn, version).await;
    lock::release(conn).await;
    done
}

async fn to_locked(conn: &mut PgConnection, version: i64) -> Result<To, Error> {
    let before = status(conn).await?;
    if version == 0 || before.revision.is_some_and(|newest| newest > version) {
        return down_locked(conn, |applied| applied.partition_point(|v| *v <= version))
            .await
            .map(To::Down);
    }
    let done = up_locked(conn, Cause::Asked, version).await?;
    if before
        .entries
        .iter()
        .any(|e| e.version > version && e.state == State::Pending)
    {
        pause::begin(conn).await?;
    }
    Ok(To::Up(done))
}

/// Checks whether migrations may be applied to this database. Changes nothing in it.
pub(crate) async fn recognise(conn: &mut PgConnection) -> Result<(), Error> {
    identity::recognise(conn).await.map(drop)
}

/// Returns the state of every migration. Changes nothing in the database.
///
/// # Errors
/// The database does not answer, or belongs to another application.
pub async fn status(conn: &mut PgConnection) -> Result<Status, Error> {
    identity::recognise(conn).await?;
    status::status(conn).await
}

/// The SQL of the migrations that `up` would apply, in order, with their versions and descriptions.
///
/// # Errors
/// As [`status`].
pub async fn pending(conn: &mut PgConnection) -> Result<Vec<(i64, String, &'static str)>, Error> {
    let now = status(conn).await?;
    Ok(ups()
        .filter(|m| now.is_pending(m.version))
        .map(|m| (m.version, m.description.to_string(), m.sql.as_str()))
        .collect())
}

/// The migration that reverts this version.
fn undo(version: i64) -> Option<&'static Migration> {
    MIGRATIONS
        .iter()
        .find(|m| m.version == version && m.migration_type.is_down_migration())
}

/// Whether this binary can revert this version: what undoes it is written, or there is nothing to undo.
fn is_reversible(version: i64) -> bool {
    undo(version).is_some_and(|down| !is_empty(down) || !is_written(version))
}

/// Whether what applies this version is written.
fn is_written(version: i64) -> bool {
    ups().any(|m| m.version == version && !is_empty(m))
}

/// Applies a migration.
async fn step(conn: &mut PgConnection, migration: &Migration) -> Result<Step, Error> {
    let took = apply(conn, migration)
        .await
        .map_err(|e| Error::failed(migration, e))?;
    tracing::info!(version = migration.version, "migration applied");
    Ok(Step {
        version: migration.version,
        description: migration.description.to_string(),
        took,
    })
}

async fn apply(conn: &mut PgConnection, migration: &Migration) -> Result<Duration, sqlx::Error> {
    let started = Instant::now();
    if migration
        .sql
        .as_str()
        .lines()
        .any(|line| line.trim() == "-- breaking")
    {
        // Before it, so that no crash can lose the mark; a mark without its migration means nothing.
        sqlx::query("INSERT INTO _migrations_breaking VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(migration.version)
            .execute(&mut *conn)
            .await?;
    }
    if migration.no_tx {
        lock::drop_invalid_indexes(conn, migration).await?;
    }
    let applied = conn.apply(APPLIED, migration).await;
    if applied.is_err() && migration.no_tx {
        lock::drop_invalid_indexes(conn, migration).await?;
    }
    match applied {
        Ok(_) => Ok(started.elapsed()),
        Err(
            sqlx::migrate::MigrateError::Execute(e)
            | sqlx::migrate::MigrateError::ExecuteMigration(e, _),
        ) => Err(e),
        Err(other) => Err(sqlx::Error::Migrate(Box::new(other))),
    }
}

/// The tables of the migrations' own.
async fn prepare(conn: &mut PgConnection) -> Result<(), Error> {
    // A migration that waits for somebody's lock makes everybody wait behind it: better to fail, and say so.
    sqlx::raw_sql(
        "SET lock_timeout = '15s';
         SET client_min_messages = warning;
         CREATE TABLE IF NOT EXISTS _migrations_paused (code text NOT NULL);
         CREATE TABLE IF NOT EXISTS _migrations_breaking (version bigint PRIMARY KEY);",
    )
    .execute(&mut *conn)
    .await?;
    conn.ensure_migrations_table(APPLIED).await?;
    Ok(())
}

/// Lets the service's role connect, and read and write rows, also with row-level security, and nothing else. Without that role, the service
/// connects as the owner.
async fn grant(conn: &mut PgConnection) -> Result<(), Error> {
    sqlx::raw_sql(
        "DO $$
         DECLARE
             secured regclass;
         BEGIN
             IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'emotionviz_api') AND current_user <> 'emotionviz_api' THEN
                 IF pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE') THEN
                     EXECUTE format('GRANT CONNECT ON DATABASE %I TO emotionviz_api', current_database());
                 END IF;
                 GRANT USAGE ON SCHEMA public TO emotionviz_api;
                 GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO emotionviz_api;
                 GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO emotionviz_api;
                 REVOKE INSERT, UPDATE, DELETE ON _sqlx_migrations, _migrations_paused, _migrations_breaking FROM emotionviz_api;
                 FOR secured IN
                     SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relrowsecurity
                         AND relname IN ('users', 'intake_sessions', 'emotion_entries', 'visualizations')
                         AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND polname = 'emotionviz_api')
                 LOOP
                     EXECUTE format('CREATE POLICY emotionviz_api ON %s TO emotionviz_api USING (true)', secured);
                 END LOOP;
             END IF;
         END
         $$",
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::migrate::{Migration, MigrationType};
    use sqlx::{ConnectOptions, Connection, PgConnection, SqlSafeStr};

    use super::MIGRATIONS;

    /// A database of the test's own, on the server of `TEST_DATABASE_URL`.
    async fn database(name: &str) -> (PgConnection, PgConnection) {
        let url = std::env::var("TEST_DATABASE_URL")
            .expect("TEST_DATABASE_URL is not set: run the tests with `cargo dev test`");
        let options = crate::pool::connect_options(&url.parse().unwrap());
        let mut admin = options.connect().await.unwrap();
        for sql in [
            format!("DROP DATABASE IF EXISTS {name}"),
            format!("CREATE DATABASE {name}"),
        ] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                .execute(&mut admin)
                .await
                .unwrap();
        }
        (options.database(name).connect().await.unwrap(), admin)
    }

    #[tokio::test]
    async fn a_failed_concurrent_index_leaves_nothing_and_can_be_tried_again() {
        let (mut conn, mut admin) = database("test_failed_concurrent_index").await;
        super::prepare(&mut conn).await.unwrap();
        let run = async |conn: &mut PgConnection, sql: &'static str| {
            sqlx::raw_sql(sql).execute(conn).await.unwrap()
        };
        run(
            &mut conn,
            "CREATE TABLE t (x int); INSERT INTO t VALUES (1), (1)",
        )
        .await;
        let sql =
            "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY t_x ON t (x);".into_sql_str();
        let migration = Migration::new(1, "unique".into(), MigrationType::ReversibleUp, sql, true);
        let indexes = "SELECT count(*) FROM pg_class WHERE relname = 't_x'";

        assert!(super::apply(&mut conn, &migration).await.is_err());
        assert_eq!(
            sqlx::query_scalar::<_, i64>(indexes)
                .fetch_one(&mut conn)
                .await
                .unwrap(),
            0,
            "an invalid index was left"
        );
        // As after a kill in the middle of it.
        sqlx::raw_sql("CREATE UNIQUE INDEX CONCURRENTLY t_x ON t (x)")
            .execute(&mut conn)
            .await
            .unwrap_err();
        assert_eq!(
            sqlx::query_scalar::<_, i64>(indexes)
                .fetch_one(&mut conn)
                .await
                .unwrap(),
            1
        );
        run(&mut conn, "DELETE FROM t").await;
        super::apply(&mut conn, &migration).await.unwrap();
        assert_eq!(
            sqlx::query_scalar::<_, i64>(indexes)
                .fetch_one(&mut conn)
                .await
                .unwrap(),
            1
        );

        conn.close().await.unwrap();
        run(&mut admin, "DROP DATABASE test_failed_concurrent_index").await;
    }

    #[test]
    fn every_migration_can_be_reverted_and_has_a_moment() {
        let of = |up: bool| -> Vec<i64> {
            MIGRATIONS
                .iter()
                .filter(|m| {
                    m.migration_type.is_reversible() && m.migration_type.is_up_migration() == up
                })
                .map(|m| m.version)
                .collect()
        };
        assert_eq!(of(true), of(false));
        assert_eq!(
            of(true).len() * 2,
            MIGRATIONS.iter().count(),
            "a migration is a pair of files: .up.sql and .down.sql"
        );
        for version in of(true) {
            assert!(
                chrono::NaiveDateTime::parse_from_str(&version.to_string(), "%Y%m%d%H%M%S").is_ok(),
                "{version} is no YYYYMMDDHHMMSS"
            );
        }
    }

    #[test]
    fn outside_a_transaction_there_is_one_statement() {
        for migration in MIGRATIONS.iter().filter(|m| m.no_tx) {
            let code: String = migration
                .sql
                .as_str()
                .lines()
                .filter(|line| !line.trim_start().starts_with("--"))
                .collect();
            let statements = code
                .split(';')
                .filter(|statement| !statement.trim().is_empty())
                .count();
            assert!(
                statements <= 1,
                "{} holds {statements} statements",
                migration.version
            );
        }
    }
}
