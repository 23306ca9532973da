//! A checkout of its own for each test, and what is needed to look at it from outside.

pub(crate) mod command;
#[path = "../../shared/finished.rs"]
mod finished;
#[path = "../../shared/load.rs"]
pub(crate) mod load;
pub(crate) mod processes;
pub(crate) mod small_disk;
#[path = "../../shared/waiting.rs"]
mod waiting;

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

pub(crate) use command::Running;
pub(crate) use finished::Finished;
use serde_json::Value;
use tempfile::TempDir;
pub(crate) use waiting::eventually;

/// Longer than anything here takes, on a machine that compiles at the same time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(10);

/// A checkout that a test may do anything to. When it is dropped nothing of it runs any more, or the test fails.
pub(crate) struct Scratch {
    folder: TempDir,
    root: PathBuf,
    variables: Vec<(OsString, OsString)>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self::named("checkout")
    }

    /// In a folder of this name.
    pub(crate) fn named(name: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("dev-cli-")
            .tempdir()
            .unwrap();
        // A root user's server runs as somebody else, who has to get through.
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let root = folder.path().canonicalize().unwrap().join(name);
        let source = workspace();
        for file in ["Cargo.toml", ".gitignore", "backend/.env.example"] {
            copy(&source.join(file), &root.join(file));
        }
        for entry in fs::read_dir(source.join("backend/db/migrations")).unwrap() {
            let path = entry.unwrap().path();
            copy(
                &path,
                &root
                    .join("backend/db/migrations")
                    .join(path.file_name().unwrap()),
            );
        }
        let mut scratch = Self {
            folder,
            root,
            variables: Vec::new(),
        };
        scratch.set("SERVICE_BINARY", service_binary());
        // Any free port: tests run beside each other, and beside a real environment.
        scratch.set("API_PORT", "0");
        scratch.set("POSTGRES_PORT", "0");
        scratch
    }

    /// With all sources, to be built, in a folder whose name has to be quoted. What they depend on is taken from where cargo has built it
    /// beside this test.
    pub(crate) fn with_sources() -> Self {
        let mut scratch = Self::named("a checkout's folder");
        let list = [
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ];
        let listed = Command::new("git")
            .args(list)
            .current_dir(workspace())
            .output()
            .unwrap();
        assert!(listed.status.success(), "{listed:?}");
        let names = String::from_utf8(listed.stdout).unwrap();
        for file in names
            .split('\0')
            .filter(|name| !name.is_empty() && workspace().join(name).is_file())
        {
            copy(&workspace().join(file), &scratch.path(file));
        }
        scratch.set("CARGO_BUILD_BUILD_DIR", built());
        scratch.set("CARGO_TARGET_DIR", scratch.path("target"));
        scratch.set("SERVICE_BINARY", "");
        scratch
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
        self.folder.path()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    /// An executable shell script.
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
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "-H",
            "content-type: application/json",
            "-d",
            &format!("{{\"email\":\"{email}\",\"password\":\"{password}\"}}"),
        ]);
        curl.arg(format!(
            "http://127.0.0.1:{}/api/v1/auth/login",
            self.port("api")
        ));
        Running::start(curl).finish().stdout
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
        // What was built of this checkout, in the folder that all of them share: nobody looks at it again.
        if let Ok(checkout) = dev_env::Checkout::find(&self.root) {
            let _none_without_sources =
                fs::remove_file(built().join(format!("sources-{}", checkout.hash())));
        }
    }
}

/// The answer to `GET path` on this machine, head and body.
pub(crate) fn get(port: u16, path: &str) -> String {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    ask().unwrap_or_else(|error: std::io::Error| format!("no answer: {error}"))
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

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}
