//! How a database shows that its writers are stopped, and by which session.

/// The prefix of the mark, which is stored in `application_name`: the one setting without an effect that the owner of a database may set
/// without superuser privileges. Every program of the project sets its own name when it connects.
pub(crate) const MARK: &str = "cargo dev stopped writers: ";
/// "writers" in ASCII.
pub(crate) const KEY: i64 = 0x77_7269_7465_7273;
/// A starting session holds a lock on the database that renaming needs exclusively (`InitPostgres`, `RenameDatabase`). After this statement
/// acquired it, each session has either read the new setting or is in `pg_stat_activity`. The name is in use, so nothing is renamed.
pub(crate) const BARRIER: &str =
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %1$I RENAME TO %1$I', current_database());
EXCEPTION WHEN lock_not_available OR query_canceled THEN RAISE; WHEN OTHERS THEN NULL; END $$;\n";

/// The description of a session for the user.
pub(crate) const FACTS: &str = "format('pid %s (%s, role %s, %s): %s', session.pid, coalesce(nullif(session.application_name, ''), 'no name'),
    session.usename, coalesce(session.state, 'unknown'), coalesce(nullif(regexp_replace(left(session.query, 100), '\\s+', ' ', 'g'), ''), 'no query'))";
