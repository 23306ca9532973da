//! The folder that a copy is written in before it takes its name.
//!
//! Its name and a file in it mark the folder, which is locked while the copy is written.
//! A folder with both marks and without a lock holder was left by a killed command, and the next command removes it.
//! An empty folder of that name was left by a command that was killed before it wrote the mark, and is removed too.
//! No other folder is removed.

use std::fs::File;
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use process::locked_temp::{Contents, LockedTemp, leftovers};
use process::user;

const PREFIX: &str = ".emotionviz-unfinished-";
const MARK: &str = "made-by";
const MARK_TEXT: &str = "cargo dev backup writes a copy of the database here. When no such command runs, this folder can be removed.\n";
const COPY: &str = "copy";
/// The checksum file of the new copy, and the checksum file of both copies while the old one is replaced.
const CHECKSUMS: [&str; 2] = ["checksum", "checksum-of-both"];
/// The mark is removed last, because folders without it stay.
const FILES: Contents = Contents::Only(&[COPY, CHECKSUMS[0], CHECKSUMS[1], MARK]);

/// A marked folder next to the target of a copy. Removed on drop.
pub(super) struct Unfinished(LockedTemp);

impl Unfinished {
    /// Creates a folder in `parent`, after removing the folders that killed commands left there.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn new(parent: &Path) -> Result<Self> {
        for left in leftovers(parent, PREFIX, FILES) {
            if !is_ours(left.path()) {
                left.keep();
            }
        }
        let folder = LockedTemp::create(parent, PREFIX, FILES)?;
        make(&folder.path().join(MARK))?.write_all(MARK_TEXT.as_bytes())?;
        Ok(Self(folder))
    }

    /// The path of the copy.
    pub(super) fn copy(&self) -> PathBuf {
        self.0.path().join(COPY)
    }

    /// Creates the file of the copy.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn make_copy(&self) -> Result<File> {
        make(&self.copy())
    }

    /// Writes the checksum file of the copy, and returns its path.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write_checksum(&self, text: &[u8]) -> Result<PathBuf> {
        self.write(CHECKSUMS[0], text)
    }

    /// Writes the checksum file of the copy and the one that it replaces, and returns its path.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write_checksum_of_both(&self, text: &[u8]) -> Result<PathBuf> {
        self.write(CHECKSUMS[1], text)
    }

    fn write(&self, name: &str, text: &[u8]) -> Result<PathBuf> {
        let path = self.0.path().join(name);
        let mut file = make(&path)?;
        file.write_all(text)?;
        file.sync_all()?;
        Ok(path)
    }
}

fn make(path: &Path) -> Result<File> {
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    user::hand_over(&file, path)?;
    Ok(file)
}

/// Whether this tool created the folder: it is empty, as it was not marked yet, or its mark is the beginning of the text.
fn is_ours(folder: &Path) -> bool {
    let mark = folder.join(MARK);
    match std::fs::symlink_metadata(&mark) {
        Err(error) => error.kind() == ErrorKind::NotFound && is_empty(folder),
        Ok(metadata) => {
            metadata.is_file()
                && std::fs::read(&mark).is_ok_and(|text| MARK_TEXT.as_bytes().starts_with(&text))
        }
    }
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests {
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
    fn only_backup_folders_with_both_marks_and_without_a_lock_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let busy = Unfinished::new(folder.path()).unwrap();
        let killed = at(".emotionviz-unfinished-killed");
        std::fs::create_dir(&killed).unwrap();
        std::fs::write(killed.join(MARK), MARK_TEXT).unwrap();
        std::fs::write(killed.join(COPY), "half").unwrap();
        std::fs::write(at(".unfinished-novel"), "mine").unwrap();
        std::fs::write(at(".emotionviz-unfinished-file"), "mine").unwrap();
        std::fs::create_dir(at(".emotionviz-unfinished-without-mark")).unwrap();
        std::fs::write(at(".emotionviz-unfinished-without-mark/novel"), "mine").unwrap();
        let foreign = at(".emotionviz-unfinished-foreign");
        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(foreign.join(MARK), "somebody else\n").unwrap();
        std::fs::create_dir(at(".emotionviz-unfinished-early-killed")).unwrap();
        let half_marked = at(".emotionviz-unfinished-half-marked-killed");
        std::fs::create_dir(&half_marked).unwrap();
        std::fs::write(half_marked.join(MARK), &MARK_TEXT[..9]).unwrap();
        let mut expected = names(folder.path());
        expected.retain(|name| !name.ends_with("killed"));
        drop(Unfinished::new(folder.path()).unwrap());
        assert_eq!(names(folder.path()), expected);
        drop(busy);
        assert_eq!(names(folder.path()).len(), 4);
    }

    #[test]
    fn commands_that_start_together_do_not_remove_each_others_folders() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let unfinished = Unfinished::new(parent.path()).unwrap();
                        unfinished.make_copy().unwrap();
                        assert!(unfinished.copy().exists());
                    }
                });
            }
        });
        assert_eq!(names(parent.path()), [] as [&str; 0]);
    }

    #[test]
    fn foreign_files_in_a_marked_backup_folder_stay() {
        let folder = tempfile::tempdir().unwrap();
        let unfinished = Unfinished::new(folder.path()).unwrap();
        let mine = unfinished.0.path().join("mine");
        std::fs::write(&mine, "mine").unwrap();
        drop(unfinished);
        assert_eq!(std::fs::read_to_string(mine).unwrap(), "mine");
    }
}
