//! The log of the containers, and from before their time the log files.

use std::time::SystemTime;

use tokio::sync::mpsc;

use super::engine::Docker;
use super::logs::{Told, group, lines};
use crate::Error;
use crate::project::logs::{self, Entry, Follower, Lines, Query};
use crate::report::events::Source;

impl Docker {
    /// What the containers have said, and before their time what is in the files.
    pub(crate) async fn logs(&self, query: &Query) -> Result<Vec<Entry>, Error> {
        let (project, containers) = self.look().await?;
        let mut entries = logs::read(
            &self.environment,
            &Query {
                last: None,
                ..query.clone()
            },
        )?;
        entries.retain(|entry| {
            let service = match entry.from {
                Source::Api => "api",
                Source::Db => "db",
                Source::Dev | Source::Build => return true,
            };
            containers
                .get(service)
                .is_none_or(|container| entry.at < container.created)
        });
        if !containers.is_empty() {
            let said = group(lines(&project, &[]).await?);
            entries.extend(
                said.into_iter()
                    .filter(|entry| query.is_of(entry.from) && query.wants(entry)),
            );
        }
        Ok(query.newest(entries))
    }

    /// What they say from now on.
    pub(crate) async fn follow(&self, query: Query) -> Result<Follower, Error> {
        let (project, _) = self.look().await?;
        let (sender, entries) = mpsc::unbounded_channel();
        let wanted = query.clone();
        let told = Told::follow(&project, SystemTime::now(), move |line| {
            for entry in group(vec![line])
                .into_iter()
                .filter(|entry| wanted.is_of(entry.from))
            {
                // Nobody listens any more.
                let _gone = sender.send(entry);
            }
        })
        .await?;
        Ok(Follower::of_lines(
            &self.environment,
            query,
            Lines {
                entries,
                _process: told.0,
            },
        ))
    }
}
