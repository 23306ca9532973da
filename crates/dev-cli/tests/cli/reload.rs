//! What is changed goes live by itself and no request is lost, with a program that is built already: settings, programs that do not
//! start, and processes that die at a bad moment.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::load::Load;
use crate::support::processes::{self, expect_end, expect_none, is_alive, kill};
use crate::support::{Scratch, eventually, get, service_binary};

/// What answers take at most while one process follows on another: far more than they do on an idle machine.
pub(crate) const LONGEST: Duration = Duration::from_secs(2);

/// The last reload, once there are so many.
pub(crate) fn reload(scratch: &Scratch, count: usize) -> Value {
    eventually(&format!("reload {count}"), || {
        let status = scratch.status();
        let reloads = status["reloads"].as_array().unwrap();
        (reloads.len() >= count).then(|| reloads.last().unwrap().clone())
    })
}

fn append(scratch: &Scratch, line: &str) {
    scratch.write(".env", &format!("{}{line}\n", scratch.read(".env")));
}

fn environment(pid: i32) -> String {
    String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/environ")).unwrap()).into_owned()
}

/// Puts another program in the place of the service: a script that does something first.
fn replace_program(scratch: &Scratch, script: &str) {
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = serve ] || exec {0} \"$@\"\n{script}\nexec {0} \"$@\"\n",
        service_binary().display()
    );
    let unfinished = scratch.beside().join("unfinished");
    std::fs::write(&unfinished, text).unwrap();
    std::fs::set_permissions(
        &unfinished,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    std::fs::create_dir_all(scratch.beside().join("bin")).unwrap();
    std::fs::rename(&unfinished, scratch.beside().join("bin/service")).unwrap();
}

/// A checkout whose program can be replaced.
fn replaceable() -> Scratch {
    let mut scratch = Scratch::new();
    replace_program(&scratch, "");
    scratch.set("SERVICE_BINARY", scratch.beside().join("bin/service"));
    scratch
}

#[test]
fn changed_settings_go_live_and_lose_no_request() {
    let scratch = Scratch::new();
    scratch.up();
    assert_eq!(scratch.status()["watching"]["by"], "events");
    let load = Load::start(scratch.port("api"));
    for n in 1..=5 {
        let before = scratch.pid("api");
        append(&scratch, &format!("ALLOWED_ORIGINS=https://n{n}.example"));
        let reload = reload(&scratch, n);
        assert_eq!(
            (reload["outcome"].as_str(), &reload["changed"]),
            (Some("live"), &serde_json::json!([".env"])),
            "{reload}"
        );
        assert!(
            reload["compile_ms"].is_null() && reload["start_ms"].is_u64(),
            "{reload}"
        );
        assert!(environment(scratch.pid("api")).contains(&format!("https://n{n}.example")));
        expect_end(before);
    }
    let counted = load.finish();
    assert!(
        counted.failed.is_empty() && counted.longest < LONGEST && counted.answered > 100,
        "{counted:?}"
    );
    scratch
        .ok(&["logs", "dev"])
        .prints("reloaded .env: live in");
    scratch.ok(&["status"]).says("reloaded .env: live in");
    let service = scratch.service("api");
    assert_eq!(
        (service["state"].as_str(), service["restarts"].as_u64()),
        (Some("running"), Some(0))
    );
}

#[test]
fn invalid_settings_leave_the_running_process_and_are_reported() {
    let scratch = Scratch::new();
    scratch.up();
    let (pid, port) = (scratch.pid("api"), scratch.port("api"));
    append(&scratch, "# a remark");
    append(&scratch, "LOG_LEVEL=loud");
    let failed = reload(&scratch, 1);
    assert_eq!(failed["outcome"], "failed");
    assert!(
        failed["reason"]
            .as_str()
            .unwrap()
            .contains("LOG_LEVEL must be"),
        "{failed}"
    );
    eventually("the header", || {
        get(port, "/health")
            .contains("x-reload: failed")
            .then_some(())
    });
    scratch.ok(&["status"]).says("LOG_LEVEL must be");
    assert_eq!(scratch.pid("api"), pid, "what ran goes on");

    scratch.write(
        ".env",
        &scratch.read(".env").replace("LOG_LEVEL=loud\n", ""),
    );
    assert_eq!(reload(&scratch, 2)["outcome"], "live");
    expect_end(pid);
    let answer = get(port, "/health");
    assert!(
        answer.starts_with("HTTP/1.1 200") && !answer.contains("x-reload"),
        "{answer}"
    );
}

#[test]
fn restart_api_loses_no_request() {
    let scratch = Scratch::new();
    scratch.ok(&["up", "--detach", "--no-reload"]);
    assert!(scratch.status()["watching"].is_null());
    let load = Load::start(scratch.port("api"));
    append(&scratch, "ALLOWED_ORIGINS=https://changed.example");
    scratch.ok(&["restart", "api"]);
    assert!(environment(scratch.pid("api")).contains("https://changed.example"));
    let counted = load.finish();
    assert!(
        counted.failed.is_empty() && counted.longest < LONGEST,
        "{counted:?}"
    );
    assert!(
        scratch.status()["reloads"].as_array().unwrap().is_empty(),
        "nothing is reloaded with --no-reload"
    );
}

#[test]
fn a_new_api_port_goes_live() {
    let mut scratch = Scratch::new();
    scratch.set("API_PORT", "");
    let (first, second) = (free_port(), free_port());
    scratch.write(".env", &format!("API_PORT={first}\n"));
    scratch.up();
    assert_eq!(scratch.port("api"), first);
    scratch.write(
        ".env",
        &scratch
            .read(".env")
            .replace(&first.to_string(), &second.to_string()),
    );
    assert_eq!(reload(&scratch, 1)["outcome"], "live");
    assert_eq!(scratch.port("api"), second);
    assert!(get(second, "/health").starts_with("HTTP/1.1 200"));
    eventually("the end of the old socket", || {
        get(first, "/health").contains("refused").then_some(())
    });
}

fn free_port() -> u16 {
    crate::support::taken_port().1
}

#[test]
fn programs_that_fail_to_start_lose_no_request() {
    let scratch = replaceable();
    scratch.up();
    let (pid, port) = (scratch.pid("api"), scratch.port("api"));
    let load = Load::start(port);
    for (n, (script, reason)) in [
        ("echo 'what a mess' >&2; exit 3", "what a mess"),
        ("kill -9 $$", "signal 9"),
    ]
    .into_iter()
    .enumerate()
    {
        replace_program(&scratch, script);
        let failed = reload(&scratch, n + 1);
        assert!(
            failed["outcome"] == "failed" && failed["reason"].as_str().unwrap().contains(reason),
            "{failed}"
        );
        assert_eq!(scratch.pid("api"), pid);
        eventually("the header", || {
            get(port, "/health")
                .contains("x-reload: failed")
                .then_some(())
        });
    }
    // One that is never ready is given up by the next that is.
    replace_program(&scratch, "sleep 1000 & echo $! > sleeper; wait");
    eventually("the sleeper", || {
        std::fs::read_to_string(scratch.path("sleeper"))
            .ok()
            .filter(|text| text.ends_with('\n'))
    });
    let sleeper: i32 = scratch.read("sleeper").trim().parse().unwrap();
    replace_program(&scratch, ": better");
    assert_eq!(reload(&scratch, 3)["outcome"], "live");
    assert!(!is_alive(sleeper) && scratch.pid("api") != pid);
    expect_end(pid);
    assert!(!get(port, "/health").contains("x-reload"));
    let counted = load.finish();
    assert!(
        counted.failed.is_empty() && counted.longest < LONGEST,
        "{counted:?}"
    );
}

#[test]
fn a_new_process_that_is_never_ready_is_ended() {
    let scratch = replaceable();
    scratch.up();
    let pid = scratch.pid("api");
    replace_program(&scratch, "sleep 1000");
    let failed = reload(&scratch, 1);
    assert!(
        failed["outcome"] == "failed"
            && failed["reason"]
                .as_str()
                .unwrap()
                .contains("was not ready after"),
        "{failed}"
    );
    assert_eq!(scratch.pid("api"), pid);
    let sleeps = processes::of(scratch.beside())
        .into_iter()
        .any(|(_, command)| command.contains("sleep 1000"));
    assert!(!sleeps);
}

#[test]
fn a_reload_survives_the_kill_of_the_old_process() {
    let scratch = replaceable();
    scratch.up();
    let (pid, port) = (scratch.pid("api"), scratch.port("api"));
    replace_program(&scratch, "while [ ! -e go ]; do sleep 0.01; done");
    eventually("two of them", || {
        scratch.path("data/run/api-2.pid").exists().then_some(())
    });
    kill(pid, Signal::SIGKILL);
    expect_end(pid);
    scratch.write("go", "");
    eventually("an answer", || {
        get(port, "/health/ready")
            .contains("\"ready\"")
            .then_some(())
    });
    assert_eq!(reload(&scratch, 1)["outcome"], "live");
    scratch.ok(&["down"]);
    expect_none(scratch.beside());
}

#[test]
fn up_recovers_from_a_supervisor_killed_during_a_reload() {
    let scratch = replaceable();
    for script in ["sleep 1000", ": another"] {
        scratch.up();
        let supervisor = i32::try_from(scratch.status()["pid"].as_i64().unwrap()).unwrap();
        replace_program(&scratch, script);
        eventually("two of them", || {
            scratch.path("data/run/api-2.pid").exists().then_some(())
        });
        kill(supervisor, Signal::SIGKILL);
        expect_end(supervisor);
        replace_program(&scratch, "");
        scratch.up();
        assert!(scratch.get("/health/ready").contains("\"ready\""));
        std::fs::remove_file(scratch.path("data/run/api-2.pid")).unwrap();
        scratch.ok(&["down"]);
        expect_none(scratch.beside());
    }
}

#[test]
fn down_during_a_reload_ends_both_processes() {
    let scratch = replaceable();
    scratch.up();
    replace_program(&scratch, "sleep 1000");
    eventually("two of them", || {
        scratch.path("data/run/api-2.pid").exists().then_some(())
    });
    scratch.ok(&["down"]).says("everything is stopped");
    expect_none(scratch.beside());
}
