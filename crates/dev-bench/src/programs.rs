//! Release builds of what is measured and of what measures.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::BenchError;
use dev_env::Checkout;
use dev_env::build::cargo::cargo;
use dev_env::report::events::{Event, Events, Source};
use process::{ProcessError, Stream, run};

/// With link-time optimisation, on a slow machine.
const BUILD_BOUND: Duration = Duration::from_secs(2 * 3600);

const SERVICE: &str = "emotionviz";
const GENERATOR: &str = "http-bench";

/// Where the programs are.
pub(super) struct Programs {
    pub(super) service: PathBuf,
    pub(super) generator: PathBuf,
}

impl Programs {
    pub(super) async fn build(checkout: &Checkout, events: &Events) -> Result<Self, BenchError> {
        events.phase("building the service and the load generator in release");
        let built = build(checkout, &[SERVICE, GENERATOR], events).await?;
        Ok(Self {
            service: find(&built, SERVICE)?,
            generator: find(&built, GENERATOR)?,
        })
    }
}

/// The load generator alone.
pub(super) async fn generator(checkout: &Checkout, events: &Events) -> Result<PathBuf, BenchError> {
    events.phase("building the load generator in release");
    find(&build(checkout, &[GENERATOR], events).await?, GENERATOR)
}

/// All programs of some packages.
async fn build(
    checkout: &Checkout,
    packages: &[&str],
    events: &Events,
) -> Result<Vec<PathBuf>, BenchError> {
    let built = Arc::new(Mutex::new(Vec::new()));
    let (slot, listener) = (Arc::clone(&built), events.clone());
    let mut cargo = cargo(checkout.root()).args([
        "build",
        "--release",
        "--bins",
        "--message-format=json-render-diagnostics",
    ]);
    cargo = packages
        .iter()
        .fold(cargo, |cargo, package| cargo.args(["--package", package]));
    cargo.sink = Some(Arc::new(move |stream, line| match stream {
        Stream::Stderr => listener.tell(Event::Output {
            from: Source::Build,
            line: line.to_owned(),
        }),
        Stream::Stdout => slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(executable(line)),
    }));
    run(cargo, BUILD_BOUND).await.map_err(|error| match error {
        ProcessError::Exited { .. } => {
            events.tell(Event::BuildFailed);
            BenchError::Build
        }
        other => other.into(),
    })?;
    Ok(std::mem::take(
        &mut *built.lock().unwrap_or_else(PoisonError::into_inner),
    ))
}

fn find(built: &[PathBuf], name: &'static str) -> Result<PathBuf, BenchError> {
    let program = built
        .iter()
        .find(|path| path.file_stem().is_some_and(|stem| stem == name));
    program.cloned().ok_or(BenchError::NoProgram { name })
}

/// The program that a message of cargo names.
fn executable(line: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Artifact {
        executable: Option<PathBuf>,
    }
    serde_json::from_str::<Artifact>(line).ok()?.executable
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_bench_programs_are_read_from_cargos_messages() {
        let lines = [
            r#"{"reason":"compiler-artifact","target":{"name":"http-bench"},"executable":"/t/release/http-bench"}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}"#,
            r#"{"reason":"build-finished","success":true}"#,
        ];
        let built: Vec<PathBuf> = lines.iter().filter_map(|line| executable(line)).collect();
        assert_eq!(
            find(&built, GENERATOR).unwrap(),
            Path::new("/t/release/http-bench")
        );
        assert!(matches!(
            find(&built, SERVICE),
            Err(BenchError::NoProgram { name: "emotionviz" })
        ));
    }
}
