//! `migrate down` pauses automatic migration, which would undo it at once, until a migration file changes or `migrate up` is typed.

use std::fmt::Write;

use sqlx::PgConnection;

use super::embedded::{MIGRATIONS, is_written};

/// The written migrations of this binary, both ways, in short.
fn code() -> String {
    MIGRATIONS
        .iter()
        .filter(|migration| is_written(migration.version))
        .fold(String::new(), |mut code, migration| {
            let start = migration.checksum.iter().take(6);
            write!(code, "{}", migration.version).expect("a String takes all");
            start.for_each(|byte| write!(code, "{byte:02x}").expect("a String takes all"));
            code
        })
}

pub(super) async fn begin(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    end(conn).await?;
    sqlx::query("INSERT INTO _migrations_paused VALUES ($1)")
        .bind(code())
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn end(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM _migrations_paused")
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn is_on(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    if !sqlx::query_scalar("SELECT to_regclass('_migrations_paused') IS NOT NULL")
        .fetch_one(&mut *conn)
        .await?
    {
        return Ok(false);
    }
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM _migrations_paused WHERE code = $1)")
        .bind(code())
        .fetch_one(conn)
        .await
}
