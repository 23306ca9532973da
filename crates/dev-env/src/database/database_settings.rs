//! What belongs to a database and not to its contents, so that `pg_dump` leaves it out: privileges on it, its limit of connections, its comment,
//! and the settings of `ALTER DATABASE … SET` and `ALTER ROLE … SET`.

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

/// Statements that give the database `to` the privileges and the limit of connections of `from`. Roles that do not exist are skipped.
///
/// # Errors
/// They cannot be read.
pub(crate) async fn privileges(session: &Session, from: &str, to: &str) -> Result<String, Error> {
    // The owner grants all of them, also those that another role granted.
    let sql = format!(
        r#"SELECT format('ALTER DATABASE %I CONNECTION LIMIT %s;', {1}, datconnlimit) FROM pg_database WHERE datname = {0}
UNION ALL
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC;', {1}) FROM pg_database WHERE datname = {0} AND datacl IS NOT NULL
UNION ALL
SELECT format('SELECT %1$L WHERE %2$L::text IS NULL OR EXISTS (SELECT FROM pg_roles WHERE rolname = %2$L) \gexec',
    format('GRANT %s ON DATABASE %I TO %s%s', privilege_type, {1}, grantee, CASE WHEN bool_or(is_grantable) THEN ' WITH GRANT OPTION' ELSE '' END), role)
FROM (
    SELECT privilege_type, is_grantable, coalesce(quote_ident(rolname), 'PUBLIC') AS grantee, rolname AS role
    FROM pg_database CROSS JOIN aclexplode(datacl) AS acl LEFT JOIN pg_roles ON pg_roles.oid = acl.grantee
    WHERE datname = {0} AND acl.grantee <> datdba AND (acl.grantee = 0 OR rolname IS NOT NULL)
) AS granted
GROUP BY privilege_type, grantee, role;
"#,
        literal(from),
        literal(to),
    );
    Ok(session.sql_in("postgres", &sql).await? + "\n")
}

/// The statement that gives the database `to` the comment of `from`.
///
/// # Errors
/// It cannot be read.
pub(crate) async fn comment(session: &Session, from: &str, to: &str) -> Result<String, Error> {
    let sql = format!(
        "SELECT format('COMMENT ON DATABASE %I IS %L;', {1}, shobj_description(oid, 'pg_database')) FROM pg_database WHERE datname = {0}",
        literal(from),
        literal(to)
    );
    Ok(session.sql_in("postgres", &sql).await? + "\n")
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
