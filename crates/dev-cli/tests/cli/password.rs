//! `db password`: everywhere at once, or nowhere.

use nix::sys::signal::Signal;

use crate::support::processes::{expect_end, expect_none};
use crate::support::{Running, Scratch, eventually};

#[test]
fn db_password_uses_the_socket_of_the_running_database() {
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
fn two_concurrent_db_passwords_leave_one_password() {
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
fn db_password_keeps_the_file_when_the_database_refuses() {
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
fn db_password_refuses_a_password_set_in_the_shell() {
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
fn db_password_works_while_the_service_does_not_compile() {
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
    scratch.set("CARGO", scratch.cargo(&cargo));
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
fn ctrl_c_ends_db_password_while_it_waits_for_input() {
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
fn db_password_never_reads_a_password_with_echo() {
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
fn ctrl_c_in_db_password_leaves_file_and_database_consistent() {
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
