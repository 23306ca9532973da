use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::Error;

/// "emotion" in ASCII: the advisory lock of this schema's migrations, per database.
const KEY: i64 = 0x65_6d6f_7469_6f6e;
const POLL: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(300);

/// Takes the lock of the session. It is polled: a waiting `pg_advisory_lock` holds a snapshot, for which a
/// CREATE INDEX CONCURRENTLY under the lock would wait in turn.
pub(super) async fn acquire(conn: &mut PgConnection) -> Result<(), Error> {
    let started = Instant::now();
    let mut said = false;
    while !sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_lock($1)")
        .bind(KEY)
        .fetch_one(&mut *conn)
        .await?
    {
        if started.elapsed() > PATIENCE {
            return Err(Error::Locked(PATIENCE.as_secs()));
        }
        if !said && started.elapsed() > Duration::from_secs(1) {
            tracing::info!("another process is migrating this database; waiting for it");
            said = true;
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Gives the lock back; when that fails the connection is broken, and its end gives it back.
pub(super) async fn release(conn: &mut PgConnection) {
    if let Err(error) = sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(KEY)
        .execute(conn)
        .await
    {
        tracing::warn!(%error, "the migration lock could not be given back");
    }
}
