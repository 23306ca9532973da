//! Checks that a restored database belongs to this application: its tables, migrations and schema.

use super::error::RestoreError;
use super::room::Room;
use crate::Error;
use crate::database::session::{Migrator, Session};
use crate::report::events::Events;
use crate::report::migrations::Applied;
use crate::service::migrations;
use local_postgres::psql::{identifier, literal};
use process::describe;

/// The tables that every database of this application has, also a database of the Python backend.
pub(super) const TABLES: [&str; 4] = [
    "users",
    "emotion_entries",
    "visualizations",
    "intake_sessions",
];

/// Describes the schema, with a line for each column, constraint, index and trigger: its table, name and definition. PostgreSQL may print
/// an expression differently after a dump and restore, and a user may have renamed an object: name or definition must match.
const SHAPE: &str = r"SET search_path = pg_catalog;
WITH ours AS (
    SELECT pg_class.oid, relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> '_sqlx_migrations'
)
SELECT '', 'column ' || relname || '.' || attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
FROM ours JOIN pg_attribute ON attrelid = ours.oid WHERE attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'constraint ' || conname || ' of ' || relname, 'constraint of ' || relname || ': ' || replace(pg_get_constraintdef(pg_constraint.oid), ' NOT VALID', '')
FROM ours JOIN pg_constraint ON conrelid = ours.oid WHERE contype IN ('p', 'u', 'f', 'c')
UNION ALL
SELECT 'index ' || indexrelid::regclass || ' of ' || relname, 'index of ' || relname || ': ' || regexp_replace(pg_get_indexdef(indexrelid), 'INDEX .*? ON', 'INDEX ON')
FROM ours JOIN pg_index ON indrelid = ours.oid WHERE indisvalid
UNION ALL
SELECT 'trigger ' || tgname || ' of ' || relname, 'trigger of ' || relname || ': ' || pg_get_triggerdef(pg_trigger.oid)
FROM ours JOIN pg_trigger ON tgrelid = ours.oid WHERE NOT tgisinternal
ORDER BY 2;
";

/// Refuses a database that lacks tables of this application.
///
/// # Errors
/// A table is missing.
pub(super) async fn check_tables(
    session: &Session,
    database: &str,
    copy: &str,
) -> Result<(), Error> {
    // Operators and functions that came with a copy must not be taken for PostgreSQL's own.
    let names = "SET search_path = pg_catalog;
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1";
    let found: Vec<String> = session
        .sql_in(database, names)
        .await?
        .lines()
        .map(str::to_owned)
        .collect();
    refuse_missing(&found, copy)
}

/// Refuses a copy that lacks tables of this application.
pub(super) fn refuse_missing(found: &[String], copy: &str) -> Result<(), Error> {
    let missing: Vec<String> = TABLES
        .iter()
        .filter(|table| !found.iter().any(|name| name == *table))
        .map(|table| (*table).to_owned())
        .collect();
    let copy = copy.to_owned();
    match missing.len() {
        0 => Ok(()),
        n if n == TABLES.len() => Err(RestoreError::Foreign {
            copy,
            missing,
            found: found.to_owned(),
        }
        .into()),
        _ => Err(RestoreError::Incomplete { copy, missing }.into()),
    }
}

/// Applies missing migrations. Returns whether the code has all applied migrations, unedited.
///
/// # Errors
/// A migration fails.
pub(super) async fn apply(
    migrator: &Migrator<'_>,
    database: &str,
    copy: &str,
    events: &Events,
) -> Result<bool, Error> {
    events.phase("applying migrations");
    let before = applied(migrator, database).await?;
    let is_known = report(&before, copy, events);
    if before.count("edited") > 0 {
        return Ok(false);
    }
    let output = migrator.run(database, &["up", "--auto"]).await?;
    if !output.status.success() {
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            output.stderr
        );
        let reason = if said.trim().is_empty() {
            describe(output.status)
        } else {
            said.trim().to_owned()
        };
        return Err(RestoreError::Migrations {
            copy: copy.to_owned(),
            reason,
        }
        .into());
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .for_each(|line| events.note(line));
    Ok(is_known)
}

/// Applies missing migrations to a restored database, and compares its schema with the schema of the migrations.
///
/// # Errors
/// A migration fails, or the schema differs.
pub(super) async fn migrate(
    migrator: &Migrator<'_>,
    session: &Session,
    room: &Room,
    copy: &str,
    events: &Events,
) -> Result<(), Error> {
    let is_known = apply(migrator, &room.name, copy, events).await?;
    let now = applied(migrator, &room.name).await?;
    let known = now
        .migrations
        .iter()
        .filter(|migration| migration.is_applied() && migration.state != "missing");
    let Some(revision) = known.map(|migration| migration.version).max() else {
        return Ok(());
    };
    events.phase("comparing the schema with the schema of the migrations");
    let missing = compare(migrator, session, room, revision).await?;
    if missing.is_empty() {
        return Ok(());
    }
    if is_known {
        return Err(RestoreError::Schema {
            copy: copy.to_owned(),
            missing,
        }
        .into());
    }
    events.warn(format!(
        "the schema in {copy} differs from the schema of this code's migrations. It lacks\n{}",
        missing.join("\n")
    ));
    Ok(())
}

/// Whether migrations of the code are missing in a database, which [`apply`] would apply.
///
/// # Errors
/// The database does not answer.
pub(super) async fn lacks_migrations(
    migrator: &Migrator<'_>,
    database: &str,
) -> Result<bool, Error> {
    let applied = applied(migrator, database).await?;
    Ok(applied.pending() > 0 && !applied.paused && applied.count("edited") == 0)
}

async fn applied(migrator: &Migrator<'_>, database: &str) -> Result<Applied, Error> {
    migrations::read(&migrator.run(database, &["status", "--json"]).await?)
}

/// Reports migrations of the copy that differ from the code. Returns whether the code has all of them.
fn report(applied: &Applied, copy: &str, events: &Events) -> bool {
    let of = |state: &str| {
        let versions = applied
            .migrations
            .iter()
            .filter(|migration| migration.state == state)
            .map(|migration| migration.version.to_string());
        versions.collect::<Vec<_>>().join(", ")
    };
    let (missing, edited, pending) = (of("missing"), of("edited"), of("pending"));
    if !missing.is_empty() {
        events.warn(format!("migrations that are applied in {copy} and are not in this code: {missing}\nhint: check out the code that has them: git switch <BRANCH>"));
    }
    if !edited.is_empty() {
        let left = if pending.is_empty() {
            String::new()
        } else {
            format!("; migrations that were therefore not applied: {pending}")
        };
        events.warn(format!("migrations that were edited after {copy} was written: {edited}{left}\nhint: cargo dev migrate verify"));
    }
    missing.is_empty() && edited.is_empty()
}

/// Returns the objects of the migrations up to a version that a database lacks.
async fn compare(
    migrator: &Migrator<'_>,
    session: &Session,
    room: &Room,
    revision: i64,
) -> Result<Vec<String>, Error> {
    let expected = &room.expected;
    let make = format!(
        "CREATE DATABASE {} OWNER {} TEMPLATE template0;\nCOMMENT ON DATABASE {0} IS {}",
        identifier(expected),
        identifier(&room.name),
        literal(super::room::MARK)
    );
    session.sql_in("postgres", &make).await?;
    crate::service::command::success(
        migrator
            .run(expected, &["to", &revision.to_string()])
            .await?,
    )?;
    let (expected, found) = (
        session.sql_in(expected, SHAPE).await?,
        session.sql_in(&room.name, SHAPE).await?,
    );
    Ok(missing(&expected, &found))
}

/// Returns the objects in one schema that the other lacks, by name or definition.
fn missing(expected: &str, found: &str) -> Vec<String> {
    let parts = |shape: &'_ str| -> Vec<(String, String)> {
        shape
            .lines()
            .filter_map(|line| line.split_once('|'))
            .map(|(name, what)| (name.to_owned(), what.to_owned()))
            .collect()
    };
    let found = parts(found);
    let is_there = |(name, what): &(String, String)| {
        found
            .iter()
            .any(|other| other.1 == *what || !name.is_empty() && other.0 == *name)
    };
    parts(expected)
        .into_iter()
        .filter(|part| !is_there(part))
        .map(|(_, what)| what)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_schema_objects_are_matched_by_name_or_definition() {
        let expected = "|column users.id uuid NOT NULL\nindex a of users|index of users: (id)\nconstraint c of users|constraint of users: CHECK (a || b)";
        let renamed = "|column users.id uuid NOT NULL\nindex b of users|index of users: (id)\nconstraint c of users|constraint of users: CHECK ((a || b))";
        assert_eq!(missing(expected, renamed), Vec::<String>::new());
        let less = "|column users.id uuid\nconstraint d of users|constraint of users: CHECK (c)";
        assert_eq!(missing(expected, less).len(), 3);
        let error = refuse_missing(&["films".to_owned()], "a.sql")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no tables of this application") && error.contains("films"),
            "{error}"
        );
        let error = refuse_missing(&["users".to_owned()], "a.sql")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("lacks tables of this application: emotion_entries"),
            "{error}"
        );
    }

    #[test]
    fn a_copy_whose_rows_do_not_fit_is_loaded_without_migrations_and_mended_there() {
        let told = |reason: &str| {
            RestoreError::Migrations {
                copy: "a.sql".to_owned(),
                reason: reason.to_owned(),
            }
            .to_string()
        };
        let odd = told(
            "error: the Python backend's database cannot be adopted: users.email is odd\nhint: run this in the database, then migrate up: UPDATE",
        );
        let steps = [
            "UPDATE",
            "up --no-migrate",
            "db shell < backup.sql",
            "the statement above",
            "cargo dev migrate up",
        ];
        let places: Vec<_> = steps.iter().map(|step| odd.find(step)).collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted() && !odd.contains("git switch"),
            "{odd}"
        );
        assert!(told("migration 1 failed").contains("git switch"));
    }
}
