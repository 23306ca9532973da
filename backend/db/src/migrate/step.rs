//! One migration is applied or reverted.

use std::time::{Duration, Instant};

use sqlx::PgConnection;
use sqlx::migrate::{Migrate, Migration};

use super::Error;
use super::records::APPLIED;

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

impl Step {
    fn new(migration: &Migration, took: Duration) -> Self {
        Self {
            version: migration.version,
            description: migration.description.to_string(),
            took,
        }
    }
}

/// Applies a migration.
pub(super) async fn apply(conn: &mut PgConnection, migration: &Migration) -> Result<Step, Error> {
    let took = run(conn, migration)
        .await
        .map_err(|e| Error::failed(migration, e))?;
    tracing::info!(version = migration.version, "migration applied");
    Ok(Step::new(migration, took))
}

/// Reverts a migration.
pub(super) async fn revert(conn: &mut PgConnection, down: &Migration) -> Result<Step, Error> {
    let took = conn
        .revert(APPLIED, down)
        .await
        .map_err(|e| Error::failed(down, e))?;
    tracing::info!(version = down.version, "migration reverted");
    Ok(Step::new(down, took))
}

async fn run(conn: &mut PgConnection, migration: &Migration) -> Result<Duration, sqlx::Error> {
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
        drop_invalid_indexes(conn, migration).await?;
    }
    let applied = conn.apply(APPLIED, migration).await;
    if applied.is_err() && migration.no_tx {
        drop_invalid_indexes(conn, migration).await?;
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

/// Removes the invalid indexes that a failed CREATE INDEX CONCURRENTLY of this migration left.
async fn drop_invalid_indexes(
    conn: &mut PgConnection,
    migration: &Migration,
) -> Result<(), sqlx::Error> {
    let invalid: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', n.nspname, c.relname)
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE NOT i.indisvalid AND position(c.relname IN $1) > 0",
    )
    .bind(migration.sql.as_str())
    .fetch_all(&mut *conn)
    .await?;
    for index in invalid {
        // The name is the catalogue's own, quoted by format('%I').
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "DROP INDEX CONCURRENTLY IF EXISTS {index}"
        )))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::migrate::{Migration, MigrationType};
    use sqlx::{ConnectOptions, Connection, PgConnection, SqlSafeStr};

    use super::apply;
    use crate::migrate::records::prepare;

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
        prepare(&mut conn).await.unwrap();
        let execute = async |conn: &mut PgConnection, sql: &'static str| {
            sqlx::raw_sql(sql).execute(conn).await.unwrap()
        };
        execute(
            &mut conn,
            "CREATE TABLE t (x int); INSERT INTO t VALUES (1), (1)",
        )
        .await;
        let sql =
            "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY t_x ON t (x);".into_sql_str();
        let migration = Migration::new(1, "unique".into(), MigrationType::ReversibleUp, sql, true);
        let indexes = "SELECT count(*) FROM pg_class WHERE relname = 't_x'";

        assert!(apply(&mut conn, &migration).await.is_err());
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
        execute(&mut conn, "DELETE FROM t").await;
        apply(&mut conn, &migration).await.unwrap();
        assert_eq!(
            sqlx::query_scalar::<_, i64>(indexes)
                .fetch_one(&mut conn)
                .await
                .unwrap(),
            1
        );

        conn.close().await.unwrap();
        execute(&mut admin, "DROP DATABASE test_failed_concurrent_index").await;
    }
}
