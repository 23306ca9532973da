//! Health checks: few while the containers are idle, and quick to detect a failure.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::project::is_root;
use crate::support::{Project, docker, eventually};

#[test]
#[ignore = "long: Docker"]
fn health_checks_are_few_and_detect_a_hanging_server() {
    let Some(project) = Project::new() else {
        return;
    };
    project.ok(&["up", "-d", "--wait", "db"]);
    let container = format!("container={}", project.container("db"));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let [since, until] = [now, now + 15].map(|time| time.to_string());
    // It ends at that time.
    let events = docker(&[
        "events",
        "--since",
        &since,
        "--until",
        &until,
        "--filter",
        &container,
        "--filter",
        "event=exec_create",
    ]);
    assert!(
        events.stdout.lines().count() <= 2,
        "Docker starts a check each second: {events}"
    );

    // Its user is another one.
    if is_root() {
        let pid = Pid::from_raw(project.inspect("db", "{{.State.Pid}}").parse().unwrap());
        kill(pid, Signal::SIGSTOP).unwrap();
        eventually("an unhealthy server", || {
            (project.health("db") == "unhealthy").then_some(())
        });
        kill(pid, Signal::SIGCONT).unwrap();
        eventually("a healthy server", || {
            (project.health("db") == "healthy").then_some(())
        });
    }
    project.ok(&["restart", "db"]);
    project.ok(&["up", "-d", "--wait", "db"]);
}
