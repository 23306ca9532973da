//! Finds PostgreSQL's programs on this machine, or downloads them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::environment;
use crate::fetch::{self, FetchError, Progress};
use process::user::User;
use process::{Configuration, capture};

/// The oldest major version that is used for a new database.
pub const OLDEST_MAJOR: u32 = 15;

/// The programs that must be in one directory, because a server and a client of different builds do not always work together.
pub const PROGRAMS: [&str; 6] = [
    "initdb",
    "postgres",
    "pg_ctl",
    "psql",
    "pg_dump",
    "pg_restore",
];

/// PostgreSQL's programs, all from one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// The directory.
    pub dir: PathBuf,
    /// Their major version, such as 15.
    pub major: u32,
    /// Their whole version, such as `15.14`.
    pub version: String,
    /// How they were found.
    pub source: Source,
}

/// How programs were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// [`Search::explicit`] names their directory.
    Explicit,
    /// Installed on this machine.
    Installed,
    /// Downloaded earlier.
    Cache,
    /// Downloaded by this search.
    Download,
}

impl Binaries {
    /// Returns the path of a program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Returns the path of `psql`.
    pub fn psql(&self) -> PathBuf {
        self.program("psql")
    }
}

/// Why no programs were found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The directory in [`Search::explicit`] cannot be used.
    #[error("{} {reason}", dir.display())]
    Explicit {
        /// The directory.
        dir: PathBuf,
        /// The reason, as the end of a sentence.
        reason: String,
    },
    /// The programs that created the database are not installed.
    #[error(
        "the database was created by PostgreSQL {needed}, which is not on this machine{}",
        found_instead(found)
    )]
    NoSuchMajor {
        /// The major version that created the database.
        needed: u32,
        /// Descriptions of the other versions on this machine.
        found: Vec<String>,
    },
    /// No suitable version is installed, and none could be downloaded.
    #[error("PostgreSQL is not installed on this machine, and {0}")]
    Fetch(#[from] FetchError),
}

fn found_instead(found: &[String]) -> String {
    if found.is_empty() {
        String::new()
    } else {
        format!(" ({})", found.join(", "))
    }
}

/// Where to search, and for which version.
#[derive(Clone)]
pub struct Search {
    /// The directory that the user has chosen. If it is set, no other directory is searched.
    pub explicit: Option<PathBuf>,
    /// The directories in which an installed PostgreSQL may be, best first.
    pub places: Vec<PathBuf>,
    /// The folder of downloads, see [`fetch::cache_dir`].
    pub cache: PathBuf,
    /// The major version of an existing data directory, see [`crate::data_dir::major_of`]. No other version is used.
    pub needed_major: Option<u32>,
    /// The major version for a new data directory. If it is not installed, the newest other one is used.
    pub preferred_major: u32,
    /// The user that runs the programs.
    pub owner: User,
    /// The sources of a download.
    pub sources: fetch::Sources,
}

impl Search {
    /// Creates a search for a new database, in `PATH` and the directories in which the packages of each system install PostgreSQL.
    pub fn new(cache: PathBuf, owner: User) -> Self {
        Self {
            explicit: None,
            places: installed_places(std::env::var_os("PATH")),
            cache,
            needed_major: None,
            preferred_major: fetch::MAJOR,
            owner,
            sources: fetch::Sources::default(),
        }
    }
}

/// Finds the programs, or downloads [`fetch::VERSION`].
///
/// # Errors
/// There are no suitable programs, and they cannot be downloaded.
pub async fn find(search: &Search, progress: Arc<dyn Progress>) -> Result<Binaries, FindError> {
    if let Some(dir) = &search.explicit {
        return explicit(dir, search).await;
    }
    let wanted = search.needed_major.unwrap_or(search.preferred_major);
    let mut others: Vec<Binaries> = Vec::new();
    for place in &search.places {
        match inspect(place, Source::Installed, &search.owner).await {
            Ok(binaries) if binaries.major == wanted => return Ok(binaries),
            // PATH often has several links to one directory.
            Ok(binaries) if !others.contains(&binaries) => others.push(binaries),
            Ok(_) | Err(_) => {}
        }
    }
    if search.needed_major.is_none() {
        // There is no data yet.
        let usable = others
            .iter()
            .filter(|binaries| binaries.major >= OLDEST_MAJOR);
        if let Some(newest) = usable.max_by_key(|binaries| binaries.major) {
            return Ok(newest.clone());
        }
    }
    if let Some(needed) = search.needed_major.filter(|needed| *needed != fetch::MAJOR) {
        let found = others
            .iter()
            .map(|other| format!("{} is, in {}", other.version, other.dir.display()))
            .collect();
        return Err(FindError::NoSuchMajor { needed, found });
    }
    let cached = fetch::unpacked_in(&search.cache, fetch::VERSION).join("bin");
    if let Ok(binaries) = inspect(&cached, Source::Cache, &search.owner).await {
        return Ok(binaries);
    }
    let unpacked = fetch::fetch(fetch::VERSION, &search.cache, &search.sources, progress).await?;
    inspect(&unpacked.join("bin"), Source::Download, &search.owner)
        .await
        .map_err(|reason| {
            FetchError::Unusable {
                dir: unpacked,
                reason,
            }
            .into()
        })
}

async fn explicit(dir: &Path, search: &Search) -> Result<Binaries, FindError> {
    let wrong = |reason: String| FindError::Explicit {
        dir: dir.to_owned(),
        reason,
    };
    let binaries = inspect(dir, Source::Explicit, &search.owner)
        .await
        .map_err(wrong)?;
    match search.needed_major {
        Some(needed) if needed != binaries.major => Err(wrong(format!(
            "has PostgreSQL {}, and the database was created by {needed}",
            binaries.version
        ))),
        None if binaries.major < OLDEST_MAJOR => Err(wrong(format!(
            "has PostgreSQL {}, and {OLDEST_MAJOR} is the oldest supported version",
            binaries.version
        ))),
        _ => Ok(binaries),
    }
}

/// Returns the programs in `place`. The error is the end of a sentence.
async fn inspect(place: &Path, source: Source, owner: &User) -> Result<Binaries, String> {
    // A program may be a link into the directory of all of them (`/usr/local/bin/postgres`). If it is a link to a wrapper, as Debian's
    // `psql` is, the others are not next to it.
    let real = place
        .join("postgres")
        .canonicalize()
        .map_err(|_| "has no program `postgres`".to_owned())?;
    let dir = real
        .parent()
        .ok_or_else(|| "has no program `postgres`".to_owned())?
        .to_owned();
    if let Some(missing) = PROGRAMS.iter().find(|program| !dir.join(program).is_file()) {
        return Err(format!("has no program `{missing}`"));
    }
    if !process::user::can_reach(&real, owner) {
        return Err(format!("cannot be reached by the user {}", owner.name));
    }
    // The server needs more shared libraries than the other programs.
    let mut version = environment::scrub(Configuration::new("postgres", real)).args(["--version"]);
    version.run_as = Some(owner.clone());
    let output = capture(version, b"", Duration::from_secs(10))
        .await
        .map_err(|error| format!("does not run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match parse_version(&text) {
        Some((major, version)) if output.status.success() => Ok(Binaries {
            dir,
            major,
            version,
            source,
        }),
        _ => Err(format!("does not run: {}", output.stderr.trim())),
    }
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-1)` → 15 and `15.14`.
fn parse_version(text: &str) -> Option<(u32, String)> {
    let version = text.split(')').nth(1)?.split_whitespace().next()?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((digits.parse().ok()?, version.to_owned()))
}

/// Returns the newest installed client program of this name, with its version. The server does not have to be installed.
pub async fn newest_client(name: &str, explicit: Option<&Path>) -> Option<(PathBuf, u32, String)> {
    let mut newest: Option<(PathBuf, u32, String)> = None;
    let places = explicit
        .map(Path::to_owned)
        .into_iter()
        .chain(all_places(std::env::var_os("PATH")));
    for program in places
        .map(|place| place.join(name))
        .filter(|program| program.is_file())
    {
        let Some((major, version)) = client_version(client(&program)).await else {
            continue;
        };
        if newest.as_ref().is_none_or(|(_, newest, _)| major > *newest) {
            newest = Some((program, major, version));
        }
    }
    newest
}

/// Returns a client program of [`fetch::NEWEST`], from `cache` or by a download.
///
/// # Errors
/// No source has the version.
pub async fn downloaded_client(
    name: &str,
    cache: &Path,
    progress: Arc<dyn Progress>,
) -> Result<PathBuf, FetchError> {
    let cached = fetch::unpacked_in(cache, fetch::NEWEST)
        .join("bin")
        .join(name);
    if client_version(client(&cached)).await.is_some() {
        return Ok(cached);
    }
    Ok(
        fetch::fetch(fetch::NEWEST, cache, &fetch::Sources::default(), progress)
            .await?
            .join("bin")
            .join(name),
    )
}

/// Returns the configuration of a client program, without the environment variables that change its result.
pub fn client(program: impl Into<PathBuf>) -> Configuration {
    let program = program.into();
    let name = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    environment::scrub(Configuration::new(name, program))
}

/// Returns the version of a client program: 15 and `15.14`. `None` if it does not run.
pub async fn client_version(client: Configuration) -> Option<(u32, String)> {
    let output = capture(client.args(["--version"]), b"", Duration::from_secs(10))
        .await
        .ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout)).filter(|_| output.status.success())
}

/// Returns the folders with a server.
fn installed_places(path: Option<OsString>) -> Vec<PathBuf> {
    all_places(path)
        .into_iter()
        .filter(|place| place.join("postgres").exists())
        .collect()
}

/// Returns `PATH`, then the folders in which the packages of each system install PostgreSQL.
fn all_places(path: Option<OsString>) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = path.iter().flat_map(std::env::split_paths).collect();
    let by_version = [
        ("/usr/lib/postgresql", ""),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql"),
        ("/Applications/Postgres.app/Contents/Versions", ""),
        ("/usr", "pgsql-"),
    ];
    for (folder, prefix) in by_version {
        let mut found: Vec<_> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .map(|entry| entry.path().join("bin"))
            .collect();
        found.sort();
        places.append(&mut found);
    }
    places.retain(|place| place.is_absolute());
    places
}
