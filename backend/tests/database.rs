use std::time::Duration;

use emotionviz_db::migrate::{self, Cause};
use serde_json::json;

use crate::support::{Local, Process, Proxy, Service, TestDatabase, entry, until};

#[tokio::test]
async fn a_lost_database_is_503_and_recovers_by_itself() {
    let database = TestDatabase::create().await;
    let proxy = Proxy::start(&database.url).await;
    let server = Local::start(&proxy.url, &[]);
    let ann = server.user().await;
    ann.entry(&entry()).await;
    proxy.take_away();
    ann.get("/entries").await.error(503, "SERVICE_UNAVAILABLE");
    ann.post("/entries", &entry())
        .await
        .error(503, "SERVICE_UNAVAILABLE");
    server
        .post(
            "/api/v1/auth/login",
            &json!({"email": ann.email, "password": "x"}),
        )
        .await
        .error(503, "SERVICE_UNAVAILABLE");
    server.get("/api/v1/emotions").await.data(200);
    proxy.give_back();
    until("it has its database again", async || {
        ann.get("/entries").await.status == 200
    })
    .await;
    assert_eq!(
        ann.get("/entries").await.data(200)["total"],
        1,
        "nothing was half done"
    );
}

#[tokio::test]
async fn connections_that_died_while_idle_fail_no_request() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    ann.get("/entries").await.data(200);
    s.database
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'emotionviz' AND datname = current_database()",
        )
        .await;
    // Idle for as long as a restart of PostgreSQL takes at least: connections that were in use a moment ago are trusted.
    s.server.clock.advance(Duration::from_millis(1100));
    for _ in 0..20 {
        ann.get("/entries").await.data(200);
    }
}

#[tokio::test]
async fn requests_get_503_while_a_migration_is_reverted_and_succeed_afterwards() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let mut owner = s.database.pool.acquire().await.unwrap();
    migrate::down(&mut owner, 1).await.unwrap();
    ann.post("/entries", &entry())
        .await
        .error(503, "SERVICE_UNAVAILABLE");
    ann.get("/entries").await.error(503, "SERVICE_UNAVAILABLE");
    migrate::up(&mut owner, Cause::Asked).await.unwrap();
    ann.entry(&entry()).await;
}

#[tokio::test]
async fn a_table_or_column_that_is_missing_although_every_migration_is_applied_is_500() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    for (away, back) in [
        (
            "ALTER TABLE emotion_entries RENAME TO away",
            "ALTER TABLE away RENAME TO emotion_entries",
        ),
        (
            "ALTER TABLE emotion_entries RENAME intensity TO away",
            "ALTER TABLE emotion_entries RENAME away TO intensity",
        ),
    ] {
        s.database.execute(away).await;
        ann.post("/entries", &entry())
            .await
            .error(500, "INTERNAL_ERROR");
        ann.get("/entries").await.error(500, "INTERNAL_ERROR");
        s.database.execute(back).await;
        ann.entry(&entry()).await;
    }
}

/// Does the same as `cargo dev` before a copy: makes new sessions read-only, and terminates existing sessions.
#[tokio::test]
async fn writes_get_503_while_the_database_is_read_only_and_succeed_afterwards() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    ann.get("/entries").await.data(200);
    let alter = |what: &str| {
        format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {what}', current_database()); END $$"
        )
    };
    let end_sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'emotionviz' AND datname = current_database()";
    s.database
        .execute(&alter("SET default_transaction_read_only = on"))
        .await;
    s.database.execute(end_sessions).await;
    for _ in 0..20 {
        ann.post("/entries", &entry())
            .await
            .error(503, "SERVICE_UNAVAILABLE");
        let read = ann.get("/entries").await;
        assert!([200, 503].contains(&read.status), "{}", read.text);
    }
    ann.get("/entries").await.data(200);
    s.database
        .execute(&alter("RESET default_transaction_read_only"))
        .await;
    // Some idle connections are terminated: at most one request per connection fails.
    s.database.execute(end_sessions).await;
    let first = ann.post("/entries", &entry()).await.status;
    assert!([201, 503].contains(&first), "{first}");
    for _ in 0..20 {
        ann.post("/entries", &entry()).await.data(201);
    }
}

/// A request whose client goes away is dropped half way, with what it was asking the database.
#[tokio::test]
async fn a_dropped_request_spoils_no_connection() {
    let s = Process::with(&[("DATABASE_CONNECTIONS", "1")]).await;
    let ann = s.server.user().await;
    let id = ann.entry(&entry()).await["id"].as_str().unwrap().to_owned();
    let mut lock = s.database.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM emotion_entries FOR UPDATE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let dropped = ann
        .request("PUT", &format!("/entries/{id}"))
        .json(&json!({"notes": "too late"}));
    let dropped = tokio::spawn(dropped.try_send());
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("the request waits for the row", async || {
        s.database.count(waiting).await == 1
    })
    .await;
    dropped.abort();
    until("its one line is in the log", async || {
        s.server
            .log()
            .iter()
            .any(|line| line.contains("\"status\":499"))
    })
    .await;
    let other = s.server.user().await;
    other.get("/entries").await.data(200);
    lock.rollback().await.unwrap();
    ann.get("/entries").await.data(200);
}

#[tokio::test]
async fn a_database_that_refuses_is_503() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let missing = Local::start(&s.database.url.replace("/test_", "/no_such_"), &[]);
    ann.on(&missing)
        .get("/entries")
        .await
        .error(503, "SERVICE_UNAVAILABLE");
}

#[tokio::test]
async fn a_fault_in_the_database_is_500_and_told_to_the_log_alone() {
    let s = Process::start().await;
    let ann = s.server.user().await;
    s.database.refuse_new_entries().await;
    let reply = ann.post("/entries", &entry()).await;
    let error = reply.error(500, "INTERNAL_ERROR");
    assert!(
        !reply.text.contains("fault") && !reply.text.contains("P0001"),
        "{error}"
    );
    let lines = s.server.lines_of(reply.header("x-request-id"), 2).await;
    assert!(
        lines.iter().any(|line| line["cause"]
            .as_str()
            .is_some_and(|cause| cause.contains("P0001"))),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|line| line["message"] == "request"
            && line["level"] == "ERROR"
            && line["status"] == 500),
        "{lines:?}"
    );
}
