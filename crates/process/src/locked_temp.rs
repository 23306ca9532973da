//! Temporary files and folders that are locked while they are used. An unlocked one was left by a killed process, and the next process
//! removes it.

use std::ffi::OsString;
use std::fs::{DirEntry, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::file_lock::FileLock;
use crate::folder::{folder_of, sync_folder};
use crate::user::hand_over;

/// The suffix of a file until it is complete.
const UNFINISHED: &str = ".unfinished-";
/// Longer than what a user would type after the suffix.
const RANDOM: usize = 12;

/// A temporary folder. Removed on drop.
#[derive(Debug)]
pub struct LockedTemp {
    folder: PathBuf,
    /// `None` if the folder stays.
    contents: Option<Contents>,
    // Closing the folder releases the lock. A file system may refuse locks: then the folder of a killed process stays.
    _lock: Option<FileLock>,
}

/// What is removed with a temporary folder.
#[derive(Clone, Copy, Debug)]
pub enum Contents {
    /// Everything.
    All,
    /// Only these files, in this order. The folder stays if it has other files.
    Only(&'static [&'static str]),
}

impl LockedTemp {
    /// Creates a folder in `parent`, after removing those that killed processes left there.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(parent: &Path, prefix: &str) -> io::Result<Self> {
        leftovers(parent, prefix, Contents::All).for_each(drop);
        Self::create(parent, prefix, Contents::All)
    }

    /// Creates a folder in `parent`. It belongs to the owner of `parent`, who alone can access it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(parent: &Path, prefix: &str, contents: Contents) -> io::Result<Self> {
        loop {
            let folder = tempfile::Builder::new()
                .prefix(prefix)
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(parent)?;
            let open = match File::open(folder.path()) {
                // Another process removed it before it was locked.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                open => open?,
            };
            hand_over(&open, folder.path())?;
            if let Some(lock) = lock(open, folder.path()) {
                return Ok(Self {
                    folder: folder.keep(),
                    contents: Some(contents),
                    _lock: lock,
                });
            }
        }
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Leaves the folder where it is.
    pub fn keep(mut self) {
        self.contents = None;
    }
}

impl Drop for LockedTemp {
    fn drop(&mut self) {
        let _stays = match self.contents {
            None => Ok(()),
            Some(Contents::All) => std::fs::remove_dir_all(&self.folder),
            Some(Contents::Only(names)) => {
                for name in names {
                    let _absent = std::fs::remove_file(self.folder.join(name));
                }
                std::fs::remove_dir(&self.folder)
            }
        };
    }
}

/// Returns the folders that killed processes left in `parent`. Each is locked, and removed on drop.
pub fn leftovers(
    parent: &Path,
    prefix: &str,
    contents: Contents,
) -> impl Iterator<Item = LockedTemp> {
    entries(parent, prefix.as_ref()).filter_map(move |entry| {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            return None;
        }
        let open = File::open(entry.path()).ok()?;
        let lock = FileLock::try_exclusive(open).ok()??;
        Some(LockedTemp {
            folder: entry.path(),
            contents: Some(contents),
            _lock: Some(lock),
        })
    })
}

/// A file that takes its name when it is complete. Removed on drop until then.
pub struct LockedTempFile {
    file: NamedTempFile,
    target: PathBuf,
}

impl LockedTempFile {
    /// Creates an unfinished file next to `target`, after removing those that killed processes left there for the same target.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(target: &Path, mode: u32) -> io::Result<Self> {
        let folder = folder_of(target);
        let mut prefix = target.file_name().unwrap_or_default().to_owned();
        prefix.push(UNFINISHED);
        sweep_files(folder, &prefix);
        loop {
            let file = tempfile::Builder::new()
                .prefix(&prefix)
                .rand_bytes(RANDOM)
                .permissions(Permissions::from_mode(mode))
                .tempfile_in(folder)?;
            // The lock belongs to the open file, and the duplicate shares it.
            if lock(file.as_file().try_clone()?, file.path()).is_some() {
                hand_over(file.as_file(), target)?;
                return Ok(Self {
                    file,
                    target: target.to_owned(),
                });
            }
        }
    }

    /// The open file.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Replaces the target atomically, also if the system crashes.
    ///
    /// # Errors
    /// It cannot be written; the target is unchanged.
    pub fn replace(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.target)?;
        sync_folder(folder_of(&self.target))
    }

    /// Creates the target atomically.
    ///
    /// # Errors
    /// The target exists, or it cannot be written.
    pub fn create(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist_noclobber(&self.target)?;
        sync_folder(folder_of(&self.target))
    }
}

fn sweep_files(folder: &Path, prefix: &OsString) {
    for entry in entries(folder, prefix) {
        let name = entry.file_name();
        let random = &name.as_encoded_bytes()[prefix.len()..];
        let is_ours = random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric);
        if is_ours
            && entry.file_type().is_ok_and(|kind| kind.is_file())
            && let Ok(open) = File::open(entry.path())
            && let Ok(Some(_lock)) = FileLock::try_exclusive(open)
        {
            // Its maker may have renamed it.
            let _gone = std::fs::remove_file(entry.path());
        }
    }
}

/// Locks what this process has just created. `None` if another process took it for a leftover. `Some(None)` if the file system refuses
/// locks: then no process removes it.
fn lock(open: File, path: &Path) -> Option<Option<FileLock>> {
    match FileLock::try_exclusive(open) {
        Ok(None) => None,
        Ok(lock) => path.exists().then_some(lock),
        Err(_) => Some(None),
    }
}

fn entries(folder: &Path, prefix: &std::ffi::OsStr) -> impl Iterator<Item = DirEntry> {
    let prefix = prefix.as_encoded_bytes().to_owned();
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(move |entry| entry.file_name().as_encoded_bytes().starts_with(&prefix))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn folders_of_killed_processes_are_removed_and_others_stay() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        std::fs::create_dir_all(at("work-killed/deeper")).unwrap();
        std::fs::create_dir(at("other")).unwrap();
        std::fs::write(at("work-file"), "mine").unwrap();
        let used = LockedTemp::new(parent.path(), "work-").unwrap();
        let next = LockedTemp::new(parent.path(), "work-").unwrap();
        assert!(used.path().is_dir() && next.path().is_dir());
        assert!(!at("work-killed").exists());
        drop((used, next));
        assert_eq!(names(parent.path()), ["other", "work-file"]);
    }

    #[test]
    fn only_the_listed_files_of_a_folder_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let create = || LockedTemp::create(parent.path(), "work-", Contents::Only(&["a"])).unwrap();
        let (one, other) = (create(), create());
        std::fs::write(one.path().join("a"), "").unwrap();
        std::fs::write(other.path().join("a"), "").unwrap();
        std::fs::write(other.path().join("mine"), "").unwrap();
        let (gone, stays) = (one.path().to_owned(), other.path().to_owned());
        drop((one, other));
        assert!(!gone.exists());
        assert_eq!(names(&stays), ["mine"]);
    }

    #[test]
    fn processes_that_start_together_do_not_remove_each_others_folders() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let temp = LockedTemp::new(parent.path(), "work-").unwrap();
                        std::fs::write(temp.path().join("a"), "").unwrap();
                    }
                });
            }
        });
        assert_eq!(names(parent.path()), [] as [&str; 0]);
    }

    #[test]
    fn unfinished_files_of_killed_processes_are_removed_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("note.unfinished-abcDEF123456"), "half").unwrap();
        for mine in ["note.unfinished-mine", "other.unfinished-abcDEF123456"] {
            std::fs::write(at(mine), "mine").unwrap();
        }
        let mut used = LockedTempFile::new(&at("note"), 0o600).unwrap();
        let mut next = LockedTempFile::new(&at("note"), 0o600).unwrap();
        used.file().write_all(b"used").unwrap();
        next.file().write_all(b"next").unwrap();
        used.create().unwrap();
        let refused = LockedTempFile::new(&at("note"), 0o600).unwrap().create();
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::AlreadyExists);
        next.replace().unwrap();
        assert_eq!(std::fs::read_to_string(at("note")).unwrap(), "next");
        assert_eq!(
            names(folder.path()),
            [
                "note",
                "note.unfinished-mine",
                "other.unfinished-abcDEF123456"
            ]
        );
    }
}
