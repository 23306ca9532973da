//! A folder with the configuration of a server for each test, removed at its end.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use local_postgres::find::{Search, find};
use local_postgres::psql::{Psql, PsqlError};
use local_postgres::server::Server;
use local_postgres::{
    AppRole, Binaries, ClusterConfig, Durability, cluster, fetch, server_user, socket_dir,
};
use nix::sys::statvfs::statvfs;
use process::ports::free_port;
use process::user::User;
use tempfile::TempDir;

pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Scratch {
    pub(crate) folder: TempDir,
    pub(crate) config: ClusterConfig,
    pub(crate) log: Arc<Mutex<Vec<String>>>,
}

/// In memory, if there is enough: a data directory has a thousand files, and ext4 creates files slowly for minutes after many were deleted.
#[allow(clippy::useless_conversion)] // The types differ between systems.
fn base() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let plenty = statvfs(memory)
        .is_ok_and(|disk| u64::from(disk.blocks_available()) * disk.fragment_size() > 2 << 30);
    if plenty {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

pub(crate) async fn binaries(owner: &User) -> Binaries {
    let search = Search::new(fetch::cache_dir("local-postgres-tests"), owner.clone());
    find(&search, Arc::new(())).await.unwrap()
}

impl Scratch {
    /// Returns a configuration in a folder that the server's user can reach. The folder is empty.
    pub(crate) async fn new() -> Self {
        Self::called("place").await
    }

    pub(crate) async fn called(name: &str) -> Self {
        let folder = tempfile::tempdir_in(base()).unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).unwrap();
        let config = config_in(&folder.path().join(name)).await;
        let log = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&log);
        let sink = move |_, line: &str| heard.lock().unwrap().push(line.to_owned());
        Self {
            folder,
            config: ClusterConfig {
                sink: Some(Arc::new(sink)),
                ..config
            },
            log,
        }
    }

    pub(crate) async fn initialised() -> Self {
        let scratch = Self::new().await;
        cluster::initialise(&scratch.config).await.unwrap();
        scratch
    }

    pub(crate) async fn start(&self) -> Server {
        Server::start(&self.config).await.unwrap()
    }

    /// Adds an init script.
    pub(crate) fn script(&mut self, name: &str, text: &str, mode: u32) {
        let folder = self.folder.path().join("init-scripts");
        std::fs::create_dir_all(&folder).unwrap();
        let script = folder.join(name);
        write_program(&script, text, mode);
        self.config.init_scripts = Some(folder);
    }

    pub(crate) fn app(&self) -> Psql {
        let role = &self.config.app_role;
        self.config.psql_over_tcp(&role.name, &role.password)
    }

    pub(crate) fn owner_over_tcp(&self) -> Psql {
        self.config
            .psql_over_tcp(&self.config.superuser, &self.config.password)
    }

    /// Asserts that the folder of the data directory is empty, and that no server runs.
    pub(crate) fn assert_nothing_left(&self) {
        let parent = self.config.data_dir.parent().unwrap();
        let left: Vec<_> = std::fs::read_dir(parent)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(!self.config.socket_dir.exists());
    }
}

pub(crate) async fn config_in(folder: &Path) -> ClusterConfig {
    let owner = server_user(Path::new("/")).unwrap();
    ClusterConfig {
        binaries: binaries(&owner).await,
        data_dir: folder.join("data/postgres"),
        socket_dir: socket_dir::choose(
            &format!(
                "local-postgres-test-{}",
                &process::files::sha256(folder.as_os_str().as_encoded_bytes())[..12]
            ),
            None,
            &owner,
        ),
        pid_file: folder.join("run/postgres.pid"),
        port: free_port().unwrap(),
        superuser: "owner".to_owned(),
        password: r#"it's "a" \ $pass:word' ü"#.into(),
        app_role: AppRole {
            name: "app".to_owned(),
            password: "another-\\'one".into(),
        },
        database: "app_db".to_owned(),
        init_scripts: None,
        owner,
        durability: Durability::Disposable,
        sink: None,
    }
}

pub(crate) async fn run(psql: &Psql, sql: &str) -> Result<String, PsqlError> {
    psql.run(sql, SOON).await
}

pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "it does not happen: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn lives(pid: u32) -> bool {
    PathBuf::from(format!("/proc/{pid}/cwd"))
        .read_link()
        .is_ok()
}

/// Writes a program. Another process writes it, because a child that another test starts at the same time would inherit the open file, and
/// the system does not run a file that is open for writing (ETXTBSY in execve(2)).
pub(crate) fn write_program(path: &Path, text: &str, mode: u32) {
    let script = r#"printf %s "$1" > "$2" && chmod "$3" "$2""#;
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", script, "sh", text])
        .arg(path)
        .arg(format!("{mode:o}"))
        .status()
        .unwrap();
    assert!(status.success());
}
