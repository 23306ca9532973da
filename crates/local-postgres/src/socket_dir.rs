//! The folder of the server's Unix socket.
//!
//! A socket's path has 107 bytes at most and PostgreSQL splits it at commas, so it cannot lie in the checkout, whose path may be
//! anything.

use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use process::owner::{Owner, OwnerError};

/// What PostgreSQL appends: `/.s.PGSQL.65535`.
const SOCKET_NAME: usize = 16;
const LONGEST_PATH: usize = 107;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketDirError {
    /// Someone else made a folder of this name.
    #[error("{} is not a folder that belongs to {owner} alone; remove it", path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// Whose it has to be.
        owner: String,
    },
    /// It could not be made.
    #[error("{}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It could not be given to its owner.
    #[error(transparent)]
    Owner(#[from] OwnerError),
}

/// The folder for a server named `id` (such as a checkout's hash): under `runtime_dir` (`XDG_RUNTIME_DIR`) where that serves,
/// else under `/tmp`.
pub fn choose(id: &str, runtime_dir: Option<&OsStr>, owner: &Owner) -> PathBuf {
    let name = format!("emotionviz-{id}");
    runtime_dir
        .map(Path::new)
        // The runtime folder is closed to everybody but its user, and so to a server that runs as somebody else.
        .filter(|folder| folder.is_absolute() && folder.is_dir() && !owner.is_somebody_else())
        .map(|folder| folder.join(&name))
        .filter(|folder| fits(folder))
        .unwrap_or_else(|| Path::new("/tmp").join(&name))
}

fn fits(folder: &Path) -> bool {
    // It also stands in the API's DATABASE_URL, which is UTF-8.
    folder
        .to_str()
        .is_some_and(|path| path.len() + SOCKET_NAME <= LONGEST_PATH && !path.contains(','))
}

/// Makes the folder, open to its owner alone.
pub fn prepare(path: &Path, owner: &Owner) -> Result<(), SocketDirError> {
    let io = |source| SocketDirError::Io {
        path: path.to_owned(),
        source,
    };
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => owner.give(path).map_err(SocketDirError::from),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // In /tmp anybody may have been first: a link or an open folder would hand the connections to them.
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

/// Locks the folder while the result lives, so that systemd-tmpfiles does not remove its files: it skips locked folders
/// (tmpfiles.d(5)).
pub fn keep_from_cleaners(path: &Path) -> Option<File> {
    File::open(path)
        .ok()
        .filter(|folder| folder.try_lock_shared().is_ok())
}

/// Removes the sockets that a server left, of whatever port. Only for whoever knows that none listens there.
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

/// Removes the folder, and the sockets in it. Only for whoever knows that none listens there.
pub fn remove(path: &Path) {
    remove_sockets(path);
    let _absent = std::fs::remove_dir(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_folder_that_does_not_serve_is_passed_over() {
        let current = Owner::current().unwrap();
        let fallback = PathBuf::from("/tmp/emotionviz-abc");
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            choose("abc", Some(folder.path().as_os_str()), &current),
            folder.path().join("emotionviz-abc")
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
        let other = Owner {
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
    fn a_folder_or_link_of_somebody_else_is_refused() {
        let current = Owner::current().unwrap();
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
