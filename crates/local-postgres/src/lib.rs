#![doc = include_str!("../README.md")]
//!
//! A [`ClusterConfig`] describes one database server. Call [`find::find`] for the programs, [`data_dir::state`] for the state of the data
//! directory, [`cluster::initialise`] if there is none, [`server::Server::start`], and [`roles::verify`].

#![warn(missing_docs, clippy::missing_errors_doc)]

mod access;
pub mod cluster;
mod config;
pub mod data_dir;
mod environment;
pub mod fetch;
pub mod find;
pub mod init_scripts;
mod postmaster;
pub mod psql;
pub mod roles;
pub mod server;
pub mod socket_dir;

use std::path::Path;

use process::user::{User, UserError};

pub use config::{AppRole, ClusterConfig, Durability};
pub use find::Binaries;

/// Returns the user that a server runs as, because PostgreSQL refuses to run as root: the user of this process, or for root the owner of
/// `folder`, or `postgres`, or `nobody`.
///
/// # Errors
/// There is no such user, or it has no name.
pub fn server_user(folder: &Path) -> Result<User, UserError> {
    User::unprivileged(folder, &["postgres", "nobody"])
}
