//! Which engine a verb is for, and what is said where Docker cannot be used: with a docker that says what real ones say.

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
fn asked_for_then_the_setting_then_what_ran_last() {
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
fn what_is_wrong_with_docker_is_said_with_its_remedy() {
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
fn a_database_belongs_to_the_engine_that_made_it() {
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
