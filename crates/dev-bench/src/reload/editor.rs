//! An editor that checks at each save, as rust-analyzer does: `cargo check` of the edited crate, at normal priority.

use std::time::Duration;

use super::super::BenchError;
use super::playground::Playground;
use dev_env::build::cargo::cargo;
use process::{Configuration, Process, run};

/// A first check of the whole workspace takes this long on a slow machine.
const FIRST_CHECK: Duration = Duration::from_secs(3600);

/// A check that runs.
pub(super) struct Check(Process);

impl Check {
    /// Checks everything that the edited crate depends on, so that a check at a save takes no longer than it does in an editor.
    pub(super) async fn prepare(playground: &Playground) -> Result<(), BenchError> {
        Ok(run(command(playground), FIRST_CHECK).await?)
    }

    /// Starts to check.
    pub(super) async fn start(playground: &Playground) -> Result<Self, BenchError> {
        let mut process = Process::new(command(playground));
        process.start().await?;
        Ok(Self(process))
    }

    /// Waits for its end.
    pub(super) async fn finish(mut self) -> Result<(), BenchError> {
        self.0.exited().await?;
        Ok(())
    }
}

/// The build folder is the editor's own, also where the environment has another one.
fn command(playground: &Playground) -> Configuration {
    let check = cargo(playground.root()).args([
        "check",
        "--quiet",
        "--all-targets",
        "--package",
        "emotionviz-entries",
    ]);
    let mut check = playground.run(check);
    check.env.push(("CARGO_BUILD_BUILD_DIR".into(), None));
    check
}
