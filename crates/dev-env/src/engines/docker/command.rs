//! The `docker` command, and what it refuses.

use std::path::PathBuf;
use std::time::Duration;

use crate::Error;
use crate::project::error::indented;
use process::disk::is_reported_full;
use process::{Configuration, Output, ProcessError, capture};

pub(super) const ASK_BOUND: Duration = Duration::from_secs(20);
pub(super) const PULL_BOUND: Duration = Duration::from_secs(600);

/// Why Docker cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// There is no `docker`.
    #[error(
        "Docker is not installed (https://docs.docker.com/get-docker)\nwithout Docker: cargo dev up --engine native"
    )]
    NotInstalled,
    /// There is a docker without Compose, or with version 1 alone.
    #[error(
        "this Docker has no Compose v2, which `docker compose version` would show: install its plugin (https://docs.docker.com/compose/install)\nwithout Docker: cargo dev up --engine native"
    )]
    NoCompose,
    /// Compose is too old.
    #[error(
        "the version of Docker Compose is {found}, and docker-compose.yml needs 2.24 or newer\nhint: update the Compose plugin (https://docs.docker.com/compose/install), or work without Docker: cargo dev up --engine native"
    )]
    OldCompose {
        /// Its version.
        found: String,
    },
    /// `docker` is Podman.
    #[error(
        "`docker` is Podman here, and docker-compose.yml needs Docker with Compose 2.24 or newer\nhint: install Docker (https://docs.docker.com/get-docker), or work without it: cargo dev up --engine native"
    )]
    Podman,
    /// Docker from snap can access only a part of the disk.
    #[error(
        "Docker from snap cannot access files outside of your home folder or in hidden folders, and the checkout is {}\nhint: move the checkout into your home folder, install Docker from https://docs.docker.com/get-docker, or work without it: cargo dev up --engine native",
        checkout.display()
    )]
    Snap {
        /// The checkout.
        checkout: PathBuf,
    },
    /// Users in the containers differ from users on the machine.
    #[error(
        "Docker runs rootless: the files in data/ would belong to users that `cargo dev` cannot access\nhint: use a Docker that runs as root (docker context use default), or work without it: cargo dev up --engine native"
    )]
    Rootless,
    /// The user may not talk to the engine.
    #[error(
        "this user may not use Docker's socket: sudo usermod -aG docker \"$USER\", then log in again\nwithout Docker: cargo dev up --engine native"
    )]
    Denied,
    /// No engine answers.
    #[error(
        "no Docker engine answers; start it (Docker Desktop, or: sudo systemctl start docker): {said}\nwithout Docker: cargo dev up --engine native"
    )]
    Down {
        /// What docker said.
        said: String,
    },
    /// An image is neither here nor to be had.
    #[error("the image {image} is not on this machine and cannot be pulled: {said}")]
    NoImage {
        /// Its name.
        image: String,
        /// What docker said.
        said: String,
    },
    /// docker did not run to its end.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

crate::project::error::other_errors!(Unavailable);

pub(super) async fn docker(args: &[&str], bound: Duration) -> Result<Output, ProcessError> {
    capture(
        Configuration::new("docker", "docker").args(args.iter().copied()),
        b"",
        bound,
    )
    .await
}

/// What Docker refused, in our words where we know them.
pub(super) fn refused(stderr: &str, otherwise: &str) -> Error {
    let said = stderr.trim();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // Compose shows every step before it says what went wrong.
    let last = said
        .lines()
        .rev()
        .find(|line| !line.trim_start().starts_with("Container "))
        .unwrap_or(otherwise)
        .trim()
        .to_owned();
    if has(&[
        "permission denied while trying to connect",
        "dial unix /var/run/docker.sock: connect: permission denied",
    ]) {
        return Unavailable::Denied.into();
    }
    if has(&[
        "Cannot connect to the Docker daemon",
        "error during connect",
    ]) {
        return Unavailable::Down { said: last }.into();
    }
    if let Some(line) = said.lines().rev().find(|line| is_reported_full(line)) {
        return disk_full(line.trim());
    }
    if has(&[
        "port is already allocated",
        "address already in use",
        "ports are not available",
    ]) {
        return Error::PortOfContainer { said: last };
    }
    if has(&[
        "pull access denied",
        "manifest unknown",
        "failed to resolve",
        "failed to do request",
        "no such host",
        "i/o timeout",
    ]) {
        return Unavailable::NoImage {
            image: image_in(said),
            said: last,
        }
        .into();
    }
    compose_failed(if said.is_empty() { otherwise } else { said })
}

pub(super) fn of_last_words(service: &str, said: &str) -> Error {
    match (is_reported_full(said), service) {
        (true, "db") => Error::hinted(
            format!(
                "the database's disk is full, and nothing that was committed is lost:\n{}",
                indented(said)
            ),
            "make room on the disk of data/postgres: df -h data/postgres; where Docker is on the same disk: docker system df, docker builder prune",
        ),
        (true, _) => disk_full(said),
        (false, _) => does_not_run(service, said),
    }
}

pub(super) fn compose_failed(said: &str) -> Error {
    Error::hinted(
        format!("docker compose failed:\n{}", indented(said)),
        "all that the containers say: cargo dev logs --engine docker",
    )
}

pub(super) fn does_not_run(service: &str, said: &str) -> Error {
    Error::hinted(
        format!("the container {service} does not run:\n{}", indented(said)),
        format!("all that it says: cargo dev logs {service} --engine docker"),
    )
}

fn disk_full(said: &str) -> Error {
    Error::hinted(
        format!(
            "Docker's disk is full: {said}\n\
             images, containers and what they compile are in Docker's own folder: docker info --format '{{{{.DockerRootDir}}}}'"
        ),
        "see what takes the room: docker system df; make some: docker builder prune, docker image prune",
    )
}

/// The image that a message speaks of.
fn image_in(said: &str) -> String {
    let words = said
        .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ','))
        .map(|word| word.trim_end_matches(':'));
    let image = words.filter(|word| !word.starts_with("http")).find(|word| {
        word.split_once(':').is_some_and(|(name, tag)| {
            !name.is_empty()
                && !tag.is_empty()
                && tag
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        })
    });
    image.unwrap_or("that docker-compose.yml names").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_docker_have_a_hint() {
        for (said, wanted) in [
            (
                "Error response from daemon: driver failed programming external connectivity: Bind for 127.0.0.1:8000 failed: port is already allocated",
                "another port",
            ),
            (
                "db Error pull access denied for postgres:15-alpine, repository does not exist",
                "the image postgres:15-alpine is not on this machine",
            ),
            (
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                "start it",
            ),
            (
                "permission denied while trying to connect to the Docker daemon socket",
                "usermod -aG docker",
            ),
            (
                " Container a-db-1  Creating\nError response from daemon: mkdir /var/lib/docker/overlay2/5e8a-init/merged: no space left on device",
                "docker builder prune",
            ),
            (
                "#14 [development 4/6] COPY --from=nextest /nextest/bin/cargo-nextest /usr/local/bin/\n\
                 failed to solve: ResourceExhausted: failed to copy files: copy file range failed: no space left on device",
                "docker system df",
            ),
            (
                "#9 8.1 E: You don't have enough free space in /var/cache/apt/archives/.\n#9 ERROR: process \"/bin/sh -c apt-get update\" did not complete successfully: exit code: 100",
                "Docker's disk is full: #9 8.1 E: You don't",
            ),
            (
                "failed to register layer: Error processing tar file(exit status 1): write /usr/lib/x: no space left on device",
                "docker image prune",
            ),
            ("", "exit status: 1"),
        ] {
            let error = refused(said, "exit status: 1").to_string();
            assert!(error.contains(wanted), "{said}: {error}");
        }
    }

    #[test]
    fn a_full_disk_of_a_container_is_reported() {
        for said in [
            "2026-11-28 10:00:00.000 UTC [1] FATAL:  could not write lock file \"postmaster.pid\": No space left on device",
            "2026-11-28 10:00:00.000 UTC [30] PANIC:  could not write to file \"pg_wal/xlogtemp.30\": No space left on device",
            "initdb: error: could not write to file \"/var/lib/postgresql/data/.unfinished/base/1/1259\": No space left on device",
            "ERROR:  could not extend file \"base/16384/16397\": No space left on device\nHINT:  Check free disk space.",
            "initdb: error: could not create directory \"/var/lib/postgresql/data/.unfinished\": Disk quota exceeded",
        ] {
            let error = of_last_words("db", said).to_string();
            assert!(
                error.contains("df -h data/postgres")
                    && error.contains(said.lines().next().unwrap()),
                "{error}"
            );
        }
        let error = of_last_words(
            "api",
            "error: could not write output to /cache/target/x.o: No space left on device",
        );
        assert!(
            error.to_string().contains("docker builder prune"),
            "{error}"
        );
        let ended = of_last_words("db", "error: another").to_string();
        assert!(
            ended.starts_with("the container db does not run"),
            "{ended}"
        );
    }
}
