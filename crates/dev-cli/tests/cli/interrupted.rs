//! Ctrl-C, whatever goes on: it ends, and nothing is left.

use nix::sys::signal::Signal;

use crate::support::processes::expect_none;
use crate::support::{Scratch, service_binary};

/// Ctrl-C as soon as `phase` is said, in the foreground and in the background.
fn interrupt(scratch: &Scratch, phase: &str) {
    for args in [&["up", "--verbose"][..], &["up", "--verbose", "--detach"]] {
        let mut up = scratch.start(args);
        up.printed(phase);
        up.signal(Signal::SIGINT);
        let ended = up.finish();
        assert!([0, 130].contains(&ended.code), "{ended}");
        assert!(!ended.stderr.contains("error:"), "{ended}");
        expect_none(scratch.root());
    }
}

#[test]
fn ctrl_c_ends_up_while_it_creates_the_database() {
    let scratch = Scratch::new();
    interrupt(&scratch, "making a database");
    scratch.up();
}

#[test]
fn ctrl_c_ends_up_while_the_database_starts() {
    let scratch = Scratch::new();
    interrupt(&scratch, "starting PostgreSQL");
    scratch.up();
}

#[test]
fn ctrl_c_ends_up_while_it_builds_the_service() {
    let mut scratch = Scratch::new();
    scratch.set("SERVICE_BINARY", "");
    scratch.set(
        "CARGO",
        scratch.cargo("echo '   Compiling for ever' >&2\nsleep 1000 &\nwait"),
    );
    interrupt(&scratch, "Compiling for ever");
}

#[test]
fn ctrl_c_ends_up_while_migrations_run() {
    let mut scratch = Scratch::new();
    scratch.set("SERVICE_BINARY", scratch.script("service", "sleep 1000"));
    interrupt(&scratch, "applying migrations");
    scratch.set("SERVICE_BINARY", service_binary());
    scratch.up();
}

#[test]
fn ctrl_c_ends_up_while_it_waits_for_the_api() {
    let mut scratch = Scratch::new();
    let migrated = "case $1 in migrate) test \"$2\" = up || echo '{\"revision\":1,\"paused\":false,\"migrations\":[]}';; serve) sleep 1000;; esac";
    scratch.set("SERVICE_BINARY", scratch.script("service", migrated));
    // After a second it says what it waits for.
    interrupt(&scratch, "waiting for the API");
}

#[test]
fn a_second_ctrl_c_ends_up_at_once() {
    let mut scratch = Scratch::new();
    let stubborn = "case $1 in migrate) test \"$2\" = up || echo '{\"revision\":1,\"paused\":false,\"migrations\":[]}';; serve) trap '' TERM; while true; do sleep 1; done;; esac";
    scratch.set("SERVICE_BINARY", scratch.script("service", stubborn));
    let mut up = scratch.start(&["up", "--verbose"]);
    up.printed("waiting for the API");
    up.signal(Signal::SIGINT);
    up.printed("stopping");
    up.signal(Signal::SIGINT);
    up.finish().says("ending everything at once");
    expect_none(scratch.root());
}

#[test]
fn a_second_ctrl_c_ends_up_detach_at_once() {
    let mut scratch = Scratch::new();
    let stubborn = "case $1 in migrate) test \"$2\" = up || echo '{\"revision\":1,\"paused\":false,\"migrations\":[]}';; serve) trap '' TERM; while true; do sleep 1; done;; esac";
    scratch.set("SERVICE_BINARY", scratch.script("service", stubborn));
    let mut up = scratch.start(&["up", "--verbose", "--detach"]);
    up.printed("waiting for the API");
    up.signal(Signal::SIGINT);
    up.printed("stopping");
    up.signal(Signal::SIGINT);
    up.finish()
        .expect_code(130)
        .says("ending everything at once");
    expect_none(scratch.root());
}

#[test]
fn ctrl_c_ends_check_while_it_probes_tools_and_network() {
    let mut scratch = Scratch::new();
    for asked in ["*--version", "deny\\ fetch\\ db"] {
        let started = scratch.beside().join("started");
        let cargo = format!(
            "case \"$*\" in {asked}) touch '{}'; sleep 1000;; esac",
            started.display()
        );
        scratch.set("CARGO", scratch.script("cargo", &cargo));
        let check = scratch.start(&["check"]);
        crate::support::eventually("the probe", || started.exists().then_some(()));
        check.signal(Signal::SIGINT);
        check.finish().expect_code(130);
        expect_none(scratch.root());
        std::fs::remove_file(started).unwrap();
    }
}

#[test]
fn ctrl_c_ends_test_while_it_creates_its_database() {
    let scratch = Scratch::new();
    let mut test = scratch.start(&["test", "--verbose"]);
    test.printed("making a throw-away database");
    test.signal(Signal::SIGINT);
    test.finish().expect_code(130);
    expect_none(scratch.root());
}
