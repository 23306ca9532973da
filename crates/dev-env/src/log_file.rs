//! A log file of the environment, rotated by size.

use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};

const LIMIT: usize = 10 * 1024 * 1024;
/// Beside the one that is written.
const KEPT: usize = 2;

/// A log file that several tasks write.
pub(crate) struct LogFile(Mutex<FileRotate<AppendCount>>);

impl LogFile {
    /// Opens the file to go on where it ends.
    pub(crate) fn open(path: &Path) -> Self {
        Self(Mutex::new(FileRotate::new(path, AppendCount::new(KEPT), ContentLimit::BytesSurpassed(LIMIT), Compression::None, None)))
    }

    /// Writes a line as it is.
    pub(crate) fn line(&self, line: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not end the services: their log is on the terminal too.
        let _full = file.write_all(format!("{line}\n").as_bytes());
    }

    /// Writes a line with the time before it.
    pub(crate) fn stamped(&self, line: &str) {
        self.line(&format!("{} {line}", humantime::format_rfc3339_millis(SystemTime::now())));
    }
}
