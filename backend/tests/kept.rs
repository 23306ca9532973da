//! Adoption keeps the user's objects on the Python backend's tables, or reports them with the statements to run.

use crate::adoption::{load, rows};
use crate::migrations::{migrated, refused};
use crate::support::{Server, TestDatabase};

/// Lists the user's objects with definitions that do not depend on column types.
const OBJECTS: &str = r#"
    WITH mine (class, oid, text) AS (
        SELECT 'pg_class'::regclass, oid, concat_ws(' ', relkind, relname, reloptions, pg_get_userbyid(relowner), coalesce(relacl, acldefault('r', relowner)), relispopulated, pg_get_viewdef(oid))
        FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT 'pg_class'::regclass, indexrelid, concat_ws(' ', indisclustered, pg_get_indexdef(indexrelid)) FROM pg_index JOIN pg_class c ON c.oid = indrelid
        WHERE c.relnamespace = 'public'::regnamespace AND indexrelid::regclass::text ~ 'pictures|mine|source|lower|created_at|how_many|my_own|ix_name'
        UNION ALL
        SELECT 'pg_trigger'::regclass, oid, concat_ws(' ', tgenabled, pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL
        SELECT 'pg_event_trigger'::regclass, oid, concat_ws(' ', evtname, evtenabled) FROM pg_event_trigger
        UNION ALL
        SELECT 'pg_rewrite'::regclass, oid, concat_ws(' ', ev_enabled, pg_get_ruledef(oid)) FROM pg_rewrite WHERE rulename IN ('unchanged', 'unfinished', 'nothing')
        UNION ALL
        SELECT 'pg_policy'::regclass, oid, concat_ws(' ', polname, polpermissive, polcmd, polroles::text, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
        FROM pg_policy WHERE polname <> 'emotionviz_api'
        UNION ALL
        SELECT 'pg_class'::regclass, oid, concat_ws(' ', relname, relrowsecurity, relforcerowsecurity) FROM pg_class WHERE relname = 'emotion_entries'
        UNION ALL
        SELECT 'pg_proc'::regclass, oid, concat_ws(' ', proacl, pg_get_functiondef(oid)) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL
        SELECT 'pg_constraint'::regclass, oid, concat_ws(' ', conrelid::regclass, conname, convalidated, pg_get_constraintdef(oid)) FROM pg_constraint
        WHERE conname IN ('known_source', 'not_too_many', 'ix_name', 'my_own', 'members_email_fkey', 'users_team_fkey')
        UNION ALL
        SELECT 'pg_statistic_ext'::regclass, oid, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext
        UNION ALL
        SELECT 'pg_publication'::regclass, oid, (SELECT string_agg(concat_ws(' ', prrelid::regclass, prattrs, pg_get_expr(prqual, prrelid)), '; ' ORDER BY prrelid) FROM pg_publication_rel)
        FROM pg_publication
        UNION ALL
        SELECT 'pg_attribute'::regclass, 0, concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod), attacl, pg_get_expr(adbin, adrelid), col_description(attrelid, attnum))
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attname IN ('how_many', 'seen', 'preferences', 'team', 'x') OR (attrelid::regclass::text, attname) IN (('users', 'source'), ('mood', 'source'), ('visualizations', 'insights'))
            AND attrelid <> 'mood'::regclass OR attrelid = '"Mood by source"'::regclass
    )
    SELECT regexp_replace(text || coalesce(' -- ' || (SELECT string_agg(description, ', ' ORDER BY objsubid) FROM pg_description WHERE (classoid, objoid) = (class, oid)), ''),
                          '(::|\y)(text|character varying)(\(\d+\))?(\[\])?|[()]|,emotionviz_api=\w+/\w+', '', 'g')
    FROM mine ORDER BY 1"#;

async fn objects(database: &TestDatabase) -> Vec<String> {
    sqlx::query_scalar(OBJECTS)
        .fetch_all(&database.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn adoption_keeps_every_kind_of_user_object_and_runs_none() {
    let database = TestDatabase::create_empty().await;
    load(&database).await;
    database
        .execute(include_str!("data/users_objects.sql"))
        .await;
    let (before, values) = (objects(&database).await, rows(&database).await);
    assert!(before.len() > 50, "{before:#?}");
    migrated(&database.url, &["up"]).await;
    let after = objects(&database).await;
    let lost: Vec<_> = before
        .iter()
        .filter(|object| !after.contains(object))
        .collect();
    let new: Vec<_> = after
        .iter()
        .filter(|object| !before.contains(object))
        .collect();
    assert!(
        lost.is_empty() && new.is_empty(),
        "before: {lost:#?}\nafter: {new:#?}"
    );
    // An `updated_at` trigger would have changed these rows.
    for (mut old, mut new) in values.into_iter().zip(rows(&database).await) {
        if old["created_at"].is_null() {
            (old["created_at"], new["created_at"]) = Default::default();
        }
        assert_eq!(old, new);
    }
    // The objects work again: the view returns rows, and the trigger runs.
    assert_eq!(database.count("SELECT count(*) FROM mood").await, 5);
    let refused = sqlx::raw_sql("UPDATE emotion_entries SET source = 'manual'")
        .execute(&database.pool)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("a trigger ran"), "{refused}");
}

#[tokio::test]
async fn the_service_reads_its_rows_despite_row_level_security() {
    let database = TestDatabase::create_empty().await;
    load(&database).await;
    database.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY; ALTER TABLE users FORCE ROW LEVEL SECURITY").await;
    database.execute(crate::identity::ROLE).await;
    migrated(&database.url, &["up"]).await;
    let seen = "SET ROLE emotionviz_api; DO $$ BEGIN IF (SELECT count(*) FROM users) <> 5 THEN RAISE 'rows are hidden'; END IF; END $$; RESET ROLE";
    database.execute(seen).await;
}

#[tokio::test]
async fn adoption_replaces_the_indexes_and_constraints_of_the_revision() {
    let (database, _) = crate::adoption::adopted().await;
    assert_eq!(
        database
            .count("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix\\_%'")
            .await,
        0
    );
    assert_eq!(
        database
            .count("SELECT count(*) FROM pg_constraint WHERE contype = 'f'")
            .await,
        5
    );
}

#[tokio::test]
async fn adoption_keeps_expressions_over_enumerations_and_timestamps_without_time_zone() {
    for (what, sql, holds) in [
        (
            "an enumeration",
            "CREATE TYPE \"of Status\" AS ENUM ('completed', 'queued');
             ALTER TABLE visualizations ALTER status TYPE \"of Status\" USING status::\"of Status\", ALTER status SET DEFAULT 'queued';
             CREATE INDEX mine ON visualizations (style) WHERE status = 'completed';
             ALTER TABLE visualizations ADD CONSTRAINT own CHECK (status <> 'queued' OR style = 'cubist');
             CREATE VIEW v AS SELECT status FROM visualizations WHERE status = 'completed'",
            "SELECT count(*) FROM v, pg_class, pg_constraint WHERE relname = 'mine' AND conname = 'own'",
        ),
        (
            "an array of an enumeration",
            "CREATE TYPE emotion AS ENUM ('joy', 'anxiety', 'anger', 'saudade', 'with space', 'fear');
             ALTER TABLE emotion_entries ALTER emotions TYPE emotion[] USING emotions::emotion[];
             CREATE INDEX mine ON emotion_entries (user_id) WHERE 'joy' = ANY (emotions)",
            "SELECT count(*) FROM pg_class WHERE relname = 'mine'",
        ),
        (
            "times without a zone",
            "ALTER TABLE emotion_entries ALTER created_at TYPE timestamp USING created_at AT TIME ZONE 'UTC', ALTER updated_at TYPE timestamp;
             CREATE INDEX mine ON emotion_entries (created_at, date(created_at)) WHERE updated_at > '2020-01-01';
             ALTER TABLE emotion_entries ADD CONSTRAINT own CHECK (created_at > '2020-01-01'::timestamp);
             CREATE VIEW v AS SELECT id FROM emotion_entries WHERE date(created_at) = '2025-11-24'",
            "SELECT (count(*) / 3)::bigint FROM v, pg_class, pg_constraint WHERE relname = 'mine' AND conname = 'own'",
        ),
    ] {
        let database = TestDatabase::create_empty().await;
        load(&database).await;
        database.execute(sql).await;
        migrated(&database.url, &["up"]).await;
        assert_eq!(database.count(holds).await, 1, "{what}");
    }
}

/// Returns the statements in the hints: the one that drops the object, and the one that creates it again.
fn hints(said: &str) -> (String, String) {
    let (_, hints) = said
        .split_once("hint: run this in the database: ")
        .unwrap_or_else(|| panic!("no hint: {said}"));
    let (away, back) = hints
        .split_once("\nhint: then migrate up, and create it again: ")
        .unwrap();
    (away.to_owned(), back.to_owned())
}

#[tokio::test]
async fn an_object_that_cannot_be_kept_is_reported_with_the_statements_to_run() {
    for (what, sql, named) in [
        (
            "a function that takes a view's rows",
            "CREATE VIEW v AS SELECT source FROM emotion_entries; CREATE FUNCTION f(v) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "function public.f(public.v)",
        ),
        (
            "a function that returns a view's rows",
            "CREATE VIEW v AS SELECT source FROM emotion_entries; CREATE FUNCTION f() RETURNS SETOF v LANGUAGE sql AS 'SELECT * FROM v'",
            "function public.f()",
        ),
        (
            "a column that holds rows of a table",
            "CREATE TABLE holder (x users)",
            "column holder.x",
        ),
    ] {
        let database = TestDatabase::create_empty().await;
        load(&database).await;
        database.execute(sql).await;
        let before = database.schema().await;
        let said = refused(&database.url, &["up"]).await;
        assert!(
            said.contains(named) && said.contains("Nothing was changed"),
            "{what}: {said}"
        );
        assert_eq!(database.schema().await, before, "{what}");
        let (away, _) = hints(&said);
        database.execute(&away).await;
        migrated(&database.url, &["up"]).await;
    }
}

#[tokio::test]
async fn a_name_conflict_is_reported_with_the_statement_to_run() {
    for sql in [
        "CREATE TABLE rate_limits (x int)",
        "CREATE VIEW revoked_tokens AS SELECT 1 AS n",
        "CREATE INDEX emotion_entries_by_user ON emotion_entries (notes)",
        "ALTER TABLE users ADD COLUMN email_key text",
        "ALTER TABLE visualizations ADD COLUMN adopted_as_is int",
        "ALTER TABLE emotion_entries ADD CONSTRAINT emotion_entries_rules CHECK (notes <> 'nonsense')",
    ] {
        let database = TestDatabase::create_empty().await;
        load(&database).await;
        database.execute(sql).await;
        let before = database.schema().await;
        let said = refused(&database.url, &["up"]).await;
        let (_, statement) = said
            .split_once("then migrate up: ")
            .unwrap_or_else(|| panic!("{sql}: {said}"));
        assert_eq!(database.schema().await, before, "{sql}");
        database.execute(statement).await;
        migrated(&database.url, &["up"]).await;
    }
}

#[tokio::test]
async fn an_owner_without_superuser_privileges_adopts_and_keeps_objects() {
    let database = TestDatabase::create_empty().await;
    load(&database).await;
    let owner = format!("owner_{}", uuid::Uuid::new_v4().simple());
    database
        .execute(&format!(
            "CREATE ROLE {owner} LOGIN PASSWORD 'x'; ALTER SCHEMA public OWNER TO {owner};
             DO $$ DECLARE t text; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
                 EXECUTE format('ALTER TABLE %I OWNER TO {owner}', t); END LOOP; END $$;
             SET ROLE {owner};
             CREATE VIEW mood AS SELECT source FROM emotion_entries;
             ALTER TABLE users ENABLE ROW LEVEL SECURITY; ALTER TABLE users FORCE ROW LEVEL SECURITY;
             CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.updated_at = now(); RETURN NEW; END';
             CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
             RESET ROLE"
        ))
        .await;
    let before = rows(&database).await;
    let mut url: reqwest::Url = database.url.parse().unwrap();
    url.set_username(&owner).unwrap();
    url.set_password(Some("x")).unwrap();
    let said = migrated(url.as_str(), &["up"]).await;
    assert!(said.contains("5 users"), "{said}");
    assert_eq!(
        before
            .iter()
            .filter(|row| row["updated_at"].is_null())
            .count(),
        rows(&database)
            .await
            .iter()
            .filter(|row| row["updated_at"].is_null())
            .count()
    );
    assert_eq!(database.count("SELECT count(*) FROM mood").await, 5);
    drop(Server::start(&database.url, &[]));
    database
        .execute(&format!(
            "REASSIGN OWNED BY {owner} TO CURRENT_USER; DROP OWNED BY {owner}; DROP ROLE {owner}"
        ))
        .await;
}

#[tokio::test]
async fn an_automatic_up_that_is_paused_changes_nothing() {
    let paused = TestDatabase::create().await;
    migrated(&paused.url, &["down"]).await;
    let code: String = sqlx::query_scalar("SELECT code FROM _migrations_paused")
        .fetch_one(&paused.pool)
        .await
        .unwrap();
    let database = TestDatabase::create_empty().await;
    load(&database).await;
    database
        .execute(&format!(
            "CREATE TABLE _migrations_paused (code text NOT NULL); INSERT INTO _migrations_paused VALUES ('{code}');
             ALTER TABLE users ENABLE ROW LEVEL SECURITY; ALTER TABLE users FORCE ROW LEVEL SECURITY;
             CREATE FUNCTION audit() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
             CREATE EVENT TRIGGER audit ON ddl_command_end EXECUTE FUNCTION audit()"
        ))
        .await;
    let before = database.schema().await;
    assert!(
        migrated(&database.url, &["up", "--auto"])
            .await
            .contains("paused")
    );
    assert_eq!(database.schema().await, before);
}

#[tokio::test]
async fn columns_of_the_users_keep_their_type_their_text_and_their_checks() {
    let database = TestDatabase::create_empty().await;
    load(&database).await;
    database
        .execute(
            "ALTER TABLE users ADD extra json DEFAULT '{\"z\":1,  \"a\":2}' CHECK (json_typeof(extra) = 'object' AND extra ->> 'z' <> ''),
                 ADD raw json, ADD status int NOT NULL DEFAULT 7 CHECK (status > 0), ADD insights int GENERATED ALWAYS AS (status + 1) STORED;
             ALTER TABLE emotion_entries ADD status smallint CHECK (status BETWEEN 1 AND 5), ADD style boolean DEFAULT true;
             UPDATE users SET extra = '{\"z\": 1,  \"a\":2, \"z\":3}', raw = '{\"u\":\"\\u0000\"}', status = 8 WHERE name = 'Ann';
             CREATE INDEX extra_z ON users ((extra ->> 'z')) WHERE status > 1;
             CREATE VIEW states AS SELECT u.status, u.extra, e.style FROM users u JOIN emotion_entries e ON e.user_id = u.id WHERE e.source <> ''",
        )
        .await;
    let state = "SELECT concat_ws(' ', id, extra, raw, status, insights) FROM users
        UNION ALL SELECT concat_ws(' ', id, status, style) FROM emotion_entries
        UNION ALL SELECT concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid))
                  FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
                  WHERE attrelid IN ('users'::regclass, 'emotion_entries'::regclass) AND attname IN ('extra', 'raw', 'status', 'insights', 'style')
        UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conname ~ 'extra|status'
        UNION ALL SELECT pg_get_indexdef('extra_z'::regclass)
        ORDER BY 1";
    let read = async || -> Vec<String> {
        sqlx::query_scalar(state)
            .fetch_all(&database.pool)
            .await
            .unwrap()
    };
    let before = read().await;
    migrated(&database.url, &["up"]).await;
    assert_eq!(read().await, before);
    assert!(
        database
            .count("SELECT count(*) FROM states WHERE status = 8 AND extra ->> 'a' = '2'")
            .await
            > 0
    );
}
