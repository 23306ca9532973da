//! The data directory: what it is, and making one.
//!
//! It is made beside its place, complete with roles, database and init scripts, and renamed into it when all is done and on
//! disk. So it is complete or absent, whenever the tool was killed.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;

use crate::ClusterConfig;
use crate::Durability;
use crate::access;
use crate::environment;
use crate::init_scripts;
use crate::init_scripts::ScriptError;
use crate::psql::PsqlError;
use crate::roles;
use crate::server::Server;
use crate::server::ServerError;
use process::Configuration;
use process::FileLock;
use process::FileLockError;
use process::LockedTemp;
use process::PidFile;
use process::ProcessError;
use process::StopSignal;
use process::disk;
use process::files::make_parents;
use process::locked_temp::Contents;
use process::owner::Owner;
use process::owner::OwnerError;
use process::run;

const INITDB_BOUND: Duration = Duration::from_secs(300);
const SQL_BOUND: Duration = Duration::from_secs(60);
/// Another process's making of the same directory is waited for this long.
const BUSY_BOUND: Duration = Duration::from_secs(60);
/// What a killed run left has nothing to lose.
const LEFTOVER_BOUND: Duration = Duration::from_secs(2);

/// What a data directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataDir {
    /// Not there, or an empty folder.
    Absent,
    /// Not there, and a run that was killed left half of one beside it. [`initialise`] clears it away.
    HalfInitialised {
        /// What it left.
        leftovers: Vec<PathBuf>,
    },
    /// A complete database directory of this major.
    Ready {
        /// Its major.
        major: u32,
    },
    /// Another user's.
    ForeignOwner {
        /// That user.
        uid: u32,
    },
    /// Something else, which is left alone.
    Foreign {
        /// What speaks against it.
        reason: String,
    },
}

/// Why there is no data directory to serve.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// It is another user's.
    #[error(
        "{} belongs to another user (uid {uid}), and the database would run as {owner}\n\
         give it to that user: sudo chown -R {owner} '{0}'", path.display()
    )]
    ForeignOwner {
        /// The data directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Who has to be.
        owner: String,
    },
    /// Something that is no database stands there.
    #[error("{} is no database directory, and is left alone: {reason}\nmove it away, and start: mv '{0}' '{0}.old' && cargo dev up", path.display())]
    Foreign {
        /// The data directory.
        path: PathBuf,
        /// What speaks against it.
        reason: String,
    },
    /// There is none.
    #[error("there is no database in {} yet", path.display())]
    Absent {
        /// The data directory.
        path: PathBuf,
    },
    /// Another process makes it.
    #[error("another process is making the database in {}; wait until it has ended", path.display())]
    Busy {
        /// The data directory.
        path: PathBuf,
    },
    /// A setting that PostgreSQL could not take.
    #[error("{setting} {reason}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// The disk is full.
    #[error("the disk that holds {} is full: no database could be made, and nothing of it was left. Make room and start again", path.display())]
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
    /// A role or the database could not be made.
    #[error("the new database could not be set up: {0}")]
    Sql(#[from] PsqlError),
    /// An init script failed.
    #[error(
        "{0}. No database was made, and nothing of it was left: mend the script and start again"
    )]
    Script(#[from] ScriptError),
    /// The folders could not be made or given to the owner.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl DataDir {
    /// What is to be said of a directory that cannot be served.
    pub fn refuse(self, path: &Path, owner: &Owner) -> ClusterError {
        let path = path.to_owned();
        match self {
            Self::ForeignOwner { uid } => ClusterError::ForeignOwner {
                path,
                uid,
                owner: owner.name.clone(),
            },
            Self::Foreign { reason } => ClusterError::Foreign { path, reason },
            Self::Absent | Self::HalfInitialised { .. } | Self::Ready { .. } => {
                ClusterError::Absent { path }
            }
        }
    }
}

/// What `data_dir` is to `owner`.
pub fn state(data_dir: &Path, owner: &Owner) -> Result<DataDir, ClusterError> {
    let io = |source| ClusterError::Io {
        path: data_dir.to_owned(),
        source,
    };
    let metadata = match std::fs::metadata(data_dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return absent(data_dir),
        Err(error) => return Err(io(error)),
    };
    if !metadata.is_dir() {
        return Ok(DataDir::Foreign {
            reason: "it is a file".to_owned(),
        });
    }
    let foreign_owner = DataDir::ForeignOwner {
        uid: metadata.uid(),
    };
    let is_foreign = metadata.uid() != owner.uid;
    let entries = match std::fs::read_dir(data_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::PermissionDenied && is_foreign => {
            return Ok(foreign_owner);
        }
        Err(error) => return Err(io(error)),
    };
    let mut names: Vec<_> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    if names.is_empty() {
        return absent(data_dir);
    }
    let Some(major) = major_of(data_dir) else {
        names.sort();
        names.truncate(3);
        return Ok(DataDir::Foreign {
            reason: format!("it holds {} and no PG_VERSION", names.join(", ")),
        });
    };
    if is_foreign {
        return Ok(foreign_owner);
    }
    // The last thing that initdb's own server writes, for a directory that something else has begun in place.
    if !data_dir.join("global/pg_control").exists() {
        return Ok(DataDir::Foreign {
            reason: "an initdb began it and did not finish".to_owned(),
        });
    }
    Ok(DataDir::Ready { major })
}

/// The major of a data directory, if it is one.
pub fn major_of(data_dir: &Path) -> Option<u32> {
    let version = std::fs::read_to_string(data_dir.join("PG_VERSION")).ok()?;
    version.trim().split('.').next()?.parse().ok()
}

fn absent(data_dir: &Path) -> Result<DataDir, ClusterError> {
    let leftovers = leftovers(data_dir);
    Ok(if leftovers.is_empty() {
        DataDir::Absent
    } else {
        DataDir::HalfInitialised { leftovers }
    })
}

/// The name under which the directory is made: `postgres.new-…` beside `postgres`.
fn unfinished_prefix(data_dir: &Path) -> String {
    let name = data_dir.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}.new-")
}

fn leftovers(data_dir: &Path) -> Vec<PathBuf> {
    let prefix = unfinished_prefix(data_dir);
    let entries = data_dir
        .parent()
        .and_then(|folder| std::fs::read_dir(folder).ok());
    let mut found: Vec<_> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Makes the data directory with its roles, its database and what the init scripts put into it: complete, or not at all. One
/// that is complete already is left alone.
pub async fn initialise(config: &ClusterConfig) -> Result<(), ClusterError> {
    check_settings(config)?;
    clear_leftovers(&config.data_dir).await?;
    match state(&config.data_dir, &config.owner)? {
        DataDir::Absent | DataDir::HalfInitialised { .. } => {}
        DataDir::Ready { .. } => return Ok(()),
        other => return Err(other.refuse(&config.data_dir, &config.owner)),
    }
    make_parents(&config.data_dir)?;
    let parent = config.data_dir.parent().unwrap_or(Path::new("/"));
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ClusterError::Io { path, source }
    };
    let room = LockedTemp::create(parent, &unfinished_prefix(&config.data_dir), Contents::All)
        .map_err(io(parent))?;
    config.owner.give(room.path())?;

    let made = Room::new(room.path());
    make(config, &made)
        .await
        .map_err(|error| disk_full(error, config))?;
    std::fs::rename(&made.data_dir, &config.data_dir).map_err(io(&config.data_dir))?;
    if config.durability == Durability::Development {
        File::open(parent)
            .and_then(|folder| folder.sync_all())
            .map_err(io(parent))?;
    }
    Ok(())
}

/// The folder in which a data directory is made.
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

    /// Ends what a killed run left running in it: initdb or a script, and the server.
    async fn end_processes(&self) -> Result<(), ServerError> {
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
    // Nobody gets in while it is made: the files that say who does are written next, and the password is set through the
    // socket, so that it is in no file and no argument.
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
        .run(&roles::bootstrap(config), SQL_BOUND)
        .await?;
    bootstrap
        .psql()
        .run(&roles::api_role(config), SQL_BOUND)
        .await?;
    init_scripts::run_all(&bootstrap, &room.tool_pid).await?;
    server.stop().await.map_err(Box::new)?;
    if config.durability == Durability::Development {
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

/// Writes everything out once, which is faster than each step by itself and as safe: nothing counts before the rename.
fn initdb_sync(config: &ClusterConfig) -> Configuration {
    initdb(config).args(["--sync-only"])
}

/// Removes what killed runs left beside the data directory, processes included. What somebody is making is waited for.
async fn clear_leftovers(data_dir: &Path) -> Result<(), ClusterError> {
    for leftover in leftovers(data_dir) {
        let io = |source| ClusterError::Io {
            path: leftover.clone(),
            source,
        };
        let folder = match File::open(&leftover) {
            // Its maker has finished.
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
        room.end_processes().await.map_err(Box::new)?;
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

/// What failed for want of room, said as such.
fn disk_full(error: ClusterError, config: &ClusterConfig) -> ClusterError {
    let words = match &error {
        ClusterError::Process(ProcessError::Exited { tail, .. }) => tail.join("\n"),
        other => other.to_string(),
    };
    if disk::explains(&config.data_dir, [words.as_str()]) {
        return ClusterError::DiskFull {
            path: config.data_dir.clone(),
        };
    }
    error
}

/// What initdb would refuse late or in words that name no setting.
fn check_settings(config: &ClusterConfig) -> Result<(), ClusterError> {
    let wrong = |setting, reason: &str| {
        Err(ClusterError::Setting {
            setting,
            reason: reason.to_owned(),
        })
    };
    for (setting, name) in [
        ("POSTGRES_USER", &config.superuser),
        ("POSTGRES_DB", &config.database),
    ] {
        if name.is_empty() || name.len() > 63 {
            return wrong(setting, "must have 1 to 63 bytes");
        }
        if name.chars().any(char::is_control) {
            return wrong(setting, "must not hold control characters");
        }
    }
    // PostgreSQL refuses them in the owner of an extension, and initdb makes one.
    if config.superuser.contains(['"', '$', '\'', '\\']) {
        return wrong("POSTGRES_USER", "must not hold any of \"$'\\");
    }
    if config.superuser.starts_with("pg_") {
        return wrong(
            "POSTGRES_USER",
            "must not begin with pg_, which PostgreSQL keeps for itself",
        );
    }
    if config.superuser == roles::API_ROLE {
        return wrong("POSTGRES_USER", "must not be the name of the API's role");
    }
    for (setting, password) in [
        ("POSTGRES_PASSWORD", &config.password),
        ("the API's database password", &config.api_password),
    ] {
        if password.expose_secret().is_empty() || password.expose_secret().contains('\0') {
            return wrong(setting, "must not be empty or hold a zero byte");
        }
    }
    Ok(())
}
