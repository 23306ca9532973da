//! PostgreSQL's programs on this machine, or from the network.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::environment;
use crate::fetch::{self, FetchError, Progress};
use process::owner::Owner;
use process::{Configuration, capture};

/// The oldest major that serves.
pub const OLDEST_MAJOR: u32 = 15;
/// The major of the Compose file's image: preferred, so that both engines run the same.
pub const PREFERRED_MAJOR: u32 = 15;

/// What has to stand together in one directory: a dump or a server of another build than its client fails in odd ways.
const PROGRAMS: [&str; 6] = [
    "initdb",
    "postgres",
    "pg_ctl",
    "psql",
    "pg_dump",
    "pg_restore",
];

/// PostgreSQL's programs, all of one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// The directory.
    pub dir: PathBuf,
    /// The major version, such as 15.
    pub major: u32,
    /// The whole version, such as `15.14`.
    pub version: String,
    /// How they were found.
    pub source: Source,
}

/// How programs were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `POSTGRES_BIN_DIR` names them.
    Setting,
    /// Installed on this machine.
    Installed,
    /// Downloaded earlier.
    Cache,
    /// Downloaded now.
    Download,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setting => "of POSTGRES_BIN_DIR",
            Self::Installed => "installed",
            Self::Cache | Self::Download => "downloaded",
        })
    }
}

impl Binaries {
    /// Any of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// `psql`.
    pub fn psql(&self) -> PathBuf {
        self.program("psql")
    }
}

/// Why there are no programs.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// `POSTGRES_BIN_DIR` names a directory that does not serve.
    #[error("POSTGRES_BIN_DIR is {}, {reason}. Set it to the directory that holds {}, or to nothing to search for one", dir.display(), PROGRAMS.join(", "))]
    Setting {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The database was made by a major that is not here.
    #[error(
        "the database was made by PostgreSQL {needed}, which is not on this machine{}. Install PostgreSQL {needed}, or set POSTGRES_BIN_DIR to its programs",
        found_instead(found)
    )]
    NoSuchMajor {
        /// The database's major.
        needed: u32,
        /// What is here instead.
        found: Vec<String>,
    },
    /// None is installed, and none could be downloaded.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

fn found_instead(found: &[String]) -> String {
    if found.is_empty() {
        String::new()
    } else {
        format!(" ({})", found.join(", "))
    }
}

/// Where to look.
#[derive(Clone)]
pub struct Search {
    /// `POSTGRES_BIN_DIR`: then nothing else counts.
    pub explicit: Option<PathBuf>,
    /// Directories where an installed PostgreSQL may be, best first.
    pub places: Vec<PathBuf>,
    /// The cache of downloads, see [`fetch::cache_dir`].
    pub cache: PathBuf,
    /// The major of an existing data directory, see [`crate::cluster::major_of`].
    pub needed_major: Option<u32>,
    /// Who has to be able to run them.
    pub owner: Owner,
    /// Where a download may come from.
    pub sources: fetch::Sources,
}

impl Search {
    /// The usual places of this machine.
    pub fn new(explicit: Option<PathBuf>, needed_major: Option<u32>, owner: Owner) -> Self {
        Self {
            explicit,
            places: installed_places(std::env::var_os("PATH")),
            cache: fetch::cache_dir(),
            needed_major,
            owner,
            sources: fetch::Sources::default(),
        }
    }
}

/// Finds the programs, or downloads them.
pub async fn find(search: &Search, progress: Arc<dyn Progress>) -> Result<Binaries, FindError> {
    if let Some(dir) = &search.explicit {
        return explicit(dir, search).await;
    }
    let wanted = search.needed_major.unwrap_or(PREFERRED_MAJOR);
    let mut others: Vec<Binaries> = Vec::new();
    for place in &search.places {
        match look_at(place, Source::Installed, &search.owner).await {
            Ok(binaries) if binaries.major == wanted => return Ok(binaries),
            // The PATH often leads to one directory in several ways.
            Ok(binaries) if !others.contains(&binaries) => others.push(binaries),
            Ok(_) | Err(_) => {}
        }
    }
    if search.needed_major.is_none() {
        // No data yet, and several others: the newest, as a user would expect.
        let usable = others
            .iter()
            .filter(|binaries| binaries.major >= OLDEST_MAJOR);
        if let Some(newest) = usable.max_by_key(|binaries| binaries.major) {
            return Ok(newest.clone());
        }
    }
    if wanted != fetch::MAJOR {
        let found = others
            .iter()
            .map(|other| format!("{} is, in {}", other.version, other.dir.display()))
            .collect();
        return Err(FindError::NoSuchMajor {
            needed: wanted,
            found,
        });
    }
    let cached = fetch::unpacked_in(&search.cache, fetch::VERSION).join("bin");
    if let Ok(binaries) = look_at(&cached, Source::Cache, &search.owner).await {
        return Ok(binaries);
    }
    let unpacked = fetch::fetch(fetch::VERSION, &search.cache, &search.sources, progress).await?;
    look_at(&unpacked.join("bin"), Source::Download, &search.owner)
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
    let wrong = |reason: String| FindError::Setting {
        dir: dir.to_owned(),
        reason,
    };
    let binaries = look_at(dir, Source::Setting, &search.owner)
        .await
        .map_err(|reason| wrong(format!("which {reason}")))?;
    match search.needed_major {
        Some(needed) if needed != binaries.major => Err(wrong(format!(
            "which is PostgreSQL {}, and the database was made by {needed}",
            binaries.version
        ))),
        None if binaries.major < OLDEST_MAJOR => Err(wrong(format!(
            "which is PostgreSQL {}, and {OLDEST_MAJOR} is the oldest that serves",
            binaries.version
        ))),
        _ => Ok(binaries),
    }
}

/// The programs in `place`, or what is wrong with it as the end of a sentence that begins with "which".
async fn look_at(place: &Path, source: Source, owner: &Owner) -> Result<Binaries, String> {
    // A program may be a link into the directory where all of them are (`/usr/local/bin/postgres`). Where it is a link to a
    // wrapper instead (Debian's `psql`), the others are not beside it.
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
    if !process::owner::can_reach(&real, owner) {
        return Err(format!("the user {} cannot reach", owner.name));
    }
    // The server rather than another: it is the one that needs most shared libraries.
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

/// Returns a client program of the newest downloadable PostgreSQL, from the cache or by a download.
///
/// # Errors
/// No source has the version.
pub async fn downloaded_client(
    name: &str,
    progress: Arc<dyn Progress>,
) -> Result<PathBuf, FetchError> {
    let cache = fetch::cache_dir();
    let cached = fetch::unpacked_in(&cache, fetch::NEWEST)
        .join("bin")
        .join(name);
    if client_version(client(&cached)).await.is_some() {
        return Ok(cached);
    }
    Ok(
        fetch::fetch(fetch::NEWEST, &cache, &fetch::Sources::default(), progress)
            .await?
            .join("bin")
            .join(name),
    )
}

/// Creates a client program of this machine, with a clean environment.
pub fn client(program: impl Into<PathBuf>) -> Configuration {
    let program = program.into();
    let name = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    environment::scrub(Configuration::new(name, program))
}

/// Returns the version of a client program: 15 and `15.14`.
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
