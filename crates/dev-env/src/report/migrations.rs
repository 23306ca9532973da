//! The migrations of the code and of a database.

use serde::Deserialize;

/// A migration of the code.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Its version.
    pub(crate) version: i64,
    /// The SHA-384 of what applies it, in hexadecimal.
    pub(crate) checksum: String,
}

/// What the service's `migrate status --json` says.
#[derive(Clone, Debug, Deserialize)]
pub struct Applied {
    /// The newest applied migration.
    pub revision: Option<i64>,
    /// Whether automatic migration is paused since a `down`.
    pub paused: bool,
    /// Each one.
    pub migrations: Vec<Migration>,
}

/// How a migration stands.
#[derive(Clone, Debug, Deserialize)]
pub struct Migration {
    /// Its version.
    pub version: i64,
    /// `applied`, `pending`, `empty` (not written yet), `edited` or `missing`.
    pub state: String,
    /// The SHA-384 of its file when the program was built; `None` where it is missing.
    pub checksum: Option<String>,
    /// Whether the code can revert it; `None` from a program of an earlier version.
    pub reversible: Option<bool>,
}

impl Migration {
    /// Whether the database has it.
    pub(crate) fn is_applied(&self) -> bool {
        !matches!(self.state.as_str(), "pending" | "empty")
    }
}

impl Applied {
    /// How a migration stands, unless the program was built before its file was what it is now.
    pub(crate) fn of(&self, file: &File) -> Option<&Migration> {
        let known = self
            .migrations
            .iter()
            .find(|migration| migration.version == file.version)?;
        (known.is_applied() || known.checksum.as_ref() == Some(&file.checksum)).then_some(known)
    }

    /// How many are not applied.
    pub fn pending(&self) -> usize {
        self.count("pending")
    }

    /// How many are in this state.
    pub fn count(&self, state: &str) -> usize {
        self.migrations
            .iter()
            .filter(|migration| migration.state == state)
            .count()
    }
}
