//! Whether this binary can serve on the database's schema.

use sqlx::PgConnection;

use crate::error::is_undefined;
use crate::migrate::{self, crlf_checksum, is_empty, ups};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// Every migration that is written in this binary is applied; newer ones that break nothing may be, too.
    Current,
    /// One of them is not applied.
    Behind,
    /// A newer binary applied a migration that is marked as breaking.
    NewerBreaking,
    /// The migrations of this binary must not be applied to the database, with the reason.
    Foreign(String),
}

/// Compares the schema with this binary, in one query.
pub async fn check(connection: &mut PgConnection) -> crate::Result<SchemaState> {
    let (empty, written): (Vec<_>, Vec<_>) = ups().partition(|m| is_empty(m));
    let written: Vec<i64> = written.iter().map(|m| m.version).collect();
    // Another version may have applied empty migrations. They break nothing, even if a comment says so.
    let empty: Vec<Vec<u8>> = empty
        .iter()
        .flat_map(|m| [m.checksum.to_vec(), crlf_checksum(m)])
        .collect();
    let answer: Result<(i64, bool), _> = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE version = ANY ($1)),
                coalesce(bool_or(version <> ALL ($1) AND checksum <> ALL ($2)
                                 AND version IN (SELECT version FROM _migrations_breaking)), false)
         FROM _sqlx_migrations",
    )
    .bind(&written)
    .bind(&empty)
    .fetch_one(&mut *connection)
    .await;
    match answer {
        Ok((_, true)) => Ok(SchemaState::NewerBreaking),
        Ok((applied, false)) if usize::try_from(applied) == Ok(written.len()) => {
            Ok(SchemaState::Current)
        }
        Ok(_) => Ok(behind(connection).await),
        // The table is undefined if no migration was ever applied. A column is undefined, or access is denied (42501), in the record of
        // another application.
        Err(cause) if is_undefined(&cause) || is_denied(&cause) => Ok(behind(connection).await),
        Err(other) => Err(other.into()),
    }
}

fn is_denied(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|e| e.code().as_deref() == Some("42501"))
}

/// Returns whether the missing migrations can be applied.
async fn behind(connection: &mut PgConnection) -> SchemaState {
    match migrate::recognise(connection).await {
        Ok(()) | Err(migrate::Error::Database(_)) => SchemaState::Behind,
        Err(foreign) => SchemaState::Foreign(foreign.to_string()),
    }
}
