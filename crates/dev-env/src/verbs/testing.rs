//! All the tests, on a PostgreSQL that is made for them and thrown away.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use emotionviz_settings::{DatabaseUrl, declared};
use secrecy::ExposeSecret;

use crate::build::cargo;
use crate::database::throw_away::{self, pid_file};
use crate::database::{location, session};
use crate::project::configuration::Tool;
use crate::report::events::Events;
use crate::{Environment, Error};
use local_postgres::server::Server;
use local_postgres::{Durability, socket_dir};
use process::locked_temp::{Contents, LockedTemp, leftovers};
use process::user::User;
use process::{Configuration, PidFile, capture, disk, on_terminal};
use test_needs::Skipped;

const PREFIX: &str = "emotionviz-test-";
const PROBE_BOUND: Duration = Duration::from_secs(60);

/// A server for tests. End it: it and its files are gone then.
pub struct TestServer {
    url: DatabaseUrl,
    server: Server,
    // Dropped after the server, which uses its files.
    room: LockedTemp,
}

impl TestServer {
    /// Makes and starts one. It shares nothing with the development database, which may run or not.
    ///
    /// # Errors
    /// There is no PostgreSQL, or it does not start.
    pub async fn start(environment: &Environment, events: &Events) -> Result<Self, Error> {
        let tool: Tool = environment.configuration.tool(&environment.checkout)?;
        let owner = local_postgres::server_user(environment.checkout.root())?;
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
        let room = LockedTemp::create(&temporary, PREFIX, Contents::All)
            .map_err(|e| Error::io("write", &temporary, e))?;
        let folder = room.path();
        // The server may run as somebody else, who has to get through; its data directory is closed.
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755))
            .map_err(|e| Error::io("write", folder, e))?;
        let socket_dir = socket_folder(folder, &owner);
        let (server, cluster) =
            throw_away::start(folder, binaries, owner, socket_dir, Durability::Disposable).await?;
        Ok(Self {
            url: session::owners_url(&cluster),
            server,
            room,
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

/// Which tests run.
#[derive(Debug, Default)]
pub struct Selection {
    /// Parts of test names; all tests if it is empty.
    pub filters: Vec<String>,
    /// Whether the tests that are marked `#[ignore]` run, too.
    pub all: bool,
    /// Arguments of the test programs.
    pub args: Vec<String>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    pub passed: bool,
    /// The tests that need what this machine lacks.
    pub skipped: Vec<Skipped>,
}

/// Runs the tests on the terminal.
///
/// # Errors
/// cargo cannot be started.
pub async fn run(
    environment: &Environment,
    server: &TestServer,
    selection: &Selection,
) -> Result<Outcome, Error> {
    let root = environment.checkout.root();
    let report = server.room.path().join("skipped");
    let cargo = arguments(cargo(root), has_nextest(root).await, selection)
        .env("TEST_DATABASE_URL", server.url.to_secret().expose_secret())
        .env(test_needs::REPORT, &report);
    Ok(Outcome {
        passed: on_terminal(cargo).await?.success(),
        skipped: test_needs::read_report(&report).map_err(|e| Error::io("read", &report, e))?,
    })
}

fn arguments(cargo: Configuration, has_nextest: bool, selection: &Selection) -> Configuration {
    let Selection { filters, all, args } = selection;
    if has_nextest {
        let cargo = cargo.args(["nextest", "run", "--workspace"]);
        let cargo = cargo.args(all.then_some("--run-ignored=all")).args(filters);
        if args.is_empty() {
            cargo
        } else {
            cargo.args(["--"]).args(args)
        }
    } else {
        let cargo = cargo.args(["test", "--workspace", "--"]);
        cargo
            .args(all.then_some("--include-ignored"))
            .args(filters)
            .args(args)
    }
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
    if disk::free(&memory).is_some_and(|bytes| bytes >= ENOUGH) {
        memory
    } else {
        std::env::temp_dir()
    }
}

/// The folder of the socket of the server in `folder`. Not of the same name: both may lie in /tmp.
fn socket_folder(folder: &Path, owner: &User) -> PathBuf {
    let id = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .replace(PREFIX, "socket-");
    throw_away::socket_folder(&id, owner)
}

/// Removes the folders and sockets of killed runs. A server without its tool may still run in such a folder.
fn sweep(temporary: &Path, owner: &User) {
    for left in leftovers(temporary, PREFIX, Contents::All) {
        let path = left.path().to_owned();
        if PidFile::is_held(&pid_file(&path)) {
            left.keep();
            continue;
        }
        drop(left);
        // The folder of another user stays.
        if !path.exists() {
            socket_dir::remove(&socket_folder(&path, owner));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_sockets_of_killed_test_runs_are_removed_and_others_stay() {
        let temporary = tempfile::tempdir().unwrap();
        let owner = User::current().unwrap();
        let used = LockedTemp::create(temporary.path(), PREFIX, Contents::All).unwrap();
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
        assert!(used.path().exists() && temporary.path().join("somebody-elses").exists());
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
    }
}
