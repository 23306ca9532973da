use nix::sys::signal::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{PATIENCE, Process, entry, http_client, until};

#[tokio::test]
async fn a_request_that_is_under_way_is_finished() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let mut s = Process::start().await;
        let ann = s.server.user().await;
        let id = ann.entry(&entry()).await["id"].as_str().unwrap().to_owned();

        let mut lock = s.database.pool.begin().await.unwrap();
        sqlx::query("SELECT FROM emotion_entries FOR UPDATE")
            .execute(&mut *lock)
            .await
            .unwrap();
        let slow = ann
            .request("PUT", &format!("/entries/{id}"))
            .json(&json!({"notes": "late"}));
        let slow = tokio::spawn(slow.send());
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("the request waits for the row", async || {
            s.database.count(waiting).await == 1
        })
        .await;

        let mut idle = TcpStream::connect(s.server.address.strip_prefix("http://").unwrap())
            .await
            .unwrap();
        idle.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        assert_ne!(idle.read(&mut [0; 8192]).await.unwrap(), 0);

        s.server.signal(signal);
        until("it takes no more connections", async || {
            http_client()
                .get(format!("{}/health", s.server.address))
                .send()
                .await
                .is_err()
        })
        .await;
        // After SIGQUIT that takes a moment, in which clients may still ask.
        let mut rest = Vec::new();
        tokio::time::timeout(PATIENCE, idle.read_to_end(&mut rest))
            .await
            .expect("what is idle is closed")
            .unwrap();
        assert!(!slow.is_finished());
        lock.commit().await.unwrap();
        assert_eq!(slow.await.unwrap().status, 200);
        assert_eq!(s.server.ended().await.code(), Some(0), "{signal}");
        assert!(
            s.server.log().iter().any(|line| line.contains("stopped")),
            "the last lines are written"
        );
        assert_eq!(
            s.database
                .count("SELECT count(*) FROM emotion_entries WHERE notes = 'late'")
                .await,
            1
        );
    }
}

#[tokio::test]
async fn an_idle_service_stops_at_once() {
    let mut s = Process::with(&[("RATE_LIMITS", "on")]).await;
    // A connection that is kept alive, and counts that are not told yet.
    s.server.user().await.get("/entries").await.data(200);
    let started = std::time::Instant::now();
    s.server.signal(Signal::SIGTERM);
    assert_eq!(s.server.ended().await.code(), Some(0));
    assert!(
        started.elapsed().as_secs_f32() < 2.0,
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        s.database.count("SELECT count(*) FROM rate_limits").await,
        3,
        "they are told at the end"
    );
}

#[tokio::test]
async fn a_process_that_another_one_follows_takes_leave_of_its_clients() {
    let mut s = Process::start().await;
    // A connection that is kept alive, and used again within the moment in which it is not closed yet.
    assert_eq!(s.server.get("/health").await.header("connection"), "");
    s.server.signal(Signal::SIGQUIT);
    until("it accepts no more connections", async || {
        TcpStream::connect(s.server.address.strip_prefix("http://").unwrap())
            .await
            .is_err()
    })
    .await;
    let last = s.server.get("/health").await;
    assert_eq!((last.status, last.header("connection")), (200, "close"));
    assert_eq!(s.server.ended().await.code(), Some(0));
}
