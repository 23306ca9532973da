//! `emotionviz migrate`, and what `serve` makes of the schema.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Server, TestDatabase, until};

const LATEST: &str = "20261123000100";

/// Runs `emotionviz migrate …` on a database.
pub(crate) async fn migrate(url: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emotionviz"));
    command
        .arg("migrate")
        .args(args)
        .env_clear()
        .env("MIGRATION_DATABASE_URL", url);
    tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap()
}

/// Its standard output; it must succeed.
pub(crate) async fn migrated(url: &str, args: &[&str]) -> String {
    let output = migrate(url, args).await;
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Its standard error; it must fail with 1.
pub(crate) async fn refused(url: &str, args: &[&str]) -> String {
    let output = migrate(url, args).await;
    assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

async fn status(url: &str) -> Value {
    serde_json::from_slice(&migrate(url, &["status", "--json"]).await.stdout).unwrap()
}

fn states(status: &Value) -> Vec<&str> {
    status["migrations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["state"].as_str().unwrap())
        .collect()
}

/// 200 or 503 of `/health/ready`.
async fn readiness(server: &Server) -> u16 {
    server.get("/health/ready").await.status
}

#[tokio::test]
async fn ten_at_once_apply_each_once() {
    let database = TestDatabase::create_empty().await;
    let runs = (0..10).map(|_| {
        let url = database.url.clone();
        tokio::spawn(async move { migrated(&url, &["up"]).await })
    });
    let mut said = String::new();
    for run in runs.collect::<Vec<_>>() {
        said += &run.await.unwrap();
    }
    assert_eq!(
        said.matches(&format!("applied {LATEST} ")).count(),
        1,
        "{said}"
    );
    assert_eq!(
        said.matches("the schema is up to date").count(),
        9,
        "{said}"
    );
    assert_eq!(states(&status(&database.url).await), ["applied"; 3]);
}

#[tokio::test]
async fn a_dry_run_shows_the_sql_and_changes_nothing() {
    let database = TestDatabase::create_empty().await;
    let shown = migrated(&database.url, &["up", "--dry-run"]).await;
    assert!(
        shown.contains("CREATE TABLE revoked_tokens")
            && shown.contains("3 migrations would be applied"),
        "{shown}"
    );
    assert_eq!(
        database
            .count("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .await,
        0
    );
}

#[tokio::test]
async fn everything_can_be_reverted_and_applied_again() {
    let database = TestDatabase::create().await;
    let reversible = status(&database.url).await["migrations"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|m| m["reversible"] == true)
        .count();
    assert_eq!(reversible, 3);
    migrated(&database.url, &["to", "0"]).await;
    let left =
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '\\_%'";
    assert_eq!(database.count(left).await, 0);
    migrated(&database.url, &["up"]).await;
    assert_eq!(states(&status(&database.url).await), ["applied"; 3]);
}

#[tokio::test]
async fn migrations_applied_from_files_with_crlf_are_not_reported_as_edited() {
    let database = TestDatabase::create().await;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../db/migrations"))
        .unwrap()
        .map(|e| e.unwrap())
    {
        let name = file.file_name().into_string().unwrap();
        let Some((version, _)) = name.split_once('_').filter(|_| name.ends_with(".up.sql")) else {
            continue;
        };
        let sql = std::fs::read_to_string(file.path()).unwrap();
        let crlf = format!(
            "sha384(convert_to(replace($file${sql}$file$, chr(10), chr(13) || chr(10)), 'UTF8'))"
        );
        database
            .execute(&format!(
                "UPDATE _sqlx_migrations SET checksum = {crlf} WHERE version = {version}"
            ))
            .await;
    }
    assert_eq!(states(&status(&database.url).await), ["applied"; 3]);
    assert!(
        migrated(&database.url, &["up"])
            .await
            .contains("up to date")
    );
    database
        .execute("UPDATE _sqlx_migrations SET checksum = sha384('something else')")
        .await;
    assert_eq!(states(&status(&database.url).await), ["edited"; 3]);
}

#[tokio::test]
async fn after_down_automatic_migration_is_paused() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database.url, &[]);
    assert_eq!(readiness(&server).await, 200);

    let said = migrated(&database.url, &["down"]).await;
    assert!(
        said.contains(&format!("reverted {LATEST}")) && said.contains("paused"),
        "{said}"
    );
    assert_eq!(readiness(&server).await, 503);
    let now = status(&database.url).await;
    assert_eq!(
        (now["paused"].as_bool(), states(&now)),
        (Some(true), vec!["applied", "applied", "pending"])
    );

    assert!(
        migrated(&database.url, &["up", "--auto"])
            .await
            .contains("paused")
    );
    assert_eq!(states(&status(&database.url).await)[2], "pending");

    migrated(&database.url, &["up"]).await;
    assert_eq!(status(&database.url).await["paused"], false);
    assert_eq!(readiness(&server).await, 200);
    assert!(
        migrated(&database.url, &["up", "--auto"])
            .await
            .contains("up to date")
    );
}

#[tokio::test]
async fn a_changed_migration_file_ends_the_pause() {
    let database = TestDatabase::create().await;
    migrated(&database.url, &["down"]).await;
    // What a binary with other migrations would find.
    database
        .execute("UPDATE _migrations_paused SET code = 'of other files'")
        .await;
    assert!(
        migrated(&database.url, &["up", "--auto"])
            .await
            .contains(&format!("applied {LATEST}"))
    );
}

#[tokio::test]
async fn going_to_a_version_stays_there() {
    let database = TestDatabase::create_empty().await;
    migrated(&database.url, &["to", "20261123000000"]).await;
    assert!(
        migrated(&database.url, &["up", "--auto"])
            .await
            .contains("paused")
    );
    migrated(&database.url, &["to", LATEST]).await;
    assert_eq!(status(&database.url).await["paused"], false);
    assert!(
        refused(&database.url, &["to", "20990101000000"])
            .await
            .contains("no migration 20990101000000")
    );
}

#[tokio::test]
async fn an_edited_migration_is_reported_and_stops_up() {
    let database = TestDatabase::create().await;
    assert!(
        migrated(&database.url, &["verify"])
            .await
            .contains("as it was")
    );
    database
        .execute(&format!(
            "UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = {LATEST}"
        ))
        .await;
    for args in [&["status"][..], &["verify"], &["up"]] {
        let said = refused(&database.url, args).await;
        assert!(
            said.contains(LATEST) && said.contains("was edited after it was applied"),
            "{said}"
        );
    }
    // The way out that the message names.
    migrated(&database.url, &["down"]).await;
    migrated(&database.url, &["up"]).await;
    migrated(&database.url, &["verify"]).await;
}

#[tokio::test]
async fn a_missing_migration_is_reported_and_served_unless_it_breaks() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database.url, &[]);
    database.execute("INSERT INTO _sqlx_migrations VALUES (20990101000000, 'from the future', now(), true, 'x', 0)").await;
    for args in [&["status"][..], &["verify"]] {
        assert!(refused(&database.url, args).await.contains(
            "20990101000000 (from the future) is applied, and this code has no such migration"
        ));
    }
    assert!(
        migrated(&database.url, &["up"])
            .await
            .contains("up to date")
    );
    assert_eq!(readiness(&server).await, 200);
    assert!(
        refused(&database.url, &["down"])
            .await
            .contains("no migration 20990101000000")
    );

    database
        .execute("INSERT INTO _migrations_breaking VALUES (20990101000000)")
        .await;
    assert_eq!(readiness(&server).await, 503);
}

#[tokio::test]
async fn a_failed_migration_leaves_nothing_half_applied() {
    let database = TestDatabase::create_empty().await;
    migrated(&database.url, &["to", "20261123000000"]).await;
    // The third migration makes revoked_tokens, its index, and then this one.
    database.execute("CREATE TABLE rate_limits (x int)").await;
    let said = refused(&database.url, &["up"]).await;
    assert!(
        said.contains(LATEST)
            && said.contains("nothing of it was applied")
            && said.contains("\"rate_limits\" already exists"),
        "{said}"
    );
    assert_eq!(
        database
            .count("SELECT count(*) FROM pg_tables WHERE tablename = 'revoked_tokens'")
            .await,
        0
    );
    assert_eq!(
        states(&status(&database.url).await),
        ["applied", "applied", "pending"]
    );
    database.execute("DROP TABLE rate_limits").await;
    migrated(&database.url, &["up"]).await;
}

#[tokio::test]
async fn waiters_hold_nothing_that_an_index_built_concurrently_waits_for() {
    let database = TestDatabase::create_empty().await;
    let mut holder = database.pool.acquire().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(28549298109640558)")
        .execute(&mut *holder)
        .await
        .unwrap();
    let url = database.url.clone();
    let waiting = tokio::spawn(async move { migrated(&url, &["up"]).await });
    let waiters = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%'
                   AND pid <> pg_backend_pid() AND state = 'idle'";
    until("a session waits for the lock", async || {
        database.count(waiters).await > 0
    })
    .await;
    sqlx::raw_sql("CREATE TABLE t (x int); ")
        .execute(&mut *holder)
        .await
        .unwrap();
    sqlx::raw_sql("CREATE INDEX CONCURRENTLY i ON t (x)")
        .execute(&mut *holder)
        .await
        .unwrap();
    assert!(!waiting.is_finished());
    sqlx::raw_sql("DROP TABLE t; SELECT pg_advisory_unlock_all()")
        .execute(&mut *holder)
        .await
        .unwrap();
    assert!(
        waiting
            .await
            .unwrap()
            .contains(&format!("applied {LATEST}"))
    );
}

#[tokio::test]
async fn the_services_role_reads_and_writes_rows_and_nothing_else() {
    let database = TestDatabase::create_empty().await;
    // Roles belong to the whole server, and other tests make this one, too.
    database
        .execute(
            "SELECT pg_advisory_lock(hashtext('emotionviz_api'));
             DO $$ BEGIN
                 IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'emotionviz_api') THEN CREATE ROLE emotionviz_api LOGIN; END IF;
             END $$;
             SELECT pg_advisory_unlock_all();",
        )
        .await;
    migrated(&database.url, &["up"]).await;
    let mut conn = database.pool.acquire().await.unwrap();
    sqlx::raw_sql("SET ROLE emotionviz_api")
        .execute(&mut *conn)
        .await
        .unwrap();
    let allowed = [
        "INSERT INTO users (email, email_key, hashed_password, name, is_active, is_verified) VALUES ('a', 'a', 'x', 'A', true, false)",
        "UPDATE users SET name = 'B'",
        "DELETE FROM users",
        "INSERT INTO revoked_tokens VALUES (gen_random_uuid(), now())",
        "INSERT INTO rate_limits VALUES ('a', 60, now(), 1)",
        "SELECT count(*) FROM _sqlx_migrations",
    ];
    for sql in allowed {
        sqlx::raw_sql(sql)
            .execute(&mut *conn)
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    let forbidden = [
        "CREATE TABLE x (y int)",
        "ALTER TABLE users ADD COLUMN x int",
        "DROP TABLE rate_limits",
        "TRUNCATE users",
        "DELETE FROM _sqlx_migrations",
        "INSERT INTO _migrations_breaking VALUES (1)",
    ];
    for sql in forbidden {
        let error = sqlx::raw_sql(sql)
            .execute(&mut *conn)
            .await
            .err()
            .unwrap_or_else(|| panic!("{sql} was allowed"));
        assert_eq!(
            error.as_database_error().unwrap().code().as_deref(),
            Some("42501"),
            "{sql}: {error}"
        );
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_named_without_its_password() {
    let said = refused("postgres://ann:planted-secret@127.0.0.1:1/journal", &["up"]).await;
    assert!(
        said.contains("postgres://ann:***@127.0.0.1:1/journal cannot be reached")
            && !said.contains("planted"),
        "{said}"
    );
}
