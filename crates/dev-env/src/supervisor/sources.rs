//! Saved files, and what was known of them before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::build::watch::{self, ContentCache, Watcher};
use crate::project::configuration::Tool;
use crate::report::events::Events;
use crate::report::reload::Watching;
use crate::{Environment, Error};

/// The sources and settings that are watched.
pub(super) struct SourceWatch {
    watcher: Watcher,
    seen: ContentCache,
}

/// Saved files.
pub(super) struct Saved {
    pub(super) files: BTreeSet<PathBuf>,
    /// Those whose contents differ from what was last read.
    pub(super) new: BTreeSet<PathBuf>,
}

impl SourceWatch {
    /// Watches from now on.
    ///
    /// # Errors
    /// The files cannot be watched.
    pub(super) async fn start(
        environment: &Environment,
        tool: &Tool,
        events: &Events,
    ) -> Result<Self, Error> {
        let given = tool.service_binary.as_ref().map(|(path, _)| path.clone());
        let watcher = watch::start(environment, given, events).await?;
        let mut seen = ContentCache::default();
        seen.look(watcher.sources.rust());
        seen.look(watcher.sources.settings().iter().cloned());
        Ok(Self { watcher, seen })
    }

    /// Returns the program that is watched in the place of the sources.
    pub(super) fn program(&self) -> Option<&Path> {
        self.watcher.sources.given()
    }

    /// Waits for the next save. Cancel safe.
    pub(super) async fn saved(&mut self) -> Saved {
        let files = self.watcher.changed().await;
        let new = files
            .iter()
            .filter(|file| self.seen.is_new(file))
            .cloned()
            .collect();
        Saved { files, new }
    }

    /// Adds the files that a program was built from.
    pub(super) fn learn(&mut self, program: &Path) {
        self.watcher.learn(program);
        self.seen.learn(self.watcher.sources.built());
    }

    pub(super) fn watching(&self) -> Watching {
        watch::watching(&self.watcher)
    }

    pub(super) fn is_settings(&self, file: &Path) -> bool {
        self.watcher.sources.is_settings(file)
    }
}
