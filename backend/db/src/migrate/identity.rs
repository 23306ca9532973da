//! Which application a database belongs to. The check runs before the first change.

use std::fmt::Write;

use sqlx::PgConnection;

use super::records::APPLIED;
use super::{Error, crlf_checksum, is_empty, ups};

/// The one Alembic revision whose tables the first migration describes.
const REVISION: &str = "00d62578dab9";

/// The names of the tables and indexes that the migrations create.
const OWN_TABLES: [&str; 6] = [
    "users",
    "intake_sessions",
    "emotion_entries",
    "visualizations",
    "revoked_tokens",
    "rate_limits",
];

/// The tables in which migration tools record applied migrations.
const RECORDS: [&str; 20] = [
    "__diesel_schema_migrations",
    "__drizzle_migrations",
    "__EFMigrationsHistory",
    "_prisma_migrations",
    "aerich",
    "alembic_version",
    "ar_internal_metadata",
    "atlas_schema_revisions",
    "databasechangelog",
    "django_migrations",
    "doctrine_migration_versions",
    "flyway_schema_history",
    "goose_db_version",
    "knex_migrations",
    "migrations", // Laravel, TypeORM
    "pgmigrations",
    "refinery_schema_history",
    "schema_migrations",
    "seaql_migrations",
    "SequelizeMeta",
];

/// Lists the user's objects, without objects of PostgreSQL, of extensions, of tables and of the record of migrations. Functions and types
/// in other schemas do not count: monitoring tools install helpers in schemas of their own, sometimes in template1.
const OBJECTS: &str = "
    SELECT kind, schema, name FROM (
        SELECT 'pg_class'::regclass AS class, c.oid, c.relnamespace AS namespace, c.relname::text AS name,
               CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table'
                              ELSE 'table' END AS kind
        FROM pg_class c
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
        UNION ALL
        SELECT 'pg_proc'::regclass, p.oid, p.pronamespace, p.proname::text, 'function' FROM pg_proc p
        UNION ALL
        SELECT 'pg_type'::regclass, t.oid, t.typnamespace, t.typname::text, 'type' FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
        WHERE t.typtype IN ('d', 'e', 'r') OR c.relkind = 'c'
    ) AS made (class, oid, namespace, name, kind)
    JOIN LATERAL (SELECT nspname::text AS schema FROM pg_namespace n WHERE n.oid = namespace) AS n ON true
    WHERE schema NOT LIKE 'pg\\_%' AND schema <> 'information_schema'
      AND (schema = current_schema() OR kind NOT IN ('function', 'type'))
      AND NOT (schema = current_schema() AND name IN ('_sqlx_migrations', '_migrations_paused', '_migrations_breaking'))
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = class AND d.objid = made.oid AND d.refobjid <> made.oid
                      AND d.deptype IN ('a', 'e', 'i'))
    ORDER BY array_position(ARRAY['table'], kind), schema <> current_schema(), name";

/// A database that may be migrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// The database has applied migrations of this application.
    Ours,
    /// The database has no migrations, and its other objects may stay.
    New,
    /// The Python backend created it, and it is not migrated yet.
    Python,
}

/// An object of the user.
#[derive(sqlx::FromRow)]
struct Object {
    kind: String,
    schema: String,
    name: String,
}

/// Determines which application the database belongs to. Changes nothing.
///
/// # Errors
/// The database belongs to another application, or to the Python backend and cannot be adopted.
pub(super) async fn recognise(conn: &mut PgConnection) -> Result<Identity, Error> {
    let applied = record(conn, APPLIED, "version", "description")
        .await?
        .unwrap_or_default();
    if !applied.is_empty() {
        let is_ours = has_record_of_ours(conn).await? || {
            let first = ups()
                .next()
                .map(|m| (Some(m.version.to_string()), Some(m.description.to_string())));
            // Where the file was edited since.
            first.is_some_and(|first| applied.contains(&first))
                && lacking(
                    conn,
                    &[
                        ("users", &["id", "email", "hashed_password"]),
                        ("emotion_entries", &["user_id", "emotions"]),
                    ],
                )
                .await?
                .is_none()
        };
        return if is_ours {
            Ok(Identity::Ours)
        } else {
            Err(foreign(conn, &applied).await?)
        };
    }
    let revisions = record(conn, "alembic_version", "version_num", "version_num").await?;
    match revisions.as_deref() {
        None => new(conn).await,
        Some([(Some(revision), _)]) if revision == REVISION => python(conn).await,
        Some(revisions) => {
            if lacking(conn, &[("emotion_entries", &[]), ("intake_sessions", &[])])
                .await?
                .is_some()
            {
                return Err(foreign(conn, &[]).await?);
            }
            let names: Vec<&str> = revisions
                .iter()
                .filter_map(|(revision, _)| revision.as_deref())
                .collect();
            Err(Error::OtherRevision(if names.is_empty() {
                "(none)".to_owned()
            } else {
                names.join(", ")
            }))
        }
    }
}

/// Returns two columns of a migration tool's record, or `None` without that table. The table of another tool may have other columns.
async fn record(
    conn: &mut PgConnection,
    table: &'static str,
    first: &str,
    second: &str,
) -> Result<Option<Vec<(Option<String>, Option<String>)>>, Error> {
    if !sqlx::query_scalar::<_, bool>("SELECT to_regclass($1) IS NOT NULL")
        .bind(table)
        .fetch_one(&mut *conn)
        .await?
    {
        return Ok(None);
    }
    let sql = format!("SELECT to_jsonb(t) ->> $1, to_jsonb(t) ->> $2 FROM {table} t ORDER BY 1");
    Ok(Some(
        sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(first)
            .bind(second)
            .fetch_all(conn)
            .await?,
    ))
}

/// Returns whether a migration of this application is recorded with its checksum.
async fn has_record_of_ours(conn: &mut PgConnection) -> Result<bool, Error> {
    let (versions, checksums): (Vec<String>, Vec<Vec<u8>>) = ups()
        .filter(|m| !is_empty(m))
        .flat_map(|m| {
            [m.checksum.to_vec(), crlf_checksum(m)]
                .map(|checksum| (m.version.to_string(), checksum))
        })
        .unzip();
    let sql = format!(
        "SELECT EXISTS (SELECT FROM {APPLIED} t JOIN unnest($1::text[], $2::bytea[]) AS ours (version, checksum)
                        ON to_jsonb(t) ->> 'version' = ours.version AND to_jsonb(t) -> 'checksum' = to_jsonb(ours.checksum))"
    );
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(versions)
        .bind(checksums)
        .fetch_one(conn)
        .await?)
}

/// Returns the first of these tables or columns that is missing.
async fn lacking(
    conn: &mut PgConnection,
    tables: &[(&str, &[&str])],
) -> Result<Option<String>, Error> {
    for (table, columns) in tables {
        let there: Option<Vec<String>> = sqlx::query_scalar(
            "SELECT array_agg(attname::text) FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid
             WHERE relname = $1 AND relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped",
        )
        .bind(table)
        .fetch_one(&mut *conn)
        .await?;
        let Some(there) = there else {
            return Ok(Some(format!("the table \"{table}\"")));
        };
        if let Some(column) = columns
            .iter()
            .find(|column| !there.iter().any(|name| name == *column))
        {
            return Ok(Some(format!("the column \"{column}\" of \"{table}\"")));
        }
    }
    Ok(None)
}

/// Checks a database without migrations. It may have objects of the user if it was prepared for this service (init scripts run before the
/// first migration) or if all migrations were reverted. It must not have a table of this application or another tool's record.
async fn new(conn: &mut PgConnection) -> Result<Identity, Error> {
    let (prepared, reverted): (bool, bool) = sqlx::query_as(
        "SELECT EXISTS (SELECT FROM pg_database d, aclexplode(d.datacl) a JOIN pg_roles r ON r.oid = a.grantee
                        WHERE datname = current_database() AND rolname = 'emotionviz_api' AND privilege_type = 'CONNECT'),
                to_regclass('_migrations_paused') IS NOT NULL AND to_regclass('_migrations_breaking') IS NOT NULL",
    )
    .fetch_one(&mut *conn)
    .await?;
    // A revert of all migrations pauses automatic migration.
    let reverted = reverted
        && sqlx::query_scalar("SELECT EXISTS (SELECT FROM _migrations_paused)")
            .fetch_one(&mut *conn)
            .await?;
    let objects: Vec<Object> = sqlx::query_as(OBJECTS).fetch_all(&mut *conn).await?;
    let schema: Option<String> = sqlx::query_scalar("SELECT current_schema()::text")
        .fetch_one(&mut *conn)
        .await?;
    let in_the_way = |o: &Object| {
        !reverted && RECORDS.contains(&o.name.as_str())
            || schema.as_ref() == Some(&o.schema)
                && OWN_TABLES.contains(&o.name.as_str())
                && o.kind != "function"
    };
    let may_stay = !objects.iter().any(in_the_way);
    if objects.is_empty() || (prepared || reverted) && may_stay {
        return Ok(Identity::New);
    }
    let mut error = foreign(conn, &[]).await?;
    if let (
        Error::Foreign {
            database, way_out, ..
        },
        true,
    ) = (&mut error, may_stay)
    {
        let database = database.replace('"', "\"\"");
        *way_out = format!(
            "; where what it holds may stay: GRANT CONNECT ON DATABASE \"{database}\" TO emotionviz_api, then migrate up"
        );
    }
    Err(error)
}

/// Checks a database of the Python backend: all of its tables exist, and no name that the migrations need is in use.
async fn python(conn: &mut PgConnection) -> Result<Identity, Error> {
    let tables: [(&str, &[&str]); 4] = [
        (
            "users",
            &[
                "id",
                "email",
                "hashed_password",
                "name",
                "is_active",
                "is_verified",
                "created_at",
                "updated_at",
                "last_login_at",
            ],
        ),
        (
            "intake_sessions",
            &[
                "id",
                "user_id",
                "initial_situation",
                "conversation_history",
                "current_step",
                "is_complete",
                "ai_context",
                "final_summary",
                "created_at",
                "updated_at",
                "completed_at",
            ],
        ),
        (
            "emotion_entries",
            &[
                "id",
                "user_id",
                "situation",
                "emotions",
                "intensity",
                "notes",
                "source",
                "intake_session_id",
                "created_at",
                "updated_at",
            ],
        ),
        (
            "visualizations",
            &[
                "id",
                "entry_id",
                "user_id",
                "status",
                "style",
                "image_url",
                "thumbnail_url",
                "summary",
                "insights",
                "visual_elements",
                "error_message",
                "gemini_analysis",
                "nanobanana_response",
                "processing_started_at",
                "processing_completed_at",
                "created_at",
                "updated_at",
            ],
        ),
    ];
    if let Some(lacking) = lacking(conn, &tables).await? {
        return Err(Error::Incomplete(lacking));
    }
    let taken: Option<(String, String)> = sqlx::query_as(TAKEN).fetch_optional(conn).await?;
    taken.map_or(Ok(Identity::Python), |(object, statement)| {
        Err(Error::Taken { object, statement })
    })
}

/// Returns an object with a name that the migrations need, and the statement that renames it.
const TAKEN: &str = "
    SELECT format('the relation %I', relname),
           format('ALTER %s %I RENAME TO %I;', CASE WHEN relkind IN ('i', 'I') THEN 'INDEX' WHEN relkind = 'v' THEN 'VIEW'
                  WHEN relkind = 'm' THEN 'MATERIALIZED VIEW' WHEN relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, relname, 'my_' || relname)
    FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace
      AND relname IN ('revoked_tokens', 'revoked_tokens_by_expiry', 'rate_limits', 'rate_limits_by_window', 'emotion_entries_by_user',
                      'emotion_entries_by_creation', 'emotion_entries_by_intensity', 'emotion_entries_by_change', 'emotion_entries_emotions',
                      'emotion_entries_intake_session', 'visualizations_by_status', 'intake_sessions_unfinished', 'intake_sessions_user',
                      'users_email_key_unique', 'revoked_tokens_pkey', 'rate_limits_pkey')
    UNION ALL
    SELECT format('the column %I of %s', attname, attrelid::regclass),
           format('ALTER TABLE %s RENAME COLUMN %I TO %I;', attrelid::regclass, attname, 'my_' || attname)
    FROM pg_attribute
    WHERE NOT attisdropped
      AND (attrelid::regclass, attname) IN (('users'::regclass, 'email_key'), ('users'::regclass, 'token_generation'),
                                            ('emotion_entries'::regclass, 'adopted_as_is'), ('visualizations'::regclass, 'adopted_as_is'))
    UNION ALL
    SELECT format('the constraint %I of %s', conname, conrelid::regclass),
           format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I;', conrelid::regclass, conname, 'my_' || conname)
    FROM pg_constraint
    WHERE (conrelid::regclass, conname) IN (('emotion_entries'::regclass, 'emotion_entries_rules'), ('visualizations'::regclass, 'visualizations_rules'))
    LIMIT 1";

/// Describes the content of a database of another application.
async fn foreign(
    conn: &mut PgConnection,
    applied: &[(Option<String>, Option<String>)],
) -> Result<Error, Error> {
    const SHOWN: usize = 5;
    let objects: Vec<Object> = sqlx::query_as(OBJECTS).fetch_all(&mut *conn).await?;
    let database: String = sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(conn)
        .await?;
    let mut found: Vec<String> = Vec::new();
    if let (Some((first, _)), Some((last, _))) = (applied.first(), applied.last()) {
        let [first, last] =
            [first, last].map(|version| version.as_deref().unwrap_or("without a version"));
        found.push(match applied.len() {
            1 => format!("another migration in {APPLIED} ({first})"),
            count => format!("{count} other migrations in {APPLIED} ({first} to {last})"),
        });
    }
    found.extend(
        objects
            .iter()
            .take(SHOWN)
            .map(|o| format!("the {} {}.{}", o.kind, o.schema, o.name)),
    );
    let mut found = found.join(", ");
    if objects.len() > SHOWN {
        let _ = write!(found, " and {} more objects", objects.len() - SHOWN);
    }
    Ok(Error::Foreign {
        database,
        found,
        way_out: String::new(),
    })
}
