//! A private PostgreSQL: found or fetched, initialised whole or not at all, started, supervised, and stopped in order.
//!
//! The order of calls: [`find::find`] the programs, look at the directory with [`cluster::state`], [`cluster::initialise`] it when
//! it is absent, [`server::Server::start`], [`roles::verify`]. A [`ClusterConfig`] describes one database server through all of
//! it; the development database and the tests' throw-away servers differ in nothing but its values.

#![warn(missing_docs)]

mod access;
pub mod cluster;
mod environment;
pub mod fetch;
pub mod find;
pub mod init_scripts;
mod postmaster;
pub mod psql;
pub mod roles;
pub mod server;
pub mod socket_dir;

use std::path::PathBuf;

use secrecy::SecretString;

use process::LineSink;
use process::owner::Owner;

pub use find::Binaries;

/// One database server: its files, its place, its users.
#[derive(Clone)]
pub struct ClusterConfig {
    /// The programs, all of one directory.
    pub binaries: Binaries,
    /// The data directory, see [`crate::owner::data_home`].
    pub data_dir: PathBuf,
    /// The folder of the Unix socket, see [`socket_dir::choose`]. Made when the server starts.
    pub socket_dir: PathBuf,
    /// The file whose lock says that the server runs, see [`process::PidFile`].
    pub pid_file: PathBuf,
    /// The port on 127.0.0.1.
    pub port: u16,
    /// `POSTGRES_USER`: owns the database and migrates.
    pub superuser: String,
    /// `POSTGRES_PASSWORD`: the password of `superuser`.
    pub password: SecretString,
    /// The password of [`roles::API_ROLE`].
    pub api_password: SecretString,
    /// `POSTGRES_DB`.
    pub database: String,
    /// The folder of `*.sh` and `*.sql` that run at the first initialisation, if there is one.
    pub init_scripts: Option<PathBuf>,
    /// Whom the server runs as.
    pub owner: Owner,
    /// Whether a crash of the machine may lose data.
    pub durability: Durability,
    /// Who gets the server's log and the output of the tools.
    pub sink: Option<LineSink>,
}

/// Whether a crash of the machine may lose data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It may not: fsync is on.
    Development,
    /// It may, for speed: a server that is thrown away.
    Test,
}
