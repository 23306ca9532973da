//! What the user made on the Python backend's tables: put aside while they are brought to today's shape, and put back.

use sqlx::{AssertSqlSafe, PgConnection};

use super::Error;

/// An object, the statement that puts it aside, and those that put it back.
#[derive(sqlx::FromRow)]
struct Kept {
    object: String,
    away: Option<String>,
    back: Option<Vec<String>>,
}

/// What was put aside, in this order.
pub(super) struct Aside(Vec<Kept>);

/// Puts aside what would stop the migration, be taken away by it or be set off by it. The connection is in a transaction.
///
/// # Errors
/// Something cannot be put aside.
pub(super) async fn put_aside(conn: &mut PgConnection) -> Result<Aside, Error> {
    sqlx::raw_sql(
        "LOCK TABLE users, intake_sessions, emotion_entries, visualizations IN ACCESS EXCLUSIVE MODE;
         SET CONSTRAINTS ALL IMMEDIATE;
         SET LOCAL check_function_bodies = off;",
    )
    .execute(&mut *conn)
    .await?;
    put_aside_what(conn, include_str!("kept.sql")).await
}

/// Stops the event triggers of the user's, which would run for each statement of a migration. The connection is in a transaction.
///
/// # Errors
/// One cannot be stopped.
pub(super) async fn stop_event_triggers(conn: &mut PgConnection) -> Result<Aside, Error> {
    put_aside_what(conn, include_str!("event_triggers.sql")).await
}

async fn put_aside_what(conn: &mut PgConnection, query: &'static str) -> Result<Aside, Error> {
    let aside: Vec<Kept> = sqlx::query_as(query).fetch_all(&mut *conn).await?;
    for kept in &aside {
        if kept.back.is_none() {
            return Err(kept.lost("it can be made again by hand alone".to_owned()));
        }
        if let Some(away) = &kept.away {
            run(conn, away).await.map_err(|cause| kept.lost(cause))?;
        }
    }
    Ok(Aside(aside))
}

impl Aside {
    /// Puts everything back.
    ///
    /// # Errors
    /// Something does not fit any more.
    pub(super) async fn put_back(self, conn: &mut PgConnection) -> Result<(), Error> {
        for kept in self.0.iter().rev() {
            for statement in kept.back.iter().flatten() {
                run(conn, statement).await.map_err(|cause| kept.lost(cause))?;
            }
        }
        Ok(())
    }
}

impl Kept {
    fn lost(&self, cause: String) -> Error {
        let back = self.back.as_ref().map_or_else(|| "as it was made first".to_owned(), |back| format!("{};", back.join("; ")));
        Error::NotKept { object: self.object.clone(), cause, away: format!("{};", self.away.clone().unwrap_or_default()), back }
    }
}

/// Runs a statement of the query's: its names are the catalogue's own, quoted by `format('%I')`.
async fn run(conn: &mut PgConnection, statement: &str) -> Result<(), String> {
    match sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(conn).await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(e)) => {
            let detail = e.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().and_then(|e| e.detail());
            Err(format!("{}{}", e.message(), detail.map(|detail| format!(" ({detail})")).unwrap_or_default()))
        }
        Err(other) => Err(other.to_string()),
    }
}
