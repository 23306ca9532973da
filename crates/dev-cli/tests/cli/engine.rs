//! Which engine a verb is for, and what is said where Docker cannot be used: with a docker that says what real ones say.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::Scratch;
use crate::support::processes::expect_none;

/// A checkout where this is the docker that is found.
fn with_docker(text: &str) -> Scratch {
    let mut scratch = Scratch::new();
    scratch.script("docker", text);
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", scratch.beside().display());
    scratch.set("PATH", path);
    scratch
}

#[test]
fn the_engine_is_the_option_then_the_setting_then_the_last_one_used() {
    let mut scratch =
        with_docker("echo 'Cannot connect to the Docker daemon at unix:///none' >&2; exit 1");
    let is_docker = |scratch: &Scratch, args: &[&str]| {
        scratch
            .dev(args)
            .stderr
            .contains("no Docker engine answers")
    };
    assert!(
        !is_docker(&scratch, &["status"]) && is_docker(&scratch, &["status", "--engine", "docker"])
    );
    scratch
        .dev(&["status", "--engine", "podman"])
        .expect_code(2)
        .says("podman");

    // `up` is remembered, whatever becomes of it.
    scratch
        .dev(&["up", "--engine", "docker"])
        .expect_code(1)
        .says("without Docker: cargo dev up --engine native");
    assert!(
        is_docker(&scratch, &["status"]) && !is_docker(&scratch, &["--engine", "native", "status"])
    );
    scratch.write(".env", "DEV_ENGINE=native\n");
    assert!(!is_docker(&scratch, &["status"]));
    scratch.set("DEV_ENGINE", "docker");
    assert!(is_docker(&scratch, &["status"]));
    scratch.set("DEV_ENGINE", "containers");
    scratch
        .dev(&["status"])
        .expect_code(1)
        .says("DEV_ENGINE must be native or docker");
    scratch.set("DEV_ENGINE", "");
    assert!(!scratch.path("data/postgres").exists());
    expect_none(scratch.root());
}

#[test]
fn problems_with_docker_are_reported_with_a_remedy() {
    for (docker, said) in [
        (
            "echo 'permission denied while trying to connect to the Docker daemon socket' >&2; exit 1",
            "usermod -aG docker",
        ),
        (
            "echo 'Cannot connect to the Docker daemon' >&2; exit 1",
            "start it (Docker Desktop, or: sudo systemctl start docker)",
        ),
        (
            "test $1 != compose || exit 1; echo 20.10",
            "this Docker has no Compose v2",
        ),
        (
            "case \"$*\" in info*) echo 20.10;; 'compose version'*) echo 2.23.3;; esac",
            "the version of Docker Compose is 2.23.3, and docker-compose.yml needs 2.24",
        ),
        (
            "case \"$*\" in info*) echo 20.10;; 'compose version'*) echo v1.29.2;; esac",
            "the version of Docker Compose is v1.29.2",
        ),
        (
            "echo 'Emulate Docker CLI using podman. Create /etc/containers/nodocker to quiet msg.' >&2; exit 125",
            "`docker` is Podman here",
        ),
        (
            "echo 'Error: template: info:1:2: executing \"info\" at <.ServerVersion>: can'\\''t evaluate field ServerVersion in type interface {}' >&2; exit 125",
            "`docker` is Podman here",
        ),
        (
            "case \"$*\" in info*) echo 28.1; echo /var/snap/docker/common/var-lib-docker;; 'compose version'*) echo 2.30.0;; esac",
            "Docker from snap cannot access files outside of your home folder",
        ),
        (
            "case \"$*\" in info*) echo 28.1; echo /home/a/.local/share/docker; echo '[name=rootless]';; 'compose version'*) echo 2.30.0;; esac",
            "Docker runs rootless",
        ),
        (
            "case \"$*\" in info*) echo 20.10;; *up*) echo 'Bind for 127.0.0.1:8000 failed: port is already allocated' >&2; exit 1;; esac",
            "choose another port",
        ),
        (
            "case \"$*\" in info*) echo 20.10;; *up*) echo 'pull access denied for postgres:15-alpine, x' >&2; exit 1;; esac",
            "the image postgres:15-alpine is not on this machine and cannot be pulled",
        ),
    ] {
        let scratch = with_docker(docker);
        scratch
            .dev(&["up", "--engine", "docker", "--detach"])
            .expect_code(1)
            .says(said);
    }
    let mut scratch = Scratch::new();
    scratch.set("PATH", scratch.beside().to_owned());
    scratch
        .dev(&["up", "--engine", "docker"])
        .expect_code(1)
        .says("Docker is not installed");
    scratch.set("DATABASE_URL", "postgres://a@b/c");
    scratch
        .dev(&["up", "--engine", "docker"])
        .expect_code(1)
        .says("leave those settings out, or type cargo dev --engine native");
}

#[test]
fn verbs_refuse_a_database_of_the_other_engine() {
    let scratch = with_docker("test $1 != compose || exit 1; echo 20.10");
    scratch.write("data/postgres/PG_VERSION", "15\n");
    scratch.write(
        "data/postgres/pg_hba.conf",
        "host all all all scram-sha-256\n",
    );
    for verb in [
        &["up"][..],
        &["db", "shell"],
        &["backup"],
        &["migrate", "status"],
        &["db", "password"],
    ] {
        let refused = scratch.dev(verb).expect_code(1);
        refused.says("data/postgres was made by the docker engine, and this is the native engine");
        refused.says("cargo dev engine switch native");
    }
    scratch.write(
        "data/postgres/pg_hba.conf",
        "local all \"emotionviz\" peer map=owner\n",
    );
    let refused = scratch.dev(&["up", "--engine", "docker"]).expect_code(1);
    refused.says("cargo dev up --engine native, or move the data: cargo dev engine switch docker");
    // There is nothing to move.
    let empty = Scratch::new();
    empty
        .ok(&["engine", "switch", "native"])
        .prints("there was no database to move");
}

/// Leaves what a killed `engine switch docker` leaves: the database under another name, and a note.
fn kill_switch(scratch: &Scratch) {
    let (from, kept) = (
        scratch.path("data/postgres"),
        scratch.path("data/postgres.native-1"),
    );
    fs::rename(&from, &kept).unwrap();
    let note = serde_json::json!({ "to": "docker", "from": from, "kept": kept, "link": false });
    scratch.write("data/switch.json", &note.to_string());
}

#[test]
fn concurrent_commands_after_a_killed_switch_wait_until_the_database_is_back() {
    // It takes a while until Docker answers.
    let scratch = with_docker("sleep 1; test $1 != compose || exit 1; echo 20.10");
    scratch.up();
    scratch.ok(&["db", "shell", "-c", "CREATE TABLE kept AS SELECT 42 AS n"]);
    scratch.ok(&["down"]);
    kill_switch(&scratch);
    let typed: Vec<_> = [
        &["db", "shell", "-c", "COPY kept TO STDOUT"][..],
        &["up", "--detach"],
        &["migrate", "status"],
        &["db", "shell", "-c", "COPY kept TO STDOUT"],
        &["backup"],
        &["engine", "switch", "native"],
    ]
    .map(|command| scratch.start(command))
    .into();
    let ended: Vec<_> = typed
        .into_iter()
        .map(|running| running.finish().expect_code(0))
        .collect();
    ended[0].prints("42");
    ended[3].prints("42");
    let back = ended
        .iter()
        .filter(|ended| ended.stderr.contains("the database is as it was"))
        .count();
    assert_eq!(back, 1);
    assert!(!scratch.path("data/switch.json").exists());
}

#[test]
fn a_wait_for_the_database_of_a_killed_switch_ends_on_ctrl_c() {
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["down"]);
    kill_switch(&scratch);
    let lock = fs::File::create(scratch.path("data/run/switch.lock")).unwrap();
    lock.lock().unwrap();
    let verbs = [
        &["up"][..],
        &["up", "--detach"],
        &["db", "shell", "-c", "SELECT 1"],
        &["db", "password"],
        &["migrate", "status"],
        &["backup"],
        &["engine", "switch", "native"],
    ];
    let typed: Vec<_> = verbs
        .iter()
        .map(|verb| scratch.start(&[verb, &["--verbose"][..]].concat()))
        .collect();
    for mut waiting in typed {
        waiting.printed(&format!("(pid {})", std::process::id()));
        waiting.signal(Signal::SIGINT);
        waiting.finish().expect_code(130);
    }
    drop(lock);
    scratch.ok(&["db", "shell", "-c", "SELECT 1"]);
    expect_none(scratch.root());
}
