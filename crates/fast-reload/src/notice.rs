//! What happens during long operations.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Something that happened during a build, or to a watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Another build of the workspace holds the lock, and this one waits.
    Waiting {
        /// A description of the process that holds it.
        holder: String,
    },
    /// cargo starts.
    Building,
    /// cargo or rustc printed a line.
    Output(String),
    /// Changes are detected by polling.
    Polling {
        /// The interval.
        every: Duration,
        /// Why events are not used.
        reason: String,
    },
    /// A folder cannot be watched; changes in it are missed.
    Unwatched {
        /// The folder.
        folder: PathBuf,
        /// The error of the system.
        reason: String,
    },
    /// No further changes are detected.
    Lost {
        /// The error of the system.
        reason: String,
    },
}

/// A function that receives each [`Notice`]. It is called from any thread, and must not block.
pub type Listener = Arc<dyn Fn(Notice) + Send + Sync>;
