//! All the tests, on a PostgreSQL that is made for them and thrown away.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use emotionviz_settings::{DatabaseUrl, declared};
use nix::sys::statvfs::statvfs;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::build::cargo;
use crate::database::location;
use crate::database::session;
use crate::database::throw_away::{self, pid_file};
use crate::project::configuration::Tool;
use crate::report::events::Events;
use crate::{Environment, Error};
use local_postgres::server::Server;
use local_postgres::{Durability, socket_dir};
use process::owner::Owner;
use process::{Configuration, PidFile, capture, on_terminal};

const PREFIX: &str = "emotionviz-test-";
const PROBE_BOUND: Duration = Duration::from_secs(60);

/// A server for tests. End it: it and its files are gone then.
pub struct TestServer {
    url: DatabaseUrl,
    server: Server,
    // After the server: its files go when it does not need them any more.
    _room: Room,
}

impl TestServer {
    /// Makes and starts one. It shares nothing with the development database, which may run or not.
    ///
    /// # Errors
    /// There is no PostgreSQL, or it does not start.
    pub async fn start(environment: &Environment, events: &Events) -> Result<Self, Error> {
        let tool: Tool = environment.configuration.tool(&environment.checkout)?;
        let owner = Owner::of_checkout(environment.checkout.root())?;
        let place = location::Place {
            owner: owner.clone(),
            data_dir: PathBuf::new(),
            exists: false,
        };
        let binaries = location::binaries(&tool, Some(&place), events).await?;
        events.phase(format!(
            "making a throw-away database with PostgreSQL {}",
            binaries.version
        ));
        let temporary = temporary();
        sweep(&temporary, &owner);
        let room = Room::new(&temporary).map_err(|e| Error::io("write", &temporary, e))?;
        let folder = room.folder.path();
        // The server may run as somebody else, who has to get through; its data directory is closed.
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755))
            .map_err(|e| Error::io("write", folder, e))?;
        let socket_dir = socket_folder(folder, &owner);
        let (server, cluster) =
            throw_away::start(folder, binaries, owner, socket_dir, Durability::Test).await?;
        Ok(Self {
            url: session::owners_url(&cluster),
            server,
            _room: room,
        })
    }

    /// The superuser's URL.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Ends it.
    ///
    /// # Errors
    /// It does not stop.
    pub async fn stop(self) -> Result<(), Error> {
        Ok(self.server.stop().await?)
    }
}

/// Runs the tests on the terminal: those whose names hold a filter, or all; `args` go to the test programs.
///
/// # Errors
/// cargo cannot be started.
pub async fn run(
    environment: &Environment,
    server: &TestServer,
    filters: &[String],
    args: &[String],
) -> Result<ExitStatus, Error> {
    let root = environment.checkout.root();
    let mut cargo = cargo(root);
    cargo = if has_nextest(root).await {
        let cargo = cargo.args(["nextest", "run", "--workspace"]).args(filters);
        if args.is_empty() {
            cargo
        } else {
            cargo.args(["--"]).args(args)
        }
    } else {
        cargo
            .args(["test", "--workspace", "--"])
            .args(filters)
            .args(args)
    };
    Ok(on_terminal(cargo.env("TEST_DATABASE_URL", server.url.to_secret().expose_secret())).await?)
}

/// cargo without the settings of whoever types: a test sets what it needs.
fn cargo(root: &Path) -> Configuration {
    let mut cargo = cargo::cargo(root);
    cargo
        .env
        .extend(declared::ALL.iter().map(|info| (info.name.into(), None)));
    cargo
}

async fn has_nextest(root: &Path) -> bool {
    let probe = capture(
        cargo::cargo(root).args(["nextest", "--version"]),
        b"",
        PROBE_BOUND,
    )
    .await;
    probe.is_ok_and(|output| output.status.success())
}

/// Memory where there is enough of it: a test's database is made and removed again, which keeps a disk busy for nothing.
fn temporary() -> PathBuf {
    const ENOUGH: u64 = 2 << 30;
    let memory = PathBuf::from("/dev/shm");
    // The types differ between systems.
    #[allow(clippy::useless_conversion)]
    let room = statvfs(&memory).map_or(0, |disk| {
        u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size()))
    });
    if room >= ENOUGH {
        memory
    } else {
        std::env::temp_dir()
    }
}

/// A folder that is locked for as long as somebody uses it, and so is known from one that a killed run left.
struct Room {
    folder: TempDir,
    // Closing the folder gives the lock back.
    _lock: File,
}

impl Room {
    fn new(temporary: &Path) -> std::io::Result<Self> {
        loop {
            let folder = tempfile::Builder::new()
                .prefix(PREFIX)
                .tempdir_in(temporary)?;
            let lock = match File::open(folder.path()) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            lock.lock()?;
            // Somebody may have swept it away before it was locked.
            if folder.path().exists() {
                return Ok(Self {
                    folder,
                    _lock: lock,
                });
            }
        }
    }
}

/// The folder of the socket of the server in `folder`. Not of the same name: both may lie in /tmp.
fn socket_folder(folder: &Path, owner: &Owner) -> PathBuf {
    let id = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .replace(PREFIX, "socket-");
    throw_away::socket_folder(&id, owner)
}

/// Removes what killed runs left, sockets included: nobody holds it locked, and no server lives in it.
fn sweep(temporary: &Path, owner: &Owner) {
    for entry in std::fs::read_dir(temporary).into_iter().flatten().flatten() {
        let path = entry.path();
        if !entry.file_name().to_string_lossy().starts_with(PREFIX)
            || !path.is_dir()
            || PidFile::is_held(&pid_file(&path))
        {
            continue;
        }
        if let Ok(folder) = File::open(&path)
            && folder.try_lock().is_ok()
            // Somebody else's stays.
            && std::fs::remove_dir_all(&path).is_ok()
        {
            socket_dir::remove(&socket_folder(&path, owner));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_runs_left_goes_sockets_included_and_what_is_used_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let owner = Owner::current().unwrap();
        let used = Room::new(temporary.path()).unwrap();
        // Killed while initdb was at work: there is no pid file yet.
        let left = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(temporary.path())
            .unwrap()
            .keep();
        std::fs::create_dir_all(left.join("postgres.new-x/data")).unwrap();
        let socket = socket_folder(&left, &owner);
        std::fs::create_dir(&socket).unwrap();
        std::fs::write(socket.join(".s.PGSQL.5432"), "").unwrap();
        std::fs::create_dir(temporary.path().join("somebody-elses")).unwrap();

        sweep(temporary.path(), &owner);
        assert!(!left.exists() && !socket.exists());
        assert!(used.folder.path().exists() && temporary.path().join("somebody-elses").exists());
        let path = used.folder.path().to_owned();
        drop(used);
        assert!(!path.exists());
    }
}
