//! Edits of the service itself, built by cargo: one checkout, one edit after the other, under load.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use crate::reload::{LONGEST, reload};
use crate::support::load::Load;
use crate::support::processes::{expect_end, expect_none};
use crate::support::{Running, Scratch, eventually, get};

const WELCOME: &str = "backend/app/src/health.rs";
const MESSAGE: &str = "message: \"";

/// A checkout that runs, and how many reloads it has seen.
pub(crate) struct Edited {
    pub(crate) scratch: Scratch,
    port: u16,
    reloads: usize,
}

impl Edited {
    pub(crate) fn start() -> Option<Self> {
        Scratch::prepared().map(Self::of)
    }

    pub(crate) fn of(scratch: Scratch) -> Self {
        // As somebody would: the first build takes its time.
        let mut up = scratch.start(&["up", "--detach"]);
        up.patiently();
        up.finish().expect_code(0);
        let port = scratch.port("api");
        Self {
            scratch,
            port,
            reloads: 0,
        }
    }

    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.scratch.read(file);
        assert!(text.contains(from), "{file} has no {from:?}");
        self.scratch.write(file, &text.replacen(from, to, 1));
    }

    pub(crate) fn next(&mut self, outcome: &str) -> Value {
        self.reloads += 1;
        let reload = reload(&self.scratch, self.reloads);
        assert_eq!(reload["outcome"], outcome, "{reload}");
        assert_eq!(self.count(), self.reloads, "one reload for one change");
        reload
    }

    fn count(&self) -> usize {
        self.scratch.status()["reloads"].as_array().unwrap().len()
    }

    pub(crate) fn answer(&self, path: &str) -> String {
        get(self.port, path)
    }

    /// A migration that makes a table.
    pub(crate) fn migration(&self, version: i64, table: &str) -> [PathBuf; 2] {
        let files = [
            ("up", format!("CREATE TABLE {table} (id int);\n")),
            ("down", format!("DROP TABLE {table};\n")),
        ];
        files.map(|(way, sql)| {
            let file = format!("backend/db/migrations/{version}_{table}.{way}.sql");
            self.scratch.write(&file, &sql);
            self.scratch.path(&file)
        })
    }

    pub(crate) fn tables(&self, name: &str) -> String {
        self.scratch.sql(&format!(
            "SELECT count(*) FROM pg_tables WHERE tablename = '{name}'"
        ))
    }
}

fn remove(files: &[PathBuf]) {
    files
        .iter()
        .for_each(|file: &PathBuf| std::fs::remove_file(file as &Path).unwrap());
}

#[test]
fn an_edit_a_compile_error_and_a_migration_are_reloaded_without_a_lost_request() {
    let Some(mut s) = Edited::start() else { return };
    let load = Load::start(s.port);
    let pid = s.scratch.pid("api");
    s.edit(WELCOME, MESSAGE, "message: \"First ");
    let live = s.next("live");
    assert_eq!(live["changed"], serde_json::json!([WELCOME]));
    assert!(live["compile_ms"].is_u64());
    assert!(s.answer("/").contains("First EmotionVisualizer"));
    expect_end(pid);

    s.edit(WELCOME, "message: \"First", "message: 2, more: \"Second");
    let failed = s.next("failed");
    assert!(
        failed["compiler"].as_str().unwrap().starts_with("error"),
        "{failed}"
    );
    s.scratch.ok(&["status"]).says("error[E");
    assert!(s.answer("/").contains("First"));

    // The migration is applied before the code serves.
    s.migration(29_990_101_000_000, "reloaded");
    s.edit(WELCOME, "message: 2, more: \"Second", "message: \"Second");
    let live = s.next("live");
    assert!(
        live["migrate_ms"].is_u64() && s.tables("reloaded") == "1",
        "{live}"
    );
    assert!(s.answer("/").contains("Second"));

    let counted = load.finish();
    assert!(
        counted.failed.is_empty() && counted.longest < LONGEST && counted.answered > 100,
        "{counted:?}"
    );
}

#[test]
#[ignore = "long: many builds"]
fn edits_of_every_kind_go_live_and_lose_no_request() {
    let Some(mut s) = Edited::start() else { return };
    let load = Load::start(s.port);

    // A handler's text, twice at once.
    let pid = s.scratch.pid("api");
    s.edit(WELCOME, MESSAGE, "message: \"First ");
    s.edit(WELCOME, "First ", "Second ");
    let live = s.next("live");
    assert_eq!(live["changed"], serde_json::json!([WELCOME]));
    assert!(live["compile_ms"].is_u64());
    assert!(s.answer("/").contains("Second EmotionVisualizer"));
    expect_end(pid);

    // Somebody else builds for as long as he likes.
    std::fs::create_dir_all(s.scratch.path("target/debug")).unwrap();
    let lock = std::fs::File::create(s.scratch.path("target/debug/.cargo-lock")).unwrap();
    lock.lock().unwrap();
    s.edit(WELCOME, "Second ", "Unhindered ");
    s.next("live");
    assert!(s.answer("/").contains("Unhindered EmotionVisualizer"));
    s.edit(WELCOME, "Unhindered ", "Second ");
    s.next("live");
    drop(lock);

    // What says nothing to the compiler changes nothing, and neither does what is no part of the service.
    let pid = s.scratch.pid("api");
    s.edit(WELCOME, "//! Health", "// A remark.\n//! Health");
    s.scratch.write("backend/tests/new.rs", "fn f() {}\n");
    s.scratch.write("crates/dev-env/src/new.rs", "fn f() {}\n");
    s.scratch.write("README.md", "Other.\n");

    // An error, another one, and mended.
    s.edit(WELCOME, "message: \"Second", "message: 2, more: \"Third");
    let failed = s.next("failed");
    assert!(
        failed["compiler"].as_str().unwrap().starts_with("error"),
        "{failed}"
    );
    s.scratch.ok(&["status"]).says("error[E");
    assert!(s.answer("/").contains("Second"));
    eventually("the header", || {
        s.answer("/health")
            .contains("x-reload: failed")
            .then_some(())
    });
    s.edit("backend/core/src/lib.rs", "mod envelope;", "mod envelope");
    s.next("failed");
    assert_eq!(s.scratch.pid("api"), pid);
    s.edit("backend/core/src/lib.rs", "mod envelope", "mod envelope;");
    s.next("failed");
    s.edit(WELCOME, "message: 2, more: \"Third", "message: \"Third");
    s.next("live");
    assert!(s.answer("/").contains("Third") && !s.answer("/").contains("x-reload"));

    // It compiles, and panics at its start.
    let pid = s.scratch.pid("api");
    s.edit(
        "backend/app/src/serve.rs",
        "let settings =",
        "if when_ready { panic!(\"no luck\") }\n    let settings =",
    );
    let failed = s.next("failed");
    assert!(
        failed["reason"].as_str().unwrap().contains("no luck"),
        "{failed}"
    );
    assert_eq!(s.scratch.pid("api"), pid);
    s.edit(
        "backend/app/src/serve.rs",
        "if when_ready { panic!(\"no luck\") }\n    let settings =",
        "let settings =",
    );
    s.next("live");

    // A change while the one before it is built.
    s.edit(WELCOME, "Third", "Fourth");
    eventually("the build", || {
        s.scratch.status()["doing"]
            .as_str()
            .filter(|doing| doing.contains("building"))
            .map(drop)
    });
    s.edit(WELCOME, "Fourth", "Fifth");
    s.next("live");
    assert!(s.answer("/").contains("Fifth"));

    // A file that is older than what was built: cargo goes by times.
    s.edit(WELCOME, "Fifth", "Moved back");
    std::fs::File::options()
        .write(true)
        .open(s.scratch.path(WELCOME))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    s.next("live");
    assert!(s.answer("/").contains("Moved back"));
    s.edit(WELCOME, "Moved back", "Fifth");
    s.next("live");

    // As `git switch` does: many files at once, one of them new.
    s.edit(
        "backend/app/src/lib.rs",
        "mod connections;",
        "mod another;\nmod connections;",
    );
    s.scratch
        .write("backend/app/src/another.rs", "//! Another.\n");
    for feature in ["accounts", "entries"] {
        for room in ["api", "models", "schemas", "services"] {
            let file = format!("backend/{feature}/src/{room}.rs");
            s.scratch.write(
                &file,
                &format!(
                    "{}\n/// New.\n#[allow(dead_code)]\nconst NEW: u8 = 1;\n",
                    s.scratch.read(&file)
                ),
            );
        }
    }
    let live = s.next("live");
    assert!(live["changed"].as_array().unwrap().len() >= 10, "{live}");

    // Migrations: applied before the code serves; one that fails leaves what runs.
    s.migration(29_990_101_000_000, "reloaded");
    let live = s.next("live");
    assert!(
        live["migrate_ms"].is_u64() && s.tables("reloaded") == "1",
        "{live}"
    );
    let bad = s.migration(29_990_101_000_001, "reloaded");
    let failed = s.next("failed");
    assert!(
        failed["reason"]
            .as_str()
            .unwrap()
            .contains("already exists"),
        "{failed}"
    );
    remove(&bad);
    s.next("live");

    // After a `down` the schema is left alone until a migration changes.
    s.scratch.ok(&["migrate", "down"]);
    s.edit(WELCOME, "Fifth", "Sixth");
    s.next("live");
    assert!(s.answer("/").contains("Sixth") && s.tables("reloaded") == "0");
    s.migration(29_990_101_000_002, "once_more");
    s.next("live");
    assert_eq!(
        (s.tables("reloaded"), s.tables("once_more")),
        ("1".to_owned(), "1".to_owned())
    );

    // Data that the program holds, and its settings.
    s.edit(
        "backend/app/assets/redoc/index.html",
        "<title>",
        "<title>Changed ",
    );
    s.next("live");
    assert!(s.answer("/redoc").contains("Changed "));
    s.scratch.write(
        ".env",
        &format!(
            "{}ALLOWED_ORIGINS=https://new.example\n",
            s.scratch.read(".env")
        ),
    );
    assert!(s.next("live")["compile_ms"].is_null());

    let counted = load.finish();
    assert!(
        counted.failed.is_empty() && counted.longest < LONGEST && counted.answered > 1000,
        "{counted:?}"
    );
}

#[test]
#[ignore = "long: many builds"]
fn interrupted_builds_moved_files_and_branch_switches_go_live() {
    let Some(scratch) = Scratch::with_sources() else {
        return;
    };
    // Ctrl-C goes to all that the terminal has in the foreground.
    let mut up = scratch.command(&["up"]);
    up.process_group(0);
    let mut up = Running::start(up);
    up.patiently();
    up.printed("Compiling emotionviz-");
    killpg(Pid::from_raw(up.pid()), Signal::SIGINT).unwrap();
    let ended = up.finish();
    assert!(
        [0, 130].contains(&ended.code) && !ended.stderr.contains("error:"),
        "{ended}"
    );
    expect_none(scratch.root());
    let mut s = Edited::of(scratch);

    // Moved there, and copied over what was there: both bear a time before that of the build, which cargo goes by.
    for (way, text) in [("mv", "Moved "), ("cp", "Copied ")] {
        s.scratch.ok(&["down"]);
        let (place, other) = (s.scratch.path(WELCOME), s.scratch.beside().join("other.rs"));
        let before = s.scratch.read(WELCOME);
        std::fs::write(
            &other,
            before.replacen(MESSAGE, &format!("{MESSAGE}{text}"), 1),
        )
        .unwrap();
        let old = SystemTime::now() - Duration::from_secs(24 * 3600);
        std::fs::File::options()
            .write(true)
            .open(&other)
            .unwrap()
            .set_modified(old)
            .unwrap();
        let mut put = std::process::Command::new(way);
        put.args((way == "cp").then_some("-p"))
            .args([&other, &place]);
        assert!(put.status().unwrap().success());
        let mut up = s.scratch.start(&["up", "--detach"]);
        up.patiently();
        up.finish().expect_code(0);
        assert!(
            s.scratch.get("/").contains(text),
            "{way}: what answers is older than what was saved"
        );
    }

    // What git checks out goes live as a whole, there and back.
    let root = s.scratch.root().to_owned();
    let git = |args: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@localhost",
            "-c",
            "commit.gpgsign=false",
            "-C",
        ])
        .arg(&root)
        .args(args);
        assert!(git.status().unwrap().success(), "git {args:?}");
    };
    git(&["init", "--quiet", "--initial-branch=few"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message=few"]);
    // Made where nobody watches.
    let elsewhere = s.scratch.beside().join("elsewhere");
    git(&[
        "worktree",
        "add",
        "--quiet",
        "-b",
        "many",
        elsewhere.to_str().unwrap(),
    ]);
    let write = |file: &str, text: &str| std::fs::write(elsewhere.join(file), text).unwrap();
    std::fs::create_dir(elsewhere.join("backend/app/src/many")).unwrap();
    let names: Vec<String> = (0..500).map(|n| format!("m{n}")).collect();
    for name in &names {
        write(
            &format!("backend/app/src/many/{name}.rs"),
            "//! One of many.\n",
        );
    }
    write(
        "backend/app/src/many.rs",
        &format!(
            "//! Many.\n\n{}",
            names
                .iter()
                .map(|name| format!("mod {name};\n"))
                .collect::<String>()
        ),
    );
    write(
        "backend/app/src/lib.rs",
        &s.scratch.read("backend/app/src/lib.rs").replacen(
            "mod connections;",
            "mod connections;\nmod many;",
            1,
        ),
    );
    write(
        WELCOME,
        &s.scratch
            .read(WELCOME)
            .replacen(MESSAGE, &format!("{MESSAGE}Many "), 1),
    );
    git(&["-C", elsewhere.to_str().unwrap(), "add", "."]);
    git(&[
        "-C",
        elsewhere.to_str().unwrap(),
        "commit",
        "--quiet",
        "--message=many",
    ]);
    git(&["worktree", "remove", elsewhere.to_str().unwrap()]);
    for (branch, has) in [("many", true), ("few", false)] {
        git(&["checkout", "--quiet", branch]);
        // Half of it, which is seen where the disk stalls, may fail before.
        let (changed, reloads) = eventually("the checkout", || {
            let status = s.scratch.status();
            let reloads = status["reloads"].as_array().unwrap();
            let new = &reloads[s.reloads..];
            let changed: BTreeSet<_> = new
                .iter()
                .flat_map(|reload| reload["changed"].as_array().unwrap())
                .map(Value::to_string)
                .collect();
            (new.last()?["outcome"] == "live" && changed.len() >= 503)
                .then_some((changed, reloads.len()))
        });
        assert_eq!(changed.len(), 503, "{changed:?}");
        s.reloads = reloads;
        assert_eq!(s.scratch.get("/").contains("Many "), has);
    }
}
