//! The folder of the server's Unix socket.
//!
//! The path of a socket has 107 bytes at most (unix(7)), and PostgreSQL splits it at commas (`unix_socket_directories`). So the socket is
//! not next to the data directory, whose path may be longer.

use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use process::user::{User, UserError};

/// The length of `/.s.PGSQL.65535`, which PostgreSQL appends.
const SOCKET_NAME: usize = 16;
const LONGEST_PATH: usize = 107;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketDirError {
    /// The name is in use by another user, or other users can access the folder.
    #[error("{} is not a folder that belongs to {owner} alone", path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// The name of the user that must own it.
        owner: String,
    },
    /// It could not be created or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// It could not be given to its owner.
    #[error(transparent)]
    Owner(#[from] UserError),
}

/// Returns the folder `name` in `runtime_dir` (`XDG_RUNTIME_DIR`) if a server of `owner` can use it, or in `/tmp`. `name` must be unique on
/// this machine, have at most 80 bytes and no comma. The path is valid UTF-8.
pub fn choose(name: &str, runtime_dir: Option<&OsStr>, owner: &User) -> PathBuf {
    runtime_dir
        .map(Path::new)
        // Only its user can access the runtime folder.
        .filter(|folder| folder.is_absolute() && folder.is_dir() && !owner.is_another_user())
        .map(|folder| folder.join(name))
        .filter(|folder| fits(folder))
        .unwrap_or_else(|| Path::new("/tmp").join(name))
}

fn fits(folder: &Path) -> bool {
    // Clients have it in a connection URL, which is UTF-8.
    folder
        .to_str()
        .is_some_and(|path| path.len() + SOCKET_NAME <= LONGEST_PATH && !path.contains(','))
}

/// Creates the folder, with access for its owner alone.
///
/// # Errors
/// Another user has created a file or folder of this name, or the file system refuses.
pub fn prepare(path: &Path, owner: &User) -> Result<(), SocketDirError> {
    let io = |source| SocketDirError::Io {
        path: path.to_owned(),
        source,
    };
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => owner.give(path).map_err(SocketDirError::from),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // In /tmp another user may have created it. A link or an open folder would give that user the connections.
            let metadata = std::fs::symlink_metadata(path).map_err(io)?;
            let closed = metadata.permissions().mode() & 0o077 == 0;
            if metadata.is_dir() && closed && metadata.uid() == owner.uid {
                Ok(())
            } else {
                Err(SocketDirError::NotOurs {
                    path: path.to_owned(),
                    owner: owner.name.clone(),
                })
            }
        }
        Err(error) => Err(io(error)),
    }
}

/// Locks the folder while the result lives, because systemd-tmpfiles does not remove files from locked folders (tmpfiles.d(5)).
pub fn keep_from_cleaners(path: &Path) -> Option<File> {
    File::open(path)
        .ok()
        .filter(|folder| folder.try_lock_shared().is_ok())
}

/// Removes the sockets of all ports. No server may listen there.
pub(super) fn remove_sockets(path: &Path) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(b".s.PGSQL.")
        {
            let _absent = std::fs::remove_file(entry.path());
        }
    }
}

/// Removes the folder and its sockets. No server may listen there.
pub fn remove(path: &Path) {
    remove_sockets(path);
    let _absent = std::fs::remove_dir(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsuitable_runtime_folder_is_not_used() {
        let current = User::current().unwrap();
        let fallback = PathBuf::from("/tmp/abc");
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            choose("abc", Some(folder.path().as_os_str()), &current),
            folder.path().join("abc")
        );
        assert_eq!(choose("abc", None, &current), fallback);
        assert_eq!(
            choose("abc", Some(OsStr::new("relative")), &current),
            fallback
        );

        let comma = folder.path().join("a,b");
        let long = folder.path().join("x".repeat(90));
        for unfit in [&comma, &long] {
            std::fs::create_dir(unfit).unwrap();
            assert_eq!(choose("abc", Some(unfit.as_os_str()), &current), fallback);
        }
        let other = User {
            uid: 4_000_000,
            gid: 4_000_000,
            name: "other".to_owned(),
        };
        assert_eq!(
            choose("abc", Some(folder.path().as_os_str()), &other),
            fallback
        );
    }

    #[test]
    fn a_link_or_a_folder_that_others_can_access_is_refused() {
        let current = User::current().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ours = folder.path().join("ours");
        prepare(&ours, &current).unwrap();
        prepare(&ours, &current).unwrap();

        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&ours, &link).unwrap();
        let open = folder.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o755)).unwrap();
        for foreign in [&link, &open] {
            assert!(matches!(
                prepare(foreign, &current),
                Err(SocketDirError::NotOurs { .. })
            ));
        }
    }
}
