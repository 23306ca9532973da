//! Files of a running environment are removed: by a logout, by cleaners of temporary folders, by hand.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::processes::{expect_end, expect_none, is_alive, kill};
use crate::support::{Running, Scratch, eventually};

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
fn a_command_right_after_the_run_folder_was_removed_uses_the_running_environment() {
    let scratch = Scratch::new();
    scratch.up();
    let pids = [scratch.pid("api"), scratch.pid("db")];
    for verb in [
        &["db", "shell", "-c", "SELECT 1"][..],
        &["backup"],
        &["up", "--detach"],
        &["status"],
        &["migrate", "down"],
        &["migrate", "up"],
        &["db", "password"],
        &["restart", "api"],
    ] {
        // The environment may not have created it again.
        let _absent = fs::remove_dir_all(scratch.path("data/run"));
        scratch.ok(verb);
        assert_eq!(scratch.pid("db"), pids[1], "{verb:?}");
    }
    let _absent = fs::remove_dir_all(scratch.path("data/run"));
    scratch.ok(&["down"]).says("everything is stopped");
    expect_none(scratch.root());
}

#[test]
fn the_server_of_an_environment_that_cannot_be_reached_is_never_ended_as_a_leftover() {
    let mut scratch = Scratch::new();
    let runtime = scratch.beside().join("runtime");
    fs::create_dir(&runtime).unwrap();
    fs::set_permissions(&runtime, PermissionsExt::from_mode(0o700)).unwrap();
    scratch.set("XDG_RUNTIME_DIR", &runtime);
    scratch.up();
    let (supervisor, db) = (supervisor(&scratch), scratch.pid("db"));
    // It creates no file again, and the other shell searches another folder for its socket.
    kill(supervisor, Signal::SIGSTOP);
    scratch.set("XDG_RUNTIME_DIR", "");
    let keeps_lock = |keeps: bool| match keeps {
        true => fs::remove_file(scratch.path("data/run/supervisor.lock")).unwrap(),
        false => fs::remove_dir_all(scratch.path("data/run")).unwrap(),
    };
    for only_the_lock in [true, false] {
        keeps_lock(only_the_lock);
        let refused = scratch
            .dev(&["db", "shell", "-c", "SELECT 1"])
            .expect_code(1);
        refused.says(&format!("kill {supervisor}"));
        assert!(is_alive(db));
    }
    kill(supervisor, Signal::SIGCONT);
    scratch.set("XDG_RUNTIME_DIR", &runtime);
    expect_healthy(&scratch);
    assert_eq!(scratch.pid("db"), db);
    scratch.ok(&["down"]);
    expect_none(scratch.root());
}

fn supervisor(scratch: &Scratch) -> i32 {
    i32::try_from(scratch.status()["pid"].as_i64().unwrap()).unwrap()
}

/// Runs a program to its end.
fn run(program: &str, args: &[&Path]) {
    let done = Command::new(program).args(args).status().unwrap();
    assert!(done.success(), "{program} {args:?}");
}

#[test]
fn a_checkout_that_is_made_again_at_its_path_gets_its_own_environment() {
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["db", "shell", "-c", "CREATE TABLE kept ()"]);
    let old = supervisor(&scratch);
    let template = scratch.beside().join("template");
    fs::create_dir(&template).unwrap();
    for part in ["Cargo.toml", ".gitignore", "backend"] {
        run(
            "cp",
            &[Path::new("-a"), &scratch.path(part), &template.join(part)],
        );
    }
    fs::remove_dir_all(scratch.root()).unwrap();
    fs::rename(&template, scratch.root()).unwrap();
    // At once: the old supervisor has not noticed it yet.
    scratch.up();
    expect_end(old);
    expect_healthy(&scratch);
    assert_eq!(scratch.sql("SELECT to_regclass('kept') IS NULL"), "t");
    scratch.ok(&["down"]);
    expect_none(scratch.root());
}

#[test]
fn a_moved_checkout_stops_its_environment_and_keeps_its_database() {
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["db", "shell", "-c", "CREATE TABLE kept AS SELECT 42 AS n"]);
    let (old, moved) = (supervisor(&scratch), scratch.beside().join("moved"));
    fs::rename(scratch.root(), &moved).unwrap();
    let in_moved = |args: &[&str]| {
        let mut command = scratch.command(args);
        command.current_dir(&moved);
        Running::start(command).finish().expect_code(0)
    };
    // At once: the old supervisor has not noticed it yet.
    in_moved(&["up", "--detach"]);
    expect_end(old);
    in_moved(&["db", "shell", "-c", "COPY kept TO STDOUT"]).prints("42");
    let created: Vec<_> = fs::read_dir(scratch.root()).into_iter().flatten().collect();
    assert!(
        !scratch.root().exists(),
        "the old path was created again: {created:?}"
    );
    in_moved(&["down"]);
    expect_none(&moved);
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
