//! Reports the session that holds a lock which a command waits for, and limits the wait.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Error;
use crate::database::session::{Session, application_name};
use crate::database::writers::mark::FACTS;
use local_postgres::psql::literal;

/// How long a copy waits for a lock.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long a migration waits. Other sessions queue behind it, and the service's own limit is slightly longer.
pub(crate) const MIGRATION_PATIENCE: Duration = Duration::from_secs(10);
/// The description of a migration in messages.
pub(crate) const MIGRATING: &str = "migrating";
/// The name of the session of the service's `migrate`.
const MIGRATION: &str = "emotionviz migrate";
/// Shorter waits are usual.
const NAMED_AFTER: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_secs(1);

/// Other sessions hold a lock that the command needs.
#[derive(Debug, thiserror::Error)]
#[error(
    "{doing} was stopped after {} s: it waited for a lock in {database} that another session holds; {outcome}\n  {holders}\n\
     hint: wait until that session ends, or terminate it: cargo dev db shell -c 'SELECT pg_terminate_backend({pid})'", waited.as_secs()
)]
pub struct LockHeld {
    /// The description of the work.
    doing: String,
    /// Where.
    database: String,
    /// The outcome.
    outcome: &'static str,
    /// How long it waited.
    waited: Duration,
    /// The sessions that hold the lock, one per line.
    holders: String,
    /// The pid of the first session.
    pid: String,
}

crate::project::error::other_errors!(LockHeld);

/// Runs `work` in a database. While one of this command's sessions waits for a lock, it reports the holder.
///
/// # Errors
/// Those of the work, and [`LockHeld`] when it waits for longer than `patience`.
pub(crate) async fn named<T>(
    session: &Session,
    database: &str,
    doing: &str,
    patience: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let held = tokio::select! {
        biased;
        done = work => return done,
        held = watch(session, database, doing, patience) => held,
    };
    // The work is dropped, but its server session would keep waiting, and block others.
    let _ended = session
        .sql_in(
            database,
            &format!(
                "SET search_path = pg_catalog;\nSELECT pg_terminate_backend(waiting.pid) FROM {}",
                waiting(database)
            ),
        )
        .await;
    Err(held.into())
}

async fn watch(session: &Session, database: &str, doing: &str, patience: Duration) -> LockHeld {
    let events = session.events();
    let holders = format!(
        "SET search_path = pg_catalog;
         SELECT DISTINCT CASE WHEN session.pid IS NULL THEN 'a prepared transaction (pg_prepared_xacts)' ELSE {FACTS} END
         FROM {}, unnest(pg_blocking_pids(waiting.pid)) AS blocking (pid) LEFT JOIN pg_stat_activity AS session ON session.pid = blocking.pid",
        waiting(database)
    );
    let (mut since, mut named): (Option<Instant>, _) = (None, String::new());
    loop {
        sleep(POLL).await;
        // The work itself reports a server that does not answer.
        let found = session.sql_in(database, &holders).await.unwrap_or_default();
        if found.is_empty() {
            if since.take().is_some() {
                events.phase(doing);
            }
            continue;
        }
        let waited = since.get_or_insert_with(Instant::now).elapsed();
        if waited >= patience {
            let pid: String = found
                .chars()
                .skip_while(|c| !c.is_ascii_digit())
                .take_while(char::is_ascii_digit)
                .collect();
            let (doing, database, holders) = (
                doing.to_owned(),
                database.to_owned(),
                found.replace('\n', "\n  "),
            );
            let outcome = if doing == MIGRATING {
                "the remaining migrations were not applied"
            } else {
                "nothing was changed"
            };
            return LockHeld {
                doing,
                database,
                outcome,
                waited,
                holders,
                pid,
            };
        }
        if waited >= NAMED_AFTER {
            events.phase(format!(
                "{doing}: waiting for a lock of {}",
                found.replace('\n', "; ")
            ));
            if named != found {
                events.note(format!(
                    "{doing} waits for a lock that another session holds, for up to {} s\n{found}",
                    patience.as_secs()
                ));
                named = found;
            }
        }
    }
}

/// Selects sessions of this command that wait for a lock.
fn waiting(database: &str) -> String {
    let own = literal(&application_name());
    format!(
        "(SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = {} AND application_name IN ({own}, '{MIGRATION}')) AS waiting",
        literal(database)
    )
}
