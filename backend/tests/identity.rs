//! Every command refuses a database of another application, and leaves it unchanged.

use crate::adoption::load;
use crate::migrations::{migrate, migrated, refused};
use crate::support::{Server, TestDatabase, entry, until};

const SQLX: &str = "
    CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL, installed_on timestamptz NOT NULL DEFAULT now(),
        success boolean NOT NULL, checksum bytea NOT NULL, execution_time bigint NOT NULL);
    INSERT INTO _sqlx_migrations VALUES (20240101000000, 'init', now(), true, 'x', 1), (20240301000000, 'orders', now(), true, 'x', 1);";

/// Databases of other applications, with the expected message.
fn foreign() -> Vec<(&'static str, String, &'static str)> {
    vec![
        (
            "of another sqlx project whose tables have the names of ours",
            format!(
                "{SQLX} CREATE TABLE users (id uuid PRIMARY KEY, email varchar(255) CONSTRAINT theirs UNIQUE);
                 CREATE TABLE emotion_entries (id uuid PRIMARY KEY, user_id uuid CONSTRAINT their_key REFERENCES users)"
            ),
            "2 other migrations in _sqlx_migrations (20240101000000 to 20240301000000), the table public.emotion_entries",
        ),
        ("of another sqlx project without a table of our names", format!("{SQLX} CREATE TABLE orders (id int)"), "the table public.orders"),
        ("of another sqlx project, migrated down to nothing else", SQLX.to_owned(), "2 other migrations"),
        (
            "with a version of ours that is not ours",
            format!("{SQLX} UPDATE _sqlx_migrations SET version = 20251124000000 WHERE description = 'init'; CREATE TABLE users (name text)"),
            "2 other migrations",
        ),
        (
            "with our record and other tables",
            format!(
                "{SQLX} UPDATE _sqlx_migrations SET version = 20251124000000, description = 'python backend' WHERE description = 'init';
                 CREATE TABLE users (name text)"
            ),
            "the table public.users",
        ),
        ("with a record of another shape", "CREATE TABLE _sqlx_migrations (id text); INSERT INTO _sqlx_migrations VALUES ('x')".to_owned(), ""),
        ("of a hand-made application", "CREATE TABLE users (name text)".to_owned(), "the table public.users"),
        (
            "that an earlier `migrate down` left empty tables in",
            "CREATE TABLE orders (id int); CREATE TABLE _migrations_paused (code text); CREATE TABLE _migrations_breaking (version bigint)".to_owned(),
            "the table public.orders",
        ),
        ("of one table", "CREATE TABLE orders (id int)".to_owned(), "the table public.orders"),
        ("of many tables", (0..9).map(|n| format!("CREATE TABLE t{n} (x int);")).collect(), "the table public.t4 and 4 more objects"),
        ("of a partitioned table", "CREATE TABLE t (x int) PARTITION BY RANGE (x)".to_owned(), "the table public.t"),
        ("in another schema", "CREATE SCHEMA shop; CREATE TABLE shop.orders (id int)".to_owned(), "the table shop.orders"),
        ("of a view alone", "CREATE VIEW v AS SELECT 1 AS n".to_owned(), "the view public.v"),
        ("of a materialized view alone", "CREATE MATERIALIZED VIEW m AS SELECT 1 AS n".to_owned(), "the materialized view public.m"),
        ("of a sequence alone", "CREATE SEQUENCE s".to_owned(), "the sequence public.s"),
        ("of a function alone", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'".to_owned(), "the function public.f"),
        ("of an enumeration alone", "CREATE TYPE mood AS ENUM ('good')".to_owned(), "the type public.mood"),
        ("of a composite type alone", "CREATE TYPE pair AS (a int, b int)".to_owned(), "the type public.pair"),
        ("of a domain alone", "CREATE DOMAIN positive AS int CHECK (VALUE > 0)".to_owned(), "the type public.positive"),
        (
            "of Django",
            "CREATE TABLE django_migrations (id int); CREATE TABLE auth_user (id int)".to_owned(),
            "the table public.auth_user, the table public.django_migrations",
        ),
        (
            "of another project's Alembic",
            "CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES ('abc'); CREATE TABLE users (id int)".to_owned(),
            "the table public.alembic_version",
        ),
    ]
}

#[tokio::test]
async fn migrate_refuses_a_database_of_another_application_and_changes_nothing() {
    for (what, sql, found) in foreign() {
        let database = TestDatabase::create_empty().await;
        database.execute(&sql).await;
        let before = database.schema().await;
        let commands: [&[&str]; 10] = [
            &["up"],
            &["up", "--auto"],
            &["up", "--dry-run"],
            &["status"],
            &["status", "--json"],
            &["verify"],
            &["down"],
            &["down", "2"],
            &["to", "0"],
            &["to", "20251124000000"],
        ];
        for args in commands {
            let output = migrate(&database.url, args).await;
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(1),
                "{what}, {args:?}: {output:?}"
            );
            assert!(
                said.contains("is another application's: it holds ") && said.contains(found),
                "{what}, {args:?}: {said}"
            );
            assert!(
                said.contains("Nothing was changed\nhint: set DATABASE_URL to"),
                "{what}, {args:?}: {said}"
            );
        }
        assert_eq!(database.schema().await, before, "{what}");
    }
}

#[tokio::test]
async fn readiness_fails_on_a_database_of_another_application() {
    for sql in [
        "CREATE TABLE orders (id int)",
        "CREATE TABLE _sqlx_migrations (id text); INSERT INTO _sqlx_migrations VALUES ('x')",
        SQLX,
    ] {
        let database = TestDatabase::create_empty().await;
        database.execute(sql).await;
        let server = Server::start(&database.url, &[]);
        assert_eq!(server.get("/health/ready").await.status, 503);
        until("the log says why", async || {
            server
                .log()
                .iter()
                .any(|line| line.contains("is another application's: it holds "))
        })
        .await;
        assert!(!server.log().join("\n").contains("behind this version"));
    }
}

#[tokio::test]
async fn migrate_up_accepts_an_empty_database() {
    for (what, sql) in [
        ("empty", "SELECT 1"),
        (
            "with extensions",
            "CREATE EXTENSION pg_trgm; CREATE EXTENSION pgcrypto; CREATE EXTENSION pg_stat_statements; CREATE EXTENSION hstore",
        ),
        ("with an empty schema", "CREATE SCHEMA app; COMMENT ON SCHEMA app IS 'later'"),
        ("with an extension in a schema of its own", "CREATE SCHEMA extensions; CREATE EXTENSION citext SCHEMA extensions"),
        (
            "with helpers of monitoring in schemas of their own",
            "CREATE SCHEMA datadog; CREATE FUNCTION datadog.explain_statement() RETURNS int LANGUAGE sql AS 'SELECT 1';
             CREATE TYPE datadog.plan AS (a int)",
        ),
        ("with records that were made and not filled", "CREATE TABLE _migrations_paused (code text NOT NULL)"),
    ] {
        let database = TestDatabase::create_empty().await;
        database.execute(sql).await;
        assert!(migrated(&database.url, &["up"]).await.contains("applied 20251124000000"), "{what}");
    }
}

/// A role of the whole server, which other tests also create.
pub(crate) const ROLE: &str = "
    SELECT pg_advisory_lock(hashtext('emotionviz_api'));
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'emotionviz_api') THEN CREATE ROLE emotionviz_api LOGIN; END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO emotionviz_api', current_database());
    END $$;
    SELECT pg_advisory_unlock_all();";

#[tokio::test]
async fn migrate_up_keeps_objects_of_init_scripts_in_a_prepared_database() {
    for sql in [
        "CREATE TABLE of_a_script AS SELECT 1 AS n",
        "CREATE SCHEMA reports; CREATE VIEW reports.v AS SELECT 1; CREATE FUNCTION users() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ] {
        let database = TestDatabase::create_empty().await;
        database.execute(ROLE).await;
        database.execute(sql).await;
        migrated(&database.url, &["up"]).await;
        migrated(&database.url, &["to", "0"]).await;
        migrated(&database.url, &["up"]).await;
    }
    // An init script cannot have created a table of this application or the record of another tool.
    for sql in [
        "CREATE TABLE users (name text)",
        "CREATE VIEW rate_limits AS SELECT 1",
        "CREATE TABLE schema_migrations (version text)",
        "CREATE TABLE migrations (id int)",
        "CREATE SCHEMA drizzle; CREATE TABLE drizzle.__drizzle_migrations (id int)",
        "CREATE SCHEMA atlas_schema_revisions; CREATE TABLE atlas_schema_revisions.atlas_schema_revisions (version text)",
        "CREATE TABLE ar_internal_metadata (key text)",
        "CREATE TABLE aerich (id int)",
        SQLX,
    ] {
        let database = TestDatabase::create_empty().await;
        database.execute(ROLE).await;
        database.execute(sql).await;
        refused(&database.url, &["up"]).await;
    }
}

#[tokio::test]
async fn the_services_role_gets_rights_in_a_database_only_after_the_check() {
    const REVOKE: &str = "DO $$ BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM emotionviz_api', current_database()); END $$;
        DO $$ BEGIN IF to_regclass('users') IS NOT NULL THEN REVOKE ALL ON users FROM emotionviz_api; END IF; END $$";
    const RIGHTS: &str = "SELECT (SELECT count(*) FROM pg_database, aclexplode(datacl) WHERE datname = current_database() AND grantee = 'emotionviz_api'::regrole)
        + (SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE relname = 'users' AND grantee = 'emotionviz_api'::regrole)";
    let theirs = TestDatabase::create_empty().await;
    theirs.execute(ROLE).await;
    theirs.execute(REVOKE).await;
    theirs.execute("CREATE TABLE users (name text)").await;
    refused(&theirs.url, &["up"]).await;
    assert_eq!(theirs.count(RIGHTS).await, 0);

    let ours = TestDatabase::create_empty().await;
    for args in [&["up"][..], &["up", "--auto"]] {
        migrated(&ours.url, args).await;
        assert_eq!(ours.count(RIGHTS).await, 5, "CONNECT, and four on users");
        // The role may be new to a database whose automatic migration is paused.
        migrated(&ours.url, &["down"]).await;
        ours.execute(REVOKE).await;
        assert_eq!(ours.count(RIGHTS).await, 0);
    }
}

#[tokio::test]
async fn a_migrated_database_is_recognised_despite_other_objects() {
    let database = TestDatabase::create().await;
    database.execute("CREATE TABLE mine (x int); CREATE SCHEMA other; CREATE TABLE other.alembic_version (version_num text)").await;
    database
        .execute(
            "INSERT INTO _sqlx_migrations VALUES (20990101000000, 'newer', now(), true, 'x', 1)",
        )
        .await;
    migrated(&database.url, &["up"]).await;
    assert_eq!(
        migrate(&database.url, &["status"]).await.status.code(),
        Some(1),
        "one is missing here"
    );
    database
        .execute("DELETE FROM _sqlx_migrations WHERE version = 20990101000000")
        .await;
    migrated(&database.url, &["down", "3"]).await;
    migrated(&database.url, &["up"]).await;
}

/// What moves names without a schema elsewhere.
const ELSEWHERE: [(&str, &str); 4] = [
    (
        "a schema with the name of the owner",
        "DO $$ BEGIN EXECUTE format('CREATE SCHEMA %I', current_user); END $$",
    ),
    (
        "a schema with the name of the owner and a table with a name of ours",
        "DO $$ BEGIN EXECUTE format('CREATE SCHEMA %I', current_user); IF to_regclass('public.users') IS NOT NULL THEN
             EXECUTE format('CREATE TABLE %I.users (address text)', current_user); END IF; END $$",
    ),
    (
        "ALTER ROLE … SET search_path",
        "DO $$ BEGIN EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = elsewhere', current_user, current_database()); END $$",
    ),
    (
        "ALTER DATABASE … SET search_path",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = elsewhere, public', current_database()); END $$;
         CREATE SCHEMA elsewhere",
    ),
];

#[tokio::test]
async fn our_schema_is_public_whatever_the_search_path_is() {
    for (what, elsewhere) in ELSEWHERE {
        let database = TestDatabase::create().await;
        database.execute(elsewhere).await;
        for args in [
            &["status"][..],
            &["up"],
            &["verify"],
            &["down", "3"],
            &["up"],
            &["to", "20251124000000"],
            &["up"],
        ] {
            let done = migrate(&database.url, args).await;
            assert!(done.status.success(), "{what}, {args:?}: {done:?}");
        }
        let server = Server::start(&database.url, &[]);
        until(what, async || {
            server.get("/health/ready").await.status == 200
        })
        .await;
        let user = server.user().await;
        user.entry(&entry()).await;
        assert_eq!(
            database
                .count("SELECT count(*) FROM public.emotion_entries")
                .await,
            1,
            "{what}"
        );
    }
}

#[tokio::test]
async fn migrate_up_creates_and_adopts_in_public_whatever_the_search_path_is() {
    const TABLES: &str = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'";
    for (what, elsewhere) in ELSEWHERE {
        for is_adopted in [false, true] {
            let database = TestDatabase::create_empty().await;
            if is_adopted {
                load(&database).await;
            }
            database.execute(elsewhere).await;
            let said = migrated(&database.url, &["up"]).await;
            assert_eq!(
                said.contains("5 users, 5 entries"),
                is_adopted,
                "{what}: {said}"
            );
            assert_eq!(database.count(TABLES).await, 9, "{what}");
        }
    }
}

#[tokio::test]
async fn our_database_is_recognised_after_a_migration_renamed_its_columns() {
    let database = TestDatabase::create().await;
    database.execute("ALTER TABLE users RENAME email TO address; ALTER TABLE emotion_entries RENAME TO feelings").await;
    assert_eq!(
        migrate(&database.url, &["status"]).await.status.code(),
        Some(0)
    );
    // The columns are the proof where the file was edited.
    database
        .execute("UPDATE _sqlx_migrations SET checksum = 'x'")
        .await;
    assert!(
        refused(&database.url, &["status"])
            .await
            .contains("is another application's")
    );
    database.execute("ALTER TABLE users RENAME address TO email; ALTER TABLE feelings RENAME TO emotion_entries").await;
    assert!(
        refused(&database.url, &["up"])
            .await
            .contains("was edited after it was applied")
    );
}

#[tokio::test]
async fn the_hint_names_what_lets_objects_stay_where_that_helps() {
    let database = TestDatabase::create_empty().await;
    database.execute("CREATE TABLE of_a_script (x int)").await;
    let said = refused(&database.url, &["up"]).await;
    let (_, grant) = said.split_once("may stay: ").expect(&said);
    let (grant, _) = grant.split_once(", then migrate up").expect(&said);
    database.execute(ROLE).await;
    database.execute("DO $$ BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM emotionviz_api', current_database()); END $$").await;
    database.execute(grant).await;
    migrated(&database.url, &["up"]).await;

    let database = TestDatabase::create_empty().await;
    database.execute("CREATE TABLE users (x int)").await;
    assert!(!refused(&database.url, &["up"]).await.contains("GRANT"));
}

#[tokio::test]
async fn migrate_down_creates_nothing_in_a_database_without_migrations() {
    let database = TestDatabase::create_empty().await;
    for args in [&["down"][..], &["to", "0"]] {
        assert!(
            migrated(&database.url, args)
                .await
                .contains("nothing to revert")
        );
    }
    assert_eq!(
        database
            .count("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
            .await,
        0
    );
}
