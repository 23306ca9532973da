use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Client, Service, TestDatabase, User, until};

/// Made by the older backend's library (Python's bcrypt 4.0.1), at a lower cost.
const OLD_HASH: &str = "$2b$04$QPK3RDBgGgazqa/ZgH4cEehRAI3hiHZsQV9A/7cCw71V4.TesZvN6";
const OLD_PASSWORD: &str = "old password 1";
/// `"x" * 80`, of which bcrypt reads 72 bytes.
const LONG_HASH: &str = "$2b$04$lFY1DcRzAmrR2SS.ehnKcOemC8afvH7dO4tctbzbf.ZsJsGuoUgyW";

/// An account as some versions of the older backend left it: without a name.
async fn adopted(database: &TestDatabase, email: &str, key: &str, hash: &str) -> Uuid {
    database
        .execute("ALTER TABLE users ALTER name DROP NOT NULL")
        .await;
    sqlx::query_scalar("INSERT INTO users (email, email_key, hashed_password, is_active) VALUES ($1, $2, $3, true) RETURNING id")
        .bind(email)
        .bind(key)
        .bind(hash)
        .fetch_one(&database.pool)
        .await
        .unwrap()
}

async fn hash_of(database: &TestDatabase, user: Uuid) -> String {
    sqlx::query_scalar("SELECT hashed_password FROM users WHERE id = $1")
        .bind(user)
        .fetch_one(&database.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_bcrypt_password_logs_in_and_is_rewritten() {
    let s = Service::start().await;
    let old = adopted(&s.database, "old@example.com", "old@example.com", OLD_HASH).await;
    let login = |password: &str| json!({"email": "old@example.com", "password": password});
    s.server
        .post("/api/v1/auth/login", &login("old password 2"))
        .await
        .error(401, "UNAUTHORIZED");
    assert_eq!(hash_of(&s.database, old).await, OLD_HASH);
    let session = s
        .server
        .post("/api/v1/auth/login", &login(OLD_PASSWORD))
        .await
        .data(200);
    assert_eq!(
        (&session["user"]["id"], &session["user"]["name"]),
        (&json!(old), &json!(""))
    );
    assert!(hash_of(&s.database, old).await.starts_with("$argon2id$"));
    s.server
        .post("/api/v1/auth/login", &login(OLD_PASSWORD))
        .await
        .data(200);
    s.server
        .post("/api/v1/auth/login", &login("old password 2"))
        .await
        .error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn bcrypt_reads_72_bytes_as_it_always_did() {
    let s = Service::start().await;
    adopted(
        &s.database,
        "long@example.com",
        "long@example.com",
        LONG_HASH,
    )
    .await;
    let login = async |n: usize| {
        s.server
            .post(
                "/api/v1/auth/login",
                &json!({"email": "long@example.com", "password": "x".repeat(n)}),
            )
            .await
    };
    login(71).await.error(401, "UNAUTHORIZED");
    login(80).await.data(200);
    // Rewritten, all of it counts.
    login(79).await.error(401, "UNAUTHORIZED");
    login(80).await.data(200);
}

#[tokio::test]
async fn a_hash_of_no_known_kind_fits_no_password() {
    let s = Service::start().await;
    for (i, hash) in [
        "",
        "!",
        "$2b$",
        "$2b$12$short",
        "$argon2id$",
        "$5$rounds=5000$x$y",
        "plain text 1",
    ]
    .iter()
    .enumerate()
    {
        let email = format!("odd{i}@example.com");
        adopted(&s.database, &email, &email, hash).await;
        s.server
            .post(
                "/api/v1/auth/login",
                &json!({"email": email, "password": "plain text 1"}),
            )
            .await
            .error(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn accounts_that_differ_in_case_alone_are_told_apart() {
    let s = Service::start().await;
    let elder = adopted(
        &s.database,
        "Ann@Example.com",
        &Uuid::new_v4().to_string(),
        OLD_HASH,
    )
    .await;
    let younger = adopted(&s.database, "ann@example.com", "ann@example.com", OLD_HASH).await;
    for (email, expected) in [
        ("Ann@Example.com", elder),
        ("ann@example.com", younger),
        ("ANN@example.com", younger),
    ] {
        let session = s
            .server
            .post(
                "/api/v1/auth/login",
                &json!({"email": email, "password": OLD_PASSWORD}),
            )
            .await
            .data(200);
        assert_eq!(session["user"]["id"], json!(expected), "{email}");
    }
    for email in ["Ann@Example.com", "ann@example.com", "aNN@example.com"] {
        let new = json!({"email": email, "password": User::PASSWORD, "name": "Ann"});
        s.server
            .post("/api/v1/auth/register", &new)
            .await
            .error(409, "CONFLICT");
    }
}

#[tokio::test]
async fn a_new_password_ends_every_token_on_every_replica() {
    let s = Service::start().await;
    let replica = s.replica(&[]);
    let ann = s.server.user().await;
    let change =
        |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    ann.put("/auth/password", &change("wrong horse 1", "better horse 2"))
        .await
        .error(401, "UNAUTHORIZED");
    assert_eq!(
        ann.put("/auth/password", &change(User::PASSWORD, "short"))
            .await
            .rule("new_password"),
        "must have 8 to 128 characters"
    );
    ann.get("/auth/me").await.data(200);
    ann.put("/auth/password", &change(User::PASSWORD, "better horse 2"))
        .await
        .empty();
    for server in [&s.server, &replica] {
        ann.on(server)
            .get("/auth/me")
            .await
            .error(401, "UNAUTHORIZED");
        ann.on(server)
            .put(
                "/auth/password",
                &change("better horse 2", "better horse 3"),
            )
            .await
            .error(401, "UNAUTHORIZED");
    }
    let login = |password: &str| json!({"email": ann.email, "password": password});
    replica
        .post("/api/v1/auth/login", &login(User::PASSWORD))
        .await
        .error(401, "UNAUTHORIZED");
    let session = replica
        .post("/api/v1/auth/login", &login("better horse 2"))
        .await
        .data(200);
    User::from_session(&s.server, &session)
        .get("/auth/me")
        .await
        .data(200);
}

#[tokio::test]
async fn of_two_changes_at_once_one_counts() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let change = |new: &str| json!({"current_password": User::PASSWORD, "new_password": new});
    let (a, b) = (change("better horse 2"), change("better horse 3"));
    let (a, b) = tokio::join!(ann.put("/auth/password", &a), ann.put("/auth/password", &b));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 401]);
}

/// Passwords are hashed beside the requests and without a connection to the database, of which there is one here. Measured in logins,
/// which a busy machine slows down as well: were others in their queue, each would wait for all that are under way.
#[tokio::test]
async fn logins_do_not_hold_up_others() {
    const AT_ONCE: usize = 16;
    const OTHERS: usize = 20;
    let s = Service::with(&[("DATABASE_CONNECTIONS", "1")]).await;
    let ann = s.server.user().await;
    let done = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (client, done) = (Client::clone(&s.server), done.clone());
        let login = json!({"email": ann.email, "password": User::PASSWORD});
        clients.spawn(async move {
            loop {
                client.post("/api/v1/auth/login", &login).await.data(200);
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    until("logins are under way", async || {
        done.load(Ordering::Relaxed) > 0
    })
    .await;
    let before = done.load(Ordering::Relaxed);
    for _ in 0..OTHERS {
        ann.get("/auth/me").await.data(200);
    }
    let meanwhile = done.load(Ordering::Relaxed) - before;
    assert!(
        meanwhile < OTHERS * AT_ONCE / 2,
        "{meanwhile} logins during {OTHERS} other requests"
    );
    assert!(clients.try_join_next().is_none(), "a login failed");
}
