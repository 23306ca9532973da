//! A checkout of its own for each test, and what is needed to look at it from outside.

pub(crate) mod command;
#[path = "../../shared/finished.rs"]
mod finished;
#[path = "../../shared/http.rs"]
mod http;
#[path = "../../shared/load.rs"]
pub(crate) mod load;
pub(crate) mod processes;
#[path = "../../shared/waiting.rs"]
mod waiting;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(crate) use command::Running;
pub(crate) use finished::Finished;
use http::{post_json, request};
use local_postgres::fetch::Progress;
use local_postgres::find::{Binaries, Search};
use process::locked_temp::LockedTemp;
use serde_json::Value;
pub(crate) use waiting::eventually;

/// Longer than anything here takes, on a machine that compiles at the same time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(10);
const TIMEOUT: Duration = Duration::from_secs(5);

/// A checkout that a test may do anything to. When it is dropped nothing of it runs any more, or the test fails.
pub(crate) struct Scratch {
    folder: PathBuf,
    root: PathBuf,
    variables: Vec<(OsString, OsString)>,
    // Removed at the end, or given to the next test.
    keeper: Keeper,
}

enum Keeper {
    Temporary(#[expect(dead_code, reason = "the folder is removed with it")] LockedTemp),
    Prepared(#[expect(dead_code, reason = "the lock is released with it")] File),
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self::named("checkout")
    }

    /// In a folder of this name.
    pub(crate) fn named(name: &str) -> Self {
        let folder = LockedTemp::new(&std::env::temp_dir(), "dev-cli-test-").unwrap();
        let path = folder.path().canonicalize().unwrap();
        let scratch = Self::in_folder(path, name, Keeper::Temporary(folder));
        let source = workspace();
        for file in ["Cargo.toml", ".gitignore", "backend/.env.example"] {
            copy(&source.join(file), &scratch.path(file));
        }
        for entry in fs::read_dir(source.join("backend/db/migrations")).unwrap() {
            let path = entry.unwrap().path();
            let migrations = scratch.path("backend/db/migrations");
            copy(&path, &migrations.join(path.file_name().unwrap()));
        }
        scratch
    }

    fn in_folder(folder: PathBuf, name: &str, keeper: Keeper) -> Self {
        // A root user's server runs as somebody else, who has to get through.
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        let mut scratch = Self {
            root: folder.join(name),
            folder,
            variables: Vec::new(),
            keeper,
        };
        scratch.set("SERVICE_BINARY", service_binary());
        // Any free port: tests run beside each other, and beside a real environment.
        scratch.set("API_PORT", "0");
        scratch.set("POSTGRES_PORT", "0");
        scratch
    }

    /// With all sources, to be built, in a folder whose name has to be quoted. What they depend on is taken from where cargo has built it
    /// beside this test. `None` without git, which lists the sources.
    pub(crate) fn with_sources() -> Option<Self> {
        let sources = sources()?;
        let mut scratch = Self::named("a checkout's folder");
        scratch.build_from(&sources);
        Some(scratch)
    }

    /// The same in a folder that tests use in turn: only what the last of them edited is compiled again.
    pub(crate) fn prepared() -> Option<Self> {
        let sources = sources()?;
        let hash = dev_env::Checkout::find(&workspace())
            .unwrap()
            .hash()
            .to_owned();
        let folder = std::env::temp_dir().join(format!("emotionviz-prepared-{hash}"));
        fs::create_dir_all(&folder).unwrap();
        let turn = File::create(folder.join("lock")).unwrap();
        turn.lock().unwrap();
        let folder = folder.canonicalize().unwrap();
        let mut scratch = Self::in_folder(folder, "a checkout's folder", Keeper::Prepared(turn));
        let kept = |path: &Path| {
            let name = path.strip_prefix(&scratch.root).unwrap();
            name.starts_with("target") || sources.contains(name)
        };
        remove_except(&scratch.root, &kept);
        scratch.build_from(&sources);
        Some(scratch)
    }

    /// Writes the sources that differ, as cargo detects changes by modification time.
    fn build_from(&mut self, sources: &BTreeSet<PathBuf>) {
        for file in sources {
            let (from, to) = (workspace().join(file), self.root.join(file));
            if fs::read(&from).unwrap() != fs::read(&to).unwrap_or_default() || !to.exists() {
                copy(&from, &to);
            }
        }
        self.set("CARGO_BUILD_BUILD_DIR", built());
        self.set("CARGO_TARGET_DIR", self.path("target"));
        self.set("SERVICE_BINARY", "");
    }

    /// A variable of the shell that commands are typed in; an empty value counts as not set.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.retain(|(n, _)| n != name);
        self.variables.push((name.into(), value.into()));
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A folder beside the checkout.
    pub(crate) fn beside(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    /// An executable shell script.
    /// Creates a program in the place of cargo: it builds as `text` says. The layout of the workspace comes from the real cargo.
    pub(crate) fn cargo(&self, text: &str) -> PathBuf {
        let cargo = env!("CARGO");
        let workspace = workspace();
        let metadata = format!(
            "case \"$1\" in metadata) cd '{}'; exec '{cargo}' \"$@\";; esac\n",
            workspace.display()
        );
        self.script("cargo", &(metadata + text))
    }

    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.beside().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// `cargo dev` with these words, typed in a folder of the checkout.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dev-cli"));
        command.args(args).current_dir(&self.root).env_clear();
        for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "TMPDIR"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.envs(self.variables.iter().cloned());
        command
    }

    /// Runs it to its end.
    pub(crate) fn dev(&self, args: &[&str]) -> Finished {
        Running::start(self.command(args)).finish()
    }

    /// Runs it, and expects it to succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> Finished {
        self.dev(args).expect_code(0)
    }

    /// Runs it with a file of the checkout as its standard input, and expects it to succeed.
    pub(crate) fn ok_reading(&self, args: &[&str], file: &str) -> Finished {
        Running::reading(self.command(args), fs::File::open(self.path(file)).unwrap())
            .finish()
            .expect_code(0)
    }

    /// Starts it.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }

    /// Starts everything in the background.
    pub(crate) fn up(&self) -> Finished {
        self.ok(&["up", "--detach"])
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.ok(&["status", "--json"]).stdout).unwrap()
    }

    /// What `status` says of a service.
    pub(crate) fn service(&self, name: &str) -> Value {
        let status = self.status();
        status["services"]
            .as_array()
            .unwrap()
            .iter()
            .find(|service| service["name"] == name)
            .unwrap()
            .clone()
    }

    pub(crate) fn pid(&self, service: &str) -> i32 {
        i32::try_from(self.service(service)["pid"].as_i64().unwrap()).unwrap()
    }

    pub(crate) fn port(&self, service: &str) -> u16 {
        u16::try_from(self.service(service)["port"].as_u64().unwrap()).unwrap()
    }

    /// Asks the API.
    pub(crate) fn get(&self, path: &str) -> String {
        get(self.port("api"), path)
    }

    /// What the API answers to a login.
    pub(crate) fn login(&self, email: &str, password: &str) -> String {
        let body = format!("{{\"email\":\"{email}\",\"password\":\"{password}\"}}");
        post_json(
            ("127.0.0.1", self.port("api")),
            "/api/v1/auth/login",
            &body,
            TIMEOUT,
        )
    }

    /// The version of the first migration.
    pub(crate) fn first_migration(&self) -> String {
        let names = fs::read_dir(self.path("backend/db/migrations"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.min().unwrap().split('_').next().unwrap().to_owned()
    }

    /// The folders of sockets that this checkout has; none when nothing runs.
    fn socket_folders(&self) -> Vec<PathBuf> {
        let Ok(checkout) = dev_env::Checkout::find(&self.root) else {
            return Vec::new();
        };
        let folder =
            |end: &str| Path::new("/tmp").join(format!("emotionviz-{}{end}", checkout.hash()));
        [folder(""), folder("-control")]
            .into_iter()
            .filter(|folder| folder.exists())
            .collect()
    }

    /// One value out of the development database.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.ok(&["db", "shell", "-c", &format!("COPY ({sql}) TO STDOUT")])
            .stdout
            .trim()
            .to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (pid, _) in processes::of(&self.root) {
                processes::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            self.socket_folders()
                .iter()
                .for_each(|folder| fs::remove_dir_all(folder).unwrap_or_default());
            return;
        }
        if !processes::of(&self.root).is_empty() {
            // A test that ends with something running ends it as a person would.
            let ended = self.dev(&["down"]);
            assert_eq!(ended.code, 0, "{ended}");
        }
        processes::expect_none(&self.root);
        assert_eq!(self.socket_folders(), Vec::<PathBuf>::new());
        // The note of what was built in this checkout, in the folder that all of them share.
        if let (Keeper::Temporary(_), Ok(checkout)) =
            (&self.keeper, dev_env::Checkout::find(&self.root))
        {
            let _none_without_sources =
                fs::remove_file(built().join(format!("sources-{}", checkout.hash())));
        }
    }
}

/// The answer to `GET path` on this machine, head and body.
pub(crate) fn get(port: u16, path: &str) -> String {
    get_from("127.0.0.1", port, path)
}

/// The same at another address.
pub(crate) fn get_from(host: &str, port: u16, path: &str) -> String {
    get_with((host, port), path, "")
}

/// The same with further headers, each with its line end.
pub(crate) fn get_with(address: (&str, u16), path: &str, headers: &str) -> String {
    let head = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    request(address, &format!("GET {path} {head}{headers}\r\n"), TIMEOUT)
}

/// A port that is taken for as long as the listener lives.
pub(crate) fn taken_port() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// The service, built unless cargo has built it beside this test already.
pub(crate) fn service_binary() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let binary = Path::new(env!("CARGO_BIN_EXE_dev-cli")).with_file_name("emotionviz");
        if !binary.is_file() {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let status = Command::new(cargo)
                .args(["build", "--package", "emotionviz"])
                .current_dir(workspace())
                .status()
                .unwrap();
            assert!(status.success(), "the service does not compile");
        }
        binary
    };
    BUILT.get_or_init(build).clone()
}

/// Where cargo has built what is tested, and all that it depends on.
pub(crate) fn built() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_dev-cli"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_owned()
}

/// The checkout that the tests are of.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// A download without a display.
struct Silent;

impl Progress for Silent {
    fn source(&self, _: &str) {}
    fn bytes(&self, _: u64, _: u64) {}
    fn failed(&self, _: &str, _: &str) {}
}

/// The programs of the PostgreSQL that `cargo dev` uses on this machine.
pub(crate) fn postgres(program: &str) -> Command {
    static FOUND: OnceLock<Binaries> = OnceLock::new();
    let find = || {
        let owner = local_postgres::server_user(&workspace()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime
            .block_on(local_postgres::find::find(
                &Search::new(local_postgres::fetch::cache_dir("emotionviz"), owner),
                Arc::new(Silent),
            ))
            .unwrap()
    };
    let path = FOUND.get_or_init(find).program(program);
    // Other programs are in the PATH.
    Command::new(if path.exists() { path } else { program.into() })
}

/// The files that git has, and those that it would have. `None` without git.
fn sources() -> Option<BTreeSet<PathBuf>> {
    if !test_needs::program("git", "apt install git") {
        return None;
    }
    let listed = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let names = String::from_utf8(listed.stdout).unwrap();
    Some(
        names
            .split_terminator('\0')
            .map(PathBuf::from)
            .filter(|name| workspace().join(name).is_file())
            .collect(),
    )
}

/// Removes the files of a folder and of those below it, except those to keep.
fn remove_except(folder: &Path, kept: &impl Fn(&Path) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        if kept(&entry.path()) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            remove_except(&entry.path(), kept);
            // Not empty if something in it is kept.
            let _kept = fs::remove_dir(entry.path());
        } else {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}
