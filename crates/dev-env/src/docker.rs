//! Docker on this machine: whether it can run the checkout's Compose file, and why not.

use std::time::Duration;

use crate::process::{Configuration, Output, ProcessError, capture};

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
    let engine = match docker(&["info", "--format", "{{.ServerVersion}}"], ASK_BOUND).await {
        Err(ProcessError::Spawn { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Err(Unavailable::NotInstalled),
        Err(ProcessError::NotReady { .. }) => return Err(Unavailable::Down { said: "it does not answer".to_owned() }),
        output => output?,
    };
    if !engine.status.success() || engine.stdout.trim_ascii().is_empty() {
        let said = engine.stderr.trim().to_owned();
        return Err(if said.contains("permission denied") { Unavailable::Denied } else { Unavailable::Down { said } });
    }
    if docker(&["compose", "version"], ASK_BOUND).await?.status.success() { Ok(()) } else { Err(Unavailable::NoCompose) }
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
