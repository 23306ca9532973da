//! The description of a database server.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::find::Binaries;
use process::LineSink;
use process::user::User;

/// One database server: its files, its addresses, its roles.
#[derive(Clone)]
pub struct ClusterConfig {
    /// The programs, all from one directory.
    pub binaries: Binaries,
    /// The data directory. The folder above it must be accessible for `owner`.
    pub data_dir: PathBuf,
    /// The folder of the Unix socket, see [`crate::socket_dir::choose`]. It is created when the server starts and removed when it stops.
    pub socket_dir: PathBuf,
    /// The file whose lock shows that the server runs, see [`process::PidFile`].
    pub pid_file: PathBuf,
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The role that owns the database and applies migrations. Its name has 1 to 63 bytes.
    pub superuser: String,
    /// The password of `superuser`.
    pub password: SecretString,
    /// The role of the application.
    pub app_role: AppRole,
    /// The name of the database, 1 to 63 bytes.
    pub database: String,
    /// The folder of scripts that run when the data directory is created, see [`crate::init_scripts`].
    pub init_scripts: Option<PathBuf>,
    /// The user that the server runs as, see [`crate::server_user`].
    pub owner: User,
    /// Whether a crash of the machine may lose data.
    pub durability: Durability,
    /// Called with each line of the server's log and of the output of the programs.
    pub sink: Option<LineSink>,
}

/// The role of an application. It can read and write the rows of all tables of the schema `public`, and cannot create or alter anything.
#[derive(Clone)]
pub struct AppRole {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: SecretString,
}

/// Whether a crash of the machine may lose data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// No committed data is lost: fsync is on.
    Durable,
    /// Data may be lost, for speed. The server accepts 400 connections.
    Disposable,
}
