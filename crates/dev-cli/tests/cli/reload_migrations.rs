//! A migration that is made while everything runs is applied when something is written into it.

use serde_json::Value;

use crate::reload_builds::Edited;

const LEFT: &str = "is empty: it is applied when something is written into it";

/// Makes one, and returns its first file and its version.
fn made(s: &Edited, name: &str) -> (String, i64) {
    let made = s.scratch.ok(&["migrate", "new", name]);
    let file = made.stdout.lines().next().unwrap();
    let file = file[file.find("backend/").unwrap()..].to_owned();
    let version = file
        .rsplit('/')
        .next()
        .unwrap()
        .split('_')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    (file, version)
}

/// The file that undoes what another one does.
fn undo_of(file: &str) -> String {
    file.replace(".up.sql", ".down.sql")
}

/// How a migration stands.
fn state(s: &Edited, version: i64) -> String {
    let status: Value =
        serde_json::from_str(&s.scratch.ok(&["migrate", "status", "--json"]).stdout).unwrap();
    let one = status["migrations"]
        .as_array()
        .unwrap()
        .iter()
        .find(|migration| migration["version"] == version)
        .unwrap();
    one["state"].as_str().unwrap().to_owned()
}

/// What `status` says: the schema's state, how many are pending, and how many are empty.
fn schema(s: &Edited) -> (String, u64, u64) {
    let schema = &s.scratch.status()["schema"];
    (
        schema["state"].as_str().unwrap().to_owned(),
        schema["pending"].as_u64().unwrap(),
        schema["empty"].as_u64().unwrap(),
    )
}

#[test]
#[ignore = "long: many builds"]
fn an_empty_migration_waits_until_it_is_written() {
    let Some(mut s) = Edited::start() else { return };
    let (file, version) = made(&s, "moods");
    s.next("live");
    let before = s.scratch.status()["schema"]["revision"].as_i64().unwrap();
    assert_eq!(
        (schema(&s), state(&s, version)),
        (("current".to_owned(), 0, 1), "empty".to_owned())
    );
    assert!(before < version && s.answer("/health/ready").contains("\"ready\""));
    s.scratch.ok(&["status"]).says("1 migration is empty");
    s.scratch.ok(&["logs", "dev"]).prints(LEFT);
    for args in [
        &["up"][..],
        &["up", "--dry-run"],
        &["to", &version.to_string()],
        &["verify"],
    ] {
        s.scratch.ok(&[&["migrate"], args].concat()).prints(LEFT);
    }
    // Where nothing else would be applied, nothing is paused.
    s.scratch.ok(&["migrate", "to", &before.to_string()]);
    assert_eq!(s.scratch.status()["schema"]["paused"], false);

    // Comments are nothing. A later one does not wait for it.
    s.scratch.write(
        &file,
        "-- no-transaction\n-- breaking\n/* moods /* of people */ */\n",
    );
    s.next("live");
    assert_eq!(state(&s, version), "empty");
    s.migration(29_990_101_000_000, "later");
    s.next("live");
    assert_eq!(
        (s.tables("later"), state(&s, version)),
        ("1".to_owned(), "empty".to_owned())
    );

    // What is reverted stays so while nothing is written.
    s.scratch
        .ok(&["migrate", "down"])
        .prints("reverted 29990101000000");
    let (other, _) = made(&s, "other");
    s.next("live");
    assert_eq!(
        (s.tables("later"), schema(&s)),
        ("0".to_owned(), ("behind".to_owned(), 1, 2))
    );
    s.scratch.write(&undo_of(&other), "DROP TABLE other;\n");
    s.next("live");
    assert_eq!(
        (s.tables("later"), schema(&s)),
        ("0".to_owned(), ("behind".to_owned(), 1, 2)),
        "what undoes a change is none"
    );

    s.scratch
        .write(&file, "CREATE TABLE moods (id nonsense);\n");
    let failed = s.next("failed");
    assert!(
        failed["reason"].as_str().unwrap().contains("nonsense"),
        "{failed}"
    );
    assert_eq!(schema(&s), ("behind".to_owned(), 2, 1));
    s.scratch
        .write(&file, "-- moods\nCREATE TABLE moods (id int);\n");
    let live = s.next("live");
    assert!(live["migrate_ms"].is_u64(), "{live}");
    assert_eq!(
        (s.tables("moods"), s.tables("later"), state(&s, version)),
        ("1".to_owned(), "1".to_owned(), "applied".to_owned())
    );

    // It is not reverted while nothing is written that does it, and none of those after it.
    let refused = s.scratch.dev(&["migrate", "down", "2"]).expect_code(1);
    refused.says("nothing undoes it");
    refused.says(&undo_of(&file));
    assert_eq!(
        (
            s.tables("moods"),
            s.tables("later"),
            s.scratch.status()["schema"]["paused"].as_bool()
        ),
        ("1".into(), "1".into(), Some(false))
    );

    // One that an older version applied stays applied.
    let (_, applied) = made(&s, "older");
    s.next("live");
    let row = format!(
        "INSERT INTO _sqlx_migrations VALUES ({applied}, 'older', now(), true, sha384(E'-- older\\n'), 0)"
    );
    s.scratch.ok(&[
        "db",
        "shell",
        "-c",
        &format!("{row}; INSERT INTO _migrations_breaking VALUES ({applied})"),
    ]);
    assert_eq!(
        (schema(&s), state(&s, applied)),
        (("current".to_owned(), 0, 1), "applied".to_owned())
    );
    s.scratch.ok(&["migrate", "verify"]);
    assert!(s.answer("/health/ready").contains("\"ready\""));
    s.scratch.write(&other, "CREATE TABLE other (id int);\n");
    s.next("live");
    assert_eq!(
        (s.tables("other"), schema(&s)),
        ("1".to_owned(), ("current".to_owned(), 0, 0))
    );
}
