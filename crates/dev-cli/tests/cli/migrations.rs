use std::fs;

use serde_json::Value;

use crate::support::processes::expect_none;
use crate::support::{Scratch, eventually, workspace};

#[test]
fn migrate_new_creates_two_empty_files() {
    let scratch = Scratch::new();
    let made = scratch.ok(&["migrate", "new", "Add a", "mood: to entries!"]);
    made.says("empty");
    let files: Vec<&str> = made.stdout.lines().collect();
    assert!(
        files[0].ends_with("_add_a_mood_to_entries.up.sql")
            && files[1].ends_with("_add_a_mood_to_entries.down.sql"),
        "{files:?}"
    );
    assert!(files.iter().all(|file| {
        fs::read_to_string(file)
            .unwrap()
            .contains("Add a mood: to entries!")
    }));
    scratch
        .dev(&["migrate", "new", "?!"])
        .expect_code(1)
        .says("no letter or digit");
}

#[test]
fn migrate_goes_down_with_a_copy_and_up_again() {
    let scratch = Scratch::new();
    scratch.up();
    let status: Value =
        serde_json::from_str(&scratch.ok(&["migrate", "status", "--json"]).stdout).unwrap();
    let versions: Vec<i64> = status["migrations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["version"].as_i64().unwrap())
        .collect();
    scratch.ok(&["migrate", "up"]).prints("up to date");
    scratch.ok(&["migrate", "verify"]);
    scratch.ok(&["db", "seed"]);
    assert!(!scratch.path("data/backups").exists());

    let down = scratch.ok(&["migrate", "down"]);
    down.prints("reverted");
    down.says("data/backups/");
    assert_eq!(scratch.status()["schema"]["state"], "behind");
    assert_eq!(scratch.status()["schema"]["paused"], true);
    scratch.ok(&["status"]).says("cargo dev migrate up");
    let dry = scratch.ok(&["migrate", "up", "--dry-run"]);
    dry.prints("CREATE");
    assert_eq!(scratch.status()["schema"]["state"], "behind");

    // Paused: the next `up` says so and is live.
    scratch.ok(&["down"]);
    scratch.up().says("paused");
    scratch
        .ok(&["migrate", "to", &versions.last().unwrap().to_string()])
        .prints("applied");
    assert_eq!(copies(&scratch), 1, "nothing went back");
    scratch.ok(&["migrate", "to", &versions[0].to_string()]);
    assert_eq!(copies(&scratch), 2);
    scratch
        .dev(&["migrate", "to", "12345"])
        .expect_code(1)
        .says("no migration file begins with 12345");
    scratch.ok(&["migrate", "up"]);
    assert_eq!(scratch.status()["schema"]["state"], "current");
}

/// The README's two lines for people who come from the Python backend.
#[test]
fn restore_adopts_a_dump_of_the_python_backend() {
    let scratch = Scratch::new();
    fs::copy(
        workspace().join("backend/tests/data/python_backend.sql"),
        scratch.path("backup.sql"),
    )
    .unwrap();
    scratch.up();
    scratch
        .ok(&["restore", "backup.sql"])
        .says("5 users, 5 entries, 2 visualizations, 1 intake sessions; every row was kept");
    assert_eq!(scratch.sql("SELECT count(*) FROM emotion_entries"), "5");
    eventually("a ready API", || {
        scratch
            .get("/health/ready")
            .contains("\"ready\"")
            .then_some(())
    });
    assert!(
        scratch
            .login("Ann@Example.com", "correct horse 1")
            .contains("access_token")
    );
}

#[test]
fn the_copy_before_migrate_down_restores_every_row() {
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["db", "seed"]);
    let rows = "SELECT md5(string_agg(e::text, '' ORDER BY id)) FROM emotion_entries e";
    let before = scratch.sql(rows);
    scratch.ok(&["migrate", "to", "0", "--yes"]);
    assert_eq!(copies(&scratch), 1);
    let copies = fs::read_dir(scratch.path("data/backups"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let copy = copies
        .into_iter()
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "dump")
        })
        .unwrap();
    scratch.ok(&["restore", copy.to_str().unwrap()]);
    assert_eq!(scratch.sql(rows), before);
    assert_eq!(scratch.status()["schema"]["state"], "current");
}

#[test]
fn migrate_works_without_a_running_environment() {
    let scratch = Scratch::new();
    scratch
        .dev(&["migrate", "status"])
        .expect_code(1)
        .says("cargo dev up");
    scratch.up();
    scratch.ok(&["down"]);
    scratch.ok(&["migrate", "status"]).prints("applied");
    scratch.ok(&["migrate", "down"]).prints("reverted");
    expect_none(scratch.root());
    scratch.ok(&["migrate", "up"]).prints("applied");
    expect_none(scratch.root());
}

#[test]
fn status_reports_a_new_migration_file_as_pending() {
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["migrate", "new", "later"]);
    let status = scratch.status();
    assert_eq!(
        (
            status["schema"]["state"].as_str(),
            status["schema"]["pending"].as_u64()
        ),
        (Some("behind"), Some(1))
    );
}

fn copies(scratch: &Scratch) -> usize {
    let names: Vec<String> = fs::read_dir(scratch.path("data/backups"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let copies: Vec<_> = names
        .iter()
        .filter(|name| name.ends_with(".dump"))
        .collect();
    assert!(
        copies
            .iter()
            .all(|copy| names.contains(&format!("{copy}.sha256")))
            && names.len() == 2 * copies.len(),
        "{names:?}"
    );
    copies.len()
}

#[test]
fn unreadable_output_of_the_service_is_reported() {
    let mut scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["down"]);
    for (status, ended) in [
        ("echo nonsense; exit 0", "exit status 0"),
        ("echo nonsense >&2; kill -9 $$", "signal 9"),
    ] {
        scratch.set(
            "SERVICE_BINARY",
            scratch.script(
                "service",
                &format!("test \"$2\" = up && exit 0\n{status}\n"),
            ),
        );
        for args in [&["up", "--detach"][..], &["migrate", "to", "0", "--yes"]] {
            let refused = scratch.dev(args).expect_code(1);
            refused.says("cannot be read");
            refused.says(ended);
            refused.says("nonsense");
        }
    }
    scratch.set("SERVICE_BINARY", crate::support::service_binary());
}
