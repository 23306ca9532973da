//! What can fail.

use std::path::{Path, PathBuf};
use std::time::Duration;

use process::ProcessError;

/// Why a build or a watcher failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be used.
    #[error("could not {doing} {}: {source}", path.display())]
    Io {
        /// The attempted operation, as a verb: `read`, `write`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The sources do not compile, or cargo cannot read a manifest.
    #[error("the sources do not compile:\n{errors}")]
    Compile {
        /// The first lines of the errors, without colours.
        errors: String,
    },
    /// cargo built no program of the configured name.
    #[error("cargo built no program `{name}`")]
    NoProgram {
        /// The configured name.
        name: String,
    },
    /// Another build held the lock all the time.
    #[error("another build did not finish in {} s", waited.as_secs())]
    Locked {
        /// How long this build waited.
        waited: Duration,
    },
    /// Neither events nor polling can detect changes.
    #[error("changes of files cannot be detected: {reason}")]
    Watch {
        /// The error of the system.
        reason: String,
    },
    /// cargo or a compiler cannot be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}
