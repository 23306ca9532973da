//! kill -9, whoever it hits: the environment recovers, by itself or at the next `up`.

use nix::sys::signal::Signal;

use crate::support::processes::{expect_end, expect_none, is_alive, kill, of};
use crate::support::{Scratch, eventually, service_binary};

fn supervisor(scratch: &Scratch) -> i32 {
    i32::try_from(scratch.status()["pid"].as_i64().unwrap()).unwrap()
}

#[test]
fn up_replaces_the_services_of_a_killed_supervisor() {
    let scratch = Scratch::new();
    scratch.up();
    let (api, db) = (scratch.pid("api"), scratch.pid("db"));
    kill(supervisor(&scratch), Signal::SIGKILL);
    scratch.up();
    assert!(!is_alive(api) && !is_alive(db));
    assert!(scratch.get("/health/ready").contains("ready"));
    scratch.ok(&["down"]);
    expect_none(scratch.root());
}

#[test]
fn down_stops_the_services_of_a_killed_supervisor() {
    let scratch = Scratch::new();
    scratch.up();
    kill(supervisor(&scratch), Signal::SIGKILL);
    scratch.ok(&["down"]);
    expect_none(scratch.root());
    scratch.up();
}

#[test]
fn up_recovers_from_a_kill_in_each_phase_of_a_first_start() {
    let scratch = Scratch::new();
    for phase in [
        "making a database",
        "starting PostgreSQL",
        "applying migrations",
    ] {
        let mut up = scratch.start(&["up", "--verbose"]);
        up.printed(phase);
        up.signal(Signal::SIGKILL);
        up.finish();
    }
    scratch.up();
    assert!(scratch.get("/health/ready").contains("ready"));
}

#[test]
fn a_killed_api_is_restarted() {
    let scratch = Scratch::new();
    let mut up = scratch.start(&["up"]);
    up.printed("documentation ");
    let api = scratch.pid("api");
    kill(api, Signal::SIGKILL);
    expect_end(api);
    up.printed("the API ended (signal 9)");
    up.printed("the API is ready again");
    assert!(scratch.get("/health/ready").contains("ready"));
    let service = scratch.service("api");
    assert_eq!(
        (service["state"].as_str(), service["restarts"].as_u64()),
        (Some("running"), Some(1))
    );
    assert!(scratch.status()["doing"].is_null());
    up.signal(Signal::SIGINT);
    up.finish().expect_code(0);
}

#[test]
fn a_killed_postgresql_is_restarted_without_data_loss() {
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["db", "shell", "-c", "CREATE TABLE kept AS SELECT 42 AS n"]);
    let db = scratch.pid("db");
    kill(db, Signal::SIGKILL);
    eventually("a new PostgreSQL", || {
        let service = scratch.service("db");
        (service["state"] == "running" && service["pid"].as_i64() != Some(db.into())).then_some(())
    });
    assert_eq!(scratch.sql("SELECT n FROM kept"), "42");
    eventually("readiness", || {
        scratch
            .get("/health/ready")
            .contains("\"ready\"")
            .then_some(())
    });
    scratch.ok(&["logs", "dev"]).prints("PostgreSQL runs again");
    assert!(scratch.status()["doing"].is_null());
}

#[test]
fn test_removes_what_a_killed_test_command_left() {
    let mut scratch = Scratch::new();
    let mut test = scratch.start(&["test", "--verbose"]);
    test.printed("making a throw-away database");
    // It holds its folder open from the start.
    let open = std::path::PathBuf::from(format!("/proc/{}/fd", test.pid()));
    let folder = eventually("the folder", || {
        let mut files = std::fs::read_dir(&open)
            .unwrap()
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        files.find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("emotionviz-test-"))
        })
    });
    test.signal(Signal::SIGKILL);
    test.finish();
    expect_none(&folder);
    scratch.set("CARGO", scratch.script("cargo", "exit 0"));
    scratch.ok(&["test"]);
    let socket = folder
        .file_name()
        .unwrap()
        .to_string_lossy()
        .replace("emotionviz-test-", "emotionviz-socket-");
    assert!(!folder.exists() && !std::path::Path::new("/tmp").join(socket).exists());
}

#[test]
fn up_and_down_end_the_compilers_of_a_killed_up() {
    let mut scratch = Scratch::new();
    // As cargo does: another standard input for its compilers, which outlive it.
    let cargo = scratch
        .cargo("sleep 1000 </dev/null >/dev/null 2>&1 &\necho '   Compiling for ever' >&2\nwait");
    for next in ["down", "up"] {
        scratch.set("SERVICE_BINARY", "");
        scratch.set("CARGO", &cargo);
        let mut up = scratch.start(&["up"]);
        up.printed("Compiling for ever");
        up.signal(Signal::SIGKILL);
        up.finish();
        let compiler = of(scratch.root())
            .into_iter()
            .find(|(_, command)| command.contains("sleep 1000"))
            .unwrap()
            .0;
        scratch.set("SERVICE_BINARY", service_binary());
        if next == "down" {
            scratch.ok(&["down"])
        } else {
            scratch.up()
        };
        assert!(!is_alive(compiler), "{next}");
    }
}

#[test]
fn up_recovers_after_every_process_was_killed() {
    let scratch = Scratch::new();
    scratch.up();
    for pid in [supervisor(&scratch), scratch.pid("api"), scratch.pid("db")] {
        kill(pid, Signal::SIGKILL);
    }
    scratch.up();
    assert!(scratch.get("/health/ready").contains("ready"));
}
