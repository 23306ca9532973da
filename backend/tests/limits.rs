use std::time::Duration;

use serde_json::json;

use crate::support::{Local, Process, Reply, Service, User, until};

const ON: (&str, &str) = ("RATE_LIMITS", "on");

/// Registers without an attempt that counts.
async fn user(s: &Service) -> User<'_> {
    let unlimited = s.replica(&[]);
    unlimited.user().await.on(&s.server)
}

/// When the window of so many seconds begins in which the server's clock stands.
fn window_start(server: &Local, period: i64) -> i64 {
    server.clock.now().timestamp() / period * period
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
    let ann = user(&s).await;
    let end = window_start(&s.server, 60) + 60;
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
    user(&s).await.get("/entries").await.data(200);
    let emotions = s.server.get("/api/v1/emotions").await;
    emotions.data(200);
    assert_eq!(emotions.header("x-ratelimit-limit"), "");
}

#[tokio::test]
async fn failures_of_a_limited_route_tell_the_limits_too() {
    let s = Service::with(&[ON]).await;
    let ann = user(&s).await;
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
    let ann = user(&s).await;
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
    let ann = user(&s).await;
    // What other replicas counted in this hour.
    s.database
        .execute(&format!(
            "INSERT INTO rate_limits VALUES ('user:{}', 3600, to_timestamp({}), 995)",
            ann.id,
            window_start(&s.server, 3600)
        ))
        .await;
    assert_eq!(left(&ann.get("/auth/me").await).0, 100);
    s.server.app.guard.exchange().await.unwrap();
    for n in (0..4).rev() {
        let reply = ann.get("/auth/me").await;
        reply.data(200);
        assert_eq!((left(&reply).0, left(&reply).1), (1000, n));
    }
    let refused = ann.get("/auth/me").await;
    refused.error(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(
        left(&refused),
        (1000, 0, window_start(&s.server, 3600) + 3600)
    );
}

#[tokio::test]
async fn the_next_minute_admits_again() {
    let s = Service::with(&[ON]).await;
    let ann = user(&s).await;
    for _ in 0..100 {
        ann.get("/auth/me").await.data(200);
    }
    let refused = ann.get("/auth/me").await;
    refused.error(429, "RATE_LIMIT_EXCEEDED");
    let wait = refused.header("retry-after").parse().unwrap();
    s.server.clock.advance(Duration::from_secs(wait));
    ann.get("/auth/me").await.data(200);
}

#[tokio::test]
async fn ten_attempts_a_minute_from_an_address() {
    let s = Service::with(&[ON]).await;
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
    request.send().await.error(429, "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn the_address_that_a_trusted_proxy_forwards() {
    let s = Service::with(&[ON, ("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let login = async |from: &str| {
        let request = s
            .server
            .request("POST", "/api/v1/auth/login")
            .header("x-forwarded-for", from);
        request
            .json(&json!({"email": "nobody@example.com", "password": "x"}))
            .send()
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
    let ann = user(&s).await;
    for _ in 0..100 {
        ann.get("/auth/me").await.data(200);
    }
    s.server.app.guard.exchange().await.unwrap();
    for _ in 0..2 {
        let replica = s.replica(&[ON]);
        let there = ann.on(&replica);
        // What a replica admits before its first exchange is over the limit.
        there.get("/auth/me").await.data(200);
        replica.app.guard.exchange().await.unwrap();
        there
            .get("/auth/me")
            .await
            .error(429, "RATE_LIMIT_EXCEEDED");
    }
    let shared = format!(
        "SELECT count::int8 FROM rate_limits WHERE subject = 'user:{}' AND period = 60",
        ann.id
    );
    assert_eq!(s.database.count(&shared).await, 102);
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
    let ann = user(&s).await;
    s.database.execute("DROP TABLE rate_limits").await;
    for _ in 0..100 {
        ann.get("/auth/me").await.data(200);
    }
    s.server.app.guard.exchange().await.unwrap_err();
    ann.get("/auth/me").await.error(429, "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn a_replica_that_cannot_share_its_counts_logs_it_once() {
    let s = Process::with(&[ON]).await;
    s.database.execute("DROP TABLE rate_limits").await;
    let warnings = || {
        let log = s.server.log();
        log.iter()
            .filter(|line| line.contains("counted by this replica alone"))
            .count()
    };
    s.server.user().await;
    until("a warning is logged", async || warnings() > 0).await;
    s.database
        .execute("CREATE TABLE rate_limits (subject text, period int, window_start timestamptz, count int, PRIMARY KEY (subject, period, window_start))")
        .await;
    until("the end is logged", async || {
        s.server
            .log()
            .iter()
            .any(|line| line.contains("rate limits are shared again"))
    })
    .await;
    assert_eq!(warnings(), 1);
}
