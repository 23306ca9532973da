//! Settings files that are not regular files, or have values that cannot be intended.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::processes::{expect_end, expect_none, kill};
use crate::support::{Scratch, eventually};

/// Every verb that reads settings.
const VERBS: [&[&str]; 9] = [
    &["status"],
    &["up", "--detach"],
    &["db", "url"],
    &["db", "shell", "-c", "SELECT 1"],
    &["migrate", "status"],
    &["backup"],
    &["logs"],
    &["config", "check"],
    &["restart"],
];

fn pipe(path: &Path) {
    mkfifo(path, Mode::S_IRWXU).unwrap();
}

#[test]
fn a_settings_pipe_without_a_writer_is_reported_within_seconds() {
    let start = |file: &'static str| {
        let scratch = Scratch::new();
        let linked = scratch.beside().join("pipe");
        pipe(&linked);
        symlink(&linked, scratch.path(file)).unwrap();
        let started = VERBS.map(|verb| (Instant::now(), scratch.start(verb)));
        (file, scratch, started)
    };
    // At once: each of them waits for the time-out.
    for (file, scratch, started) in [".env", "backend/.env"].map(start) {
        for (since, verb) in started {
            let refused = verb.finish().expect_code(1);
            refused.says(&format!(
                "{} is a pipe (FIFO), and no process wrote to it",
                scratch.path(file).display()
            ));
            refused.says("hint: ");
            assert!(since.elapsed() < Duration::from_secs(30), "{refused}");
        }
        let linked = scratch.beside().join("pipe");
        assert!(fs::metadata(linked).unwrap().file_type().is_fifo());
        expect_none(scratch.root());
        fs::remove_file(scratch.path(file)).unwrap();
    }
}

#[test]
fn a_wait_for_a_settings_pipe_ends_on_every_signal() {
    let scratch = Scratch::new();
    pipe(&scratch.path(".env"));
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let verbs = [
            &["status"][..],
            &["up"],
            &["up", "--detach"],
            &["config", "show"],
            &["db", "password"],
            &["down"],
        ];
        let started = verbs.map(|verb| (verb, scratch.start(&[verb, &["--verbose"]].concat())));
        for (verb, mut waiting) in started {
            waiting.printed("waiting for a settings file");
            let since = Instant::now();
            waiting.signal(signal);
            waiting.finish().expect_code(130);
            assert!(
                since.elapsed() < Duration::from_secs(3),
                "{verb:?} {signal}"
            );
        }
    }
}

#[test]
fn a_settings_pipe_does_not_prevent_stop_and_down() {
    let scratch = Scratch::new();
    scratch.up();
    fs::rename(scratch.path(".env"), scratch.path(".env.kept")).unwrap();
    pipe(&scratch.path(".env"));
    scratch.ok(&["down"]);
    expect_none(scratch.root());
    fs::remove_file(scratch.path(".env")).unwrap();
    fs::rename(scratch.path(".env.kept"), scratch.path(".env")).unwrap();
}

#[test]
fn a_settings_pipe_with_a_writer_is_read_and_never_replaced() {
    let scratch = Scratch::new();
    scratch.up();
    let text = scratch.read(".env");
    fs::remove_file(scratch.path(".env")).unwrap();
    pipe(&scratch.path(".env"));
    // A password manager serves the content to each reader.
    let script =
        "trap '' PIPE; while true; do printf '%s' \"$1\" > \"$2\"; sleep 0.05; done 2>/dev/null";
    let mut writer = std::process::Command::new("sh")
        .args(["-c", script, "sh", &text])
        .arg(scratch.path(".env"))
        .spawn()
        .unwrap();
    scratch.ok(&["status"]).prints("running");
    assert_eq!(scratch.sql("SELECT 1"), "1");
    let refused = scratch.dev(&["db", "password"]).expect_code(1);
    refused.says(
        "is a pipe (FIFO): settings are written to regular files only, and nothing was changed",
    );
    assert_eq!(scratch.sql("SELECT 1"), "1", "with the old password");
    scratch.ok(&["restart"]);
    scratch.ok(&["down"]);
    scratch.up();
    assert_eq!(scratch.service("api")["health"], "healthy");
    assert_eq!(
        scratch.status()["reloads"].as_array().unwrap().len(),
        0,
        "a read of the pipe must not count as a change"
    );
    scratch.ok(&["down"]);
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert!(
        fs::symlink_metadata(scratch.path(".env"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    eventually("no one writes to the pipe", || processes_end(&scratch));
}

#[test]
fn an_environment_that_waits_for_a_settings_pipe_stops_at_once() {
    let scratch = Scratch::new();
    scratch.up();
    let supervisor = i32::try_from(scratch.status()["pid"].as_i64().unwrap()).unwrap();
    let (text, path) = (scratch.read(".env"), scratch.path(".env"));
    fs::remove_file(&path).unwrap();
    pipe(&path);
    let restart = scratch.start(&["restart"]);
    // For the command. The environment reads the pipe after it, and waits.
    fs::write(&path, &text).unwrap();
    eventually("the environment reads the pipe", || {
        let open = fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap();
        open.flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|file| file == path))
            .then_some(())
    });
    let since = Instant::now();
    kill(supervisor, Signal::SIGTERM);
    expect_end(supervisor);
    assert!(since.elapsed() < Duration::from_secs(4));
    restart.finish().expect_code(1);
    fs::remove_file(&path).unwrap();
    fs::write(&path, &text).unwrap();
    expect_none(scratch.root());
}

fn processes_end(scratch: &Scratch) -> Option<()> {
    crate::support::processes::of(scratch.root())
        .is_empty()
        .then_some(())
}

#[test]
fn a_settings_file_that_is_not_a_regular_file_is_never_replaced() {
    let scratch = Scratch::new();
    let env = scratch.path(".env");
    let gone = scratch.beside().join("gone");
    let null = Path::new("/dev/null");
    for (target, what) in [(null, "is a device"), (&gone, "is a link to")] {
        symlink(target, &env).unwrap();
        let refused = scratch.dev(&["up", "--detach"]).expect_code(1);
        refused.says(&format!("{} {what}", env.display()));
        refused.says("nothing was changed");
        assert!(env.is_symlink() && !gone.exists());
        assert!(
            fs::metadata(null).unwrap().file_type().is_char_device(),
            "/dev/null is a device"
        );
        fs::remove_file(&env).unwrap();
    }
    let _listener = std::os::unix::net::UnixListener::bind(&env).unwrap();
    scratch
        .dev(&["status"])
        .expect_code(1)
        .says("is a socket, and cannot hold settings");
    fs::remove_file(&env).unwrap();
    fs::create_dir(&env).unwrap();
    scratch
        .dev(&["status"])
        .expect_code(1)
        .says("is a folder, and cannot hold settings");
    fs::remove_dir(&env).unwrap();
    symlink("/dev/zero", &env).unwrap();
    scratch
        .dev(&["status"])
        .expect_code(1)
        .says("is larger than 1 MB");
    expect_none(scratch.root());
}

#[test]
fn a_program_setting_that_names_a_pipe_is_reported() {
    let mut scratch = Scratch::new();
    let path = scratch.beside().join("pipe");
    pipe(&path);
    scratch.set("SERVICE_BINARY", &path);
    let refused = scratch.dev(&["up", "--detach"]).expect_code(1);
    refused.says(&format!(
        "SERVICE_BINARY (from the environment) is {}",
        path.display()
    ));
    scratch.set("SERVICE_BINARY", "");
    scratch.set("POSTGRES_BIN_DIR", &path);
    scratch
        .dev(&["up", "--detach"])
        .expect_code(1)
        .says("POSTGRES_BIN_DIR");
    expect_none(scratch.root());
}

#[test]
fn the_native_engine_reports_a_database_url_of_the_containers() {
    let scratch = Scratch::new();
    let url = "DATABASE_URL=postgresql+asyncpg://emotionviz:planted@db:5432/emotionviz_db\n";
    for file in ["backend/.env", ".env"] {
        scratch.write(file, url);
        for verb in [
            &["up", "--detach"][..],
            &["up", "--detach", "--engine", "docker"],
            &["db", "shell"],
            &["config", "check"],
        ] {
            let refused = scratch.dev(verb).expect_code(1);
            refused.says("DATABASE_URL names the host db");
            refused.says(&format!("{}:1", scratch.path(file).display()));
            refused.says("remove this line");
            assert!(!refused.stderr.contains("planted"), "{refused}");
        }
        fs::remove_file(scratch.path(file)).unwrap();
    }
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        scratch.write(
            "backend/.env",
            &format!("DATABASE_URL=postgres://a:planted@{host}/d\n"),
        );
        let refused = scratch
            .dev(&["up", "--detach", "--engine", "docker"])
            .expect_code(1);
        refused.says("which in a container is the container itself");
        refused.says("--engine native");
    }
    fs::remove_file(scratch.path("backend/.env")).unwrap();
    // The refused engine did not run here: the default is still the native engine.
    scratch.up();
    assert_eq!(scratch.status()["engine"], "native");
}

#[test]
fn libpq_variables_in_settings_files_do_not_affect_the_native_engine() {
    let scratch = Scratch::new();
    let foreign = "PGPORT=1\nPGHOST=nowhere.invalid\nPGSSLMODE=verify-full\nPGOPTIONS='-c datestyle=German'\nPGDATA=/nowhere\n\
        PGUSER=stranger\nPGPASSWORD=wrong\nPGSERVICE=theirs\nTZ=Asia/Kolkata\n";
    scratch.write(".env", foreign);
    scratch.write("backend/.env", foreign);
    scratch.up();
    assert_eq!(scratch.service("api")["health"], "healthy");
    assert_eq!(
        scratch.sql(
            "SELECT current_setting('datestyle') || current_setting('timezone') || current_user"
        ),
        "ISO, MDYUTCemotionviz"
    );
    scratch.ok(&["backup"]);
    scratch.ok(&["migrate", "status"]).prints("applied");
}

#[test]
fn compose_variables_that_compose_would_ignore_are_refused_by_name() {
    let scratch = Scratch::new();
    scratch.write("docker-compose.yml", "services: {}\n");
    let cases = [
        (
            ".env",
            "COMPOSE_ENV_FILES=other.env\n",
            "COMPOSE_ENV_FILES (from ",
        ),
        (
            ".env",
            "COMPOSE_FILE=docker-compose.yml:gone.yml\n",
            "gone.yml, which does not exist",
        ),
        (
            "backend/.env",
            "COMPOSE_FILE=docker-compose.yml\n",
            "which Docker Compose does not read",
        ),
    ];
    for (file, text, said) in cases {
        scratch.write(file, text);
        let refused = scratch
            .dev(&["up", "--detach", "--engine", "docker"])
            .expect_code(1);
        refused.says(said);
        refused.says("Nothing was started\n  hint: ");
        assert!(
            !scratch.path("data/run/engine").exists(),
            "what is refused has not run here"
        );
        fs::remove_file(scratch.path(file)).unwrap();
    }
}
