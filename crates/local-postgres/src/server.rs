//! The server as a supervised child.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::postmaster::Running;
use crate::ClusterConfig;
use crate::Durability;
use crate::cluster;
use crate::cluster::DataDir;
use crate::environment;
use crate::postmaster;
use crate::psql::PsqlError;
use crate::roles;
use crate::roles::Mismatch;
use crate::socket_dir;
use crate::socket_dir::SocketDirError;
use process::Configuration;
use process::PidFile;
use process::PidFileError;
use process::Process;
use process::ProcessError;
use process::StopSignal;
use process::describe;
use process::disk;
use process::ports;
use process::ports::Holder;
use process::ports::name_holder;

/// Recovery after a crash replays the log first, which takes as long as there is log.
const READY_BOUND: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(5);
/// Sessions end at once; the checkpoint after them writes what is dirty.
const STOP_BOUND: Duration = Duration::from_secs(60);
/// The bound for stopping a server that accepts no sessions.
const BROKEN_BOUND: Duration = Duration::from_secs(5);
/// The children of a killed postmaster hold its shared memory for up to two seconds.
const LINGER_BOUND: Duration = Duration::from_secs(10);
const LINGER_POLL: Duration = Duration::from_millis(50);
const QUERY_BOUND: Duration = Duration::from_secs(10);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The port is taken.
    #[error("port {port} is taken by {}. Stop that process, or choose another port: POSTGRES_PORT=<port> in .env", name_holder(holder.as_ref()))]
    PortTaken {
        /// The port.
        port: u16,
        /// Who has it, where this user may see that.
        holder: Option<Holder>,
    },
    /// The programs are of another major than the data.
    #[error(
        "the database in {} was made by PostgreSQL {data}, and the programs in {} are PostgreSQL {programs}. Install PostgreSQL {data}, or set POSTGRES_BIN_DIR to its programs",
        data_dir.display(),
        bin_dir.display()
    )]
    OtherMajor {
        /// The data directory.
        data_dir: PathBuf,
        /// The major that made it.
        data: u32,
        /// The directory of the programs.
        bin_dir: PathBuf,
        /// Their major.
        programs: u32,
    },
    /// The data directory cannot be served.
    #[error(transparent)]
    DataDir(#[from] cluster::ClusterError),
    /// The settings name another user or database than the data directory has.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The disk is full.
    #[error("the disk that holds {} is full: PostgreSQL cannot write. Make room, then start it again; nothing that was committed is lost", data_dir.display())]
    DiskFull {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// Its files cannot be written.
    #[error(
        "PostgreSQL may not write in {}: {reason}\nmake that folder writable for {owner}, or move the checkout where it is, then start again",
        data_dir.display()
    )]
    NotWritable {
        /// The data directory.
        data_dir: PathBuf,
        /// What it said.
        reason: String,
        /// Whom it runs as.
        owner: String,
    },
    /// It ended unasked.
    #[error("PostgreSQL ended unasked ({how}){}", last_words(tail))]
    Died {
        /// How it ended.
        how: String,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// A postmaster of an earlier run does not end.
    #[error("a PostgreSQL of an earlier run (pid {pid}) still uses {} and does not end; end it with `kill -9 {pid}`", data_dir.display())]
    Leftover {
        /// Its pid.
        pid: i32,
        /// The data directory.
        data_dir: PathBuf,
    },
    /// A running environment uses the data directory.
    #[error(
        "PostgreSQL (pid {pid}) runs on {} for a `cargo dev` (pid {supervisor}) that this command cannot reach. Nothing was changed\n\
         hint: stop that environment first: kill {supervisor}", data_dir.display()
    )]
    Supervised {
        /// The pid of the postmaster.
        pid: i32,
        /// The pid of the supervisor.
        supervisor: u32,
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The process of an earlier run does not end, or the pid file cannot be used.
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    /// The folder of the socket cannot be used.
    #[error(transparent)]
    SocketDir(#[from] SocketDirError),
    /// It did not start, did not become ready, or did not stop.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It runs and refuses a plain query.
    #[error("PostgreSQL runs and refuses a query: {0}")]
    Query(#[source] PsqlError),
}

fn last_words(tail: &[String]) -> String {
    if tail.is_empty() {
        String::new()
    } else {
        format!(
            "; it last said:\n  {}",
            tail[tail.len().saturating_sub(10)..].join("\n  ")
        )
    }
}

/// A running server. [`Server::stop`] it: a dropped one is shut down at once, and recovers at its next start.
pub struct Server {
    process: Process,
    data_dir: PathBuf,
    port: u16,
    // After the process: the folder is removed when nothing listens in it any more.
    socket: SocketDir,
}

impl Server {
    /// Starts the server, and returns when a session of `POSTGRES_USER` in `POSTGRES_DB` works. Whatever an earlier run left
    /// running on the data directory is stopped in order first, so ask who runs before calling this.
    pub async fn start(config: &ClusterConfig) -> Result<Self, ServerError> {
        match cluster::state(&config.data_dir, &config.owner)? {
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

    /// Starts the server on its socket alone, without durability, for the making of a data directory.
    pub(super) async fn start_bootstrap(config: &ClusterConfig) -> Result<Self, ServerError> {
        Self::launch(config, Listen::SocketOnly).await
    }

    async fn launch(config: &ClusterConfig, listen: Listen) -> Result<Self, ServerError> {
        socket_dir::prepare(&config.socket_dir, &config.owner)?;
        let socket = SocketDir::new(&config.socket_dir);
        // A killed server leaves its socket and the socket's lock, which would be believed if the pid in it lived again.
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
                Some(pid) if postmaster::says_ready(data_dir, pid) => Ok(()),
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

    /// The postmaster's pid.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Its last lines.
    pub fn tail(&self) -> Vec<String> {
        self.process.tail()
    }

    /// Waits until it ends unasked, and says why. Cancel safe.
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

    /// Stops it in order: sessions end, what is dirty is written, the files are clean.
    pub async fn stop(mut self) -> Result<(), ServerError> {
        self.process.stop().await?;
        Ok(())
    }

    /// Stops a server that accepts no sessions. Tries a fast shutdown, then an immediate shutdown with recovery at the next start, because
    /// a server that cannot read its files does not finish a fast shutdown.
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

/// On the command line, where they beat what `postgresql.conf` says: that file is the user's.
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
        // A failing statement and the row that failed hold what users wrote, which is for no log.
        "log_error_verbosity=terse",
        "log_min_error_statement=panic",
        // Every five minutes, of interest to nobody here.
        "log_checkpoints=off",
        "shared_buffers=128MB",
        // systemd removes a user's files in /dev/shm and System V segments at logout (RemoveIPC in logind.conf), and no session starts
        // without them. Segments that fit into the memory reserved at startup need neither; larger ones are mapped from the data
        // directory. Parallel queries take the same time with both.
        "dynamic_shared_memory_type=mmap",
        "min_dynamic_shared_memory=64MB",
        // Every disk this runs on seeks for free, and compiling small queries costs more than it saves.
        "random_page_cost=1.1",
        "jit=off",
    ];
    let durable = ["fsync=on", "synchronous_commit=on", "full_page_writes=on"];
    let thrown_away = [
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "wal_level=minimal",
        "max_wal_senders=0",
        // One pool for each test that runs at the same time.
        "max_connections=400",
    ];
    let bootstrap = ["fsync=off", "full_page_writes=off"];
    let durability: &[&str] = match (listen, config.durability) {
        // The files are written out as a whole when they are complete.
        (Listen::SocketOnly, _) => &bootstrap,
        (_, Durability::Development) => &durable,
        (_, Durability::Test) => &thrown_away,
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

/// What an early end was about, by the server's own words (LC_ALL=C keeps them English).
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

/// Whether the children of a killed postmaster, or its unreaped self, are still in the way.
fn lingers(tail: &[String]) -> bool {
    tail.iter().any(|line| {
        line.contains("pre-existing shared memory block")
            || line.contains("lock file \"postmaster.pid\" already exists")
    })
}

/// The folder of the socket, removed with the server.
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
