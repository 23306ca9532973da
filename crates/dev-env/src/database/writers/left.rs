//! Allows writes again: at the end of the command that stopped writers, or after it was killed.

use crate::Error;
use crate::report::events::Events;

use super::mark::MARK;

/// Allows writes in this session's database, unless a running command has stopped them. Terminates sessions that started in between, because
/// they stay read-only. The numbers are the numbers of [`super::mark::KEY`], and the texts are [`super::mark::MARK`] and [`super::mark::BARRIER`].
pub(super) const LET_IN: &str = r"\set ON_ERROR_STOP on
SET search_path = pg_catalog;
SET default_transaction_read_only = off;
SET client_min_messages = error;
SET lock_timeout = '10s';
SELECT EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) AS line WHERE setrole = 0
    AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND starts_with(line, 'application_name=cargo dev stopped writers: ')) AS marked \gset
\if :marked
SELECT pg_try_advisory_lock(33621319478506099) AS unheld \gset
\if :unheld
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database());
EXECUTE format('ALTER DATABASE %I RESET application_name', current_database()); END $$;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %1$I RENAME TO %1$I', current_database());
EXCEPTION WHEN lock_not_available OR query_canceled THEN RAISE; WHEN OTHERS THEN NULL; END $$;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'
    AND pid <> pg_backend_pid() AND backend_start < clock_timestamp() \g /dev/null
\endif
\endif
";

/// Allows writes again that a killed command stopped, in all databases of a server, and reports it. `run` runs SQL in a database.
///
/// # Errors
/// The database does not answer, or this role has no permission.
pub(crate) async fn let_in_left<E: Into<Error>>(
    database: &str,
    run: impl AsyncFn(&str, &str) -> Result<String, E>,
    events: &Events,
) -> Result<(), Error> {
    let marked = format!(
        "SELECT datname || ' ' || substr(line, {}) FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase,
         unnest(setconfig) AS line WHERE setrole = 0 AND starts_with(line, 'application_name={MARK}')",
        format!("application_name={MARK}").len() + 1
    );
    let of = async |sql: &str| run(database, sql).await.map_err(Into::into);
    for line in of(&marked).await?.lines() {
        let Some((name, by)) = line.split_once(' ') else {
            continue;
        };
        run(name, LET_IN).await.map_err(Into::into)?;
        if !of(&marked).await?.lines().any(|still| still == line) {
            events.note(format!("cargo dev {by} stopped the writers of {name} and was lost; writes are allowed again"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::mark::{BARRIER, KEY};
    use super::*;

    #[test]
    fn allowing_writes_uses_the_mark_lock_and_barrier_of_stopping_writers() {
        assert!(LET_IN.contains(&format!("pg_try_advisory_lock({KEY})")));
        assert!(LET_IN.contains(&format!("'application_name={MARK}'")));
        assert!(LET_IN.contains(BARRIER));
    }
}
