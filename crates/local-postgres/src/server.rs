//! The server as a supervised child.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::config::{ClusterConfig, Durability};
use crate::data_dir::{self, DataDir, DataDirError};
use crate::environment;
use crate::postmaster::{self, Running};
use crate::psql::PsqlError;
use crate::roles::{self, Mismatch};
use crate::socket_dir::{self, SocketDirError};
use process::ports::{self, Holder, name_holder};
use process::{
    Configuration, PidFile, PidFileError, Process, ProcessError, StopSignal, describe, disk,
};

/// After a crash the server replays its log first.
const READY_BOUND: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(5);
/// The checkpoint of a fast shutdown writes all changed pages.
const STOP_BOUND: Duration = Duration::from_secs(60);
/// The time limit of a fast shutdown of a server that accepts no sessions.
const BROKEN_BOUND: Duration = Duration::from_secs(5);
/// The children of a killed postmaster keep its shared memory for up to two seconds.
const LINGER_BOUND: Duration = Duration::from_secs(10);
const LINGER_POLL: Duration = Duration::from_millis(50);
const QUERY_BOUND: Duration = Duration::from_secs(10);

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Another process listens on the port.
    #[error("port {port} is taken by {}", name_holder(holder.as_ref()))]
    PortTaken {
        /// The port.
        port: u16,
        /// The process, if this user may see it.
        holder: Option<Holder>,
    },
    /// The programs and the data have different major versions.
    #[error(
        "the database in {} was created by PostgreSQL {data}, and the programs in {} are PostgreSQL {programs}",
        data_dir.display(),
        bin_dir.display()
    )]
    OtherMajor {
        /// The data directory.
        data_dir: PathBuf,
        /// The major version that created it.
        data: u32,
        /// The directory of the programs.
        bin_dir: PathBuf,
        /// Their major version.
        programs: u32,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The data directory has another superuser or no such database.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The disk is full. No committed data is lost.
    #[error("the disk that holds {} is full: PostgreSQL cannot write", data_dir.display())]
    DiskFull {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// It cannot write its files.
    #[error("PostgreSQL may not write in {}: {reason}", data_dir.display())]
    NotWritable {
        /// The data directory.
        data_dir: PathBuf,
        /// The line of its log.
        reason: String,
        /// The name of the user that it runs as.
        owner: String,
    },
    /// It exited unexpectedly.
    #[error("PostgreSQL ended unexpectedly ({how}){}", evidence(tail))]
    Died {
        /// Its exit status or signal.
        how: String,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// A postmaster of an earlier run does not exit.
    #[error("a PostgreSQL of an earlier run (pid {pid}) still uses {} and does not end", data_dir.display())]
    Leftover {
        /// Its pid.
        pid: i32,
        /// The data directory.
        data_dir: PathBuf,
    },
    /// A postmaster uses the data directory, and its parent is another living process of this program. It was not stopped.
    #[error("PostgreSQL (pid {pid}) runs on {} for another process (pid {supervisor})", data_dir.display())]
    Supervised {
        /// The pid of the postmaster.
        pid: i32,
        /// The pid of its parent.
        supervisor: u32,
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The process of an earlier run does not exit, or the pid file cannot be used.
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    /// The folder of the socket cannot be used.
    #[error(transparent)]
    SocketDir(#[from] SocketDirError),
    /// It did not start, become ready or stop.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It runs and refuses `select 1`.
    #[error("PostgreSQL runs and refuses a query: {0}")]
    Query(#[source] PsqlError),
}

fn evidence(tail: &[String]) -> String {
    if tail.is_empty() {
        String::new()
    } else {
        format!(
            "; it last printed:\n  {}",
            tail[tail.len().saturating_sub(10)..].join("\n  ")
        )
    }
}

/// A running server. Call [`Server::stop`]: a dropped server is shut down immediately, and recovers at its next start.
pub struct Server {
    process: Process,
    data_dir: PathBuf,
    port: u16,
    // Declared after the process, so that the folder is removed when the server has exited.
    socket: SocketDir,
}

impl Server {
    /// Starts the server, and returns when the superuser can run a query in the database. A server that a dead process left running on
    /// the data directory is shut down first.
    ///
    /// # Errors
    /// The server does not run. It does not fit, did not start, or was stopped again because of the reason.
    pub async fn start(config: &ClusterConfig) -> Result<Self, ServerError> {
        match data_dir::state(&config.data_dir, &config.owner)? {
            DataDir::Ready { major } if major == config.binaries.major => {}
            DataDir::Ready { major } => {
                return Err(ServerError::OtherMajor {
                    data_dir: config.data_dir.clone(),
                    data: major,
                    bin_dir: config.binaries.dir.clone(),
                    programs: config.binaries.major,
                });
            }
            other => return Err(other.refuse(&config.data_dir, &config.owner).into()),
        }
        PidFile::end_leftover(&config.pid_file, StopSignal::Interrupt, STOP_BOUND).await?;
        postmaster::end_leftover(&config.data_dir)
            .await
            .map_err(|running| still_runs(running, &config.data_dir))?;
        if !ports::is_free(config.port) {
            return Err(port_taken(config.port));
        }
        let server = Self::launch(config, Listen::SocketAndTcp).await?;
        match config.psql().run("select 1", QUERY_BOUND).await {
            Ok(_) => Ok(server),
            Err(error) => {
                let mismatch = roles::explain(config, &error).await;
                let tail = server.tail();
                // The reason for the stop is more useful than its failure.
                let _stopped = server.stop_broken().await;
                Err(match mismatch {
                    Some(mismatch) => mismatch.into(),
                    None if disk::explains(&config.data_dir, tail.iter().map(String::as_str)) => {
                        ServerError::DiskFull {
                            data_dir: config.data_dir.clone(),
                        }
                    }
                    None => ServerError::Query(error),
                })
            }
        }
    }

    /// Starts the server on its socket alone, without durability, while the data directory is created.
    pub(super) async fn start_bootstrap(config: &ClusterConfig) -> Result<Self, ServerError> {
        Self::launch(config, Listen::SocketOnly).await
    }

    async fn launch(config: &ClusterConfig, listen: Listen) -> Result<Self, ServerError> {
        socket_dir::prepare(&config.socket_dir, &config.owner)?;
        let socket = SocketDir::new(&config.socket_dir);
        // A killed server leaves its socket with a lock file. If another process gets the pid in that file, PostgreSQL does not start.
        socket_dir::remove_sockets(&socket.path);
        let mut process = Process::new(configuration(config, listen));
        let deadline = tokio::time::Instant::now() + LINGER_BOUND;
        loop {
            match Self::attempt(&mut process, config).await {
                Ok(()) => {
                    return Ok(Self {
                        process,
                        data_dir: config.data_dir.clone(),
                        port: config.port,
                        socket,
                    });
                }
                Err(_) if lingers(&process.tail()) && tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(LINGER_POLL).await;
                }
                Err(error) => return Err(classify(error, config)),
            }
        }
    }

    async fn attempt(process: &mut Process, config: &ClusterConfig) -> Result<(), ProcessError> {
        process.start().await?;
        let pid = process.pid();
        let data_dir = &config.data_dir;
        let probe = || async move {
            match pid {
                Some(pid) if postmaster::is_ready(data_dir, pid) => Ok(()),
                _ => Err("PostgreSQL is starting".to_owned()),
            }
        };
        process.until_ready(READY_BOUND, POLL, probe).await
    }

    /// Returns whether the socket file is missing, so that no session can be opened. PostgreSQL creates it only at startup.
    pub fn has_lost_socket(&self) -> bool {
        !self
            .socket
            .path
            .join(format!(".s.PGSQL.{}", self.port))
            .exists()
    }

    /// Returns the pid of the postmaster while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Returns its last lines, 50 at most.
    pub fn tail(&self) -> Vec<String> {
        self.process.tail()
    }

    /// Waits until it exits unexpectedly, and returns the reason. Cancel safe.
    pub async fn died(&mut self) -> ServerError {
        match self.process.exited().await {
            Ok(status) => {
                let tail = self.process.tail();
                if disk::explains(&self.data_dir, tail.iter().map(String::as_str)) {
                    return ServerError::DiskFull {
                        data_dir: self.data_dir.clone(),
                    };
                }
                ServerError::Died {
                    how: describe(status),
                    tail,
                }
            }
            Err(error) => error.into(),
        }
    }

    /// Stops it with a fast shutdown: sessions are terminated, and a checkpoint is written (PostgreSQL manual, "Shutting Down the Server").
    ///
    /// # Errors
    /// It does not exit, also after SIGKILL.
    pub async fn stop(mut self) -> Result<(), ServerError> {
        self.process.stop().await?;
        Ok(())
    }

    /// Stops a server that accepts no sessions. Tries a fast shutdown, then an immediate shutdown with recovery at the next start, because
    /// a server that cannot read its files does not finish a fast shutdown.
    ///
    /// # Errors
    /// It does not exit, also after SIGKILL.
    pub async fn stop_broken(mut self) -> Result<(), ServerError> {
        self.process.send(Signal::SIGINT);
        if tokio::time::timeout(BROKEN_BOUND, self.process.exited())
            .await
            .is_err()
        {
            self.process.stop_by(StopSignal::Quit, STOP_BOUND).await?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Listen {
    SocketAndTcp,
    SocketOnly,
}

fn configuration(config: &ClusterConfig, listen: Listen) -> Configuration {
    let mut postgres = environment::scrub(Configuration::new(
        "postgres",
        config.binaries.program("postgres"),
    ))
    .args([
        "-D".into(),
        config.data_dir.clone().into_os_string(),
        "-k".into(),
        config.socket_dir.clone().into_os_string(),
    ]);
    for setting in settings(config, listen) {
        postgres = postgres.args(["-c".to_owned(), setting]);
    }
    postgres.run_as = Some(config.owner.clone());
    postgres.pid_file = Some(config.pid_file.clone());
    postgres.stop_signal = StopSignal::Interrupt;
    postgres.stop_bound = STOP_BOUND;
    postgres.drop_signal = Some(StopSignal::Quit);
    postgres.sink = config.sink.clone();
    postgres
}

/// Settings on the command line override `postgresql.conf`, which belongs to the user.
fn settings(config: &ClusterConfig, listen: Listen) -> Vec<String> {
    let address = if listen == Listen::SocketAndTcp {
        "127.0.0.1"
    } else {
        ""
    };
    let mut settings = vec![
        format!("listen_addresses={address}"),
        format!("port={}", config.port),
    ];
    let common = [
        "logging_collector=off",
        "log_destination=stderr",
        "log_line_prefix=%m [%p] ",
        "log_timezone=UTC",
        "timezone=UTC",
        // Failed statements and rows contain data of users, which must not be in the log.
        "log_error_verbosity=terse",
        "log_min_error_statement=panic",
        // They come every five minutes.
        "log_checkpoints=off",
        "shared_buffers=128MB",
        // systemd removes a user's files in /dev/shm and System V segments at logout (RemoveIPC in logind.conf), and no session starts
        // without them. Segments that fit into the memory reserved at startup need neither; larger ones are mapped from the data
        // directory. Parallel queries take the same time with both.
        "dynamic_shared_memory_type=mmap",
        "min_dynamic_shared_memory=64MB",
        // For solid-state disks, and because compiling small queries costs more time than it saves.
        "random_page_cost=1.1",
        "jit=off",
    ];
    let durable = ["fsync=on", "synchronous_commit=on", "full_page_writes=on"];
    let disposable = [
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "wal_level=minimal",
        "max_wal_senders=0",
        // Each test that runs at the same time has its own pool of connections.
        "max_connections=400",
    ];
    let bootstrap = ["fsync=off", "full_page_writes=off"];
    let durability: &[&str] = match (listen, config.durability) {
        // All files are synced when they are complete.
        (Listen::SocketOnly, _) => &bootstrap,
        (_, Durability::Durable) => &durable,
        (_, Durability::Disposable) => &disposable,
    };
    settings.extend(
        common
            .iter()
            .chain(durability)
            .map(|setting| (*setting).to_owned()),
    );
    settings
}

fn port_taken(port: u16) -> ServerError {
    ServerError::PortTaken {
        port,
        holder: ports::holder(port),
    }
}

fn still_runs(running: Running, data_dir: &Path) -> ServerError {
    let data_dir = data_dir.to_owned();
    match running {
        Running::Survived { pid } => ServerError::Leftover { pid, data_dir },
        Running::Supervised { pid, parent } => ServerError::Supervised {
            pid,
            supervisor: parent,
            data_dir,
        },
    }
}

/// Finds the reason of an early exit in the server's log, which is in English because of LC_ALL=C.
fn classify(error: ProcessError, config: &ClusterConfig) -> ServerError {
    let ProcessError::Exited { tail, .. } = &error else {
        return error.into();
    };
    if tail
        .iter()
        .any(|line| line.contains("could not bind") && line.contains("Address already in use"))
    {
        return port_taken(config.port);
    }
    if disk::explains(&config.data_dir, tail.iter().map(String::as_str)) {
        return ServerError::DiskFull {
            data_dir: config.data_dir.clone(),
        };
    }
    if let Some(line) = tail
        .iter()
        .find(|line| line.contains("Read-only file system") || line.contains("Permission denied"))
    {
        return ServerError::NotWritable {
            data_dir: config.data_dir.clone(),
            reason: line.trim().to_owned(),
            owner: config.owner.name.clone(),
        };
    }
    error.into()
}

/// Returns whether a killed postmaster, or children of it, still block the data directory.
fn lingers(tail: &[String]) -> bool {
    tail.iter().any(|line| {
        line.contains("pre-existing shared memory block")
            || line.contains("lock file \"postmaster.pid\" already exists")
    })
}

/// The folder of the socket. Removed on drop.
struct SocketDir {
    path: PathBuf,
    _lock: Option<File>,
}

impl SocketDir {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            _lock: socket_dir::keep_from_cleaners(path),
        }
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        socket_dir::remove(&self.path);
    }
}
