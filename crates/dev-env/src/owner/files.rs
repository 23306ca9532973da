//! Files that several commands read and write. They are replaced atomically, and never belong to root in another user's folder, because
//! that user could not remove them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

use nix::unistd::Uid;

use crate::process::LockedTempFile;

/// Opens a file, made when it is not there, and sees to it that it is not root's in somebody else's folder.
pub(crate) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.create(true).open(path)?;
    hand_over(&file, path)?;
    Ok(file)
}

/// The mode of files that every user may read.
pub(crate) const READABLE: u32 = 0o644;
/// The mode of files that every user may run.
pub(crate) const RUNNABLE: u32 = 0o755;
/// The mode of files that only the owner may read.
pub(crate) const SECRET: u32 = 0o600;

/// Replaces or creates a file atomically: other processes see the new or the old content, also after a crash or on a full disk.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = LockedTempFile::new(path, mode)?;
    file.file().write_all(bytes)?;
    file.replace()
}

/// Syncs a folder, so that a renamed file has its new name after a crash.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A bare file name is relative to the working directory.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Gives what root has made to whoever owns the folder that `path` is in.
pub(crate) fn hand_over(file: &File, path: &Path) -> io::Result<()> {
    if !Uid::effective().is_root() || file.metadata()?.uid() != 0 {
        return Ok(());
    }
    let above = std::fs::metadata(folder_of(path))?;
    if above.uid() == 0 {
        Ok(())
    } else {
        fchown(file, Some(above.uid()), Some(above.gid()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owner::Owner;

    #[test]
    fn readers_never_see_a_partially_written_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note");
        let versions = ["a".repeat(10_000), "b".repeat(20_000)];
        write_atomically(&path, versions[0].as_bytes(), READABLE).unwrap();
        std::thread::scope(|scope| {
            for version in &versions {
                scope.spawn(|| {
                    (0..50).for_each(|_| {
                        write_atomically(&path, version.as_bytes(), READABLE).unwrap()
                    })
                });
            }
            scope.spawn(|| {
                (0..500).for_each(|_| {
                    assert!(versions.contains(&std::fs::read_to_string(&path).unwrap()))
                })
            });
        });
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no unfinished file stays"
        );
    }

    #[test]
    fn a_failed_write_leaves_the_file_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note");
        std::fs::create_dir_all(path.join("a folder of this name")).unwrap();
        write_atomically(&path, b"new", SECRET).unwrap_err();
        assert!(path.join("a folder of this name").is_dir());
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no unfinished file stays"
        );
    }

    #[test]
    fn a_file_in_somebodys_folder_is_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made");
        open(OpenOptions::new().append(true), &path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().uid(),
            Uid::effective().as_raw()
        );
        if !Uid::effective().is_root() {
            return;
        }
        // What root left there before is handed over too; what is somebody else's stays theirs.
        let owner = |uid: u32| Owner {
            uid,
            gid: uid,
            name: "stranger".to_owned(),
        };
        owner(4_000_000).give(folder.path()).unwrap();
        open(OpenOptions::new().append(true), &path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().uid(), 4_000_000);
        owner(4_000_001).give(&path).unwrap();
        open(OpenOptions::new().append(true), &path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().uid(), 4_000_001);
    }
}
