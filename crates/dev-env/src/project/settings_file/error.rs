//! Why a settings file cannot be used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use emotionviz_settings::env_file;
use process::file_lock::{self, LockHolder};

/// Why a settings file cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsFileError {
    /// No program writes to the pipe or terminal.
    #[error(
        "{} is {what}, and no process wrote to it within {} s: its settings cannot be read. Nothing was changed\n\
         hint: start the program that writes to it, or move it away: mv '{0}' '{0}.old'", path.display(), waited.as_secs()
    )]
    Silent {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A program writes to the pipe or terminal, and does not close it.
    #[error(
        "{} is {what}, and the process that wrote to it did not close it within {} s: its settings may be incomplete. Nothing was changed\n\
         hint: let that program close it after writing, or move it away: mv '{0}' '{0}.old'", path.display(), waited.as_secs()
    )]
    Unfinished {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A file of this kind cannot hold settings.
    #[error("{} is {what}, and cannot hold settings. Nothing was changed\nhint: move it away: mv '{0}' '{0}.old'", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A line cannot be read.
    #[error("{}:{} cannot be read: {bad}\nhint: correct that line, then: cargo dev config check", path.display(), bad.line())]
    BadLine {
        /// The file.
        path: PathBuf,
        /// The line.
        bad: env_file::BadLine,
    },
    /// The file is not text.
    #[error("{} is not UTF-8 text, and its settings cannot be read. Nothing was changed\nhint: save it as UTF-8, then: cargo dev config check", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// Only regular files are replaced.
    #[error(
        "{} is {what}: settings are written to regular files only, and nothing was changed\n\
         hint: set them in the program that provides it, or replace it with a file: rm '{0}' && touch '{0}'", path.display()
    )]
    NotReplaced {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A broken link.
    #[error(
        "{} is a link to {}, which does not exist: settings cannot be written there, and nothing was changed\n\
         hint: create that file, or remove the link: rm '{0}'", path.display(), target.display()
    )]
    LeadsNowhere {
        /// The link.
        path: PathBuf,
        /// The target.
        target: PathBuf,
    },
    /// Another command has locked it.
    #[error("{} has locked the folder of {} for {} s: the settings cannot be changed. Nothing was changed\nhint: find that process: fuser -v '{}'",
        file_lock::name(holder.as_ref()), path.display(), waited.as_secs(), path.parent().unwrap_or(Path::new(".")).display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// The process, if the system reports it.
        holder: Option<LockHolder>,
        /// How long it was waited for.
        waited: Duration,
    },
}
