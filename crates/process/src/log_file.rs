//! Log files that are rotated by size.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};
use nix::unistd::Uid;

use crate::files::{self, make_parents};

/// A log may contain data of users.
const MODE: u32 = 0o600;
const LIMIT: usize = 10 * 1024 * 1024;
/// Rotated files, next to the current one.
const KEPT: usize = 2;

/// A log file that several threads write. It is rotated at 10 MB; two rotated files are kept, as `<name>.1` and `<name>.2`. Only its
/// owner can read it.
pub struct LogFile {
    path: PathBuf,
    open: Mutex<Open>,
}

struct Open {
    file: FileRotate<AppendCount>,
    /// Device and inode at the path after the last line.
    identity: Option<(u64, u64)>,
}

impl Open {
    fn at(path: &Path) -> Self {
        // A log that cannot be written must not stop the program.
        let _unwritable = make_parents(path).map(|()| open(path));
        let limit = ContentLimit::BytesSurpassed(LIMIT);
        let file = FileRotate::new(
            path,
            AppendCount::new(KEPT),
            limit,
            Compression::None,
            Some(options()),
        );
        Self {
            file,
            identity: identity(path),
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path)
        .map(|file| (file.dev(), file.ino()))
        .ok()
}

/// Opens or creates a log file for appending. Only its owner can read it.
///
/// # Errors
/// The file cannot be opened or created.
pub fn open(path: &Path) -> std::io::Result<File> {
    let file = files::open(&mut options(), path)?;
    // An existing file may have other permissions.
    file.set_permissions(PermissionsExt::from_mode(MODE))?;
    Ok(file)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(MODE);
    options
}

impl LogFile {
    /// Opens or creates the file for appending. If that fails, each line tries again.
    pub fn open(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            open: Mutex::new(Open::at(path)),
        }
    }

    /// Writes a line without its terminal escape sequences. A line that cannot be written is lost.
    pub fn line(&self, line: &str) {
        let line = anstream::adapter::strip_str(line);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Only the folder of the file is created again: a parent folder that was moved leaves nothing at its old path.
        let has_place = self.path.ancestors().nth(2).is_some_and(Path::is_dir);
        if identity(&self.path) != open.identity && has_place {
            // The file was removed, or another program rotated it.
            *open = Open::at(&self.path);
        }
        // A full disk must not stop the program.
        let _full = open.file.write_all(format!("{line}\n").as_bytes());
        if Uid::effective().is_root() {
            // A rotation may have created a file that belongs to root.
            let _handed_over = files::open(&mut options(), &self.path);
        }
        open.identity = identity(&self.path);
    }

    /// Writes a line after the current time (RFC 3339, UTC, milliseconds).
    pub fn stamped(&self, line: &str) {
        self.line(&format!(
            "{} {line}",
            humantime::format_rfc3339_millis(SystemTime::now())
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::User;

    #[test]
    fn a_log_file_continues_in_a_new_folder_when_its_folder_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/dev.log");
        let log = LogFile::open(&path);
        log.line("before");
        std::fs::remove_dir_all(folder.path().join("logs")).unwrap();
        log.line("after");
        log.line("and on");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after\nand on\n");
        // logrotate moves a file in this way.
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        log.line("new");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
    }

    #[test]
    fn only_the_owner_of_a_log_file_can_read_it_also_after_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev.log");
        std::fs::write(&path, "older\n").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        if Uid::effective().is_root() {
            User {
                uid: 4_000_000,
                gid: 4_000_000,
                name: "stranger".to_owned(),
            }
            .give(folder.path())
            .unwrap();
        }
        let owner = std::fs::metadata(folder.path()).unwrap().uid();
        let log = LogFile::open(&path);
        log.stamped("\u{1b}[1mone\u{1b}[0m");
        log.line(&"x".repeat(LIMIT));
        log.line("after it");
        let files: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .collect();
        assert_eq!(files.len(), 2);
        assert!(
            std::fs::read_to_string(folder.path().join("dev.log.1"))
                .unwrap()
                .contains("Z one\n")
        );
        for file in files {
            let metadata = file.metadata().unwrap();
            assert_eq!(
                (metadata.mode() & 0o777, metadata.uid()),
                (MODE, owner),
                "{:?}",
                file.file_name()
            );
        }
    }
}
