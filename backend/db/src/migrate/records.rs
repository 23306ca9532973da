//! The tables in which this service records its migrations.

use sqlx::PgConnection;
use sqlx::migrate::Migrate;

use super::Error;

/// The table in which sqlx records what is applied.
pub(super) const APPLIED: &str = "_sqlx_migrations";

/// Creates the tables, and limits how long the session waits for locks.
pub(super) async fn prepare(conn: &mut PgConnection) -> Result<(), Error> {
    // A migration that waits for a lock makes all later statements on that table wait, so it fails after a bound.
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
