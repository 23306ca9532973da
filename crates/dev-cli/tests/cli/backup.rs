//! Copies of the database, and the way back.

use std::fs;
use std::process::Command;

use crate::support::{Scratch, eventually};

const DATABASES: &str = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1";

fn databases(scratch: &Scratch) -> Vec<String> {
    scratch.sql(DATABASES).lines().map(str::to_owned).collect()
}

fn run(scratch: &Scratch, sql: &str) {
    scratch.ok(&["db", "shell", "-c", sql]);
}

/// What sessions in the database begin with, where it was said by ALTER DATABASE or ALTER ROLE.
const SETTINGS: &str = "SELECT setrole::regrole, setconfig FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
    WHERE datname = 'emotionviz_db' ORDER BY 1";

/// All that has to be quoted, and lists.
const ODD_SETTINGS: &str = r#"ALTER DATABASE emotionviz_db SET search_path = "$user", public, 'odd "name", it''s', '';
ALTER DATABASE emotionviz_db SET "app.note" = E'it''s "a" \\ note,\n:of \\gexec two lines';
ALTER DATABASE emotionviz_db SET TimeZone = 'UTC';
ALTER ROLE emotionviz_api IN DATABASE emotionviz_db SET idle_in_transaction_session_timeout = '77s';
CREATE ROLE "an ""odd"" role's";
ALTER ROLE "an ""odd"" role's" IN DATABASE emotionviz_db SET search_path = ''"#;

#[test]
fn a_copy_is_put_back_and_what_was_there_is_kept() {
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["db", "seed"]);
    let entries = scratch.sql("SELECT count(*) FROM emotion_entries");
    let backup = scratch.ok(&["backup"]);
    let copy = backup.stdout.trim().to_owned();
    assert!(copy.starts_with(&*scratch.path("data/backups").to_string_lossy()) && copy.ends_with(".dump"), "{backup}");
    let mut check = Command::new("sha256sum");
    check.args(["--check", "--quiet"]).arg(format!("{copy}.sha256")).current_dir(scratch.path("data/backups"));
    assert!(check.status().unwrap().success());

    run(&scratch, ODD_SETTINGS);
    let settings = scratch.sql(SETTINGS);
    assert_eq!(settings.lines().count(), 3, "{settings}");
    run(&scratch, "DELETE FROM emotion_entries");
    run(&scratch, "CREATE TABLE of_today AS SELECT 1");
    let restored = scratch.ok(&["restore", &copy]);
    restored.prints("emotionviz_db is as it is in ");
    restored.says("is kept as before_restore_");
    assert_eq!(scratch.sql("SELECT count(*) FROM emotion_entries"), entries);
    assert_eq!(scratch.sql("SELECT to_regclass('of_today') IS NULL"), "t");
    assert_eq!(scratch.sql(SETTINGS), settings, "they are of the name");
    let [kept, now] = &databases(&scratch)[..] else { panic!("{:?}", databases(&scratch)) };
    assert!(kept.starts_with("before_restore_") && now == "emotionviz_db");

    // The API was not started anew. It has its rights, and no more than those.
    eventually("a ready API", || scratch.get("/health/ready").contains("\"ready\"").then_some(()));
    assert_eq!(scratch.service("api")["restarts"], 0);
    let rights =
        "SELECT has_table_privilege('emotionviz_api', 'users', 'INSERT'), has_schema_privilege('emotionviz_api', 'public', 'CREATE')";
    assert_eq!(scratch.sql(rights), "t\tf");

    // Without an environment that runs, and from SQL as pg_dump prints it.
    let url = scratch.ok(&["db", "url"]).stdout.trim().to_owned();
    let dump = Command::new("pg_dump").arg(&url).output().unwrap();
    assert!(dump.status.success(), "{dump:?}");
    fs::write(scratch.path("backup.sql"), dump.stdout).unwrap();
    scratch.ok(&["down"]);
    scratch.ok(&["restore", "backup.sql"]).says("whether the copy is whole was not checked");
    scratch.up();
    assert_eq!(scratch.sql("SELECT count(*) FROM emotion_entries"), entries);
}

#[test]
fn a_copy_that_is_damaged_or_refused_changes_nothing() {
    let scratch = Scratch::new();
    scratch.up();
    run(&scratch, "CREATE TABLE kept AS SELECT 1");
    scratch.ok(&["backup", "--output", "mine.dump"]);
    let mut bytes = fs::read(scratch.path("mine.dump")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(scratch.path("mine.dump"), bytes).unwrap();
    scratch.dev(&["restore", "mine.dump"]).expect_code(1).says("is damaged: it does not fit the checksum beside it");

    scratch.write("half.sql", "CREATE TABLE half ();\nSELECT nonsense;\n");
    // As one that was killed leaves it.
    run(&scratch, "CREATE DATABASE restoring_20251124000000000");
    scratch.dev(&["restore", "half.sql"]).expect_code(1).says("nonsense");
    scratch.dev(&["restore", "not-there.sql"]).expect_code(1).says("not-there.sql");
    assert_eq!(databases(&scratch), ["emotionviz_db"]);
    assert_eq!(scratch.sql("SELECT count(*) FROM kept"), "1");
}
