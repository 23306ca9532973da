//! An external database (`DATABASE_URL`).

use crate::support::{Scratch, postgres};

fn psql(url: &str, sql: &str) {
    let done = postgres("psql")
        .args(["-Xq", url, "-v", "ON_ERROR_STOP=1", "-c", sql])
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn the_first_change_of_an_external_database_needs_yes_and_is_remembered() {
    let (theirs, mut ours) = (Scratch::new(), Scratch::new());
    theirs.up();
    let url = theirs.ok(&["db", "url"]).stdout.trim().to_owned();
    let of = |database: &str| format!("{}/{database}", url.rsplit_once('/').unwrap().0);
    psql(&url, "CREATE DATABASE shop");
    psql(&url, "CREATE DATABASE vacant");
    psql(&of("shop"), "CREATE TABLE goods ()");
    let first = theirs.first_migration();
    for (database, holds) in [
        ("emotionviz_db", "those of this application at revision"),
        ("vacant", "it is empty"),
        ("shop", "1 tables: not this application's"),
    ] {
        ours.set("DATABASE_URL", of(database));
        for verb in [
            &["up", "--detach"][..],
            &["migrate", "up"],
            &["migrate", "down"],
            &["migrate", "to", &first],
            &["migrate", "to", "0"],
            &["db", "seed"],
        ] {
            let refused = ours.dev(verb).expect_code(1);
            refused.says("DATABASE_URL (from the environment) names a database that this checkout has not used yet");
            refused.says(&format!("database {database}, user emotionviz: "));
            refused.says(holds);
            refused.says("--yes");
        }
        ours.ok(&["db", "shell", "-c", "SELECT 1"]).says(holds);
    }
    assert!(!ours.path("data/run/external-databases.json").exists());
    assert_eq!(theirs.status()["schema"]["state"], "current");

    ours.set("DATABASE_URL", &url);
    ours.ok(&["migrate", "up", "--yes"])
        .says("has not used yet");
    assert!(
        !ours
            .read("data/run/external-databases.json")
            .contains(url.split([':', '@']).nth(2).unwrap()),
        "the password was written"
    );
    let again = ours.ok(&["migrate", "up"]);
    assert!(!again.stderr.contains("has not used yet"), "{again}");
    // The way back has no password in its arguments.
    let down = ours.ok(&["migrate", "down"]);
    assert_eq!(theirs.status()["schema"]["state"], "behind");
    let (_, hint) = down
        .stderr
        .split_once("hint: restore it: ")
        .expect("a hint");
    let (to_sql, shell) = hint.lines().next().unwrap().split_once(" | ").unwrap();
    assert_eq!(shell, "cargo dev db shell");
    assert!(!to_sql.contains("db url"), "{down}");
    let sql = std::process::Command::new("sh")
        .args(["-c", to_sql])
        .output()
        .unwrap();
    assert!(sql.status.success(), "{sql:?}");
    ours.write("back.sql", &String::from_utf8(sql.stdout).unwrap());
    ours.ok_reading(&["db", "shell"], "back.sql");
    assert_eq!(theirs.status()["schema"]["state"], "current");
    // Another database of the same server needs its own confirmation.
    ours.set("DATABASE_URL", of("vacant"));
    ours.dev(&["migrate", "up"]).expect_code(1);
    // An unreadable note counts as missing.
    ours.write("data/run/external-databases.json", "[{");
    ours.set("DATABASE_URL", &url);
    ours.dev(&["migrate", "up"])
        .expect_code(1)
        .says("has not used yet");
    ours.set("DATABASE_URL", "");
}

#[test]
fn a_running_environment_switches_to_an_external_database_only_after_confirmation() {
    let (theirs, ours) = (Scratch::new(), Scratch::new());
    theirs.up();
    ours.up();
    let (kept, db) = (ours.read(".env"), ours.pid("db"));
    ours.write(
        ".env",
        &format!("{kept}DATABASE_URL={}", theirs.ok(&["db", "url"]).stdout),
    );
    ours.dev(&["restart"])
        .expect_code(1)
        .says("cargo dev up --yes");
    assert_eq!(ours.pid("db"), db);
    ours.write(".env", &kept);
}

#[test]
fn migrate_down_prints_the_database_and_migrate_to_0_needs_yes() {
    let scratch = Scratch::new();
    scratch.up();
    let database = format!(
        "postgres://emotionviz:***@127.0.0.1:{}/emotionviz_db",
        scratch.port("db")
    );
    let refused = scratch.dev(&["migrate", "to", "0"]).expect_code(1);
    refused.says(&database);
    refused.says("hint: cargo dev migrate to 0 --yes");
    assert_eq!(scratch.status()["schema"]["state"], "current");
    scratch.ok(&["migrate", "down"]).says(&database);
    scratch.ok(&["migrate", "to", "0", "--yes"]).says(&database);
}
