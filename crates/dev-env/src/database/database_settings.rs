//! What `ALTER DATABASE … SET` and `ALTER ROLE … SET` have said. `pg_dump` leaves it out, as it is no part of what a database holds.

use crate::Error;
use crate::database::session::Session;
use crate::database::writers::mark::MARK;
use local_postgres::psql::literal;

/// Statements that give the database `to` the settings of `from`, for everybody and for single roles.
///
/// # Errors
/// They cannot be read.
pub(crate) async fn of_database(session: &Session, from: &str, to: &str) -> Result<String, Error> {
    let place = format!("' IN DATABASE ' || quote_ident({})", literal(to));
    statements(
        session,
        &place,
        &format!(
            "(SELECT oid FROM pg_database WHERE datname = {})",
            literal(from)
        ),
    )
    .await
}

/// Statements that give roles the settings that they have in all databases.
///
/// # Errors
/// They cannot be read.
pub(crate) async fn of_roles(session: &Session) -> Result<String, Error> {
    statements(session, "''", "0").await
}

/// Statements for psql, in any database. The setting that stops writers during a command is not the user's, and is skipped.
/// A role that was not moved is skipped.
///
/// Quoted as `pg_dumpall` does it: a value is one text, and where it is a list of names, of which the server keeps the quotes, one
/// text for each name (`variable_is_guc_list_quote` and `SplitGUCList` in PostgreSQL's src/bin/pg_dump/dumputils.c).
async fn statements(session: &Session, place: &str, database: &str) -> Result<String, Error> {
    let sql = format!(
        r#"SELECT format('SELECT %L%s \gexec',
    format('ALTER ROLE %s%s SET %I TO %s', coalesce(quote_ident(rolname), 'ALL'), {place}, name, CASE
        WHEN lower(name) IN ('local_preload_libraries', 'search_path', 'session_preload_libraries', 'temp_tablespaces') THEN (
            SELECT coalesce(string_agg(quote_literal(coalesce(replace(found[1], '""', '"'), found[2])), ', ' ORDER BY nth), '''''')
            FROM regexp_matches(value, '"((?:[^"]|"")*)"|([^",\s]+)', 'g') WITH ORDINALITY AS names (found, nth))
        ELSE quote_literal(value) END),
    ' WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = ' || quote_literal(rolname) || ')')
FROM pg_db_role_setting
CROSS JOIN unnest(setconfig) WITH ORDINALITY AS configured (line, number)
CROSS JOIN LATERAL (SELECT split_part(line, '=', 1), substr(line, strpos(line, '=') + 1)) AS setting (name, value)
LEFT JOIN pg_roles ON pg_roles.oid = setrole
WHERE setdatabase = {database}
AND NOT (setrole = 0 AND name IN ('application_name', 'default_transaction_read_only')
    AND EXISTS (SELECT FROM unnest(setconfig) AS mark WHERE starts_with(mark, 'application_name={MARK}')))
ORDER BY setrole, number;
"#
    );
    Ok(session.sql_in("postgres", &sql).await? + "\n")
}
