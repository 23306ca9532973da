use serde_json::json;

use crate::support::{Process, Server, TestDatabase, User, entry, until};

const PLANTED: &str = "planted-7f3a";

#[tokio::test]
async fn one_line_for_a_request() {
    let s = Process::start().await;
    let ann = s.server.user().await;
    let id = ann.entry(&entry()).await["id"].as_str().unwrap().to_owned();
    let reply = ann.get(&format!("/entries/{id}?x=1")).await;
    let lines = s.server.lines_of(reply.header("x-request-id"), 1).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    for (field, value) in [
        ("level", "INFO"),
        ("message", "request"),
        ("method", "GET"),
        ("route", "/api/v1/entries/{id}"),
        ("user_id", &*ann.id),
    ] {
        assert_eq!(line[field], value, "{line}");
    }
    assert_eq!(line["status"], 200);
    assert!(
        line["duration_ms"]
            .as_f64()
            .is_some_and(|ms| ms > 0.0 && ms < 10_000.0),
        "{line}"
    );
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(
        timestamp.len() == 24 && timestamp.ends_with('Z'),
        "RFC 3339, UTC, milliseconds: {timestamp}"
    );
}

#[tokio::test]
async fn probes_are_logged_when_they_fail() {
    let s = Process::start().await;
    for _ in 0..5 {
        s.server.get("/health").await;
        s.server.get("/health/ready").await;
    }
    let last = s.server.get("/api/v1/emotions").await;
    s.server.lines_of(last.header("x-request-id"), 1).await;
    assert!(
        !s.server.log().iter().any(|line| line.contains("/health")),
        "{:#?}",
        s.server.log()
    );
    let lost = Server::start(&s.database.url.replace("/test_", "/no_such_"), &[]);
    let failed = lost.get("/health/ready").await;
    let lines = lost.lines_of(failed.header("x-request-id"), 2).await;
    assert!(
        lines
            .iter()
            .any(|line| line["route"] == "/health/ready" && line["status"] == 503),
        "{lines:?}"
    );
}

#[tokio::test]
async fn readable_in_development() {
    let s = Process::with(&[("APP_ENV", "development"), ("DEBUG", "on")]).await;
    let reply = s.server.get("/api/v1/emotions").await;
    let id = reply.header("x-request-id");
    let find = || s.server.log().into_iter().find(|line| line.contains(id));
    until("the request is in the log", async || find().is_some()).await;
    let line = find().unwrap();
    let (timestamp, rest) = line.split_once(' ').unwrap();
    assert!(
        timestamp.len() == 24 && chrono::DateTime::parse_from_rfc3339(timestamp).is_ok(),
        "{line}"
    );
    assert!(
        rest.trim_start()
            .starts_with("INFO request method=GET route=/api/v1/emotions status=200 duration_ms="),
        "{line}"
    );
    assert!(
        line.contains(" at ") && line.contains("track.rs:"),
        "DEBUG says the place: {line}"
    );
}

#[tokio::test]
async fn levels() {
    let s = Process::with(&[("LOG_LEVEL", "ERROR")]).await;
    let ann = s.server.user().await;
    ann.get("/entries").await.data(200);
    s.database.refuse_new_entries().await;
    let failed = ann.post("/entries", &entry()).await;
    s.server.lines_of(failed.header("x-request-id"), 2).await;
    let requests = s
        .server
        .log()
        .iter()
        .filter(|line| line.contains("\"request\""))
        .count();
    assert_eq!(requests, 1, "only what failed: {:#?}", s.server.log());
}

#[tokio::test]
async fn app_log_has_the_same_lines() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("a new folder/ä");
    let s = Process::with(&[("LOG_DIR", logs.to_str().unwrap())]).await;
    let reply = s.server.get("/api/v1/emotions").await;
    let read = || std::fs::read_to_string(logs.join("app.log")).unwrap();
    until("the request is in app.log", async || {
        read().contains(reply.header("x-request-id"))
    })
    .await;
    s.server.lines_of(reply.header("x-request-id"), 1).await;
    assert_eq!(read().lines().collect::<Vec<_>>(), s.server.log());
}

/// Standard output goes on, and so do the answers.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_silences_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.path().join("app.log")).unwrap();
    let s = Process::with(&[("LOG_DIR", dir.path().to_str().unwrap())]).await;
    for _ in 0..3 {
        let reply = s.server.get("/api/v1/emotions").await;
        reply.data(200);
        s.server.lines_of(reply.header("x-request-id"), 1).await;
    }
}

/// Secrets in every place where a client can put one, at the level that says most.
#[tokio::test]
async fn no_secret_is_in_any_log() {
    let dir = tempfile::tempdir().unwrap();
    let database = TestDatabase::create().await;
    let settings = [
        ("APP_ENV", "development"),
        ("LOG_LEVEL", "debug"),
        ("DEBUG", "on"),
        ("LOG_DIR", dir.path().to_str().unwrap()),
        ("JWT_SECRET_KEY", "planted-7f3a-key"),
    ];
    let server = Server::start(&database.url, &settings);
    let password = format!("{PLANTED} password");
    let email = format!("{PLANTED}@example.com");
    let new = json!({"email": email, "password": password, "name": PLANTED});
    let session = server.post("/api/v1/auth/register", &new).await.data(201);
    let ann = User::from_session(&server, &session);
    server
        .post("/api/v1/auth/register", &new)
        .await
        .error(409, "CONFLICT");
    server.post("/api/v1/auth/login", &new).await.data(200);
    server
        .post(
            "/api/v1/auth/login",
            &json!({"email": email, "password": format!("{PLANTED} wrong")}),
        )
        .await
        .error(401, "UNAUTHORIZED");
    let body =
        json!({"situation": PLANTED, "emotions": ["joy"], "intensity": 0.5, "notes": PLANTED});
    let id = ann.entry(&body).await["id"].as_str().unwrap().to_owned();
    let path = format!("/entries/{id}");
    ann.put(
        &path,
        &json!({"situation": format!("{PLANTED} again"), "notes": "x"}),
    )
    .await
    .data(200);
    ann.get(&format!("/entries?emotion={PLANTED}"))
        .await
        .error(400, "INVALID_EMOTION");
    ann.get(&format!("/entries?limit={PLANTED}&from={PLANTED}"))
        .await
        .error(400, "VALIDATION_ERROR");
    ann.get(&format!("/entries/{PLANTED}?token={PLANTED}"))
        .await
        .error(400, "VALIDATION_ERROR");
    ann.get(&format!("/{PLANTED}"))
        .await
        .error(404, "NOT_FOUND");
    for bad in [
        json!({"situation": {PLANTED: 1}}),
        json!({"situation": "x", "emotions": [PLANTED], "intensity": 0.5}),
        json!({"situation": "x", "emotions": ["joy"], "intensity": PLANTED}),
    ] {
        assert_eq!(ann.post("/entries", &bad).await.status, 400);
    }
    assert_eq!(
        ann.request("POST", "/entries")
            .body(PLANTED)
            .header("content-type", "application/json")
            .send()
            .await
            .status,
        400
    );
    for header in [
        "authorization",
        "x-request-id",
        "cookie",
        "origin",
        "user-agent",
    ] {
        let value = format!("Bearer {PLANTED} {PLANTED}");
        server
            .request("GET", "/api/v1/auth/me")
            .header(header, value)
            .send()
            .await;
    }
    ann.get("/auth/me/export").await.data(200);
    // Faults, whose causes are logged, and which PostgreSQL describes with the row's values: a rule that is broken, a value that
    // does not fit.
    database.execute("ALTER TABLE emotion_entries ADD CONSTRAINT dry CHECK (situation NOT LIKE 'planted%') NOT VALID").await;
    ann.post("/entries", &body)
        .await
        .error(500, "INTERNAL_ERROR");
    database.execute("ALTER TABLE emotion_entries DROP CONSTRAINT dry, ADD COLUMN n int GENERATED ALWAYS AS (CASE WHEN situation LIKE 'planted-7f3a 3%' THEN situation::int END) STORED").await;
    ann.put(&path, &json!({"situation": format!("{PLANTED} 3")}))
        .await
        .error(500, "INTERNAL_ERROR");
    ann.put(
        "/auth/password",
        &json!({"current_password": password, "new_password": format!("{PLANTED} 2 new")}),
    )
    .await
    .empty();
    let last = server.get("/api/v1/emotions").await;
    until("the log is whole", async || {
        server
            .log()
            .iter()
            .any(|line| line.contains(last.header("x-request-id")))
    })
    .await;
    let file = std::fs::read_to_string(dir.path().join("app.log")).unwrap();
    assert!(server.log().len() > 20 && file.lines().count() > 20);
    let signature = ann.token.rsplit('.').next().unwrap();
    for line in server.log().iter().map(String::as_str).chain(file.lines()) {
        for secret in [PLANTED, signature, "argon2", "Bearer"] {
            assert!(!line.contains(secret), "{secret} in {line}");
        }
    }
}
