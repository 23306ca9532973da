//! Files that several processes read and write. They are replaced atomically, and never belong to root in another user's folder, because
//! that user could not remove them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use nix::unistd::Uid;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

pub use crate::folder::sync_folder;
use crate::locked_temp::LockedTempFile;
use crate::user::{UserError, hand_over};

/// Opens a file, or creates it. What root creates belongs to the owner of the folder.
///
/// # Errors
/// The file cannot be opened, created or handed over.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.create(true).open(path)?;
    hand_over(&file, path)?;
    Ok(file)
}

/// The mode of files that every user may read.
pub const READABLE: u32 = 0o644;
/// The mode of files that every user may run.
pub const RUNNABLE: u32 = 0o755;
/// The mode of files that only the owner may read.
pub const SECRET: u32 = 0o600;

/// Replaces or creates a file atomically: other processes see the new or the old content, also after a crash or on a full disk.
///
/// # Errors
/// The file cannot be written; it is unchanged.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = LockedTempFile::new(path, mode)?;
    file.file().write_all(bytes)?;
    file.replace()
}

/// Creates the folders above `path`, with search permission for all users. Each folder belongs to the owner of its parent, so that root
/// leaves no folder of its own among a user's files. Other processes may create the same folders at the same time.
///
/// # Errors
/// A folder cannot be created or handed over.
pub fn make_parents(path: &Path) -> Result<(), UserError> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    if folder.is_dir() {
        return Ok(());
    }
    make_parents(folder)?;
    let io = |source| UserError::Io {
        path: folder.to_owned(),
        source,
    };
    let above = folder.parent().unwrap_or(Path::new("/"));
    // Mode and owner are set before other processes see the folder.
    let made = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(above)
        .map_err(io)?;
    std::fs::set_permissions(made.path(), PermissionsExt::from_mode(0o755)).map_err(io)?;
    if Uid::effective().is_root() {
        let above = std::fs::metadata(above).map_err(io)?;
        std::os::unix::fs::chown(made.path(), Some(above.uid()), Some(above.gid())).map_err(io)?;
    }
    match rename_to_free_name(made.path(), folder) {
        // Another process created the folder.
        Err(_) if folder.is_dir() => Ok(()),
        renamed => renamed.map_err(io),
    }
}

/// Renames a folder. rename(2) alone would replace an empty folder, in which another process may be creating its first file.
fn rename_to_free_name(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems, such as NFS, do not support the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => std::fs::rename(from, to),
        renamed => Ok(renamed?),
    }
}

/// Returns the current time (UTC, milliseconds) as part of a file name.
pub fn timestamp() -> String {
    humantime::format_rfc3339_millis(SystemTime::now())
        .to_string()
        .replace(':', "-")
}

/// Returns the SHA-256 (FIPS 180-4) of `bytes` in hexadecimal.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Returns the SHA-256 of a file in hexadecimal, as `sha256sum` prints it.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hash, mut part) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut part)? {
            0 => return Ok(hex::encode(hash.finalize())),
            n => hash.update(&part[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::User;

    #[test]
    fn sha256_is_what_sha256sum_prints() {
        const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(sha256("abc"), ABC);
        assert_eq!(sha256_of(&path).unwrap(), ABC);
    }

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
    fn a_file_that_root_creates_belongs_to_the_owner_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made");
        open(OpenOptions::new().append(true), &path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().uid(),
            Uid::effective().as_raw()
        );
        if !test_needs::root() {
            return;
        }
        // Files of root are handed over, too. Files of other users are not.
        let owner = |uid: u32| User {
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
