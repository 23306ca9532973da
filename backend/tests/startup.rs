use std::process::Output;
use std::time::Instant;

use crate::support::{NOWHERE, PATIENCE, Server, server_command};

/// Runs the binary, which must end by itself.
fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut child = server_command(NOWHERE, settings)
        .args(arguments)
        .spawn()
        .unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_problem_of_the_settings_is_said_at_once() {
    let output = run(
        &[],
        &[
            ("API_PORT", "eighty"),
            ("LOG_LEVEL", "loud"),
            ("JWT_SECRET_KEY", "short"),
            ("DATABASE_URL", "mysql://x"),
        ],
    );
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    for name in ["API_PORT", "LOG_LEVEL", "JWT_SECRET_KEY", "DATABASE_URL"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    assert!(
        output.stdout.is_empty() && !said.contains("short\""),
        "{said}"
    );
}

#[test]
fn wrong_usage_is_status_2() {
    for arguments in [
        &["fly"][..],
        &["serve", "--fast"],
        &["migrate"],
        &["migrate", "sideways"],
    ] {
        assert_eq!(run(arguments, &[]).status.code(), Some(2), "{arguments:?}");
    }
    assert!(run(&["--version"], &[]).status.success());
}

#[tokio::test]
async fn a_taken_port_is_said() {
    let first = Server::start(NOWHERE, &[]);
    let port = first.address.rsplit_once(':').unwrap().1;
    let output = run(&["serve"], &[("API_PORT", port)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains(&format!("port {port} of 127.0.0.1 is taken")),
        "{output:?}"
    );
    assert_eq!(first.get("/health").await.status, 200);
}

#[test]
fn a_log_folder_that_cannot_be_is_said() {
    let output = run(&[], &[("LOG_DIR", "/dev/null/logs")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("/dev/null/logs/app.log"),
        "{output:?}"
    );
}

#[test]
fn an_address_that_is_not_ours_is_said() {
    let output = run(&[], &[("API_HOST", "192.0.2.1"), ("API_PORT", "8123")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("192.0.2.1:8123"), "{output:?}");
}
