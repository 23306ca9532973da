//! The user's objects on the Python backend's tables: dropped before the conversion, and created again after it.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::Error;

/// An object, the statement that drops it, and the statements that create it again.
#[derive(sqlx::FromRow)]
struct Kept {
    object: String,
    away: Option<String>,
    back: Option<Vec<String>>,
}

/// The dropped objects, in this order.
pub(super) struct Aside(Vec<Kept>);

/// Drops the objects that would make the migration fail, be dropped by it or be triggered by it. The connection is in a transaction.
///
/// # Errors
/// Something cannot be put aside.
pub(super) async fn put_aside(conn: &mut PgConnection) -> Result<Aside, Error> {
    lock(conn).await?;
    sqlx::raw_sql("SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL check_function_bodies = off")
        .execute(&mut *conn)
        .await?;
    put_aside_what(conn, include_str!("kept.sql")).await
}

/// Locks the tables.
async fn lock(conn: &mut PgConnection) -> Result<(), Error> {
    let mut attempt = conn.begin().await?;
    let locked = sqlx::raw_sql(
        "LOCK TABLE users, intake_sessions, emotion_entries, visualizations IN ACCESS EXCLUSIVE MODE",
    );
    match locked.execute(&mut *attempt).await {
        Ok(_) => Ok(attempt.commit().await?),
        // lock_not_available
        Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("55P03") => {
            attempt.rollback().await?;
            let holders: Vec<String> = sqlx::query_scalar(
                "SELECT DISTINCT format('pid %s (%s)', pid, coalesce(nullif(application_name, ''), usename)) FROM pg_locks JOIN pg_stat_activity USING (pid)
                 WHERE granted AND pid <> pg_backend_pid() AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                   AND relation IN ('users'::regclass, 'intake_sessions'::regclass, 'emotion_entries'::regclass, 'visualizations'::regclass)",
            )
            .fetch_all(conn)
            .await?;
            Err(Error::InUse(holders.join(", ")))
        }
        Err(other) => Err(other.into()),
    }
}

/// Drops or disables event triggers and row-level security. The connection is in a transaction.
///
/// # Errors
/// Something cannot be put aside.
pub(super) async fn put_aside_first(conn: &mut PgConnection) -> Result<Aside, Error> {
    sqlx::raw_sql("SET LOCAL lock_timeout = '15s'")
        .execute(&mut *conn)
        .await?;
    lock(conn).await?;
    put_aside_what(conn, include_str!("kept_first.sql")).await
}

async fn put_aside_what(conn: &mut PgConnection, query: &'static str) -> Result<Aside, Error> {
    let aside: Vec<Kept> = sqlx::query_as(query).fetch_all(&mut *conn).await?;
    for kept in &aside {
        if kept.back.is_none() {
            return Err(kept.lost("it can only be created again by hand".to_owned()));
        }
        if let Some(away) = &kept.away {
            run(conn, away).await.map_err(|cause| kept.lost(cause))?;
        }
    }
    Ok(Aside(aside))
}

impl Aside {
    /// Creates all dropped objects again.
    ///
    /// # Errors
    /// An object cannot be created again.
    pub(super) async fn put_back(self, conn: &mut PgConnection) -> Result<(), Error> {
        for kept in self.0.iter().rev() {
            for statement in kept.back.iter().flatten() {
                run(conn, statement)
                    .await
                    .map_err(|cause| kept.lost(cause))?;
            }
        }
        Ok(())
    }
}

impl Kept {
    fn lost(&self, cause: String) -> Error {
        let back = self.back.as_ref().map_or_else(
            || "the statement that created it".to_owned(),
            |back| format!("{};", back.join("; ")),
        );
        Error::NotKept {
            object: self.object.clone(),
            cause,
            away: format!("{};", self.away.clone().unwrap_or_default()),
            back,
        }
    }
}

/// Runs a statement that the query generated; its names come from the catalog, quoted with `format('%I')`.
async fn run(conn: &mut PgConnection, statement: &str) -> Result<(), String> {
    match sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(conn)
        .await
    {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(e)) => {
            let detail = e
                .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
                .and_then(|e| e.detail());
            Err(format!(
                "{}{}",
                e.message(),
                detail
                    .map(|detail| format!(" ({detail})"))
                    .unwrap_or_default()
            ))
        }
        Err(other) => Err(other.to_string()),
    }
}
