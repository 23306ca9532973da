//! What can go wrong, each with what happened, why, and the command that mends it.

use std::path::{Path, PathBuf};

use emotionviz_settings::{Engine as Kind, Problems};

use crate::project::hints;
use crate::project::ports::PortError;
use crate::project::settings_file::error::SettingsFileError;
use local_postgres::cluster::ClusterError;
use local_postgres::data_dir::DataDirError;
use local_postgres::find::FindError;
use local_postgres::psql::PsqlError;
use local_postgres::roles::RolesError;
use local_postgres::server::ServerError;
use local_postgres::socket_dir::SocketDirError;
use process::user::UserError;
use process::{FileLockError, PidFileError, ProcessError, disk};

/// Why a piece of work on the environment failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder is in no checkout.
    #[error(
        "{} is in no checkout of the project: neither it nor a folder above it has backend/.env.example and Cargo.toml\n\
         change to the checkout first: cd <the folder that holds README.md and backend/>", from.display()
    )]
    NoCheckout {
        /// Where the search began.
        from: PathBuf,
    },
    /// Settings have values that do not fit.
    #[error("{0}\nwhat each one takes: cargo dev config explain <NAME>")]
    Settings(#[from] Problems),
    /// No setting has this name.
    #[error("there is no setting {name}{}\nall of them: cargo dev config show", suggestion(nearest.as_deref()))]
    NoSetting {
        /// The name.
        name: String,
        /// One that looks like it.
        nearest: Option<String>,
    },
    /// A file or folder could not be used.
    #[error("could not {doing} {}: {source}{}", path.display(), full_disk(source))]
    Io {
        /// What was to be done with it.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database has a password, and nobody knows it.
    #[error(
        "POSTGRES_PASSWORD is set nowhere, and the database in {} has one already\n\
         put it back into .env, or give the database a new one: cargo dev db password", data_dir.display()
    )]
    PasswordLost {
        /// The database's folder.
        data_dir: PathBuf,
    },
    /// There is no database yet.
    #[error("there is no database in {} yet\nmake one: cargo dev up", path.display())]
    NoDatabase {
        /// Where it would be.
        path: PathBuf,
    },
    /// The verb changes the tool's own database, and the settings name another one.
    #[error(
        "{what} is only for the database that cargo dev runs itself, and DATABASE_URL (from {origin}) names another one\nwithout that setting: env -u DATABASE_URL cargo dev …, or remove it from the file"
    )]
    NotOurDatabase {
        /// What was asked for.
        what: &'static str,
        /// Who set it.
        origin: String,
    },
    /// Another command holds the checkout.
    #[error("{what} (pid {pid}) is at work on this checkout, and did not finish in {} s\nwait for it, or end it: kill {pid}", waited.as_secs())]
    Busy {
        /// Its name.
        what: String,
        /// Its pid.
        pid: u32,
        /// How long it was waited for.
        waited: std::time::Duration,
    },
    /// Another build of the checkout does not end.
    #[error("another build of the service did not finish in {} s\nlook what it waits for, or end it: pgrep -af 'cargo build'", waited.as_secs())]
    OtherBuild {
        /// How long it was waited for.
        waited: std::time::Duration,
    },
    /// A service cannot be restarted where none runs.
    #[error("nothing runs here\nstart it: cargo dev up")]
    NotRunning,
    /// The supervisor does not answer.
    #[error("the environment (pid {pid}) does not answer: {reason}\nend it: cargo dev down")]
    Silent {
        /// The supervisor.
        pid: u32,
        /// What its socket says.
        reason: String,
    },
    /// The supervisor did not do what was asked of it; the text is complete.
    #[error("{0}")]
    Supervisor(String),
    /// The service could not be built.
    #[error(
        "the service does not compile; the compiler's messages are above\nmend them, then: cargo dev up"
    )]
    Build {
        /// What the compiler said.
        said: String,
    },
    /// cargo built something else.
    #[error(
        "cargo built no program `emotionviz`\nlook: cargo build --package emotionviz --bin emotionviz"
    )]
    NoProgram,
    /// `SERVICE_BINARY` names no program.
    #[error("SERVICE_BINARY (from {origin}) is {}, which is no file\nset it to a built emotionviz, or to nothing to build one", path.display())]
    NoServiceBinary {
        /// What it names.
        path: PathBuf,
        /// Who set it.
        origin: String,
    },
    /// The service's `migrate` failed.
    #[error(
        "the migration failed ({status}):\n{}\nthe schema as it is now: cargo dev migrate status",
        indented(output)
    )]
    Migrate {
        /// How it ended.
        status: String,
        /// What it said.
        output: String,
    },
    /// The service's `migrate status` said something else.
    #[error(
        "how the migrations stand cannot be read: the service's `migrate status` ended with {status}, and said:\n{}\nrun it by itself: cargo dev migrate status",
        indented(said)
    )]
    MigrationStatus {
        /// How it ended.
        status: String,
        /// What it said.
        said: String,
    },
    /// The API did not become ready.
    #[error("{source}\nall of its log: cargo dev logs api")]
    Api {
        /// How it failed.
        source: ProcessError,
    },
    /// The container's program was built before a migration was written.
    #[error(
        "the program in the container does not know migration {version} yet\nlet it be built: cargo dev restart api, or cargo dev up where nothing runs; what the compiler says: cargo dev logs"
    )]
    OldProgram {
        /// The newest file's version.
        version: i64,
    },
    /// Demonstration data is for development.
    #[error(
        "demonstration data is for development, and APP_ENV is production (from {origin})\nset APP_ENV=development, or leave it out"
    )]
    SeedInProduction {
        /// Who set it.
        origin: String,
    },
    /// The tables are not there.
    #[error(
        "the database has not the present schema: {reason}\nbring it up to date: cargo dev migrate up"
    )]
    SchemaBehind {
        /// What is missing.
        reason: String,
    },
    /// A setting that only the environment can change.
    #[error(
        "{name} is set in the environment of this shell, which would hide the one in .env\ntry again without it: env -u {name} cargo dev db password"
    )]
    PasswordInEnvironment {
        /// The setting.
        name: &'static str,
    },
    /// A point in time cannot be read.
    #[error(
        "\"{text}\" is no time: write 30s, 10m, 2h, 3d, or a time such as 2026-11-24T09:30:00Z"
    )]
    BadTime {
        /// The text.
        text: String,
    },
    /// Nothing tells of changed files.
    #[error(
        "changes of files cannot be noticed: {reason}\nwithout that: cargo dev up --no-reload, and cargo dev restart after a change"
    )]
    Watch {
        /// Why.
        reason: String,
    },
    /// Settings that what runs cannot take over.
    #[error(
        "these settings move the database, which a reload leaves alone\nlet them take effect: cargo dev restart"
    )]
    NeedsRestart,
    /// The database of the Compose project refuses, or is away.
    #[error(
        "the database {url} does not take these settings, or is away:\n{}\nwhat it says itself: docker compose logs db",
        indented(message)
    )]
    ContainerDatabase {
        /// Where it is; the password is masked.
        url: String,
        /// What psql said.
        message: String,
    },
    /// The container's mount of a file is gone.
    #[error(
        "cargo has to write Cargo.lock, which was replaced and cannot be written: this container has to be started again, which Docker does by itself"
    )]
    LockReplaced,
    /// A container runs the database.
    #[error(
        "Docker runs the database of this checkout\nstop it first: cargo dev down --engine docker, or docker compose down"
    )]
    DockerRuns,
    /// `docker compose` failed.
    #[error(
        "docker compose failed:\n{}\nall that the containers say: cargo dev logs --engine docker",
        indented(said)
    )]
    Compose {
        /// What it said.
        said: String,
    },
    /// A port that a container was to have.
    #[error(
        "a port is taken: {said}\nstop whoever has it, or choose another port: API_PORT, POSTGRES_PORT, ADMINER_PORT in .env"
    )]
    PortOfContainer {
        /// What Docker said.
        said: String,
    },
    /// The disk that Docker works on is full.
    #[error(
        "Docker's disk is full: {said}\nimages, containers and what they compile are in Docker's own folder: docker info --format '{{{{.DockerRootDir}}}}'\n\
         see what takes the room: docker system df; make some: docker builder prune, docker image prune"
    )]
    DockersDiskFull {
        /// What Docker or a container said.
        said: String,
    },
    /// The disk of the database's container is full.
    #[error(
        "the database's disk is full, and nothing that was committed is lost:\n{}\n\
         make room on the disk of data/postgres: df -h data/postgres; where Docker is on the same disk: docker system df, docker builder prune",
        indented(said)
    )]
    DatabasesDiskFull {
        /// What the container said.
        said: String,
    },
    /// A container ended by itself.
    #[error(
        "the container {service} does not run:\n{}\nall that it says: cargo dev logs {service} --engine docker",
        indented(said)
    )]
    Container {
        /// Its service.
        service: &'static str,
        /// Its last words.
        said: String,
    },
    /// The description has no characters for a file name.
    #[error(
        "\"{description}\" has no letter or digit for a file name\ndescribe the change: cargo dev migrate new \"add a column for the mood\""
    )]
    NoSlug {
        /// The description.
        description: String,
    },
    /// Another command moves the database to the other engine.
    #[error(
        "another command is moving the database to another engine; nothing was changed\nhint: wait until that command ends, then repeat this one"
    )]
    Switching,
    /// The database is the other engine's.
    #[error(
        "data/postgres was made by the {maker} engine, and this is the {asked} engine\n\
         go on with it: cargo dev up --engine {maker}, or move the data: cargo dev engine switch {asked}"
    )]
    OtherEngine {
        /// Who made it.
        maker: Kind,
        /// Who was asked for.
        asked: Kind,
    },
    /// One engine cannot do it.
    #[error("{what} is nothing that the docker engine can do: {instead}")]
    NotInDocker {
        /// What was asked for.
        what: &'static str,
        /// What to type instead.
        instead: &'static str,
    },
    /// Somebody does this moment what one alone may do.
    #[error(
        "another {0} is at work in this checkout; nothing was changed\nhint: try again when it has ended"
    )]
    AtWork(&'static str),
    /// See there.
    #[error(transparent)]
    SettingsFile(#[from] SettingsFileError),
    /// See there.
    #[error("{}", hints::owner(.0))]
    Owner(#[from] UserError),
    /// See there.
    #[error(transparent)]
    Port(#[from] PortError),
    /// See there.
    #[error("{}", hints::find(.0))]
    Find(Box<FindError>),
    /// See there.
    #[error("{}", hints::cluster(.0))]
    Cluster(Box<ClusterError>),
    /// See there.
    #[error("{}", hints::socket_dir(.0))]
    SocketDir(#[from] SocketDirError),
    /// See there.
    #[error("{}", hints::server(.0))]
    Server(Box<ServerError>),
    /// See there.
    #[error("{}", hints::roles(.0))]
    Roles(Box<RolesError>),
    /// See there.
    #[error(transparent)]
    Psql(#[from] PsqlError),
    /// See there.
    #[error(transparent)]
    FileLock(#[from] FileLockError),
    /// See there.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// See there.
    #[error("{}", hints::pid_file(.0))]
    PidFile(#[from] PidFileError),
    /// An error of a layer above, which no layer below it matches.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// Boxed: a result must not carry the largest of them through every call.
macro_rules! boxed {
    ($($variant:ident($source:ty)),+) => {
        $(impl From<$source> for Error {
            fn from(source: $source) -> Self {
                Self::$variant(Box::new(source))
            }
        })+
    };
}

boxed!(
    Find(FindError),
    Cluster(ClusterError),
    Server(ServerError),
    Roles(RolesError)
);

impl From<DataDirError> for Error {
    fn from(source: DataDirError) -> Self {
        ClusterError::from(source).into()
    }
}

impl Error {
    pub fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    /// Returns the error of a layer above, if it is an `E`.
    pub(crate) fn is<E: std::error::Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Other(error) => error.downcast_ref(),
            _ => None,
        }
    }

    /// Returns whether the settings caused the error.
    pub fn is_of_the_settings(&self) -> bool {
        matches!(self, Self::SettingsFile(_) | Self::Settings(_))
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest
        .map(|name| format!("; did you mean {name}?"))
        .unwrap_or_default()
}

fn full_disk(error: &std::io::Error) -> &'static str {
    if disk::is_full(error) {
        "\nmake room on that disk, then try again"
    } else {
        ""
    }
}

pub(crate) fn indented(text: &str) -> String {
    text.lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Implements `From` for the errors of a layer above.
macro_rules! other_errors {
    ($($source:ty),+) => {
        $(impl From<$source> for crate::Error {
            fn from(source: $source) -> Self {
                Self::Other(Box::new(source))
            }
        })+
    };
}
pub(crate) use other_errors;
