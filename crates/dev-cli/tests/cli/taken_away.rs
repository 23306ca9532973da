//! Files of a running environment are removed: by a logout, by cleaners of temporary folders, by hand.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::support::processes::expect_none;
use crate::support::{Scratch, eventually};

fn expect_healthy(scratch: &Scratch) {
    eventually("everything is healthy", || {
        let status = scratch.dev(&["status", "--json"]);
        (status.code == 0 && status.stdout.matches("\"healthy\"").count() == 2).then_some(())
    });
    assert!(scratch.get("/health/ready").contains("\"ready\""));
    scratch.ok(&["db", "shell", "-c", "SELECT 1"]);
}

/// The line of `postmaster.pid` that names the System V segment: its key and its id.
fn segment(scratch: &Scratch) -> String {
    let line = scratch
        .read("data/postgres/postmaster.pid")
        .lines()
        .nth(6)
        .unwrap()
        .to_owned();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

fn socket_folder(scratch: &Scratch) -> PathBuf {
    let folder = scratch
        .read("data/postgres/postmaster.pid")
        .lines()
        .nth(4)
        .unwrap()
        .to_owned();
    PathBuf::from(folder)
}

#[test]
fn removed_socket_folders_are_created_again() {
    let mut scratch = Scratch::new();
    let runtime = scratch.beside().join("runtime");
    fs::create_dir(&runtime).unwrap();
    fs::set_permissions(&runtime, PermissionsExt::from_mode(0o700)).unwrap();
    scratch.set("XDG_RUNTIME_DIR", &runtime);
    scratch.up();
    let api = scratch.pid("api");
    fs::remove_dir_all(&runtime).unwrap();
    // Without root's rights it was in there, too.
    let _gone = fs::remove_dir_all(socket_folder(&scratch));
    eventually("PostgreSQL listens again", || {
        (scratch.service("db")["restarts"] == 1).then_some(())
    });
    expect_healthy(&scratch);
    assert!(
        scratch
            .read("data/logs/dev.log")
            .contains("the folder of PostgreSQL's socket")
    );
    if nix::unistd::Uid::effective().is_root() {
        assert_eq!(
            scratch.pid("api"),
            api,
            "the API goes on where the folder is the same"
        );
    }
}

#[test]
fn removed_run_and_log_folders_are_created_again() {
    let scratch = Scratch::new();
    scratch.up();
    let pids = [scratch.pid("api"), scratch.pid("db")];
    for folder in ["data/run", "data/logs"] {
        fs::remove_dir_all(scratch.path(folder)).unwrap();
    }
    eventually("the lock is there", || {
        scratch
            .path("data/run/supervisor.lock")
            .exists()
            .then_some(())
    });
    eventually("the log is there", || {
        scratch.path("data/logs/app.log").exists().then_some(())
    });
    scratch
        .ok(&["up", "--detach"])
        .says("the environment already runs");
    scratch.get("/api/v1/emotions");
    scratch
        .dev(&["db", "shell", "-c", "SELECT nonsense"])
        .expect_code(1);
    for (file, text) in [
        ("app.log", "/api/v1/emotions"),
        ("postgres.log", "nonsense"),
        ("dev.log", "it was created again"),
    ] {
        let path = format!("data/logs/{file}");
        eventually(&path, || {
            (scratch.path(&path).exists() && scratch.read(&path).contains(text)).then_some(())
        });
    }
    assert_eq!([scratch.pid("api"), scratch.pid("db")], pids);
    scratch.ok(&["down"]).says("everything is stopped");
    expect_none(scratch.root());
}

#[test]
fn sessions_survive_the_shared_memory_cleanup_of_a_logout() {
    let scratch = Scratch::new();
    scratch.up();
    let maps = fs::read_to_string(format!("/proc/{}/maps", scratch.pid("db"))).unwrap();
    assert!(!maps.contains("/dev/shm"), "{maps}");
    // systemd can still remove this segment, which only prevents a second server from starting.
    let removed = Command::new("ipcrm")
        .args(["-m", &segment(&scratch)])
        .output()
        .unwrap();
    assert!(removed.status.success(), "{removed:?}");
    let pid = scratch.pid("db");
    scratch.ok(&["db", "shell", "-c", "SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SELECT count(*) FROM pg_class"]);
    expect_healthy(&scratch);
    assert_eq!(scratch.pid("db"), pid);
    scratch.ok(&["restart", "db"]);
    expect_healthy(&scratch);
}

#[test]
fn a_server_that_refuses_every_session_is_restarted_and_status_reports_the_reason() {
    let scratch = Scratch::new();
    scratch.up();
    let (file, away) = (
        scratch.path("data/postgres/global/pg_filenode.map"),
        scratch.path("data/postgres/global/away"),
    );
    fs::rename(&file, &away).unwrap();
    eventually("the reason", || {
        let db = scratch.service("db");
        db["reason"]
            .as_str()
            .is_some_and(|reason| {
                reason.contains("refuses every new session") && reason.contains("pg_filenode.map")
            })
            .then_some(())
    });
    eventually("an API that is not ready", || {
        scratch
            .get("/health/ready")
            .contains("not_ready")
            .then_some(())
    });
    fs::rename(&away, &file).unwrap();
    expect_healthy(&scratch);
}

#[test]
fn restart_works_when_the_server_accepts_no_session() {
    let scratch = Scratch::new();
    scratch.up();
    let (file, away) = (
        scratch.path("data/postgres/global/pg_filenode.map"),
        scratch.path("data/postgres/global/away"),
    );
    fs::rename(&file, &away).unwrap();
    let mut restart = scratch.start(&["restart", "db"]);
    restart.printed("the database does not answer; restarting it");
    fs::rename(&away, &file).unwrap();
    restart.finish().expect_code(0);
    expect_healthy(&scratch);
}

#[test]
fn a_removed_postmaster_pid_causes_no_data_loss() {
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["db", "shell", "-c", "CREATE TABLE kept AS SELECT 42 AS n"]);
    fs::remove_file(scratch.path("data/postgres/postmaster.pid")).unwrap();
    scratch.ok(&["restart", "db"]);
    expect_healthy(&scratch);
    assert_eq!(scratch.sql("SELECT n FROM kept"), "42");
}
