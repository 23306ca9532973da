//! The creation of a data directory.
//!
//! It is created next to its final path, complete with roles, database and init scripts, and renamed when all of it is on disk. So it is
//! complete or absent, whenever this process is killed.

use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;

use crate::config::{ClusterConfig, Durability};
use crate::data_dir::{self, DataDir, DataDirError};
use crate::init_scripts::{self, ScriptError};
use crate::psql::PsqlError;
use crate::server::{Server, ServerError};
use crate::{access, environment, roles};
use process::files::make_parents;
use process::locked_temp::Contents;
use process::user::UserError;
use process::{
    Configuration, FileLock, FileLockError, LockedTemp, PidFile, ProcessError, StopSignal, disk,
    run,
};

const INITDB_BOUND: Duration = Duration::from_secs(300);
const SQL_BOUND: Duration = Duration::from_secs(60);
/// How long another process may take to create the same directory.
const BUSY_BOUND: Duration = Duration::from_secs(60);
/// The processes that a killed run left have no data to lose.
const LEFTOVER_BOUND: Duration = Duration::from_secs(2);

/// Why a data directory was not created.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The existing directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// Another process is creating it.
    #[error("another process is creating the database in {}", path.display())]
    Busy {
        /// The data directory.
        path: PathBuf,
    },
    /// PostgreSQL does not accept a value of the configuration.
    #[error("{value} {reason}")]
    Invalid {
        /// The value.
        value: Value,
        /// The rule, such as `must not be empty`.
        reason: &'static str,
    },
    /// The disk is full.
    #[error("the disk that holds {} is full: the database was not created, and nothing of it was left", path.display())]
    DiskFull {
        /// The data directory.
        path: PathBuf,
    },
    /// A program failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The server did not start or stop on the new directory.
    #[error(transparent)]
    Server(#[from] Box<ServerError>),
    /// A role or the database could not be created.
    #[error("the new database could not be set up: {0}")]
    Sql(#[from] PsqlError),
    /// An init script failed.
    #[error("{0}. The database was not created, and nothing of it was left")]
    Script(#[from] ScriptError),
    /// The folders could not be created or given to their owner.
    #[error(transparent)]
    Owner(#[from] UserError),
    /// The file system refused an operation.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
}

/// A value of a [`ClusterConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The name of the superuser.
    Superuser,
    /// The password of the superuser.
    Password,
    /// The password of the application's role.
    AppPassword,
    /// The name of the database.
    Database,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Superuser => "the name of the superuser",
            Self::Password => "the password of the superuser",
            Self::AppPassword => "the password of the application's role",
            Self::Database => "the name of the database",
        })
    }
}

/// Creates the data directory with its roles, its database and what the init scripts add, completely or not at all. A complete directory
/// is left unchanged. The server does not run afterwards.
///
/// # Errors
/// Nothing was created, except if the disk fails at the end.
pub async fn initialise(config: &ClusterConfig) -> Result<(), ClusterError> {
    check(config)?;
    clear_leftovers(&config.data_dir).await?;
    match data_dir::state(&config.data_dir, &config.owner)? {
        DataDir::Absent | DataDir::HalfInitialised { .. } => {}
        DataDir::Ready { .. } => return Ok(()),
        other => return Err(other.refuse(&config.data_dir, &config.owner).into()),
    }
    make_parents(&config.data_dir)?;
    let parent = config.data_dir.parent().unwrap_or(Path::new("/"));
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ClusterError::Io { path, source }
    };
    let room = LockedTemp::create(
        parent,
        &data_dir::unfinished_prefix(&config.data_dir),
        Contents::All,
    )
    .map_err(io(parent))?;
    config.owner.give(room.path())?;

    let made = Room::new(room.path());
    make(config, &made)
        .await
        .map_err(|error| disk_full(error, config))?;
    std::fs::rename(&made.data_dir, &config.data_dir).map_err(io(&config.data_dir))?;
    if config.durability == Durability::Durable {
        File::open(parent)
            .and_then(|folder| folder.sync_all())
            .map_err(io(parent))?;
    }
    Ok(())
}

/// The folder in which a data directory is created.
struct Room {
    data_dir: PathBuf,
    server_pid: PathBuf,
    tool_pid: PathBuf,
}

impl Room {
    fn new(path: &Path) -> Self {
        Self {
            data_dir: path.join("data"),
            server_pid: path.join("server.pid"),
            tool_pid: path.join("tool.pid"),
        }
    }

    /// Stops what a killed run left running in it: initdb or a script, and the server.
    async fn stop_processes(&self) -> Result<(), ServerError> {
        for pid_file in [&self.tool_pid, &self.server_pid] {
            PidFile::end_leftover(pid_file, StopSignal::Quit, LEFTOVER_BOUND).await?;
        }
        Ok(())
    }
}

async fn make(config: &ClusterConfig, room: &Room) -> Result<(), ClusterError> {
    let bootstrap = ClusterConfig {
        data_dir: room.data_dir.clone(),
        pid_file: room.server_pid.clone(),
        ..config.clone()
    };
    // No client can connect until the access files are written. The password is set through the socket, so that it is in no file and no
    // argument.
    let mut initdb = initdb(&bootstrap)
        .args([
            "--encoding=UTF8",
            "--locale=C",
            "--auth=reject",
            "--no-sync",
            "--no-instructions",
        ])
        .args(["--username", &config.superuser]);
    initdb.pid_file = Some(room.tool_pid.clone());
    run(initdb, INITDB_BOUND).await?;
    access::write(&bootstrap.data_dir, config).map_err(|source| ClusterError::Io {
        path: bootstrap.data_dir.clone(),
        source,
    })?;
    let server = Server::start_bootstrap(&bootstrap)
        .await
        .map_err(Box::new)?;
    bootstrap
        .psql()
        .in_database("postgres")
        .run(&roles::bootstrap_sql(config), SQL_BOUND)
        .await?;
    bootstrap
        .psql()
        .run(&roles::app_role_sql(config), SQL_BOUND)
        .await?;
    init_scripts::run_all(&bootstrap, &room.tool_pid).await?;
    server.stop().await.map_err(Box::new)?;
    if config.durability == Durability::Durable {
        run(initdb_sync(&bootstrap), INITDB_BOUND).await?;
    }
    Ok(())
}

fn initdb(config: &ClusterConfig) -> Configuration {
    let mut initdb = environment::scrub(Configuration::new(
        "initdb",
        config.binaries.program("initdb"),
    ))
    .args(["-D".into(), config.data_dir.clone().into_os_string()]);
    initdb.run_as = Some(config.owner.clone());
    initdb.sink = config.sink.clone();
    initdb
}

/// Syncs all files at once. That is faster than syncing in each step and as safe, because the directory is renamed afterwards.
fn initdb_sync(config: &ClusterConfig) -> Configuration {
    initdb(config).args(["--sync-only"])
}

/// Removes what killed processes left next to the data directory, and stops its processes. Waits for a living one.
async fn clear_leftovers(data_dir: &Path) -> Result<(), ClusterError> {
    for leftover in data_dir::leftovers(data_dir) {
        let io = |source| ClusterError::Io {
            path: leftover.clone(),
            source,
        };
        let folder = match File::open(&leftover) {
            // The process that created it has finished.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            opened => opened.map_err(io)?,
        };
        let _lock = match FileLock::acquire(folder, &leftover, BUSY_BOUND, |_| {}).await {
            Ok(lock) => lock,
            Err(FileLockError::Held { .. }) => {
                return Err(ClusterError::Busy {
                    path: data_dir.to_owned(),
                });
            }
            Err(FileLockError::Io { source, .. }) => return Err(io(source)),
        };
        let room = Room::new(&leftover);
        room.stop_processes().await.map_err(Box::new)?;
        remove(&leftover).await.map_err(io)?;
    }
    Ok(())
}

async fn remove(folder: &Path) -> std::io::Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Replaces an error that a full disk explains.
fn disk_full(error: ClusterError, config: &ClusterConfig) -> ClusterError {
    let text = match &error {
        ClusterError::Process(ProcessError::Exited { tail, .. }) => tail.join("\n"),
        other => other.to_string(),
    };
    if disk::explains(&config.data_dir, [text.as_str()]) {
        return ClusterError::DiskFull {
            path: config.data_dir.clone(),
        };
    }
    error
}

/// Checks what initdb would refuse late, or in a message that does not name the value.
fn check(config: &ClusterConfig) -> Result<(), ClusterError> {
    let invalid = |value, reason| Err(ClusterError::Invalid { value, reason });
    for (value, name) in [
        (Value::Superuser, &config.superuser),
        (Value::Database, &config.database),
    ] {
        if name.is_empty() || name.len() > 63 {
            return invalid(value, "must have 1 to 63 bytes");
        }
        if name.chars().any(char::is_control) {
            return invalid(value, "must not hold control characters");
        }
    }
    // PostgreSQL refuses them in the owner of an extension, and initdb creates an extension.
    if config.superuser.contains(['"', '$', '\'', '\\']) {
        return invalid(Value::Superuser, "must not hold any of \"$'\\");
    }
    if config.superuser.starts_with("pg_") {
        return invalid(
            Value::Superuser,
            "must not begin with pg_, which PostgreSQL reserves",
        );
    }
    if config.superuser == config.app_role.name {
        return invalid(
            Value::Superuser,
            "must not be the name of the application's role",
        );
    }
    for (value, password) in [
        (Value::Password, &config.password),
        (Value::AppPassword, &config.app_role.password),
    ] {
        if password.expose_secret().is_empty() || password.expose_secret().contains('\0') {
            return invalid(value, "must not be empty or hold a zero byte");
        }
    }
    Ok(())
}
