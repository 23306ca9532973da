use serde_json::json;

use crate::support::{Service, User, entry};

#[tokio::test]
async fn register_then_log_in() {
    let s = Service::start().await;
    let new = json!({"email": "Ann@Example.com", "password": User::PASSWORD, "name": "Ann Ä"});
    let session = s.server.post("/api/v1/auth/register", &new).await.data(201);
    assert_eq!(
        (&session["token_type"], &session["expires_in"]),
        (&json!("bearer"), &json!(3600))
    );
    let user = &session["user"];
    assert_eq!(
        (&user["email"], &user["name"]),
        (&json!("Ann@Example.com"), &json!("Ann Ä"))
    );
    assert!(user["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(user.as_object().unwrap().len(), 4);

    for email in ["Ann@Example.com", "ann@example.com", "ANN@EXAMPLE.COM"] {
        let again = s
            .server
            .post(
                "/api/v1/auth/login",
                &json!({"email": email, "password": User::PASSWORD}),
            )
            .await
            .data(200);
        assert_eq!(&again["user"], user);
        assert_ne!(again["access_token"], session["access_token"]);
    }
    assert_eq!(
        s.database
            .count("SELECT count(*) FROM users WHERE hashed_password LIKE '$argon2id$v=19$m=19456,t=2,p=1$%' AND last_login_at IS NOT NULL")
            .await,
        1
    );
}

#[tokio::test]
async fn an_address_has_one_account_whatever_its_case() {
    let s = Service::start().await;
    User::register(&s.server, "ann@example.com").await;
    for email in ["ann@example.com", "Ann@EXAMPLE.com"] {
        let new = json!({"email": email, "password": User::PASSWORD, "name": "Ann"});
        s.server
            .post("/api/v1/auth/register", &new)
            .await
            .error(409, "CONFLICT");
    }
}

/// Spellings of one address, the first of them as it is registered.
const SPELLINGS: [&[&str]; 4] = [
    &[
        "ann@example.com",
        " ann@example.com\t",
        "\u{a0}ANN@EXAMPLE.COM\n",
    ],
    &[
        "zoë@example.com",
        "zoe\u{308}@example.com",
        "ZOË@Example.com",
        "ZOE\u{308}@example.com ",
    ],
    &[
        "ann@bücher.example",
        "ann@xn--bcher-kva.example",
        "Ann@XN--BCHER-KVA.example",
        "ann@BÜCHER.example",
        "ann@bu\u{308}cher.example",
    ],
    &[
        " bob@xn--r8jz45g.example ",
        "bob@例え.example",
        "BOB@例え.EXAMPLE",
    ],
];

#[tokio::test]
async fn login_accepts_every_spelling_of_an_address() {
    let s = Service::start().await;
    for spellings in SPELLINGS {
        let new = |email: &str| json!({"email": email, "password": User::PASSWORD, "name": "Ann"});
        let session = s
            .server
            .post("/api/v1/auth/register", &new(spellings[0]))
            .await
            .data(201);
        assert_eq!(session["user"]["email"], spellings[0].trim());
        for email in spellings {
            let again = s
                .server
                .post(
                    "/api/v1/auth/login",
                    &json!({"email": email, "password": User::PASSWORD}),
                )
                .await
                .data(200);
            assert_eq!(again["user"], session["user"], "{email:?}");
            s.server
                .post("/api/v1/auth/register", &new(email))
                .await
                .error(409, "CONFLICT");
        }
    }
    for other in ["zoe@example.com", "an n@example.com", "ann@bucher.example"] {
        s.server
            .post(
                "/api/v1/auth/login",
                &json!({"email": other, "password": User::PASSWORD}),
            )
            .await
            .error(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn what_registration_refuses() {
    let s = Service::start().await;
    let register = async |field: &str, value: serde_json::Value| {
        let mut new =
            json!({"email": "ann@example.com", "password": User::PASSWORD, "name": "Ann"});
        new[field] = value;
        s.server
            .post("/api/v1/auth/register", &new)
            .await
            .rule(field)
    };
    assert_eq!(
        register("email", json!("ann")).await,
        "must be an e-mail address"
    );
    assert_eq!(
        register("email", json!("a\u{0}b@example.com")).await,
        "must be an e-mail address"
    );
    assert_eq!(register("email", json!(7)).await, "must be a string");
    assert_eq!(
        register("password", json!("short 1")).await,
        "must have 8 to 128 characters"
    );
    assert_eq!(
        register("password", json!("x1".repeat(65))).await,
        "must have 8 to 128 characters"
    );
    for one_kind in ["lettersalone", "1234567890", "ÄÖÜäöüßé"] {
        assert_eq!(
            register("password", json!(one_kind)).await,
            "must have at least one letter and one character that is not a letter"
        );
    }
    assert_eq!(
        register("name", json!("")).await,
        "must have 1 to 255 characters"
    );
    assert_eq!(
        register("name", json!("a\u{0}")).await,
        "must not contain U+0000"
    );
    assert_eq!(register("name", json!(null)).await, "must be a string");
    let missing = s
        .server
        .post(
            "/api/v1/auth/register",
            &json!({"email": "ann@example.com", "name": "Ann"}),
        )
        .await;
    assert_eq!(missing.rule("password"), "is required");
    assert_eq!(s.database.count("SELECT count(*) FROM users").await, 0);
}

#[tokio::test]
async fn wrong_credentials_have_one_answer() {
    let s = Service::start().await;
    User::register(&s.server, "ann@example.com").await;
    let mut messages = Vec::new();
    for (email, password) in [
        ("ann@example.com", "wrong horse 1"),
        ("bob@example.com", User::PASSWORD),
        ("ann@example.com", ""),
        ("no address", "x"),
    ] {
        let reply = s
            .server
            .post(
                "/api/v1/auth/login",
                &json!({"email": email, "password": password}),
            )
            .await;
        assert_eq!(reply.header("www-authenticate"), "Bearer");
        messages.push(reply.error(401, "UNAUTHORIZED"));
    }
    assert!(
        messages.windows(2).all(|pair| pair[0] == pair[1]),
        "{messages:?}"
    );
}

#[tokio::test]
async fn nothing_but_a_good_token_opens() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let with = async |authorization: Option<&str>| {
        let request = s.server.request("GET", "/api/v1/auth/me");
        let request = match authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        };
        request.send().await
    };
    with(Some(&format!("bearer {}", ann.token))).await.data(200);
    let (head, signature) = ann.token.rsplit_once('.').unwrap();
    let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let claims = head.split_once('.').unwrap().1;
    for bad in [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer x".to_owned()),
        Some(format!("Basic {}", ann.token)),
        Some(format!("Bearer {head}.")),
        Some(format!(
            "Bearer {head}.{}",
            signature.chars().rev().collect::<String>()
        )),
        Some(format!("Bearer {unsigned}.{claims}.")),
        Some(format!("Bearer {unsigned}.{claims}.{signature}")),
    ] {
        with(bad.as_deref()).await.error(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn tokens_expire_and_other_keys_do_not_count() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let other = s.replica(&[("JWT_SECRET_KEY", "another key of thirty-two bytes or more")]);
    ann.on(&other)
        .get("/auth/me")
        .await
        .error(401, "UNAUTHORIZED");
    let short = s.replica(&[("ACCESS_TOKEN_EXPIRE_MINUTES", "1")]);
    let refreshed = ann
        .on(&short)
        .post("/auth/refresh", &json!({}))
        .await
        .data(200);
    assert_eq!(refreshed["expires_in"], 60);
}

#[tokio::test]
async fn refresh_gives_another_token() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let token = ann.post("/auth/refresh", &json!({})).await.data(200);
    assert_eq!(
        (&token["token_type"], &token["expires_in"]),
        (&json!("bearer"), &json!(3600))
    );
    let again = User {
        token: token["access_token"].as_str().unwrap().to_owned(),
        ..ann.on(&s.server)
    };
    again.get("/auth/me").await.data(200);
    ann.get("/auth/me").await.data(200);
}

#[tokio::test]
async fn me_counts_what_there_is() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let me = ann.get("/auth/me").await.data(200);
    assert_eq!(
        (&me["id"], &me["email"], &me["name"]),
        (&json!(ann.id), &json!(ann.email), &json!("Ann"))
    );
    assert_eq!(
        (&me["entry_count"], &me["visualization_count"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(me.as_object().unwrap().len(), 6);
    let stored = ann.entry(&entry()).await;
    ann.entry(&entry()).await;
    let (id, user) = (stored["id"].as_str().unwrap(), &ann.id);
    s.database.execute(&format!("INSERT INTO visualizations (entry_id, user_id, style) VALUES ('{id}', '{user}', 'abstract')")).await;
    let me = ann.get("/auth/me").await.data(200);
    assert_eq!(
        (&me["entry_count"], &me["visualization_count"]),
        (&json!(2), &json!(1))
    );
}

#[tokio::test]
async fn logout_counts_on_every_replica_and_for_one_token() {
    let s = Service::start().await;
    let replica = s.replica(&[]);
    let ann = s.server.user().await;
    let login = json!({"email": ann.email, "password": User::PASSWORD});
    let phone = User::from_session(
        &s.server,
        &s.server.post("/api/v1/auth/login", &login).await.data(200),
    );
    ann.post("/auth/logout", &json!({})).await.empty();
    for server in [&s.server, &replica] {
        ann.on(server)
            .get("/auth/me")
            .await
            .error(401, "UNAUTHORIZED");
        ann.on(server)
            .post("/auth/logout", &json!({}))
            .await
            .error(401, "UNAUTHORIZED");
        phone.on(server).get("/auth/me").await.data(200);
    }
    assert_eq!(
        s.database
            .count("SELECT count(*) FROM revoked_tokens WHERE expires_at > now()")
            .await,
        1
    );
}

#[tokio::test]
async fn every_call_refuses_who_counts_no_longer() {
    let s = Service::start().await;
    let replica = s.replica(&[]);
    for (sql, status, code) in [
        (
            "UPDATE users SET is_active = false WHERE email = $",
            403,
            "FORBIDDEN",
        ),
        (
            "UPDATE users SET token_generation = token_generation + 1 WHERE email = $",
            401,
            "UNAUTHORIZED",
        ),
        ("DELETE FROM users WHERE email = $", 401, "UNAUTHORIZED"),
        ("", 401, "UNAUTHORIZED"),
    ] {
        for entries in [0, 1] {
            let ann = s.server.user().await;
            let mut id = uuid::Uuid::new_v4().to_string();
            for _ in 0..entries {
                id = ann.entry(&entry()).await["id"].as_str().unwrap().to_owned();
            }
            let before = s
                .database
                .count("SELECT count(*) FROM emotion_entries")
                .await;
            match sql {
                "" => ann.post("/auth/logout", &json!({})).await.empty(),
                sql => {
                    s.database
                        .execute(&sql.replace('$', &format!("'{}'", ann.email)))
                        .await
                }
            }
            for server in [&s.server, &replica] {
                let ann = ann.on(server);
                for path in [
                    "/entries",
                    "/entries?emotion=joy&offset=7",
                    "/auth/me",
                    "/auth/me/export",
                    &format!("/entries/{id}"),
                ] {
                    ann.get(path).await.error(status, code);
                }
                ann.post("/entries", &entry()).await.error(status, code);
                ann.put(&format!("/entries/{id}"), &entry())
                    .await
                    .error(status, code);
                ann.delete(&format!("/entries/{id}"))
                    .await
                    .error(status, code);
                ann.post("/auth/refresh", &json!({}))
                    .await
                    .error(status, code);
            }
            let gone = if sql.starts_with("DELETE") {
                entries
            } else {
                0
            };
            assert_eq!(
                s.database
                    .count("SELECT count(*) FROM emotion_entries")
                    .await,
                before - gone
            );
        }
    }
}

#[tokio::test]
async fn an_inactive_account_is_refused() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    // Some versions of the older backend left it open.
    s.database
        .execute("ALTER TABLE users ALTER is_active DROP NOT NULL")
        .await;
    for inactive in ["false", "NULL"] {
        s.database
            .execute(&format!("UPDATE users SET is_active = {inactive}"))
            .await;
        ann.get("/auth/me").await.error(403, "FORBIDDEN");
        ann.get("/entries").await.error(403, "FORBIDDEN");
        let login = |password| json!({"email": ann.email, "password": password});
        s.server
            .post("/api/v1/auth/login", &login(User::PASSWORD))
            .await
            .error(403, "FORBIDDEN");
        s.server
            .post("/api/v1/auth/login", &login("wrong horse 1"))
            .await
            .error(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn deleting_an_account_leaves_nothing() {
    let s = Service::start().await;
    let replica = s.replica(&[]);
    let (ann, bob) = (s.server.user().await, s.server.user().await);
    let stored = ann.entry(&entry()).await;
    bob.entry(&entry()).await;
    let (id, user) = (stored["id"].as_str().unwrap(), &ann.id);
    s.database.execute(&format!("INSERT INTO visualizations (entry_id, user_id, style) VALUES ('{id}', '{user}', 'abstract')")).await;
    s.database
        .execute(&format!(
            "INSERT INTO intake_sessions (user_id, initial_situation) VALUES ('{user}', 'rain')"
        ))
        .await;

    ann.send("DELETE", "/auth/me", &json!({"password": "wrong horse 1"}))
        .await
        .error(401, "UNAUTHORIZED");
    assert_eq!(
        ann.send("DELETE", "/auth/me", &json!({}))
            .await
            .rule("password"),
        "is required"
    );
    ann.send("DELETE", "/auth/me", &json!({"password": User::PASSWORD}))
        .await
        .empty();

    ann.get("/auth/me").await.error(401, "UNAUTHORIZED");
    ann.on(&replica)
        .get("/auth/me")
        .await
        .error(401, "UNAUTHORIZED");
    s.server
        .post(
            "/api/v1/auth/login",
            &json!({"email": ann.email, "password": User::PASSWORD}),
        )
        .await
        .error(401, "UNAUTHORIZED");
    for table in ["emotion_entries", "visualizations", "intake_sessions"] {
        assert_eq!(
            s.database
                .count(&format!(
                    "SELECT count(*) FROM {table} WHERE user_id = '{user}'"
                ))
                .await,
            0,
            "{table}"
        );
    }
    assert_eq!(bob.get("/entries").await.data(200)["total"], 1);
    User::register(&s.server, &ann.email).await;
}
