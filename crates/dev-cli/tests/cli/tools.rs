//! The verbs that run cargo, with a cargo that says what it was asked.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::processes::expect_none;
use crate::support::{Scratch, postgres};

#[test]
fn test_runs_cargo_with_a_temporary_database() {
    let mut scratch = Scratch::new();
    scratch.set("PSQL", postgres("psql").get_program());
    let cargo = "test \"$2\" = --version && exit 1
echo \"asked: $*\"
echo \"url: $TEST_DATABASE_URL\"
echo \"settings: $API_PORT $POSTGRES_PORT $SERVICE_BINARY\"
\"$PSQL\" -X -At \"$TEST_DATABASE_URL\" -c 'CREATE DATABASE one_of_a_test' -c 'SHOW fsync' -c \"SELECT rolsuper FROM pg_roles WHERE rolname = current_user\"
echo done";
    scratch.set("CARGO", scratch.script("cargo", cargo));
    let test = scratch.ok(&["test", "login", "--", "--nocapture"]);
    test.prints("asked: test --workspace -- login --nocapture");
    test.prints("off\nt\ndone");
    test.says("left out: the tests that take long");
    test.says("hint: cargo dev test --all");
    let settings = test
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("settings:"))
        .unwrap();
    assert_eq!(
        settings.trim(),
        "",
        "the settings of whoever types are not the tests'"
    );
    assert!(!scratch.path("data/postgres").exists());

    let nextest = "test \"$2\" = --version && exit 0\necho \"asked: $*\"\nexit 3";
    scratch.set("CARGO", scratch.script("cargo", nextest));
    scratch
        .dev(&["test", "one", "two"])
        .expect_code(1)
        .prints("asked: nextest run --workspace one two");
    expect_none(scratch.root());
}

#[test]
fn test_reports_the_tests_that_were_skipped_or_left_out() {
    let mut scratch = Scratch::new();
    let cargo =
        |skips: &str| format!("test \"$2\" = --version && exit 0\n{skips}\necho \"asked: $*\"\n");
    let skips = "printf 'chromedriver\\tapt install chromium-driver\\tadminer_logs_in\\n' >> \"$TEST_NEEDS_REPORT\"";
    scratch.set("CARGO", scratch.script("cargo", &cargo(skips)));
    let test = scratch.ok(&["test", "--all", "adminer"]);
    test.prints("asked: nextest run --workspace --run-ignored=all adminer");
    test.says("skipped, because this machine lacks chromedriver: adminer_logs_in");
    test.says("hint: apt install chromium-driver");
    test.says("left out: what measures times");
    scratch.set("CARGO", scratch.script("cargo", &cargo("")));
    let test = scratch.ok(&["test"]);
    test.says("left out: the tests that take long");
    assert!(!test.stderr.contains("skipped"), "{test}");
}

#[test]
fn test_does_not_affect_the_running_environment() {
    let mut scratch = Scratch::new();
    scratch.set("PSQL", postgres("psql").get_program());
    scratch.up();
    let (api, db) = (scratch.pid("api"), scratch.pid("db"));
    scratch.set(
        "CARGO",
        scratch.script(
            "cargo",
            "test \"$2\" = --version || \"$PSQL\" -X -At \"$TEST_DATABASE_URL\" -c 'SELECT 40 + 2'",
        ),
    );
    scratch.ok(&["test"]).prints("42");
    assert_eq!((scratch.pid("api"), scratch.pid("db")), (api, db));
}

#[test]
fn check_reports_failures_and_missing_tools() {
    let mut scratch = Scratch::new();
    let cargo = "case \"$*\" in
  'deny --version') exit 101;;
  *--version) exit 0;;
  clippy*) echo 'warning: a lint' >&2; exit 101;;
esac";
    scratch.set("CARGO", scratch.script("cargo", cargo));
    let check = scratch.dev(&["check"]).expect_code(1);
    check.says("warning: a lint");
    check.prints("format                   passed");
    check.prints("lints                    FAILED");
    check.prints("cargo install --locked cargo-deny");

    // What is missing is a failure by itself.
    scratch.set(
        "CARGO",
        scratch.script("cargo", "test \"$*\" != 'deny --version'"),
    );
    let check = scratch.dev(&["check"]).expect_code(1);
    check.prints("advisories               FAILED: a tool is missing; install it: cargo install --locked cargo-deny");
    check.prints("lints                    passed");

    scratch.set(
        "CARGO",
        scratch.script(
            "cargo",
            "case \"$*\" in 'deny fetch db') exit 1;; *advisories*) exit 9;; esac",
        ),
    );
    scratch.ok(&["check"]).prints("cannot be reached");
}

#[test]
fn up_prints_the_compilers_error_once() {
    let mut scratch = Scratch::new();
    scratch.set("SERVICE_BINARY", "");
    scratch.set(
        "CARGO",
        scratch.script(
            "cargo",
            "sleep 1\necho 'error[E0308]: mismatched types' >&2\nexit 101",
        ),
    );
    for args in [
        &["up"][..],
        &["up", "--detach"],
        &["up", "--quiet"],
        &["up", "--quiet", "--detach"],
    ] {
        let refused = scratch.dev(args).expect_code(1);
        refused.says("error[E0308]: mismatched types");
        refused.says("does not compile");
        assert_eq!(refused.stderr.matches("E0308").count(), 1, "{refused}");
        expect_none(scratch.root());
    }
    scratch.set("CARGO", "");
    scratch.set("SERVICE_BINARY", "no/such/file");
    scratch
        .dev(&["up", "--detach"])
        .expect_code(1)
        .says("SERVICE_BINARY");
}

#[test]
fn a_command_searches_the_programs_of_postgresql_once() {
    let mut scratch = Scratch::new();
    scratch.up();
    let real = fs::read_link(format!("/proc/{}/exe", scratch.pid("db"))).unwrap();
    scratch.ok(&["down"]);
    let (folder, log) = (scratch.beside().join("bin"), scratch.beside().join("log"));
    fs::create_dir(&folder).unwrap();
    for program in fs::read_dir(real.parent().unwrap()).unwrap().flatten() {
        if program.file_name() != "postgres" {
            symlink(program.path(), folder.join(program.file_name())).unwrap();
        }
    }
    let script = format!(
        "echo \"$1\" >> '{}'\nexec '{}' \"$@\"",
        log.display(),
        real.display()
    );
    scratch.script("bin/postgres", &script);
    fs::write(&log, "").unwrap();
    // The server may run as another user.
    fs::set_permissions(&log, PermissionsExt::from_mode(0o666)).unwrap();
    scratch.set("POSTGRES_BIN_DIR", &folder);
    scratch.up();
    fs::write(&log, "").unwrap();
    scratch.ok(&["migrate", "down"]);
    assert_eq!(fs::read_to_string(&log).unwrap(), "--version\n");
}
