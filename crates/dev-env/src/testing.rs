//! All the tests, on a PostgreSQL that is made for them and thrown away.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use emotionviz_settings::{DatabaseUrl, declared};
use nix::sys::statvfs::statvfs;
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

use crate::configuration::{self, Tool};
use crate::events::Events;
use crate::owner::Owner;
use crate::postgres::server::Server;
use crate::postgres::{ClusterConfig, Durability, cluster, socket_dir};
use crate::process::{Configuration, PidFile, capture, on_terminal};
use crate::{Environment, Error, database, ports, service, session};

const PREFIX: &str = "emotionviz-test-";
const PID_FILE: &str = "postgres.pid";
const PROBE_BOUND: Duration = Duration::from_secs(60);

/// A server for tests. End it: it and its files are gone then.
pub struct TestServer {
    url: DatabaseUrl,
    server: Server,
    // After the server: its files go when it does not need them any more.
    _folder: TempDir,
}

impl TestServer {
    /// Makes and starts one. It shares nothing with the development database, which may run or not.
    ///
    /// # Errors
    /// There is no PostgreSQL, or it does not start.
    pub async fn start(environment: &Environment, events: &Events) -> Result<Self, Error> {
        let tool: Tool = environment.configuration.tool(&environment.checkout)?;
        let owner = Owner::of_checkout(environment.checkout.root())?;
        let place = database::Place { owner: owner.clone(), data_dir: PathBuf::new(), exists: false };
        let binaries = database::binaries(&tool, Some(&place), events).await?;
        events.phase(format!("making a throw-away database with PostgreSQL {}", binaries.version));
        let temporary = temporary();
        sweep(&temporary);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&temporary).map_err(|e| Error::io("write", &temporary, e))?;
        // The server may run as somebody else, who has to get through; its data directory is closed.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).map_err(|e| Error::io("write", folder.path(), e))?;
        // Not the folder's own name: both may lie in /tmp.
        let id = folder.path().file_name().unwrap_or_default().to_string_lossy().replace(PREFIX, "socket-");
        let cluster = ClusterConfig {
            binaries,
            data_dir: folder.path().join("postgres"),
            socket_dir: socket_dir::choose(&id, std::env::var_os("XDG_RUNTIME_DIR").as_deref(), &owner),
            pid_file: folder.path().join(PID_FILE),
            port: ports::free_port()?,
            superuser: "emotionviz".to_owned(),
            password: SecretString::from(configuration::generate()),
            api_password: SecretString::from(configuration::generate()),
            database: "emotionviz_test".to_owned(),
            init_scripts: None,
            owner,
            durability: Durability::Test,
            sink: None,
        };
        cluster::initialise(&cluster).await?;
        let server = Server::start(&cluster).await?;
        Ok(Self { url: session::owners_url(&cluster), server, _folder: folder })
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
pub async fn run(environment: &Environment, server: &TestServer, filters: &[String], args: &[String]) -> Result<ExitStatus, Error> {
    let root = environment.checkout.root();
    let mut cargo = cargo(root);
    cargo = if has_nextest(root).await {
        let cargo = cargo.args(["nextest", "run", "--workspace"]).args(filters);
        if args.is_empty() { cargo } else { cargo.args(["--"]).args(args) }
    } else {
        cargo.args(["test", "--workspace", "--"]).args(filters).args(args)
    };
    Ok(on_terminal(cargo.env("TEST_DATABASE_URL", server.url.to_secret().expose_secret())).await?)
}

/// cargo without the settings of whoever types: a test sets what it needs.
fn cargo(root: &Path) -> Configuration {
    let mut cargo = service::cargo(root);
    cargo.env.extend(declared::ALL.iter().map(|info| (info.name.into(), None)));
    cargo
}

async fn has_nextest(root: &Path) -> bool {
    let probe = capture(service::cargo(root).args(["nextest", "--version"]), b"", PROBE_BOUND).await;
    probe.is_ok_and(|output| output.status.success())
}

/// Memory where there is enough of it: a test's database is made and removed again, which keeps a disk busy for nothing.
fn temporary() -> PathBuf {
    const ENOUGH: u64 = 2 << 30;
    let memory = PathBuf::from("/dev/shm");
    // The types differ between systems.
    #[allow(clippy::useless_conversion)]
    let room = statvfs(&memory).map_or(0, |disk| u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size())));
    if room >= ENOUGH { memory } else { std::env::temp_dir() }
}

/// Removes what killed runs left: nobody holds its pid file any more.
fn sweep(temporary: &Path) {
    const OLD: Duration = Duration::from_secs(60);
    for entry in std::fs::read_dir(temporary).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        // One that is just being made has no pid file yet.
        let is_old = || entry.metadata().and_then(|m| m.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|age| age > OLD));
        if is_ours && is_old() && path.join(PID_FILE).exists() && !PidFile::is_held(&path.join(PID_FILE)) {
            // Somebody else's stays.
            let _not_ours = std::fs::remove_dir_all(&path);
        }
    }
}
