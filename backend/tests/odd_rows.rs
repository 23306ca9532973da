//! Rows of the Python backend that the current columns, JSON or RFC 3339 cannot hold: they are served, or reported with the statement to run.

use serde_json::{Value, json};

use crate::adoption::load;
use crate::migrations::{migrated, refused};
use crate::support::{Reply, Server, TestDatabase, User};

const ENTRY: &str = "00000000-0000-4000-8000-0000000000b1";
const LATEST: &str = "9999-12-31T23:59:59.999999Z";
const EARLIEST: &str = "0001-01-01T00:00:00.000000Z";

async fn ann(server: &Server) -> User<'_> {
    log_in(server, "ann@example.com").await
}

async fn log_in<'s>(server: &'s Server, email: &str) -> User<'s> {
    let credentials = json!({"email": email, "password": "correct horse 1"});
    User::from_session(
        server,
        &server
            .post("/api/v1/auth/login", &credentials)
            .await
            .data(200),
    )
}

/// The list in every order, with every filter.
async fn list(ann: &User<'_>, total: usize) {
    for sort in [
        "created_at",
        "-created_at",
        "intensity",
        "-intensity",
        "updated_at",
        "-updated_at",
    ] {
        for filter in [
            "",
            "&emotion=joy",
            "&from=2025-01-01T00:00:00Z",
            "&to=2026-01-01T00:00:00Z",
            "&limit=1&offset=2",
        ] {
            ann.get(&format!("/entries?sort={sort}{filter}"))
                .await
                .data(200);
        }
    }
    assert_eq!(ann.get("/entries").await.data(200)["total"], total);
}

#[tokio::test]
async fn adopted_entries_with_unusual_values_are_served_and_can_be_edited() {
    let rows: &[(&str, &str, Value)] = &[
        ("created_at = 'infinity'", "created_at", json!(LATEST)),
        ("created_at = '-infinity'", "created_at", json!(EARLIEST)),
        (
            "created_at = '4713-01-01 BC'",
            "created_at",
            json!(EARLIEST),
        ),
        (
            "created_at = '0001-06-01 BC'",
            "created_at",
            json!(EARLIEST),
        ),
        ("created_at = '10000-01-01'", "created_at", json!(LATEST)),
        ("created_at = '294276-12-31'", "created_at", json!(LATEST)),
        (
            "created_at = '9999-12-31 23:59:59.999999Z'",
            "created_at",
            json!(LATEST),
        ),
        ("updated_at = 'infinity'", "updated_at", json!(LATEST)),
        ("updated_at = '-infinity'", "updated_at", json!(EARLIEST)),
        (
            "created_at = NULL, updated_at = 'infinity'",
            "created_at",
            json!(LATEST),
        ),
        ("intensity = 'NaN'", "intensity", json!(0.0)),
        ("intensity = -9.99", "intensity", json!(-9.99)),
        ("intensity = 9.99", "intensity", json!(9.99)),
        (
            "emotions = '{{joy,fear},{anger,x}}'",
            "emotions",
            json!(["joy", "fear", "anger", "x"]),
        ),
        (
            "emotions = '[0:1]={joy,fear}'",
            "emotions",
            json!(["joy", "fear"]),
        ),
        (
            "emotions = '[-3:-3][7:8]={{joy,fear}}'",
            "emotions",
            json!(["joy", "fear"]),
        ),
        ("emotions = '{}'", "emotions", json!([])),
        (
            "emotions = ARRAY[repeat('é', 1300)]",
            "emotions",
            json!(["é".repeat(1300)]),
        ),
        (
            "emotions = '{\"\", \" \", \"a\\\"b\", \"NULL\", 😀}'",
            "emotions",
            json!(["", " ", "a\"b", "NULL", "😀"]),
        ),
        (
            "situation = E'\\x01\\x1f\\u007f\\u2028\\ufeff\\uffff\\U0010ffff\"\\\\'",
            "situation",
            json!("\u{1}\u{1f}\u{7f}\u{2028}\u{feff}\u{ffff}\u{10ffff}\"\\"),
        ),
        (
            "situation = repeat('x', 300000)",
            "situation",
            json!("x".repeat(300_000)),
        ),
        (
            "notes = repeat('y', 300000)",
            "notes",
            json!("y".repeat(300_000)),
        ),
        (
            "source = NULL, notes = NULL, intake_session_id = NULL",
            "notes",
            json!(""),
        ),
        (
            "notes = 'the least id'",
            "id",
            json!("00000000-0000-0000-0000-000000000000"),
        ),
        (
            "notes = 'the greatest id'",
            "id",
            json!("ffffffff-ffff-ffff-ffff-ffffffffffff"),
        ),
    ];
    let database = TestDatabase::create_empty().await;
    load(&database).await;
    let copy = "INSERT INTO emotion_entries (id, user_id, situation, emotions, intensity, notes, source, created_at, updated_at)
                SELECT $id, user_id, situation, emotions, intensity, notes, source, created_at, updated_at FROM emotion_entries WHERE id = '$like'";
    let id = |n: usize, (_, field, served): &(&str, &str, Value)| match (*field, served) {
        ("id", Value::String(id)) => id.clone(),
        _ => format!("00000000-0000-4000-8000-0000000002{n:02}"),
    };
    for (n, row) in rows.iter().enumerate() {
        let id = id(n, row);
        database
            .execute(
                &copy
                    .replace("$id", &format!("'{id}'"))
                    .replace("$like", ENTRY),
            )
            .await;
        database
            .execute(&format!(
                "UPDATE emotion_entries SET {} WHERE id = '{id}'",
                row.0
            ))
            .await;
    }
    migrated(&database.url, &["up"]).await;
    let server = Server::start(&database.url, &[]);
    let ann = ann(&server).await;
    let total = rows.len() + 4;
    list(&ann, total).await;
    let export = ann.get("/auth/me/export").await.data(200);
    let exported = export["entries"].as_array().unwrap();
    assert_eq!(exported.len(), total);
    for (n, row) in rows.iter().enumerate() {
        let (id, (sets, field, served)) = (id(n, row), row);
        let path = format!("/entries/{id}");
        assert_eq!(ann.get(&path).await.data(200)[field], *served, "{sets}");
        let exported = &exported.iter().find(|entry| entry["id"] == id).unwrap()[field];
        let exported = if exported.is_null() {
            &json!("")
        } else {
            exported
        };
        assert_eq!(
            without_fraction(exported),
            without_fraction(served),
            "{sets}"
        );
        let change = if *field == "notes" {
            json!({"intensity": 0.5})
        } else {
            json!({"notes": "new"})
        };
        let changed = ann.put(&path, &change).await.data(200);
        assert!(
            change
                .as_object()
                .unwrap()
                .iter()
                .all(|(field, new)| changed[field] == *new),
            "{sets}"
        );
        if *field != "updated_at" {
            assert_eq!(changed[field], *served, "{sets}");
        }
    }
    list(&ann, total).await;
}

/// The export writes as many digits of a second as there are.
fn without_fraction(value: &Value) -> Value {
    value.as_str().map_or_else(
        || value.clone(),
        |text| json!(text.replace(".000000Z", "Z")),
    )
}

#[tokio::test]
async fn adopted_accounts_with_unusual_values_log_in_and_are_exported() {
    let rows = [
        "created_at = 'infinity', updated_at = '-infinity', last_login_at = '4713-01-01 BC'",
        "name = '', is_verified = true",
        "name = E'\\x01\\u2028\"'",
        "created_at = NULL",
    ];
    let database = TestDatabase::create_empty().await;
    load(&database).await;
    for (n, sets) in rows.iter().enumerate() {
        database
            .execute(&format!(
                "INSERT INTO users SELECT gen_random_uuid(), 'odd{n}@example.com', hashed_password, name, is_active, is_verified FROM users WHERE email = 'ann@example.com';
                 UPDATE users SET {sets} WHERE email = 'odd{n}@example.com'"
            ))
            .await;
    }
    migrated(&database.url, &["up"]).await;
    let server = Server::start(&database.url, &[]);
    for n in 0..rows.len() {
        let user = log_in(&server, &format!("odd{n}@example.com")).await;
        for path in ["/auth/me", "/auth/me/export", "/entries"] {
            user.get(path).await.data(200);
        }
    }
}

#[tokio::test]
async fn adopted_visualizations_and_sessions_with_unusual_values_are_exported() {
    let database = TestDatabase::create_empty().await;
    load(&database).await;
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    database
        .execute(&format!(
            "UPDATE visualizations SET insights = '[2:3][0:0]={{{{a}},{{NULL}}}}', created_at = 'infinity', updated_at = '-infinity',
                 processing_started_at = 'infinity', gemini_analysis = '{deep}', visual_elements = '1e400', nanobanana_response = 'null';
             UPDATE intake_sessions SET completed_at = 'infinity', conversation_history = '\"text\"', current_step = -2147483648"
        ))
        .await;
    migrated(&database.url, &["up"]).await;
    let server = Server::start(&database.url, &[]);
    let reply: Reply = ann(&server).await.get("/auth/me/export").await;
    assert_eq!(reply.status, 200);
    for part in [
        "\"insights\":[\"a\",null]",
        "\"processing_started_at\":\"9999-12-31T23:59:59.999999Z\"",
        &deep,
        "\"current_step\":-2147483648",
        "\"meta\"",
    ] {
        assert!(reply.text.contains(part), "{part}");
    }
}

#[tokio::test]
async fn a_value_that_no_column_can_hold_is_reported_and_the_hint_corrects_it() {
    let json = "ALTER TABLE visualizations ALTER gemini_analysis TYPE json; ALTER TABLE intake_sessions ALTER ai_context TYPE json;";
    let picture = "00000000-0000-4000-8000-0000000000c1";
    let long = format!(
        "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, {}) AS n)",
        9000 / 32
    );
    let set = |value: &str| {
        format!(
            "{json} UPDATE visualizations SET gemini_analysis = '{value}' WHERE id = '{picture}'"
        )
    };
    for (what, sql, column, row) in [
        ("U+0000", set(r#"{"a": "x\u0000y"}"#), "visualizations.gemini_analysis", picture),
        ("two of them", set(r#"{"a": "\u0000\u0000", "b\u0000": 1}"#), "visualizations.gemini_analysis", picture),
        ("the first half of a pair", set(r#"["\ud83d"]"#), "visualizations.gemini_analysis", picture),
        ("the second half of a pair", set(r#"["\udc00 x"]"#), "visualizations.gemini_analysis", picture),
        ("a pair the wrong way round", set(r#"["\ude00\ud83d"]"#), "visualizations.gemini_analysis", picture),
        ("a number without bounds", set("[1e999999]"), "visualizations.gemini_analysis", picture),
        (
            "a session",
            format!(r#"{json} UPDATE intake_sessions SET ai_context = '"\u0000"'"#),
            "intake_sessions.ai_context",
            "00000000-0000-4000-8000-0000000000a1",
        ),
        (
            "a long emotion",
            format!("UPDATE emotion_entries SET emotions = ARRAY['joy', {long}] WHERE id = '{ENTRY}'"),
            "emotion_entries.emotions",
            ENTRY,
        ),
        (
            "a long emotion among many",
            format!("UPDATE emotion_entries SET emotions = ARRAY[['joy'], [{long}]] WHERE id = '{ENTRY}'"),
            "emotion_entries.emotions",
            ENTRY,
        ),
        (
            "more than are named",
            format!(
                "INSERT INTO emotion_entries (id, user_id, situation, emotions, intensity, created_at, updated_at)
                     SELECT gen_random_uuid(), user_id, 'x', ARRAY[{long}], 0.5, now(), now() FROM emotion_entries, generate_series(1, 30) WHERE id = '{ENTRY}'"
            ),
            "emotion_entries.emotions",
            "the first 20 of 30 rows",
        ),
        (
            "an address of two accounts",
            "DROP INDEX ix_users_email; UPDATE users SET email = 'ann@example.com' WHERE name = 'Undated'".to_owned(),
            "users.email",
            "00000000-0000-4000-8000-000000000005",
        ),
        (
            "an entry without its account",
            "ALTER TABLE emotion_entries DROP CONSTRAINT emotion_entries_user_id_fkey; DELETE FROM users WHERE name = 'Bob the younger'"
                .to_owned(),
            "emotion_entries.user_id",
            "00000000-0000-4000-8000-0000000000b5",
        ),
        (
            "a picture without its entry",
            "ALTER TABLE visualizations DROP CONSTRAINT visualizations_entry_id_fkey; DELETE FROM emotion_entries WHERE emotions = '{}'"
                .to_owned(),
            "visualizations.entry_id",
            "00000000-0000-4000-8000-0000000000c2",
        ),
        (
            "two pictures of an entry",
            format!("DROP INDEX ix_visualizations_entry_id; UPDATE visualizations SET entry_id = '{ENTRY}'"),
            "visualizations.entry_id",
            "00000000-0000-4000-8000-0000000000c2",
        ),
        (
            "an entry without its session",
            "ALTER TABLE emotion_entries DROP CONSTRAINT emotion_entries_intake_session_id_fkey; DELETE FROM intake_sessions".to_owned(),
            "emotion_entries.intake_session_id",
            "00000000-0000-4000-8000-0000000000b3",
        ),
    ] {
        let database = TestDatabase::create_empty().await;
        load(&database).await;
        database.execute(&sql).await;
        let before = database.schema().await;
        let said = refused(&database.url, &["up"]).await;
        assert!(said.contains(column) && said.contains(row) && said.contains("Nothing was changed"), "{what}: {said}");
        assert_eq!(database.schema().await, before, "{what}");
        let (_, statement) = said.split_once("then migrate up: ").unwrap();
        database.execute(statement).await;
        migrated(&database.url, &["up"]).await;
    }
}

#[tokio::test]
async fn json_that_jsonb_accepts_is_adopted_unchanged() {
    let database = TestDatabase::create_empty().await;
    load(&database).await;
    database
        .execute(
            r#"ALTER TABLE visualizations ALTER gemini_analysis TYPE json;
               UPDATE visualizations SET gemini_analysis = '{"a": "\ud83d\ude00 \\u0000 \\ud83d", "n": 1e10}'"#,
        )
        .await;
    migrated(&database.url, &["up"]).await;
    assert_eq!(database.count(r#"SELECT count(*) FROM visualizations WHERE gemini_analysis ->> 'a' = '😀 \u0000 \ud83d'"#).await, 2);
}
