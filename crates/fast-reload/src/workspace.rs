//! The workspace and its members.

use std::path::{Path, PathBuf};
use std::time::Duration;

use process::Configuration;
use serde::{Deserialize, Serialize};

/// The longest build: of a whole workspace, on a slow machine.
pub(crate) const BUILD_BOUND: Duration = Duration::from_secs(2 * 3600);

/// A cargo workspace, and the program of it that is kept up to date.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The folder of the workspace's `Cargo.toml`: an absolute path without symbolic links.
    pub root: PathBuf,
    /// The package of the program.
    pub package: String,
    /// The name of the program.
    pub binary: String,
    /// The value of `--target-dir`. cargo locks this folder during a build: choose one that no editor and no other build uses.
    pub target_dir: PathBuf,
    /// The value of `build.build-dir`: the folder of intermediate artifacts. Usually that is `target_dir`.
    pub build_dir: PathBuf,
    /// A file with the hashes of all sources at the last build. It is locked during a build.
    pub sources_file: PathBuf,
    /// The pid file of the running build (see [`process::PidFile`]). It is removed after the build.
    pub pid_file: PathBuf,
    /// Names of top-level folders that have no sources, such as `target`.
    pub ignored: Vec<String>,
}

/// The packages of a workspace.
pub(crate) type Members = Vec<Member>;

/// A package of a workspace (<https://doc.rust-lang.org/cargo/commands/cargo-metadata.html>).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
}

impl Member {
    /// Returns the folder of the package.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("/"))
    }

    /// Returns the names that rustc has for its crates.
    pub(crate) fn crate_names(&self) -> impl Iterator<Item = String> {
        self.targets
            .iter()
            .map(|target| target.name.replace('-', "_"))
    }
}

impl Workspace {
    /// Returns the path that cargo writes the program to.
    pub fn program(&self) -> PathBuf {
        self.target_dir.join("debug").join(&self.binary)
    }

    #[cfg(test)]
    pub(crate) fn scratch(root: &Path) -> Self {
        let root = root.canonicalize().expect("the folder exists");
        Self {
            package: "app".to_owned(),
            binary: "app".to_owned(),
            target_dir: root.join("target"),
            build_dir: root.join("target"),
            sources_file: root.join("target/sources"),
            pid_file: root.join("target/build.pid"),
            ignored: vec!["target".to_owned()],
            root,
        }
    }
}

/// The pid file of a build, removed when this is dropped.
pub(crate) struct BuildFile(PathBuf);

impl BuildFile {
    pub(crate) fn new(workspace: &Workspace) -> Self {
        Self(workspace.pid_file.clone())
    }

    pub(crate) fn assign(&self, mut program: Configuration) -> Configuration {
        program.pid_file = Some(self.0.clone());
        program
    }
}

impl Drop for BuildFile {
    fn drop(&mut self) {
        let _absent = std::fs::remove_file(&self.0);
    }
}
