//! A command that waits for a lock reports the session that holds it, and fails after a limit.

use std::io::Write;
use std::process::{Child, Stdio};

use nix::sys::signal::Signal;

use crate::support::{Scratch, eventually, postgres};

/// A session that holds a lock until it is dropped.
struct Session(Child);

impl Session {
    fn locking(scratch: &Scratch, statement: &str) -> Self {
        let url = scratch.ok(&["db", "url"]).stdout.trim().to_owned();
        let mut command = postgres("psql");
        command
            .args(["-Xq", &url])
            .env("PGAPPNAME", "a forgotten window")
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "BEGIN;\n{statement};").unwrap();
        let holds = "SELECT count(*) > 0 FROM pg_locks JOIN pg_stat_activity USING (pid)
            WHERE application_name = 'a forgotten window' AND state = 'idle in transaction' AND relation = 'emotion_entries'::regclass";
        eventually("the lock", || (scratch.sql(holds) == "t").then_some(()));
        Self(child)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

#[test]
fn backup_reports_the_lock_holder_and_leaves_no_files_when_interrupted() {
    let scratch = Scratch::new();
    scratch.up();
    let holder = Session::locking(
        &scratch,
        "LOCK TABLE emotion_entries IN ACCESS EXCLUSIVE MODE",
    );
    let mut backup = scratch.start(&["backup"]);
    backup.printed(
        "(a forgotten window, role emotionviz, idle in transaction): LOCK TABLE emotion_entries",
    );
    backup.signal(Signal::SIGINT);
    backup.finish().expect_code(130);
    drop(holder);
    let left = std::fs::read_dir(scratch.path("data/backups"))
        .into_iter()
        .flatten()
        .flatten();
    assert_eq!(
        left.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            .count(),
        0
    );
    scratch.ok(&["backup"]);
}

#[test]
fn migrate_down_terminates_other_sessions_and_reports_them() {
    let scratch = Scratch::new();
    scratch.up();
    let holder = Session::locking(
        &scratch,
        "LOCK TABLE emotion_entries IN ACCESS EXCLUSIVE MODE",
    );
    let down = scratch.ok(&["migrate", "down"]);
    down.says(
        "(a forgotten window, role emotionviz, idle in transaction): LOCK TABLE emotion_entries",
    );
    down.prints("reverted");
    drop(holder);
}

#[test]
fn a_migration_fails_after_the_lock_limit_and_reports_the_lock_holder() {
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["migrate", "to", &scratch.first_migration()]);
    let holder = Session::locking(&scratch, "SELECT FROM emotion_entries");
    let up = scratch.dev(&["migrate", "up"]).expect_code(1);
    up.says(
        "(a forgotten window, role emotionviz, idle in transaction): SELECT FROM emotion_entries",
    );
    up.says("cargo dev db shell -c 'SELECT pg_terminate_backend(");
    drop(holder);
    scratch.ok(&["migrate", "up"]).prints("applied");
}
