//! The build of a workspace by cargo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use process::{Configuration, ProcessError, Stream, capture, run};
use serde::Deserialize;

use crate::replay::Replay;
use crate::workspace::{BUILD_BOUND, BuildFile, Members, Target};
use crate::{Error, Listener, Notice, Program, Workspace, stale};

/// `cargo metadata --no-deps` reads the manifests only.
const METADATA_BOUND: Duration = Duration::from_secs(120);

/// How to build.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuildOptions {
    /// Whether cargo prints colours.
    pub colour: bool,
    /// Whether cargo prints warnings and errors only.
    pub quiet: bool,
    /// Whether the workspace's `rust-toolchain.toml` changed after this process was started. rustup's variables are then removed.
    pub toolchain_changed: bool,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Members,
    target_directory: PathBuf,
    /// Since cargo 1.91.
    build_directory: Option<PathBuf>,
}

impl Workspace {
    /// Builds the program with `cargo build`, at niceness 10.
    ///
    /// Sources that changed since the last build are compiled even if their modification times are older than that build. One build of a
    /// workspace runs at a time; another one waits for up to two hours.
    ///
    /// # Errors
    /// [`Error::Compile`] if the sources do not compile; any other [`Error`] if there is no result.
    pub async fn build(
        &self,
        options: BuildOptions,
        listener: &Listener,
    ) -> Result<Program, Error> {
        let lock = stale::lock(self, listener).await?;
        listener(Notice::Building);
        let metadata = self.metadata(options, listener).await?;
        let build_dir = metadata
            .build_directory
            .unwrap_or(metadata.target_directory);
        let _one_at_a_time = stale::age(self, lock, build_dir, &metadata.packages).await?;
        let replay = self.replay().ok();
        let program = self
            .run_cargo(options, replay.as_ref(), &metadata.packages, listener)
            .await?;
        let program = Program::at(program)?;
        Ok(match replay {
            Some(replay) => program.linked_with(replay.linked()),
            None => program,
        })
    }

    fn cargo(&self, options: BuildOptions) -> Configuration {
        let mut cargo = cargo(&self.root);
        if options.toolchain_changed {
            // rustup keeps the toolchain of these variables.
            let kept = ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"];
            cargo.program = PathBuf::from("cargo");
            cargo.env.extend(kept.map(|name| (name.into(), None)));
        }
        // cargo reads the value as a template.
        if !self.build_dir.to_string_lossy().contains('{') {
            cargo = cargo.env("CARGO_BUILD_BUILD_DIR", &self.build_dir);
        }
        cargo.low_priority = true;
        cargo
    }

    async fn metadata(
        &self,
        options: BuildOptions,
        listener: &Listener,
    ) -> Result<Metadata, Error> {
        let cargo = self
            .cargo(options)
            .args(["metadata", "--no-deps", "--format-version=1"])
            .env("CARGO_TARGET_DIR", &self.target_dir);
        let output = capture(cargo, b"", METADATA_BOUND).await?;
        let metadata = serde_json::from_slice(&output.stdout);
        match metadata {
            Ok(metadata) if output.status.success() => Ok(metadata),
            _ => {
                let mut built = Built::default();
                for line in output.stderr.lines() {
                    built.note(line);
                    listener(Notice::Output(line.to_owned()));
                }
                Err(built.failed())
            }
        }
    }

    async fn run_cargo(
        &self,
        options: BuildOptions,
        replay: Option<&Replay>,
        members: &Members,
        listener: &Listener,
    ) -> Result<PathBuf, Error> {
        let colour = if options.colour { "always" } else { "never" };
        let mut cargo = self
            .cargo(options)
            .args(["build", "--package", &self.package])
            .args(["--bin", &self.binary, "--target-dir"])
            .args([&self.target_dir])
            .args(["--message-format=json-render-diagnostics"])
            .args(["--color", colour]);
        if options.quiet {
            cargo = cargo.args(["--quiet"]);
        }
        if let Some(replay) = replay {
            let wrapper = replay
                .wrapper(members)
                .map_err(|source| Error::io("write", &self.target_dir, source))?;
            cargo = cargo.env("RUSTC_WORKSPACE_WRAPPER", wrapper);
        }
        // Dropped after cargo, which ends then.
        let pid_file = BuildFile::new(self);
        let mut cargo = pid_file.assign(cargo);
        let built = Arc::new(Mutex::new(Built::default()));
        let (slot, listener, binary) = (
            Arc::clone(&built),
            Arc::clone(listener),
            self.binary.clone(),
        );
        cargo.sink = Some(Arc::new(move |stream, line| match stream {
            Stream::Stderr => {
                slot.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .note(line);
                listener(Notice::Output(line.to_owned()));
            }
            Stream::Stdout => {
                if let Some(path) = executable(line, &binary) {
                    slot.lock().unwrap_or_else(PoisonError::into_inner).program = Some(path);
                }
            }
        }));
        let done = run(cargo, BUILD_BOUND).await;
        let built = std::mem::take(&mut *built.lock().unwrap_or_else(PoisonError::into_inner));
        match done {
            Ok(()) => built.program.ok_or_else(|| Error::NoProgram {
                name: self.binary.clone(),
            }),
            Err(ProcessError::Exited { .. }) => Err(built.failed()),
            Err(other) => Err(other.into()),
        }
    }
}

/// The result of a build so far.
#[derive(Default)]
struct Built {
    program: Option<PathBuf>,
    /// The lines from the first error on, without colours.
    errors: Vec<String>,
}

impl Built {
    fn note(&mut self, line: &str) {
        const MOST: usize = 40;
        let line = anstream::adapter::strip_str(line).to_string();
        if self.errors.len() < MOST && (line.starts_with("error") || !self.errors.is_empty()) {
            self.errors.push(line);
        }
    }

    fn failed(self) -> Error {
        Error::Compile {
            errors: self.errors.join("\n"),
        }
    }
}

/// Describes a run of cargo in the folder `root`, as if it were typed there.
///
/// Removes the variables that `cargo run` sets for its program: they would make build scripts run again
/// (<https://doc.rust-lang.org/cargo/reference/environment-variables.html>).
pub fn cargo(root: &Path) -> Configuration {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut cargo = Configuration::new("cargo", program);
    let left = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || name == "CARGO_BIN_NAME"
            || name == "CARGO_CRATE_NAME"
    });
    cargo.env = left.map(|name| (name, None)).collect();
    cargo.current_dir = Some(root.to_owned());
    cargo
}

/// Returns the program of a message of cargo (<https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>).
fn executable(line: &str, binary: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Artifact {
        target: Target,
        executable: Option<PathBuf>,
    }
    let artifact: Artifact = serde_json::from_str(line).ok()?;
    artifact
        .executable
        .filter(|_| artifact.target.name == binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_message_of_the_configured_program_names_it() {
        let program = |line: &str| executable(line, "app");
        let line = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"app"},"executable":"/t/debug/app","fresh":true}"#;
        assert_eq!(program(line), Some(PathBuf::from("/t/debug/app")));
        for line in [
            r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/debug/other"}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"app"},"executable":null}"#,
            r#"{"reason":"build-finished","success":true}"#,
        ] {
            assert_eq!(program(line), None, "{line}");
        }
    }
}
