//! Whether this binary can serve on the database's schema.

use sqlx::PgConnection;

use crate::migrate::MIGRATIONS;

/// The database's schema, seen by this binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// Every migration that this binary knows is applied; newer ones that break nothing may be, too.
    Current,
    /// A migration that this binary knows is not applied.
    Behind,
    /// A newer binary applied a migration that is marked as breaking.
    NewerBreaking,
}

/// Compares the schema with this binary, in one query.
///
/// # Errors
/// The database is away.
pub async fn check(connection: &mut PgConnection) -> crate::Result<SchemaState> {
    let known: Vec<i64> = MIGRATIONS.iter().filter(|m| m.migration_type.is_up_migration()).map(|m| m.version).collect();
    let answer: Result<(i64, bool), _> = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE version = ANY ($1)),
                coalesce(bool_or(version <> ALL ($1) AND version IN (SELECT version FROM _migrations_breaking)), false)
         FROM _sqlx_migrations",
    )
    .bind(&known)
    .fetch_one(connection)
    .await;
    match answer {
        Ok((_, true)) => Ok(SchemaState::NewerBreaking),
        Ok((applied, false)) if usize::try_from(applied) == Ok(known.len()) => Ok(SchemaState::Current),
        Ok(_) => Ok(SchemaState::Behind),
        // undefined_table: nothing was ever applied.
        Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("42P01") => Ok(SchemaState::Behind),
        Err(other) => Err(other.into()),
    }
}
