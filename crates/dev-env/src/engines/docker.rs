//! Docker on this machine: whether it can run the checkout's Compose file, and why not. And the engine that drives it.

mod access;
mod command;
mod compose_settings;
mod containers;
mod engine;
mod host;
mod inside;
mod log_reader;
mod logs;
mod password;
mod project;
mod published;
mod start;
mod status;
mod supervisor_status;
mod tool;

use command::{ASK_BOUND, docker};
use host::Host;

pub use command::Unavailable;
pub use compose_settings::ComposeSettingsError;
pub use engine::Docker;
pub(crate) use tool::tool_inside;

/// Whether an engine and Compose answer.
///
/// # Errors
/// Why not.
pub async fn available() -> Result<(), Unavailable> {
    Host::ask().await.map(drop)
}

/// Sees to it that an image is on this machine.
///
/// # Errors
/// It is not, and cannot be pulled.
pub async fn have_image(image: &str) -> Result<(), Unavailable> {
    if docker(&["image", "inspect", image], ASK_BOUND)
        .await?
        .status
        .success()
    {
        return Ok(());
    }
    let pulled = docker(&["pull", "--quiet", image], command::PULL_BOUND).await?;
    if pulled.status.success() {
        return Ok(());
    }
    Err(Unavailable::NoImage {
        image: image.to_owned(),
        said: pulled.stderr.trim().to_owned(),
    })
}
