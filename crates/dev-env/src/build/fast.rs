//! The fast way, for the service.

use std::collections::BTreeSet;
use std::path::PathBuf;

use fast_reload::{Replacement, Replay};

use crate::report::events::{Event, Events, Source};
use crate::service::program::Program;

/// Replaces single crates of the service.
pub(crate) struct Fast(pub(super) Replay);

impl Fast {
    /// Whether the service was built so that its crates can be replaced.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn is_prepared(&self) -> Result<(), &'static str> {
        self.0.is_prepared()
    }

    /// The program that runs, with the crates of changed files compiled again. `None`: cargo has to build.
    pub(crate) async fn replace(
        &self,
        running: &Program,
        changed: &BTreeSet<PathBuf>,
        colour: bool,
        events: &Events,
    ) -> Option<Program> {
        events.phase("building the service");
        let Replacement { program, output } =
            self.0.replace(running, changed, colour).await.ok()?;
        for line in output {
            events.tell(Event::Output {
                from: Source::Build,
                line,
            });
        }
        Some(program)
    }

    /// Fills the compiler's cache for the next edits, at low priority.
    pub(crate) async fn prime(self) {
        self.0.prime().await;
    }

    /// Removes what was linked for services that do not run any more.
    pub(crate) fn sweep(&self, running: &Program) {
        self.0.sweep(running);
    }
}
