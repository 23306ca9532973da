//! A small workspace in a temporary folder, and its program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fast_reload::{BuildOptions, Declined, Error, Program, Workspace, cargo};

/// Contents by relative path.
pub(crate) type Files = BTreeMap<String, String>;

/// Returns whether the fast way is known to work on this system.
pub(crate) const FAST: bool = cfg!(all(target_os = "linux", target_env = "gnu"));

/// Returns whether there is a fast way here, and reports the test as skipped if not.
pub(crate) fn has_fast_way() -> bool {
    test_needs::met(FAST, "fast builds", "run the tests on Linux with glibc")
}

/// A workspace of `app`, a program, and of libraries that depend on those after them: each package with its dependencies.
pub(crate) fn manifests(packages: &[(&str, &[&str])]) -> Files {
    let names: Vec<String> = packages
        .iter()
        .map(|(name, _)| format!("{name:?}"))
        .collect();
    let top = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{}]\n",
        names.join(", ")
    );
    let mut files = Files::from([("Cargo.toml".to_owned(), top)]);
    for (name, dependencies) in packages {
        let dependencies: String = dependencies
            .iter()
            .map(|name| format!("{name} = {{ path = \"../{name}\" }}\n"))
            .collect();
        files.insert(
            format!("{name}/Cargo.toml"),
            format!(
                "[package]\nname = {name:?}\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}"
            ),
        );
    }
    files
}

/// The workspace, and the program that would run.
pub(crate) struct Scratch {
    _folder: tempfile::TempDir,
    pub(crate) workspace: Workspace,
    running: Option<Program>,
}

impl Scratch {
    pub(crate) fn new(files: &Files) -> Self {
        Self::named("workspace", files)
    }

    pub(crate) fn named(name: &str, files: &Files) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("fast-reload-")
            .tempdir()
            .unwrap();
        let root = folder.path().canonicalize().unwrap().join(name);
        let target = root.join("target");
        std::fs::create_dir_all(&target).unwrap();
        let scratch = Self {
            _folder: folder,
            workspace: Workspace {
                package: "app".to_owned(),
                binary: "app".to_owned(),
                target_dir: target.clone(),
                build_dir: target.clone(),
                sources_file: target.join("sources"),
                pid_file: target.join("build.pid"),
                ignored: vec!["target".to_owned()],
                root,
            },
            running: None,
        };
        scratch.save(&Files::new(), files);
        scratch
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.workspace.root.join(file)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Replaces a text in a file.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(file)).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}");
        self.write(file, &text.replacen(from, to, 1));
    }

    /// Writes the files that differ, removes those that are gone, and returns both.
    pub(crate) fn save(&self, before: &Files, after: &Files) -> BTreeSet<PathBuf> {
        let written = after
            .iter()
            .filter(|(file, text)| before.get(*file) != Some(text));
        let removed = before.keys().filter(|file| !after.contains_key(*file));
        let mut changed = BTreeSet::new();
        for (file, text) in written {
            self.write(file, text);
            changed.insert(self.path(file));
        }
        for file in removed {
            std::fs::remove_file(self.path(file)).unwrap();
            changed.insert(self.path(file));
        }
        changed
    }

    /// Builds with cargo. The running program is the result from then on.
    pub(crate) async fn build(&mut self) -> Result<(), Error> {
        let options = BuildOptions {
            quiet: true,
            ..BuildOptions::default()
        };
        let listener: fast_reload::Listener = Arc::new(drop);
        self.running = Some(self.workspace.build(options, &listener).await?);
        Ok(())
    }

    /// Takes the fast way. If the result starts, the running program is this result from then on.
    pub(crate) async fn replace(&mut self, changed: &BTreeSet<PathBuf>) -> Result<bool, Declined> {
        let replay = self.workspace.replay().unwrap();
        let running = self.running.as_ref().unwrap();
        let program = replay.replace(running, changed, false).await?.program;
        let starts = run(&program).is_ok();
        if starts {
            replay.sweep(&program);
            self.running = Some(program);
        }
        Ok(starts)
    }

    /// Takes the fast way for some files, and returns why it is declined.
    pub(crate) async fn declined(&mut self, files: &[&str]) -> String {
        let changed = files.iter().map(|file| self.path(file)).collect();
        self.replace(&changed).await.unwrap_err().to_string()
    }

    /// Returns what the running program prints.
    pub(crate) fn printed(&self) -> String {
        run(self.running.as_ref().unwrap()).unwrap()
    }

    /// Builds with an ordinary `cargo build`, and returns what that program prints. `None`: it does not compile.
    pub(crate) fn printed_by_cargo(&self) -> Option<String> {
        let configuration = cargo(&self.workspace.root);
        let mut build = Command::new(&configuration.program);
        for (name, _) in &configuration.env {
            build.env_remove(name);
        }
        let target = self.path("target/plain");
        build
            .args(["build", "--quiet", "--target-dir"])
            .arg(&target)
            .current_dir(&self.workspace.root);
        let built = build.output().unwrap();
        built.status.success().then(|| {
            let printed = Command::new(target.join("debug/app")).output().unwrap();
            assert!(printed.status.success(), "{printed:?}");
            String::from_utf8(printed.stdout).unwrap()
        })
    }

    /// Sets the modification time of files to the past.
    pub(crate) fn age(&self, files: impl IntoIterator<Item = PathBuf>) {
        let past = SystemTime::now() - Duration::from_secs(24 * 3600);
        for file in files.into_iter().filter(|file| file.is_file()) {
            let file = std::fs::File::options().write(true).open(file).unwrap();
            file.set_modified(past).unwrap();
        }
    }

    /// Returns the file of the fast way with this beginning and end.
    pub(crate) fn recorded(&self, start: &str, end: &str) -> PathBuf {
        let found = |folder: &Path, start: &str, end: &str| {
            std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .find(|path| {
                    let name = path.file_name().unwrap().to_str().unwrap();
                    name.starts_with(start) && name.ends_with(end)
                })
                .unwrap()
        };
        found(&found(&self.path("target"), "fast-", ""), start, end)
    }
}

/// Starts a program as its user does.
fn run(program: &Program) -> Result<String, String> {
    let mut command = Command::new(program.path());
    match program.replaced() {
        Some(folder) => command.env("LD_LIBRARY_PATH", folder),
        None => command.env_remove("LD_LIBRARY_PATH"),
    };
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}
