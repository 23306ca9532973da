//! A scratch checkout and the Compose project of it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Finished;
use super::docker::{self, docker, finish};
use super::{eventually, get, workspace};

/// Whose the scratch checkouts are where the tests run as root: anybody who is neither root nor the first user.
pub(crate) const OWNER: u32 = 1234;
const CARGO: &str = "emotionviz-test-cargo";
const TARGET: &str = "emotionviz-test-target";
/// Two idle processors compile everything in a third of this.
const FIRST_BUILD: Duration = Duration::from_secs(720);

/// A Compose project. When it is dropped, its containers, networks and volumes are gone.
pub(crate) struct Project {
    _folder: TempDir,
    root: PathBuf,
    name: String,
    variables: Vec<(OsString, OsString)>,
}

impl Project {
    /// A checkout as a clone of the repository has it; nothing runs yet. `None` where there is no Docker.
    pub(crate) fn new() -> Option<Self> {
        Self::of(Some(OWNER))
    }

    /// One that belongs to whoever runs the tests: root, in CI.
    pub(crate) fn of_this_user() -> Option<Self> {
        Self::of(None)
    }

    fn of(owner: Option<u32>) -> Option<Self> {
        if !docker::is_there() {
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix("emotionviz-docker-")
            .tempdir()
            .unwrap();
        let id = folder
            .path()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .to_lowercase()
            .replace('.', "");
        // A root user's PostgreSQL runs as somebody else, who has to get through.
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let root = folder.path().canonicalize().unwrap().join("check out");
        let mut project = Self {
            root,
            name: id,
            variables: Vec::new(),
            _folder: folder,
        };
        project.copy_sources();
        // Ports that are free, whatever runs on this machine.
        for port in ["API_PORT", "POSTGRES_PORT", "ADMINER_PORT"] {
            project.set(port, "0");
        }
        if let Some(owner) = owner.filter(|_| is_root()) {
            project.share_caches(CARGO, TARGET);
            project.give_to(owner);
        } else if is_root() {
            // Root without its privileges cannot write what belongs to somebody else.
            project.copy_caches();
        } else {
            project.share_caches(CARGO, TARGET);
        }
        let mut image = Command::new("docker");
        image.args(["image", "inspect", &image_name()]);
        if finish(image, b"").code != 0 {
            let built = project.compose(&["build", "--quiet", "api"]);
            assert_eq!(built.code, 0, "{built}");
        }
        Some(project)
    }

    /// The same, compiling into a copy of the shared cache: for tests that edit sources.
    pub(crate) fn with_caches_of_its_own() -> Option<Self> {
        let project = Self::new()?;
        project.copy_caches();
        Some(project)
    }

    fn own_caches(&self) -> [String; 2] {
        ["cargo", "target"].map(|cache| format!("{}-{cache}", self.name))
    }

    fn copy_caches(&self) {
        let [cargo, target] = self.own_caches();
        self.share_caches(CARGO, TARGET);
        self.share_caches(&cargo, &target);
        for (from, to) in [(CARGO, &cargo), (TARGET, &target)] {
            let (from, to) = (format!("{from}:/from:ro"), format!("{to}:/to"));
            // Not while cargo in another container writes there.
            let copy = format!(
                "fd=3; for lock in /from/.package-cache /from/*/.cargo-lock; do
                     [ -e \"$lock\" ] || continue; eval \"exec $fd<\\$lock; flock $fd\"; fd=$((fd + 1))
                 done; cp -a /from/. /to/ && chown -R {0}:{0} /to && chmod 777 /to",
                self.owner()
            );
            docker(&[
                "run",
                "--rm",
                "--network=none",
                "-v",
                &from,
                "-v",
                &to,
                "--entrypoint",
                "sh",
                "postgres:15-alpine",
                "-c",
                &copy,
            ]);
        }
    }

    /// What git has, times included: what did not change is not compiled again.
    fn copy_sources(&self) {
        let mut list = Command::new("git");
        list.args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(workspace());
        for name in finish(list, b"")
            .expect_code(0)
            .stdout
            .split_terminator('\0')
        {
            let (from, to) = (workspace().join(name), self.path(name));
            // A file that is deleted and not committed.
            let Ok(metadata) = fs::metadata(&from) else {
                continue;
            };
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&from, &to).unwrap();
            File::open(&to)
                .unwrap()
                .set_modified(metadata.modified().unwrap())
                .unwrap();
        }
    }

    /// Lets the project use these volumes for what is downloaded and built.
    fn share_caches(&self, cargo: &str, target: &str) {
        docker(&["volume", "create", cargo]);
        docker(&["volume", "create", target]);
        let text = format!(
            "services:\n  api:\n    image: {}\nvolumes:\n  cargo: {{ name: {cargo}, external: true }}\n  target: {{ name: {target}, external: true }}\n",
            image_name()
        );
        self.write("docker-compose.override.yml", &text);
    }

    fn give_to(&self, owner: u32) {
        let status = Command::new("chown")
            .args(["-R", &format!("{owner}:{owner}")])
            .arg(&self.root)
            .status()
            .unwrap();
        assert!(status.success());
        fs::set_permissions(&self.root, PermissionsExt::from_mode(0o755)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a file as an editor of the checkout's owner does.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        let owner = fs::metadata(&self.root).unwrap();
        chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    /// Replaces a text in a file.
    #[track_caller]
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} has no {from:?}");
        self.write(name, &text.replacen(from, to, 1));
    }

    pub(crate) fn owner_of(&self, name: &str) -> u32 {
        fs::symlink_metadata(self.path(name)).unwrap().uid()
    }

    /// The owner of the checkout.
    pub(crate) fn owner(&self) -> u32 {
        self.owner_of(".")
    }

    /// A variable of the shell that commands are typed in.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.into(), value.into()));
    }

    /// A variable that the shell does not have.
    pub(crate) fn unset(&mut self, name: &str) {
        self.variables.retain(|(known, _)| known != name);
    }

    /// `cargo dev` with these words, typed in the checkout.
    pub(crate) fn dev_command(&self, args: &[&str]) -> Command {
        let mut command = self.shell(env!("CARGO_BIN_EXE_dev-cli"));
        command.args(args);
        command
    }

    /// The same, run to its end.
    pub(crate) fn dev(&self, args: &[&str]) -> Finished {
        finish(self.dev_command(args), b"")
    }

    /// `docker compose` with these words, typed in the checkout.
    pub(crate) fn compose(&self, args: &[&str]) -> Finished {
        self.feed(args, b"")
    }

    /// The same with something on standard input.
    pub(crate) fn feed(&self, args: &[&str], input: &[u8]) -> Finished {
        let mut command = self.shell("docker");
        command.arg("compose").args(args);
        finish(command, input)
    }

    /// Lines of a shell, typed in the checkout; the first that fails is the last.
    pub(crate) fn typed(&self, lines: &str) -> Finished {
        let mut command = self.shell("bash");
        command.args(["-euo", "pipefail", "-c", lines]);
        finish(command, b"")
    }

    /// A program as the shell starts it.
    fn shell(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env_clear()
            .env("COMPOSE_PROJECT_NAME", &self.name);
        for name in [
            "PATH",
            "HOME",
            "DOCKER_HOST",
            "DOCKER_CONTEXT",
            "DOCKER_CONFIG",
        ] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.envs(self.variables.iter().cloned());
        command
    }

    /// The same; it has to succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> Finished {
        self.compose(args).expect_code(0)
    }

    /// `docker compose up -d --wait`, with the logs where it fails. Returns how long it took.
    #[track_caller]
    pub(crate) fn up(&self) -> Duration {
        let started = Instant::now();
        let bound = FIRST_BUILD.as_secs().to_string();
        let up = self.compose(&["up", "-d", "--wait", "--wait-timeout", &bound]);
        assert_eq!(up.code, 0, "{up}\n{}", self.logs());
        started.elapsed()
    }

    pub(crate) fn logs(&self) -> String {
        let logs = self.compose(&["logs", "--no-color"]);
        logs.stdout + &logs.stderr
    }

    /// Waits for a text in the logs.
    #[track_caller]
    pub(crate) fn logged(&self, text: &str) {
        eventually(&format!("{text:?} in the logs"), || {
            self.logs().contains(text).then_some(())
        });
    }

    /// A command in a container.
    #[track_caller]
    pub(crate) fn exec(&self, service: &str, command: &[&str]) -> Finished {
        self.compose(&[&["exec", "-T", service], command].concat())
    }

    /// One value of the database.
    #[track_caller]
    pub(crate) fn sql(&self, sql: &str) -> String {
        let psql = [
            "psql",
            "-U",
            "emotionviz",
            "-d",
            "emotionviz_db",
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
        ];
        self.exec("db", &psql).expect_code(0).text().to_owned()
    }

    /// The port of this machine that leads to a container's.
    #[track_caller]
    pub(crate) fn port(&self, service: &str, port: &str) -> u16 {
        let address = self.ok(&["port", service, port]);
        let (host, port) = address.text().rsplit_once(':').unwrap();
        assert_eq!(host, "127.0.0.1", "published to this machine alone");
        port.parse().unwrap()
    }

    /// The answer of the API.
    pub(crate) fn get(&self, path: &str) -> String {
        get(self.port("api", "8000"), path)
    }

    pub(crate) fn container(&self, service: &str) -> String {
        self.ok(&["ps", "--all", "--quiet", service])
            .text()
            .to_owned()
    }

    /// One field of `docker inspect`.
    pub(crate) fn inspect(&self, service: &str, format: &str) -> String {
        docker(&["inspect", "--format", format, &self.container(service)])
            .text()
            .to_owned()
    }

    /// The state of health of a service.
    pub(crate) fn health(&self, service: &str) -> String {
        self.inspect(service, "{{.State.Health.Status}}")
    }

    /// The project's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the project said\n{}", self.logs());
        }
        let down = self.compose(&["--profile", "tools", "down", "--volumes", "--timeout", "10"]);
        let mut remove = Command::new("docker");
        remove
            .args(["volume", "rm", "--force"])
            .args(self.own_caches());
        finish(remove, b"");
        assert!(down.code == 0 || std::thread::panicking(), "{down}");
    }
}

/// The development image, which has the same name for as long as it is made of the same files.
pub(crate) fn image_name() -> String {
    let mut hasher = DefaultHasher::new();
    let scripts = fs::read_dir(workspace().join("backend/docker/development")).unwrap();
    let scripts: BTreeSet<PathBuf> = scripts.map(|entry| entry.unwrap().path()).collect();
    let files = ["backend/Dockerfile", "rust-toolchain.toml"].map(|file| workspace().join(file));
    for file in files.into_iter().chain(scripts) {
        (file.file_name(), fs::read(&file).unwrap()).hash(&mut hasher);
    }
    format!("emotionviz-test:development-{:016x}", hasher.finish())
}

/// Whether the tests run as root.
pub(crate) fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}
