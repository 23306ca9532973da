//! A database of the Python backend: the first `migrate up` adopts it.

use serde_json::{Value, json};

use crate::migrations::{migrated, refused};
use crate::support::{Server, TestDatabase, User};

const DUMP: &str = include_str!("data/python_backend.sql");
const TABLES: [&str; 4] = [
    "users",
    "intake_sessions",
    "emotion_entries",
    "visualizations",
];

/// Loads the dump as psql does: statements, and the rows of each COPY.
pub(crate) async fn load(database: &TestDatabase) {
    let mut conn = database.pool.acquire().await.unwrap();
    let mut statement = String::new();
    let mut lines = DUMP.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("COPY ") {
            let rows: Vec<&str> = lines.by_ref().take_while(|line| *line != "\\.").collect();
            let mut copy = conn.copy_in_raw(line.trim_end_matches(';')).await.unwrap();
            copy.send(format!("{}\n", rows.join("\n")).as_bytes())
                .await
                .unwrap();
            assert_eq!(
                copy.finish().await.unwrap(),
                u64::try_from(rows.len()).unwrap(),
                "{line}"
            );
        } else {
            statement += line;
            statement.push('\n');
            if line.ends_with(';') {
                sqlx::raw_sql(sqlx::AssertSqlSafe(std::mem::take(&mut statement)))
                    .execute(&mut *conn)
                    .await
                    .unwrap();
            }
        }
    }
    // The dump ends with an empty search path.
    conn.detach();
}

pub(crate) async fn adopted() -> (TestDatabase, String) {
    let database = TestDatabase::create_empty().await;
    load(&database).await;
    let said = migrated(&database.url, &["up"]).await;
    (database, said)
}

/// Every value of every row of the older tables, as text.
pub(crate) async fn rows(database: &TestDatabase) -> Vec<Value> {
    let mut all = Vec::new();
    for table in TABLES {
        let sql = format!(
            "SELECT to_jsonb(t) - '{{email_key,token_generation,adopted_as_is}}'::text[] FROM {table} t ORDER BY id"
        );
        let rows: Vec<Value> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_all(&database.pool)
            .await
            .unwrap();
        all.extend(rows);
    }
    all
}

#[tokio::test]
async fn every_row_and_value_stays() {
    let database = TestDatabase::create_empty().await;
    load(&database).await;
    let before = rows(&database).await;
    let said = migrated(&database.url, &["up"]).await;
    let after = rows(&database).await;
    assert_eq!((before.len(), after.len()), (13, 13));
    for (mut old, mut new) in before.into_iter().zip(after) {
        if old["created_at"].is_null() {
            // The one value that may change: it becomes that of the last change, if there was one.
            let (created, updated) = (new["created_at"].take(), &old["updated_at"]);
            assert!(
                created.is_string() && (updated.is_null() || created == *updated),
                "{old} {created}"
            );
            old["created_at"].take();
        }
        assert_eq!(old, new);
    }
    for counted in [
        "5 users, 5 entries, 2 visualizations, 1 intake sessions",
        "with the exact spelling: 1",
        "time of creation; they have that of their last change, or of now: 5",
        "intensity outside 0..1: 1",
        "without an emotion, or with more than ten: 1",
        "an emotion that is not known: 1",
        "an empty text, or one that is longer than is allowed now: 1",
        "source, status or style is not known now: 2",
    ] {
        assert!(said.contains(counted), "{counted}: {said}");
    }
    assert!(!migrated(&database.url, &["up"]).await.contains("adopted"));
}

#[tokio::test]
async fn it_ends_with_the_schema_of_a_new_database() {
    let shape = "SELECT string_agg(concat_ws(' ', table_name, column_name, data_type, udt_name, is_nullable, column_default), E'\\n' ORDER BY table_name, column_name)
                 FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'";
    let rest = "SELECT string_agg(definition, E'\\n' ORDER BY definition) FROM (
                    SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
                    UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
                    WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND conname NOT LIKE 'alembic_version%') AS all_of_them (definition)";
    let (adopted, _) = adopted().await;
    let new = TestDatabase::create().await;
    for sql in [shape, rest] {
        let of = async |database: &TestDatabase| {
            sqlx::query_scalar::<_, String>(sql)
                .fetch_one(&database.pool)
                .await
                .unwrap()
        };
        pretty_equal(&of(&adopted).await, &of(&new).await);
    }
}

fn pretty_equal(left: &str, right: &str) {
    let (left, right): (Vec<_>, Vec<_>) = (left.lines().collect(), right.lines().collect());
    let only_left: Vec<_> = left.iter().filter(|l| !right.contains(l)).collect();
    let only_right: Vec<_> = right.iter().filter(|l| !left.contains(l)).collect();
    assert!(
        only_left.is_empty() && only_right.is_empty(),
        "adopted only: {only_left:#?}\nnew only: {only_right:#?}"
    );
}

#[tokio::test]
async fn its_users_log_in_with_their_passwords() {
    let (database, _) = adopted().await;
    let server = Server::start(&database.url, &[]);
    let log_in = async |email: &str| {
        server
            .post(
                "/api/v1/auth/login",
                &json!({"email": email, "password": "correct horse 1"}),
            )
            .await
    };
    for (spelling, name) in [
        ("ann@example.com", "Ann"),
        ("ANN@example.COM", "Ann"),
        ("Bob@Example.com", "Bob the older"),
        ("bob@example.com", "Bob the younger"),
        // No account is spelled so: the younger one has the address as its key.
        ("BOB@example.com", "Bob the younger"),
        ("undated@example.com", "Undated"),
    ] {
        assert_eq!(
            log_in(spelling).await.data(200)["user"]["name"],
            name,
            "{spelling}"
        );
    }
    log_in("Zoë@Example.com").await.error(403, "FORBIDDEN");
    let taken =
        json!({"email": "BOB@EXAMPLE.COM", "password": "correct horse 1", "name": "Bob the third"});
    server
        .post("/api/v1/auth/register", &taken)
        .await
        .error(409, "CONFLICT");

    // Their hashes are Argon2id's from then on, and they log in again; who did not log in keeps the old one.
    assert_eq!(
        database
            .count("SELECT count(*) FROM users WHERE hashed_password LIKE '$argon2id$%'")
            .await,
        4
    );
    assert_eq!(
        database
            .count("SELECT count(*) FROM users WHERE hashed_password LIKE '$2b$%'")
            .await,
        1
    );
    assert_eq!(
        log_in("ann@example.com").await.data(200)["user"]["created_at"],
        "2025-11-24T12:00:00.123456Z"
    );
}

#[tokio::test]
async fn users_of_the_python_backend_log_in_with_every_spelling_that_it_accepted() {
    let database = TestDatabase::create_empty().await;
    load(&database).await;
    // As pydantic and email-validator stored them: the domain in lower case, in either form, and older ones as they were typed.
    let stored = [
        "Carl@bücher.example",
        "dora@xn--bcher-kva.example",
        "zoë@example.com",
        "emile\u{301}@example.com",
        "Fay@ex\u{e4}mple.com",
        "fay@exa\u{308}mple.com",
        " guy@example.com ",
        "Hal@example.com",
        "hal@example.com",
    ];
    for (n, email) in stored.iter().enumerate() {
        database
            .execute(&format!(
                "INSERT INTO users SELECT '00000000-0000-4000-8000-0000000001{n:02}', '{email}', hashed_password, '{n}', true, true,
                     '2025-12-01'::timestamptz + interval '1 h' * {n} FROM users WHERE name = 'Ann'"
            ))
            .await;
    }
    let said = migrated(&database.url, &["up"]).await;
    assert!(said.contains("with the exact spelling: 4"), "{said}");
    let server = Server::start(&database.url, &[]);
    for (typed, name) in [
        (" Ann@Example.com ", "Ann"),
        // As the older backend read it: the domain in lower case, the rest as typed.
        ("Hal@EXAMPLE.com", "7"),
        ("hal@EXAMPLE.com", "8"),
        ("HAL@example.com", "8"),
        ("Carl@bücher.example", "0"),
        ("carl@BÜCHER.example", "0"),
        ("Carl@xn--bcher-kva.example", "0"),
        ("carl@bu\u{308}cher.example\n", "0"),
        ("dora@bücher.example", "1"),
        ("Dora@xn--bcher-kva.EXAMPLE", "1"),
        ("zoë@example.com", "2"),
        ("zoe\u{308}@example.com", "2"),
        ("emilé@example.com", "3"),
        ("EMILÉ@example.com", "3"),
        ("Fay@ex\u{e4}mple.com", "4"),
        ("fay@exa\u{308}mple.com", "5"),
        ("FAY@xn--exmple-cua.com", "5"),
        ("guy@example.com", "6"),
    ] {
        let session = server
            .post(
                "/api/v1/auth/login",
                &json!({"email": typed, "password": "correct horse 1"}),
            )
            .await
            .data(200);
        assert_eq!(session["user"]["name"], name, "{typed:?}");
    }
    for taken in [
        "carl@xn--bcher-kva.example",
        "ÉMILE@example.com",
        "emilé@example.com",
        "guy@example.com",
    ] {
        let status = server
            .post(
                "/api/v1/auth/register",
                &json!({"email": taken, "password": "correct horse 1", "name": "x"}),
            )
            .await
            .status;
        assert_eq!(
            status,
            if taken.starts_with('É') { 201 } else { 409 },
            "{taken}"
        );
    }
}

#[tokio::test]
async fn odd_entries_are_read_and_edited_in_their_other_fields() {
    let (database, _) = adopted().await;
    let server = Server::start(&database.url, &[]);
    let session = server
        .post(
            "/api/v1/auth/login",
            &json!({"email": "ann@example.com", "password": "correct horse 1"}),
        )
        .await
        .data(200);
    let ann = User::from_session(&server, &session);
    let listed = ann.get("/entries?sort=created_at").await.data(200);
    assert_eq!(listed["total"], 4);
    let id = |n: u8| format!("00000000-0000-4000-8000-0000000000b{n}");

    let ordinary = ann.get(&format!("/entries/{}", id(1))).await.data(200);
    assert_eq!(
        (&ordinary["intensity"], &ordinary["notes"]),
        (&json!(0.8), &json!(""))
    );
    assert_eq!(
        ordinary["situation"],
        "Ordinary, with two lines\nand 🌧 rain"
    );
    assert_eq!(
        (&ordinary["updated_at"], &ordinary["created_at"]),
        (
            &json!("2025-11-24T13:00:00.500000Z"),
            &json!("2025-11-24T13:00:00.500000Z")
        )
    );
    assert_eq!(
        (
            &ordinary["has_visualization"],
            &ordinary["visualization_id"]
        ),
        (&json!(true), &json!("00000000-0000-4000-8000-0000000000c1"))
    );

    for (n, field, odd) in [
        (2, "emotions", json!([])),
        (3, "intensity", json!(7.5)),
        (4, "emotions", json!(["saudade", "with space"])),
    ] {
        let path = format!("/entries/{}", id(n));
        let changed = ann
            .put(&path, &json!({"notes": "still here"}))
            .await
            .data(200);
        assert_eq!(
            (&changed["notes"], &changed[field]),
            (&json!("still here"), &odd)
        );
        // The rules hold for what is sent.
        ann.put(&path, &json!({ field: odd })).await.error(
            400,
            if n == 4 {
                "INVALID_EMOTION"
            } else {
                "VALIDATION_ERROR"
            },
        );
    }
    ann.delete(&format!("/entries/{}", id(3))).await.empty();
}

#[tokio::test]
async fn another_revision_is_refused_and_left_alone() {
    let database = TestDatabase::create_empty().await;
    load(&database).await;
    database
        .execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        .await;
    let said = refused(&database.url, &["up"]).await;
    assert!(
        said.contains("revision ffffffffffff") && said.contains("alembic upgrade head"),
        "{said}"
    );
    assert_eq!(
        database
            .count("SELECT count(*) FROM pg_tables WHERE tablename LIKE '\\_%'")
            .await,
        0
    );
    assert_eq!(
        database
            .count("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix\\_%'")
            .await,
        7
    );
}

#[tokio::test]
async fn somebody_elses_tables_are_refused_and_left_alone() {
    let database = TestDatabase::create_empty().await;
    database.execute("CREATE TABLE users (name text)").await;
    let said = refused(&database.url, &["up"]).await;
    assert!(
        said.contains("the table public.users") && said.contains("an empty one"),
        "{said}"
    );
    assert_eq!(
        database
            .count("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .await,
        1
    );
}

#[tokio::test]
async fn addresses_that_an_earlier_version_stored_get_their_key_with_the_next_up() {
    let database = TestDatabase::create().await;
    let add = async |email: &str, key: &str, day: u8| {
        let sql = "INSERT INTO users (email, email_key, hashed_password, name, created_at, updated_at) VALUES";
        database
            .execute(&format!(
                "{sql} ('{email}', '{key}', 'x', 'x', '2025-01-0{day}', '2025-01-0{day}')"
            ))
            .await;
    };
    add("ann@bücher.example", "ann@bücher.example", 1).await;
    add("Zoë@example.com", "zoë@example.com", 1).await;
    // Two accounts of one address: the youngest keeps its key.
    add("bob@BÜCHER.example", "bob@bÜcher.example", 1).await;
    add("bob@xn--bcher-kva.example", "bob@xn--bcher-kva.example", 2).await;
    database
        .execute(
            "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.updated_at = now(); RETURN NEW; END';
             CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()",
        )
        .await;
    for _ in 0..2 {
        migrated(&database.url, &["up", "--auto"]).await;
        let keys: Vec<(String, String)> = sqlx::query_as(
            "SELECT email::text, CASE email_key WHEN id::text THEN '(id)' ELSE email_key END FROM users ORDER BY email COLLATE \"C\"",
        )
        .fetch_all(&database.pool)
        .await
        .unwrap();
        let keys: Vec<_> = keys
            .iter()
            .map(|(email, key)| (&email[..], &key[..]))
            .collect();
        assert_eq!(
            keys,
            [
                ("Zoë@example.com", "zoë@example.com"),
                ("ann@bücher.example", "ann@xn--bcher-kva.example"),
                ("bob@BÜCHER.example", "(id)"),
                ("bob@xn--bcher-kva.example", "bob@xn--bcher-kva.example"),
            ]
        );
        assert_eq!(
            database
                .count("SELECT count(*) FROM users WHERE updated_at > '2025-02-01'")
                .await,
            0,
            "a trigger ran"
        );
    }
    let server = Server::start(&database.url, &[]);
    let ann = json!({"email": "Ann@bücher.example", "password": "correct horse 1", "name": "Ann"});
    assert_eq!(server.post("/api/v1/auth/register", &ann).await.status, 409);
}
