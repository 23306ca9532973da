//! Renames a database to the name of another one, which is kept.

use std::time::Duration;

use crate::Error;
use crate::database::lock_holders;
use crate::database::session::Session;
use local_postgres::psql::{identifier, literal};

/// The prefix of kept databases.
pub(super) const KEPT: &str = "before_restore_";
/// The number of attempts: the API reconnects at once, and a database with connections cannot be renamed.
const TRIES: u32 = 10;
const END_AGAIN: Duration = Duration::from_millis(100);

/// A table and its number of rows, in the old database and in the new database. `None` if that database lacks the table.
pub type Rows = (String, Option<u64>, Option<u64>);

/// Returns the kept databases, oldest first.
///
/// # Errors
/// The query fails.
pub(super) async fn kept(session: &Session) -> Result<Vec<String>, Error> {
    let names = format!(
        "SELECT datname FROM pg_database WHERE starts_with(datname, {}) ORDER BY 1",
        literal(KEPT)
    );
    Ok(session
        .sql_in("postgres", &names)
        .await?
        .lines()
        .map(str::to_owned)
        .collect())
}

/// Renames the session's database to `kept`, and `new` to its name, in one transaction. The comment on the database moves with its name.
///
/// # Errors
/// The server refuses; nothing has changed.
pub(super) async fn swap(session: &Session, new: &str, kept: &str) -> Result<(), Error> {
    let database = &session.url().database;
    let sql = format!(
        "BEGIN;
SELECT format('COMMENT ON DATABASE %I IS %L', {1}, shobj_description(oid, 'pg_database')) FROM pg_database WHERE datname = {0} \\gexec
ALTER DATABASE {2} RENAME TO {3};
ALTER DATABASE {4} RENAME TO {2};
COMMIT;
",
        literal(database),
        literal(new),
        identifier(database),
        identifier(kept),
        identifier(new),
    );
    let both = [database.as_str(), new];
    let mut tries = 1;
    loop {
        // A session that started before the lock is terminated while the renaming waits for it, up to 5 s.
        let renaming = async {
            tokio::select! {
                biased;
                renamed = session.sql_in("postgres", &sql) => renamed,
                never = end_sessions(session, &both) => never,
            }
        };
        match lock_holders::named(
            session,
            "postgres",
            "renaming the database",
            lock_holders::PATIENCE,
            renaming,
        )
        .await
        {
            Ok(_) => return Ok(()),
            Err(error)
                if tries >= TRIES || !error.to_string().contains("accessed by other users") =>
            {
                return Err(error);
            }
            Err(_) => tries += 1,
        }
    }
}

/// Terminates the sessions of these databases repeatedly.
async fn end_sessions<T>(session: &Session, databases: &[&str]) -> T {
    let names: Vec<String> = databases.iter().map(|name| literal(name)).collect();
    let sql = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ({})",
        names.join(", ")
    );
    loop {
        // If this fails, the renaming fails too, and reports the reason.
        let _failed = session.sql_in("postgres", &sql).await;
        tokio::time::sleep(END_AGAIN).await;
    }
}

/// Returns the tables of both databases with their numbers of rows.
///
/// # Errors
/// The query fails.
pub(super) async fn rows(session: &Session, before: &str, now: &str) -> Result<Vec<Rows>, Error> {
    let (before, now) = (counts(session, before).await?, counts(session, now).await?);
    let mut names: Vec<&String> = before.iter().chain(&now).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    let of = |counts: &[(String, u64)], name: &str| {
        counts
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, rows)| *rows)
    };
    Ok(names
        .into_iter()
        .map(|name| (name.clone(), of(&before, name), of(&now, name)))
        .collect())
}

async fn counts(session: &Session, database: &str) -> Result<Vec<(String, u64)>, Error> {
    const COUNT: &str = "SET search_path = pg_catalog;
SELECT format('SELECT count(*), %L FROM ONLY %I.%I',
    CASE nspname WHEN 'public' THEN '' ELSE nspname || '.' END || relname, nspname, relname)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'r' AND relname <> '_sqlx_migrations' AND nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_')
ORDER BY nspname, relname \\gexec
";
    let counted = session.sql_in(database, COUNT).await?;
    let line = |line: &str| {
        let (rows, name) = line.split_once('|')?;
        Some((name.to_owned(), rows.parse().ok()?))
    };
    Ok(counted.lines().filter_map(line).collect())
}
