//! `db password`: everywhere at once, or nowhere.

use nix::sys::signal::Signal;

use crate::support::processes::{expect_end, expect_none};
use crate::support::{Running, Scratch, eventually};

#[test]
fn the_socket_of_whoever_runs_the_database_counts() {
    let mut scratch = Scratch::new();
    scratch.up();
    let runtime = scratch.beside().join("runtime");
    std::fs::create_dir(&runtime).unwrap();
    scratch.set("XDG_RUNTIME_DIR", &runtime);
    let old = scratch.read(".env");
    scratch.ok(&["db", "password"]);
    assert_ne!(scratch.read(".env"), old);
    assert_eq!(scratch.sql("SELECT 1"), "1");
    assert!(scratch.get("/health/ready").contains("\"ready\""));
}

#[test]
fn two_at_once_leave_one_password() {
    let scratch = Scratch::new();
    scratch.up();
    let both = |scratch: &Scratch| {
        let two = [
            scratch.start(&["db", "password"]),
            scratch.start(&["db", "password"]),
        ];
        for one in two {
            one.finish().expect_code(0);
        }
        assert_eq!(scratch.sql("SELECT 1"), "1");
    };
    both(&scratch);
    assert!(scratch.get("/health/ready").contains("\"ready\""));
    scratch.ok(&["down"]);
    both(&scratch);
    scratch.up();
    assert!(scratch.get("/health/ready").contains("\"ready\""));
}

#[test]
fn what_the_database_refuses_is_not_in_the_file() {
    let scratch = Scratch::new();
    scratch.up();
    let kept = scratch.read(".env");
    // The new ones are given to both roles or to none.
    scratch.ok(&[
        "db",
        "shell",
        "-c",
        "ALTER ROLE emotionviz_api RENAME TO elsewhere",
    ]);
    scratch
        .dev(&["db", "password"])
        .expect_code(1)
        .says("emotionviz_api");
    assert_eq!(scratch.read(".env"), kept);
    assert_eq!(scratch.sql("SELECT 1"), "1");
    scratch.ok(&["down"]);
    scratch
        .dev(&["db", "password"])
        .expect_code(1)
        .says("emotionviz_api");
    assert_eq!(scratch.read(".env"), kept);
    expect_none(scratch.root());
    // The role belongs to the tool: it is made anew.
    scratch.up();
}

#[test]
fn one_of_the_shell_is_refused_before_anything_is_written() {
    let mut scratch = Scratch::new();
    scratch.up();
    let kept = scratch.read(".env");
    scratch.set("POSTGRES_PASSWORD", "of the shell");
    scratch
        .dev(&["db", "password"])
        .expect_code(1)
        .says("env -u POSTGRES_PASSWORD");
    assert_eq!(scratch.read(".env"), kept);
    scratch.set("POSTGRES_PASSWORD", "");
    assert_eq!(scratch.sql("SELECT 1"), "1");
}

#[test]
fn a_service_that_does_not_compile_does_not_matter() {
    let mut scratch = Scratch::new();
    let switch = scratch.path("broken");
    let real = crate::support::service_binary();
    let program = format!(
        "{{\"reason\":\"compiler-artifact\",\"target\":{{\"name\":\"emotionviz\"}},\"executable\":\"{}\"}}",
        real.display()
    );
    let cargo = format!(
        "test -e '{}' && exit 101\necho '{program}'",
        switch.display()
    );
    scratch.set("SERVICE_BINARY", "");
    scratch.set("CARGO", scratch.script("cargo", &cargo));
    scratch.up();
    scratch.write("broken", "");
    let api = scratch.pid("api");
    scratch.ok(&["db", "password"]);
    expect_end(api);
    assert!(scratch.get("/health/ready").contains("\"ready\""));
    assert_eq!(scratch.sql("SELECT 1"), "1");
    scratch
        .dev(&["restart"])
        .expect_code(1)
        .says("does not compile");
    assert!(scratch.get("/health/ready").contains("\"ready\""));
}

#[test]
fn ctrl_c_while_it_waits_for_standard_input() {
    let scratch = Scratch::new();
    scratch.up();
    let kept = scratch.read(".env");
    let mut waiting = Running::reading(
        scratch.command(&["db", "password", "--stdin", "--verbose"]),
        std::process::Stdio::piped(),
    );
    waiting.printed("waiting for a password on standard input");
    waiting.signal(Signal::SIGINT);
    waiting.finish().expect_code(130);
    assert_eq!(scratch.read(".env"), kept);
}

#[test]
fn none_is_typed_where_it_stays_readable() {
    let scratch = Scratch::new();
    let typed = format!("'{}' db password --stdin", env!("CARGO_BIN_EXE_dev-cli"));
    // It gives the command a terminal.
    let mut script = std::process::Command::new("script");
    script
        .args(["--quiet", "--return", "--command", &typed, "/dev/null"])
        .current_dir(scratch.root());
    Running::start(script)
        .finish()
        .expect_code(1)
        .prints("hint: cargo dev db password --stdin < FILE");
}

#[test]
fn ctrl_c_between_the_file_and_the_database() {
    let scratch = Scratch::new();
    scratch.up();
    for runs in [true, false] {
        let kept = scratch.read(".env");
        let change = scratch.start(&["db", "password"]);
        eventually("a new .env", || {
            (scratch.read(".env") != kept).then_some(())
        });
        change.signal(Signal::SIGINT);
        let ended = change.finish();
        assert!([0, 130].contains(&ended.code), "{ended}");
        if runs {
            assert_eq!(scratch.sql("SELECT 1"), "1");
            scratch.ok(&["down"]);
        }
    }
    scratch.up();
    assert!(scratch.get("/health/ready").contains("\"ready\""));
}
