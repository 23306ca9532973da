//! Docker on this machine: whether it can run the checkout's Compose file, and why not. And the engine that drives it.

mod containers;
mod engine;
mod inside;
mod logs;
mod password;
mod project;
mod start;
mod status;

use std::time::Duration;

use crate::Error;
use crate::process::{Configuration, Output, ProcessError, capture};

pub use engine::Docker;
pub(crate) use inside::{Inside, Moment};

const ASK_BOUND: Duration = Duration::from_secs(20);
const PULL_BOUND: Duration = Duration::from_secs(600);

/// Why Docker cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// There is no `docker`.
    #[error("Docker is not installed (https://docs.docker.com/get-docker)")]
    NotInstalled,
    /// There is a docker without Compose, or with version 1 alone.
    #[error(
        "this Docker has no Compose v2, which `docker compose version` would show: install its plugin (https://docs.docker.com/compose/install)"
    )]
    NoCompose,
    /// The user may not talk to the engine.
    #[error("this user may not use Docker's socket: sudo usermod -aG docker \"$USER\", then log in again")]
    Denied,
    /// No engine answers.
    #[error("no Docker engine answers; start it (Docker Desktop, or: sudo systemctl start docker): {said}")]
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

/// Whether an engine and Compose answer.
///
/// # Errors
/// Why not.
pub async fn available() -> Result<(), Unavailable> {
    let (engine, compose) =
        tokio::join!(docker(&["info", "--format", "{{.ServerVersion}}"], ASK_BOUND), docker(&["compose", "version"], ASK_BOUND));
    let engine = match engine {
        Err(ProcessError::Spawn { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Err(Unavailable::NotInstalled),
        Err(ProcessError::NotReady { .. }) => return Err(Unavailable::Down { said: "it does not answer".to_owned() }),
        output => output?,
    };
    if !engine.status.success() || engine.stdout.trim_ascii().is_empty() {
        let said = engine.stderr.trim().to_owned();
        return Err(if said.contains("permission denied") { Unavailable::Denied } else { Unavailable::Down { said } });
    }
    if compose?.status.success() { Ok(()) } else { Err(Unavailable::NoCompose) }
}

/// Sees to it that an image is on this machine.
///
/// # Errors
/// It is not, and cannot be pulled.
pub async fn have_image(image: &str) -> Result<(), Unavailable> {
    if docker(&["image", "inspect", image], ASK_BOUND).await?.status.success() {
        return Ok(());
    }
    let pulled = docker(&["pull", "--quiet", image], PULL_BOUND).await?;
    if pulled.status.success() {
        return Ok(());
    }
    Err(Unavailable::NoImage { image: image.to_owned(), said: pulled.stderr.trim().to_owned() })
}

async fn docker(args: &[&str], bound: Duration) -> Result<Output, ProcessError> {
    capture(Configuration::new("docker", "docker").args(args.iter().copied()), b"", bound).await
}

/// What Docker refused, in our words where we know them.
fn refused(stderr: &str, otherwise: &str) -> Error {
    let said = stderr.trim();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // Compose shows every step before it says what went wrong.
    let last = said.lines().rev().find(|line| !line.trim_start().starts_with("Container ")).unwrap_or(otherwise).trim().to_owned();
    if has(&["permission denied while trying to connect", "dial unix /var/run/docker.sock: connect: permission denied"]) {
        return Unavailable::Denied.into();
    }
    if has(&["Cannot connect to the Docker daemon", "error during connect"]) {
        return Unavailable::Down { said: last }.into();
    }
    if has(&["port is already allocated", "address already in use", "ports are not available"]) {
        return Error::PortOfContainer { said: last };
    }
    if has(&["pull access denied", "manifest unknown", "failed to resolve", "failed to do request", "no such host", "i/o timeout"]) {
        return Unavailable::NoImage { image: image_in(said), said: last }.into();
    }
    Error::Compose { said: if said.is_empty() { otherwise.to_owned() } else { said.to_owned() } }
}

/// The image that a message speaks of.
fn image_in(said: &str) -> String {
    let words = said.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',')).map(|word| word.trim_end_matches(':'));
    let image = words.filter(|word| !word.starts_with("http")).find(|word| {
        word.split_once(':').is_some_and(|(name, tag)| {
            !name.is_empty() && !tag.is_empty() && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        })
    });
    image.unwrap_or("that docker-compose.yml names").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_a_remedy() {
        for (said, wanted) in [
            (
                "Error response from daemon: driver failed programming external connectivity: Bind for 127.0.0.1:8000 failed: port is already allocated",
                "another port",
            ),
            (
                "db Error pull access denied for postgres:15-alpine, repository does not exist",
                "the image postgres:15-alpine is not on this machine",
            ),
            ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", "start it"),
            ("permission denied while trying to connect to the Docker daemon socket", "usermod -aG docker"),
            (" Container a-db-1  Creating\nno space left on device", "no space left on device"),
            ("", "exit status: 1"),
        ] {
            let error = refused(said, "exit status: 1").to_string();
            assert!(error.contains(wanted), "{said}: {error}");
        }
    }
}
