//! Building the service.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use crate::build::fast::Fast;
use crate::build::freshness;
use crate::build::pid_file::BuildPidFile;
use crate::project::configuration::Tool;
use crate::report::events::{Event, Events, Source};
use crate::service::program::Program;
use crate::{Checkout, Environment, Error};
use process::{Configuration, ProcessError, Stream, run};

/// A whole workspace compiles on a slow machine in less.
pub(crate) const BUILD_BOUND: Duration = Duration::from_secs(2 * 3600);

/// How the service is built.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Whether cargo prints with colours.
    pub colour: bool,
    /// Whether it prints warnings and errors alone.
    pub quiet: bool,
    /// Whether another toolchain is asked for than when this tool was started.
    pub toolchain_changed: bool,
}

/// The service's program, built when no setting names one.
///
/// # Errors
/// It does not compile.
pub(crate) async fn program(
    environment: &Environment,
    tool: &Tool,
    options: Options,
    events: &Events,
) -> Result<Program, Error> {
    match &tool.service_binary {
        Some((path, _)) if path.is_file() => Program::at(path.clone()),
        Some((path, origin)) => Err(Error::NoServiceBinary {
            path: path.clone(),
            origin: origin.to_string(),
        }),
        None => {
            let program = Program::at(build(&environment.checkout, options, events).await?)?;
            Ok(match fast(&environment.checkout) {
                Ok(fast) => program.linked_with(fast.linked()),
                Err(_) => program,
            })
        }
    }
}

/// Builds the program, or returns the last build if the sources do not compile.
///
/// # Errors
/// The sources do not compile, and there is no earlier build.
pub(crate) async fn newest_program(
    environment: &Environment,
    tool: &Tool,
    options: Options,
    events: &Events,
) -> Result<Program, Error> {
    let error = match program(environment, tool, options, events).await {
        Err(error @ Error::Build { .. }) => error,
        other => return other,
    };
    let built = [
        environment.kept_program(),
        environment.checkout.build_folder().join("debug/emotionviz"),
    ];
    let time = |path: &PathBuf| {
        std::fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    let Some(last) = built
        .into_iter()
        .filter(|path| path.is_file())
        .max_by_key(time)
    else {
        return Err(error);
    };
    events.warn(format!(
        "the sources do not compile; using the last build of the service ({})",
        last.display()
    ));
    Program::at(last)
}

async fn build(checkout: &Checkout, options: Options, events: &Events) -> Result<PathBuf, Error> {
    let _one_at_a_time = freshness::look(
        checkout,
        &checkout.build_folder().join("debug/emotionviz"),
        events,
    )
    .await?;
    events.phase("building the service");
    // Dropped after cargo, which is ended then.
    let pid_file = BuildPidFile::new(checkout);
    let built = Arc::new(Mutex::new(Built::default()));
    let (slot, listener) = (Arc::clone(&built), events.clone());
    let root = checkout.root();
    let mut cargo = if options.toolchain_changed {
        cargo_of_another_toolchain(root)
    } else {
        cargo(root)
    };
    cargo = cargo
        .args([
            "build",
            "--package",
            "emotionviz",
            "--bin",
            "emotionviz",
            "--target-dir",
        ])
        .args([checkout.build_folder()])
        .args([
            "--message-format=json-render-diagnostics",
            "--color",
            if options.colour { "always" } else { "never" },
        ]);
    if options.quiet {
        cargo = cargo.args(["--quiet"]);
    }
    if let Ok(fast) = fast(checkout) {
        let wrapper = fast
            .wrapper(root)
            .map_err(|source| Error::io("write", &checkout.build_folder(), source))?;
        cargo = cargo.env("RUSTC_WORKSPACE_WRAPPER", wrapper);
    }
    // It is a template to cargo.
    let intermediate = checkout.intermediate_folder();
    if !intermediate.to_string_lossy().contains('{') {
        cargo = cargo.env("CARGO_BUILD_BUILD_DIR", intermediate);
    }
    let mut cargo = pid_file.program(cargo);
    cargo.sink = Some(Arc::new(move |stream, line| match stream {
        Stream::Stderr => {
            slot.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .note(line);
            listener.tell(Event::Output {
                from: Source::Build,
                line: line.to_owned(),
            });
        }
        Stream::Stdout => {
            if let Some(path) = executable(line) {
                slot.lock().unwrap_or_else(PoisonError::into_inner).program = Some(path);
            }
        }
    }));
    let done = run(cargo, BUILD_BOUND).await;
    let built = std::mem::take(&mut *built.lock().unwrap_or_else(PoisonError::into_inner));
    match done {
        Ok(()) => built.program.ok_or(Error::NoProgram),
        Err(ProcessError::Exited { .. }) => {
            events.tell(Event::BuildFailed);
            Err(Error::Build {
                said: built.errors.join("\n"),
            })
        }
        Err(other) => Err(other.into()),
    }
}

/// How its parts are built fast.
///
/// # Errors
/// That is not known to work here, and why.
pub(crate) fn fast(checkout: &Checkout) -> Result<Fast, &'static str> {
    Fast::of(checkout.root(), &checkout.build_folder())
}

/// What cargo says of a build.
#[derive(Default)]
struct Built {
    program: Option<PathBuf>,
    /// The compiler's errors, from the first one on, without colours.
    errors: Vec<String>,
}

impl Built {
    fn note(&mut self, line: &str) {
        /// Whoever wants more reads the log.
        const MOST: usize = 40;
        let line = anstream::adapter::strip_str(line).to_string();
        if self.errors.len() < MOST && (line.starts_with("error") || !self.errors.is_empty()) {
            self.errors.push(line);
        }
    }
}

/// cargo in the checkout, as if it were typed there: `cargo run`, which started this tool, leaves variables behind that would
/// make build scripts run again (<https://doc.rust-lang.org/cargo/reference/environment-variables.html>).
pub(crate) fn cargo(root: &Path) -> Configuration {
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

/// The same, with the toolchain that the checkout asks for now. rustup keeps to that of the start, by these variables.
fn cargo_of_another_toolchain(root: &Path) -> Configuration {
    let mut cargo = cargo(root);
    cargo.program = PathBuf::from("cargo");
    cargo
        .env
        .extend(["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"].map(|name| (name.into(), None)));
    cargo
}

/// The program that a message of cargo names (<https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>).
fn executable(line: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Artifact {
        target: Target,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    let artifact: Artifact = serde_json::from_str(line).ok()?;
    artifact
        .executable
        .filter(|_| artifact.target.name == "emotionviz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_in_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"emotionviz"},"executable":"/t/debug/emotionviz","fresh":true}"#;
        assert_eq!(executable(line), Some(PathBuf::from("/t/debug/emotionviz")));
        assert_eq!(
            executable(
                r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/debug/other"}"#
            ),
            None
        );
        assert_eq!(
            executable(
                r#"{"reason":"compiler-artifact","target":{"name":"emotionviz"},"executable":null}"#
            ),
            None
        );
        assert_eq!(
            executable(r#"{"reason":"build-finished","success":true}"#),
            None
        );
    }
}
