//! Folders of files.

use std::fs::File;
use std::io;
use std::path::Path;

/// Returns the folder of a file. A bare file name is relative to the working directory.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Syncs a folder to disk, so that a renamed file has its new name after a crash.
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
