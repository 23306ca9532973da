use std::time::Duration;

use chrono::{Timelike, Utc};
use serde_json::json;

use crate::support::{Reply, Server, Service, TestDatabase, User, until};

const ON: (&str, &str) = ("RATE_LIMITS", "on");

/// Windows begin with the minute (and the hour): a test that counts must not see one begin.
async fn early_in_a_minute() {
    until("there are enough seconds left in this minute", async || {
        Utc::now().second() < 45
    })
    .await;
}

/// An account and a token without an attempt to register.
async fn user<'a>(database: &TestDatabase, limited: &'a Server) -> User<'a> {
    let unlimited = Server::start(&database.url, &[]);
    let ann = unlimited.user().await;
    ann.on(limited)
}

fn left(reply: &Reply) -> (u32, u32, i64) {
    let number = |name: &str| {
        reply
            .header(name)
            .parse()
            .unwrap_or_else(|_| panic!("{name}: {reply:?}"))
    };
    (
        number("x-ratelimit-limit"),
        number("x-ratelimit-remaining"),
        reply.header("x-ratelimit-reset").parse().unwrap(),
    )
}

#[tokio::test]
async fn a_hundred_a_minute_for_a_user() {
    let s = Service::with(&[ON]).await;
    let ann = user(&s.database, &s.server).await;
    early_in_a_minute().await;
    let end = Utc::now().timestamp() / 60 * 60 + 60;
    for n in 1..=100 {
        let reply = ann.get("/entries?limit=1").await;
        reply.data(200);
        assert_eq!(left(&reply), (100, 100 - n, end));
    }
    let refused = ann.get("/entries").await;
    let details = refused.error(429, "RATE_LIMIT_EXCEEDED")["details"].clone();
    assert_eq!(left(&refused), (100, 0, end));
    let wait: i64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(details, json!({"retry_after_seconds": wait}));
    ann.get("/auth/me").await.error(429, "RATE_LIMIT_EXCEEDED");
    // Whom nobody limits: others, and calls without a token.
    user(&s.database, &s.server)
        .await
        .get("/entries")
        .await
        .data(200);
    let emotions = s.server.get("/api/v1/emotions").await;
    emotions.data(200);
    assert_eq!(emotions.header("x-ratelimit-limit"), "");
}

#[tokio::test]
async fn failures_of_a_limited_route_tell_the_limits_too() {
    let s = Service::with(&[ON]).await;
    let ann = user(&s.database, &s.server).await;
    for reply in [
        ann.get("/entries/7").await,
        ann.post("/entries", &json!({})).await,
        ann.get("/entries?limit=0").await,
    ] {
        reply.error(400, "VALIDATION_ERROR");
        left(&reply);
    }
}

#[tokio::test]
async fn a_revoked_token_uses_up_none_of_its_users_requests() {
    let s = Service::with(&[ON]).await;
    let ann = user(&s.database, &s.server).await;
    let login = json!({"email": ann.email, "password": User::PASSWORD});
    let phone = User::from_session(
        &s.server,
        &s.server.post("/api/v1/auth/login", &login).await.data(200),
    );
    phone.post("/auth/logout", &json!({})).await.empty();
    for _ in 0..150 {
        phone.get("/auth/me").await.error(401, "UNAUTHORIZED");
    }
    ann.get("/auth/me").await.data(200);
}

#[tokio::test]
async fn the_tighter_window_is_the_one_told() {
    let s = Service::with(&[ON]).await;
    let ann = user(&s.database, &s.server).await;
    early_in_a_minute().await;
    // What other replicas counted in this hour.
    s.database
        .execute(&format!(
            "INSERT INTO rate_limits VALUES ('user:{}', 3600, date_trunc('hour', now()), 995)",
            ann.id
        ))
        .await;
    until("the replica has heard of it", async || {
        left(&ann.get("/auth/me").await).0 == 1000
    })
    .await;
    until("the hour is used up", async || {
        ann.get("/auth/me").await.status == 429
    })
    .await;
    let refused = ann.get("/auth/me").await;
    assert_eq!((left(&refused).0, left(&refused).1), (1000, 0));
    assert_eq!(left(&refused).2 % 3600, 0);
}

#[tokio::test]
async fn ten_attempts_a_minute_from_an_address() {
    let s = Service::with(&[ON]).await;
    early_in_a_minute().await;
    let login = json!({"email": "nobody@example.com", "password": "x"});
    for n in 1..=9 {
        let reply = s.server.post("/api/v1/auth/login", &login).await;
        reply.error(401, "UNAUTHORIZED");
        assert_eq!((left(&reply).0, left(&reply).1), (10, 10 - n));
    }
    let new = json!({"email": "ann@example.com", "password": User::PASSWORD, "name": "Ann"});
    let ann = User::from_session(
        &s.server,
        &s.server.post("/api/v1/auth/register", &new).await.data(201),
    );
    let refused = s.server.post("/api/v1/auth/login", &login).await;
    refused.error(429, "RATE_LIMIT_EXCEEDED");
    assert!(!refused.header("retry-after").is_empty());
    s.server
        .post("/api/v1/auth/register", &new)
        .await
        .error(429, "RATE_LIMIT_EXCEEDED");
    ann.get("/auth/me").await.data(200);
    // Nobody made this connection a proxy.
    let request = s
        .server
        .request("POST", "/api/v1/auth/login")
        .header("x-forwarded-for", "9.9.9.9")
        .json(&login);
    Reply::of(request).await.error(429, "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn the_address_that_a_trusted_proxy_forwards() {
    let s = Service::with(&[ON, ("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    early_in_a_minute().await;
    let login = async |from: &str| {
        let request = s
            .server
            .request("POST", "/api/v1/auth/login")
            .header("x-forwarded-for", from);
        Reply::of(request.json(&json!({"email": "nobody@example.com", "password": "x"})))
            .await
            .status
    };
    for _ in 0..10 {
        assert_eq!(login("9.9.9.9").await, 401);
    }
    assert_eq!(login("9.9.9.9").await, 429);
    assert_eq!(
        login("8.8.8.8, 9.9.9.9").await,
        429,
        "what stands left of the last untrusted address is made up"
    );
    assert_eq!(login("9.9.9.8").await, 401);
}

#[tokio::test]
async fn replicas_share_their_counts() {
    let s = Service::with(&[ON]).await;
    let replica = Server::start(&s.database.url, &[ON]);
    let ann = user(&s.database, &s.server).await;
    early_in_a_minute().await;
    for _ in 0..100 {
        ann.get("/auth/me").await.data(200);
    }
    let shared = format!(
        "SELECT coalesce(max(count), 0)::int8 FROM rate_limits WHERE subject = 'user:{}' AND period = 60",
        ann.id
    );
    until("the first replica told the table", async || {
        s.database.count(&shared).await == 100
    })
    .await;
    let there = ann.on(&replica);
    let mut admitted = 0;
    until("the second one heard of it", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let status = there.get("/auth/me").await.status;
        admitted += i32::from(status == 200);
        status == 429
    })
    .await;
    assert!(admitted < 20, "{admitted} more than the limit");
    // A third one, which starts now, knows it after its first exchange.
    let third = Server::start(&s.database.url, &[ON]);
    until("a new replica heard of it", async || {
        ann.on(&third).get("/auth/me").await.status == 429
    })
    .await;
}

#[tokio::test]
async fn off_is_off() {
    let s = Service::with(&[("RATE_LIMITS", "off")]).await;
    let ann = s.server.user().await;
    for _ in 0..150 {
        let reply = ann.get("/entries?limit=1").await;
        reply.data(200);
        assert_eq!(reply.header("x-ratelimit-limit"), "");
    }
    for _ in 0..12 {
        s.server
            .post(
                "/api/v1/auth/login",
                &json!({"email": "nobody@example.com", "password": "x"}),
            )
            .await
            .error(401, "UNAUTHORIZED");
    }
    assert_eq!(
        s.database.count("SELECT count(*) FROM rate_limits").await,
        0
    );
}

#[tokio::test]
async fn limits_hold_without_the_table() {
    let s = Service::with(&[ON]).await;
    let ann = user(&s.database, &s.server).await;
    s.database.execute("DROP TABLE rate_limits").await;
    early_in_a_minute().await;
    for _ in 0..100 {
        ann.get("/auth/me").await.data(200);
    }
    ann.get("/auth/me").await.error(429, "RATE_LIMIT_EXCEEDED");
    until("it is said once", async || {
        s.server
            .log()
            .iter()
            .any(|line| line.contains("counted by this replica alone"))
    })
    .await;
}
