use std::process::{Command, Output};
use std::time::Duration;

use emotionviz_db::migrate::{self, Cause};
use emotionviz_settings::Values;
use serde_json::json;

use crate::support::{Local, NOWHERE, Proxy, Server, Service, TestDatabase, until};

#[tokio::test]
async fn alive_and_ready() {
    let s = Service::start().await;
    let health = s.server.get("/health").await.json();
    assert_eq!(
        (&health["status"], &health["version"]),
        (&json!("healthy"), &json!("0.1.0"))
    );
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z'));
    let ready = s.server.get("/health/ready").await;
    assert_eq!(ready.status, 200);
    let ready = ready.json();
    assert_eq!(ready["status"], "ready");
    assert_eq!(
        ready["checks"],
        json!({"database": "healthy", "gemini_api": "not_configured", "nanobanana_api": "not_configured"})
    );
    assert!(ready["timestamp"].as_str().unwrap().ends_with('Z'));
    let root = s.server.get("/").await.json();
    assert_eq!(
        (&root["message"], &root["version"], &root["docs"]),
        (
            &json!("EmotionVisualizer API"),
            &json!("0.1.0"),
            &json!("/docs")
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_without_a_database_lives_and_is_not_ready() {
    let server = Local::start(NOWHERE, &[]);
    assert_eq!(server.get("/health").await.status, 200);
    assert_eq!(server.get("/api/v1/emotions").await.status, 200);
    let ready = server.get("/health/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(
        (&ready.json()["status"], &ready.json()["checks"]["database"]),
        (&json!("not_ready"), &json!("unhealthy"))
    );
    let login = server
        .post(
            "/api/v1/auth/login",
            &json!({"email": "a@b.example", "password": "x"}),
        )
        .await;
    login.error(503, "SERVICE_UNAVAILABLE");
}

#[tokio::test]
async fn a_schema_that_is_behind_is_not_ready_until_it_is_migrated() {
    let database = TestDatabase::create_empty().await;
    let server = Local::start(&database.url, &[]);
    let ready = server.get("/health/ready").await;
    assert_eq!(
        (ready.status, &ready.json()["checks"]["database"]),
        (503, &json!("unhealthy"))
    );
    let mut owner = database.pool.acquire().await.unwrap();
    migrate::up(&mut owner, Cause::Asked).await.unwrap();
    assert_eq!(server.get("/health/ready").await.status, 200);
    server.user().await;
}

#[tokio::test]
async fn ready_follows_the_database() {
    let database = TestDatabase::create().await;
    let proxy = Proxy::start(&database.url).await;
    let server = Local::start(&proxy.url, &[]);
    assert_eq!(server.get("/health/ready").await.status, 200);
    proxy.take_away();
    until("it is not ready", async || {
        server.get("/health/ready").await.status == 503
    })
    .await;
    assert_eq!(server.get("/health").await.status, 200);
    proxy.give_back();
    until("it is ready again", async || {
        server.get("/health/ready").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn readiness_fails_when_no_database_connection_can_be_opened() {
    let database = TestDatabase::create().await;
    let proxy = Proxy::start(&database.url).await;
    let server = Local::start(&proxy.url, &[]);
    assert_eq!(server.get("/health/ready").await.status, 200);
    proxy.refuse_new();
    assert_eq!(
        server.get("/health/ready").await.status,
        200,
        "a connection was opened just now"
    );
    server.clock.advance(Duration::from_secs(10));
    assert_eq!(server.get("/health/ready").await.status, 503);
    proxy.give_back();
    until("it is ready again", async || {
        server.get("/health/ready").await.status == 200
    })
    .await;
}

fn healthcheck(host: &str, port: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_emotionviz"))
        .arg("healthcheck")
        .env_clear()
        .env("API_HOST", host)
        .env("API_PORT", port)
        .output()
        .unwrap()
}

#[tokio::test]
async fn healthcheck_asks_the_service_of_the_same_settings() {
    let server = Server::start(NOWHERE, &[]);
    let port = server.address.rsplit_once(':').unwrap().1.to_owned();
    for host in ["127.0.0.1", "0.0.0.0"] {
        let done = healthcheck(host, &port);
        assert!(done.status.success(), "{done:?}");
    }
    drop(server);
    let done = healthcheck("127.0.0.1", &port);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&done.stderr).contains("does not answer"),
        "{done:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn healthcheck_does_not_wait_for_ever() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let variables = [("API_HOST", "127.0.0.1"), ("API_PORT", &port)];
    let values =
        Values::from_environment(variables.map(|(name, value)| (name.into(), value.into())));
    let error = emotionviz_app::healthcheck::run(&values).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("does not answer"),
        "{error:#}"
    );
}
