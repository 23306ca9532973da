use nix::sys::signal::Signal;

use crate::support::processes::{expect_end, expect_none, is_alive};
use crate::support::{Scratch, eventually, get, get_with};

#[test]
fn up_status_logs_and_down_agree() {
    let scratch = Scratch::new();
    let up = scratch.up();
    for name in ["API ", "documentation ", "database "] {
        up.prints(name);
    }
    up.says("the environment runs in the background");
    assert!(
        !up.stdout.contains(
            scratch
                .read(".env")
                .lines()
                .find_map(|l| l.strip_prefix("POSTGRES_PASSWORD="))
                .unwrap()
        )
    );

    let (api, db) = (scratch.service("api"), scratch.service("db"));
    for service in [&api, &db] {
        assert_eq!(
            (service["state"].as_str(), service["health"].as_str()),
            (Some("running"), Some("healthy")),
            "{service}"
        );
        assert!(
            service["uptime_seconds"].is_u64()
                && service["version"].is_string()
                && service["url"].is_string(),
            "{service}"
        );
    }
    let status = scratch.status();
    assert_eq!(status["schema"]["state"], "current");
    assert!(
        scratch
            .get("/health/ready")
            .contains("\"status\":\"ready\"")
    );
    scratch.ok(&["status"]).prints("current");

    // A service sees the role without rights, and never the owner's password.
    let pid = api["pid"].as_u64().unwrap();
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(
        environment.contains("DATABASE_URL=postgres://emotionviz_api:")
            && !environment.contains("MIGRATION_DATABASE_URL")
    );
    assert!(!environment.contains("POSTGRES_PASSWORD"));

    let logs = scratch.ok(&["logs"]);
    logs.prints("database system is ready to accept connections");
    logs.prints("listening on");
    logs.prints("applied ");
    let api_alone = scratch.ok(&["logs", "api"]);
    assert!(
        api_alone.stdout.contains("listening on")
            && !api_alone.stdout.contains("database system is ready")
    );
    assert_eq!(scratch.ok(&["logs", "-n", "3"]).stdout.lines().count(), 3);
    scratch
        .ok(&["logs", "--since", "1h"])
        .prints("listening on");

    let pids = [
        scratch.pid("api"),
        scratch.pid("db"),
        i32::try_from(status["pid"].as_i64().unwrap()).unwrap(),
    ];
    scratch.ok(&["down"]).says("everything is stopped");
    for pid in pids {
        assert!(!is_alive(pid));
    }
    expect_none(scratch.root());
    // The last run's logs are there.
    scratch.ok(&["logs"]).prints("database system is shut down");
}

#[test]
fn a_second_up_reports_the_running_environment() {
    let scratch = Scratch::new();
    scratch.up();
    let pid = scratch.pid("api");
    for args in [&["up"][..], &["up", "--detach"]] {
        let again = scratch.ok(args);
        again.says("the environment already runs");
        again.prints("http://127.0.0.1:");
    }
    assert_eq!(scratch.pid("api"), pid);
}

#[test]
fn up_waits_for_a_stopping_environment_and_starts_it_again() {
    let mut scratch = Scratch::new();
    // Its end takes until somebody writes into the pipe.
    let pipe = scratch.beside().join("end");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let real = crate::support::service_binary();
    let slow = format!(
        "test $1 = serve || exec '{0}' \"$@\"\ntrap : TERM\n'{0}' serve &\nwait\ntest -e '{1}' && cat '{1}'",
        real.display(),
        pipe.display()
    );
    scratch.set("SERVICE_BINARY", scratch.script("service", &slow));
    scratch.up();
    let old = scratch.status()["pid"].clone();
    let down = scratch.start(&["down"]);
    eventually("stopping", || {
        (scratch.status()["doing"] == "stopping").then_some(())
    });
    scratch.set("SERVICE_BINARY", real);
    let mut up = scratch.start(&["up", "--detach"]);
    up.printed("is stopping");
    std::fs::write(&pipe, "").unwrap();
    down.finish().expect_code(0);
    up.finish().expect_code(0).says("in the background");
    assert_ne!(scratch.status()["pid"], old);
    assert!(scratch.get("/health/ready").contains("\"ready\""));
}

#[test]
fn down_without_a_running_environment_succeeds() {
    let scratch = Scratch::new();
    for verb in ["down", "stop"] {
        scratch.ok(&[verb]).says("nothing was running");
    }
    let status = scratch.status();
    assert!(
        status["pid"].is_null()
            && status["services"][0]["state"] == "stopped"
            && status["schema"]["state"] == "unknown"
    );
    assert!(status["schema"]["code"].is_i64());
    scratch.ok(&["status"]).says("cargo dev up");
    scratch
        .dev(&["restart"])
        .expect_code(1)
        .says("cargo dev up");
}

#[test]
fn up_prints_logs_until_ctrl_c_stops_it_in_order() {
    let scratch = Scratch::new();
    let mut up = scratch.start(&["up"]);
    up.printed("documentation ");
    let (api, db) = (scratch.pid("api"), scratch.pid("db"));
    up.printed("listening on");
    up.printed("database system is ready to accept connections");
    up.signal(Signal::SIGINT);
    let ended = up.finish().expect_code(0);
    ended.says("everything is stopped");
    assert!(
        !ended.stderr.contains("initdb") && !ended.stderr.contains("creating subdirectories"),
        "{ended}"
    );
    let (stopped, shut_down) = (
        ended.stderr.find("stopping on SIGTERM"),
        ended.stderr.rfind("received fast shutdown request"),
    );
    assert!(
        stopped.is_some() && stopped < shut_down,
        "the API ends before the database: {ended}"
    );
    assert!(!is_alive(api) && !is_alive(db));
    expect_none(scratch.root());
}

#[test]
fn stop_ends_an_up_in_another_terminal() {
    let scratch = Scratch::new();
    let mut up = scratch.start(&["up"]);
    up.printed("documentation ");
    scratch.ok(&["stop"]).says("everything is stopped");
    up.finish().expect_code(0).says("everything is stopped");
}

#[test]
fn a_closed_terminal_stops_everything() {
    let scratch = Scratch::new();
    let mut up = scratch.start(&["up"]);
    up.printed("documentation ");
    up.signal(Signal::SIGHUP);
    up.finish().expect_code(0);
    expect_none(scratch.root());
}

#[test]
fn data_and_secrets_survive_down_and_up() {
    let scratch = Scratch::new();
    scratch.up();
    scratch.sql("SELECT 1");
    scratch.ok(&["db", "shell", "-c", "CREATE TABLE kept AS SELECT 42 AS n"]);
    scratch.ok(&["down"]);
    let up = scratch.up();
    assert!(
        !up.stderr.contains("made "),
        "no secret is made twice: {up}"
    );
    assert_eq!(scratch.sql("SELECT n FROM kept"), "42");
}

#[test]
fn restart_reads_the_settings_again() {
    let scratch = Scratch::new();
    scratch.up();
    let (api, db) = (scratch.pid("api"), scratch.pid("db"));
    scratch.write(
        ".env",
        &(scratch.read(".env") + "ALLOWED_ORIGINS=https://restarted.example\n"),
    );
    scratch.ok(&["restart", "api"]).prints("API");
    expect_end(api);
    assert_eq!(scratch.pid("db"), db, "the database goes on");
    let environment = std::fs::read(format!("/proc/{}/environ", scratch.pid("api"))).unwrap();
    assert!(
        String::from_utf8_lossy(&environment).contains("ALLOWED_ORIGINS=https://restarted.example")
    );

    // Settings that do not fit leave what runs as it is.
    let api = scratch.pid("api");
    scratch.write(".env", &(scratch.read(".env") + "LOG_LEVEL=loud\n"));
    let refused = scratch.dev(&["restart"]).expect_code(1);
    refused.says("LOG_LEVEL must be");
    assert_eq!(scratch.pid("api"), api);

    scratch.write(
        ".env",
        &scratch.read(".env").replace("LOG_LEVEL=loud\n", ""),
    );
    scratch.ok(&["restart"]);
    assert_ne!(scratch.pid("db"), db);
    assert!(scratch.get("/health/ready").contains("ready"));
}

#[test]
fn up_no_migrate_starts_with_pending_migrations() {
    let scratch = Scratch::new();
    let up = scratch.ok(&["up", "--detach", "--no-migrate"]);
    up.says("cargo dev migrate up");
    assert_eq!(scratch.status()["schema"]["state"], "behind");
    assert_eq!(scratch.service("api")["health"], "unhealthy");
    assert!(scratch.get("/health").starts_with("HTTP/1.1 200"));
    scratch.ok(&["migrate", "up"]).prints("applied");
    eventually("readiness", || {
        scratch
            .get("/health/ready")
            .contains("\"ready\"")
            .then_some(())
    });
}

#[test]
fn up_tools_points_to_db_shell_on_the_native_engine() {
    let scratch = Scratch::new();
    scratch
        .ok(&["up", "--detach", "--tools"])
        .says("cargo dev db shell");
}

#[test]
fn up_lan_publishes_the_api_only() {
    let scratch = Scratch::new();
    let up = scratch.ok(&["up", "--detach", "--lan"]);
    let address = up
        .stdout
        .lines()
        .find(|line| line.contains("API in the local network"))
        .and_then(|line| line.split("//").nth(1)?.split(':').next());
    // A machine without a network has none.
    if let Some(address) = address {
        up.says(&format!(
            "web pages on http://{address} (any port) may also call the API"
        ));
        for (origin, allowed) in [
            (format!("http://{address}:8100"), true),
            ("https://localhost".to_owned(), true),
            ("http://192.0.2.7:8100".to_owned(), false),
        ] {
            let header = format!("origin: {origin}\r\n");
            let answer = get_with(("127.0.0.1", scratch.port("api")), "/health", &header);
            assert_eq!(
                answer.contains(&format!("access-control-allow-origin: {origin}")),
                allowed,
                "{answer}"
            );
        }
    }
    let listeners = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let listens = |address: &str, port: u16| {
        listeners.contains(&format!("{address}:{port:04X} 00000000:0000 0A"))
    };
    assert!(listens("00000000", scratch.port("api")), "{listeners}");
    assert!(listens("0100007F", scratch.port("db")) && !listens("00000000", scratch.port("db")));
    assert!(get(scratch.port("api"), "/health").contains("healthy"));
}

#[test]
fn logs_follow_prints_new_lines_until_ctrl_c() {
    let scratch = Scratch::new();
    scratch.up();
    let mut logs = scratch.start(&["logs", "db", "--follow", "-n", "1"]);
    logs.printed("LOG:");
    scratch
        .dev(&["db", "shell", "-c", "SELECT nonsense_that_is_logged"])
        .expect_code(1);
    logs.printed("nonsense_that_is_logged");
    logs.signal(Signal::SIGINT);
    logs.finish().expect_code(130);
}
