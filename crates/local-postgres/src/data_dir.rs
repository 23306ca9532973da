//! The state of a data directory. Nothing is changed.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use process::user::User;

/// The state of a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataDir {
    /// It does not exist, or is an empty folder.
    Absent,
    /// It does not exist, and a killed process left an incomplete one next to it. [`crate::cluster::initialise`] removes that.
    HalfInitialised {
        /// The incomplete folders.
        leftovers: Vec<PathBuf>,
    },
    /// A complete data directory.
    Ready {
        /// The major version of the PostgreSQL that created it.
        major: u32,
    },
    /// It belongs to another user.
    ForeignOwner {
        /// The id of that user.
        uid: u32,
    },
    /// It has other content.
    Foreign {
        /// Why it is not a data directory.
        reason: String,
    },
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It belongs to another user.
    #[error("{} belongs to another user (uid {uid}), and the database would run as {owner}", path.display())]
    ForeignOwner {
        /// The data directory.
        path: PathBuf,
        /// The id of its owner.
        uid: u32,
        /// The name of the user that must own it.
        owner: String,
    },
    /// It has other content.
    #[error("{} is not a database directory, and is left alone: {reason}", path.display())]
    Foreign {
        /// The data directory.
        path: PathBuf,
        /// Why it is not a data directory.
        reason: String,
    },
    /// It does not exist.
    #[error("there is no database in {} yet", path.display())]
    Absent {
        /// The data directory.
        path: PathBuf,
    },
    /// It could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The data directory.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
}

impl DataDir {
    /// Returns the error for a data directory that `owner` cannot use.
    pub fn refuse(self, path: &Path, owner: &User) -> DataDirError {
        let path = path.to_owned();
        match self {
            Self::ForeignOwner { uid } => DataDirError::ForeignOwner {
                path,
                uid,
                owner: owner.name.clone(),
            },
            Self::Foreign { reason } => DataDirError::Foreign { path, reason },
            Self::Absent | Self::HalfInitialised { .. } | Self::Ready { .. } => {
                DataDirError::Absent { path }
            }
        }
    }
}

/// Returns the state of `data_dir` for the user `owner`.
///
/// # Errors
/// [`DataDirError::Io`].
pub fn state(data_dir: &Path, owner: &User) -> Result<DataDir, DataDirError> {
    let io = |source| DataDirError::Io {
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
    // initdb writes this file last. Another program may have started initdb in place.
    if !data_dir.join("global/pg_control").exists() {
        return Ok(DataDir::Foreign {
            reason: "initdb did not finish it".to_owned(),
        });
    }
    Ok(DataDir::Ready { major })
}

/// Returns the major version of the PostgreSQL that created a data directory, from its file `PG_VERSION`.
pub fn major_of(data_dir: &Path) -> Option<u32> {
    let version = std::fs::read_to_string(data_dir.join("PG_VERSION")).ok()?;
    version.trim().split('.').next()?.parse().ok()
}

fn absent(data_dir: &Path) -> Result<DataDir, DataDirError> {
    let leftovers = leftovers(data_dir);
    Ok(if leftovers.is_empty() {
        DataDir::Absent
    } else {
        DataDir::HalfInitialised { leftovers }
    })
}

/// Returns the prefix of the folders in which the data directory is created: `postgres.new-` next to `postgres`.
pub(crate) fn unfinished_prefix(data_dir: &Path) -> String {
    let name = data_dir.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}.new-")
}

/// Returns the folders in which processes create the data directory, or have created it until they were killed.
pub(crate) fn leftovers(data_dir: &Path) -> Vec<PathBuf> {
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
