//! What can go wrong, each with what happened, why, and the command that mends it.

use std::fmt::Display;
use std::path::Path;

use emotionviz_settings::Problems;

use crate::project::ports::PortError;
use crate::project::settings_file::error::SettingsFileError;
use local_postgres::psql::PsqlError;
use process::{FileLockError, ProcessError, disk};

/// Why a piece of work on the environment failed: a variant that some caller matches, or a [`Message`](Error::Message).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings have values that do not fit.
    #[error("{0}\nhint: what each one takes: cargo dev config explain <NAME>")]
    Settings(#[from] Problems),
    /// See there.
    #[error(transparent)]
    SettingsFile(#[from] SettingsFileError),
    /// Another command holds the checkout.
    #[error("{what} (pid {pid}) is at work on this checkout, and did not finish in {} s\nhint: wait for it, or end it: kill {pid}", waited.as_secs())]
    Busy {
        /// Its name.
        what: String,
        /// Its pid.
        pid: u32,
        /// How long it was waited for.
        waited: std::time::Duration,
    },
    /// A container runs the database.
    #[error(
        "Docker runs the database of this checkout\nhint: stop it first: cargo dev down --engine docker, or docker compose down"
    )]
    DockerRuns,
    /// The service could not be built.
    #[error(
        "the service does not compile; the compiler's messages are above\nhint: mend them, then: cargo dev up"
    )]
    Build {
        /// What the compiler said.
        said: String,
    },
    /// The container's mount of a file is gone.
    #[error(
        "cargo has to write Cargo.lock, which was replaced and cannot be written: this container has to be started again, which Docker does by itself"
    )]
    LockReplaced,
    /// The container's program was built before a migration was written.
    #[error(
        "the program in the container does not know migration {version} yet\n\
         hint: let it be built: cargo dev restart api, or cargo dev up where nothing runs; what the compiler says: cargo dev logs"
    )]
    OldProgram {
        /// The newest file's version.
        version: i64,
    },
    /// A port that a container was to have.
    #[error(
        "a port is taken: {said}\nhint: stop the program that uses it, or choose another port: API_PORT, POSTGRES_PORT, ADMINER_PORT in .env"
    )]
    PortOfContainer {
        /// What Docker said.
        said: String,
    },
    /// See there.
    #[error(transparent)]
    Psql(#[from] PsqlError),
    /// An error that no caller matches.
    #[error("{what}{}", line_of(hint.as_deref()))]
    Message {
        /// What happened, with the value that matters, and why.
        what: String,
        /// What to do next, with the command.
        hint: Option<String>,
        /// The cause, which `what` names already.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// An error of a layer above, which no layer below it matches.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Returns an error that no caller matches.
    pub(crate) fn message(what: impl Display) -> Self {
        Self::Message {
            what: what.to_string(),
            hint: None,
            source: None,
        }
    }

    /// Returns an error that no caller matches, with what to do next.
    pub(crate) fn hinted(what: impl Display, hint: impl Into<String>) -> Self {
        Self::Message {
            what: what.to_string(),
            hint: Some(hint.into()),
            source: None,
        }
    }

    /// Returns the error of a file or folder that could not be used.
    pub fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        let hint =
            disk::is_full(&source).then(|| "make room on that disk, then try again".to_owned());
        Self::Message {
            what: format!("could not {doing} {}: {source}", path.display()),
            hint,
            source: Some(Box::new(source)),
        }
    }

    /// Returns the error of a command that needs running services.
    pub(crate) fn not_running() -> Self {
        Self::hinted("nothing runs here", "start it: cargo dev up")
    }

    /// Returns the error of work that only one command may do at a time.
    pub(crate) fn at_work(command: &str) -> Self {
        Self::hinted(
            format!("another {command} is at work in this checkout; nothing was changed"),
            "try again when it has ended",
        )
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

fn line_of(hint: Option<&str>) -> String {
    hint.map(|hint| format!("\nhint: {hint}"))
        .unwrap_or_default()
}

/// Implements `From` for errors whose own text is complete.
macro_rules! complete {
    ($($source:ty),+) => {
        $(impl From<$source> for Error {
            fn from(source: $source) -> Self {
                Self::Message {
                    what: source.to_string(),
                    hint: None,
                    source: Some(Box::new(source)),
                }
            }
        })+
    };
}

complete!(PortError, FileLockError, ProcessError);

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
