//! The first start: the database starts while the service is built, then migrations, then the API.

use std::time::Instant;

use super::interface::{Action, DatabaseStart, Event, Job, JobKind};
use super::state::{Api, Database, FirstStart, Machine, Running, State};
use crate::Error;
use crate::report::snapshot::WAITING_FOR_SOURCES;
use crate::service::command::api_failed;

impl Machine {
    pub(super) fn in_first_start(
        &mut self,
        first: FirstStart,
        event: Event,
        now: Instant,
    ) -> State {
        use FirstStart as First;
        let next = match (first, event) {
            (First::Opening, Event::Opened(Ok(()))) => {
                self.start(Job::StartDatabase(DatabaseStart::First));
                self.start(Job::Build);
                First::Assembling
            }
            (First::Assembling, Event::DatabaseStarted(Ok(started))) => First::Building(started),
            (First::Assembling, Event::Built(Ok(()))) => First::StartingDatabase,
            (First::StartingDatabase, Event::DatabaseStarted(Ok(started)))
            | (First::Building(started), Event::Built(Ok(()))) => {
                self.start(Job::Migrate);
                First::Migrating(started)
            }
            (First::Migrating(started), Event::Migrated(Ok(()))) => {
                self.start(Job::StartApi);
                First::StartingApi(started)
            }
            (First::StartingApi(started), Event::ApiStarted(Ok(()))) => First::StartingApi(started),
            (First::StartingApi(started), Event::ApiReady) => {
                self.api.backoff.started(now);
                self.database.backoff.started(now);
                self.emit(Action::Settle);
                self.emit(Action::Announce);
                let running = Running {
                    database: Database::started(started),
                    api: Api::Ready,
                    change: None,
                };
                return self.next_change(running);
            }
            (
                First::Assembling | First::Building(_),
                Event::Built(Err(error @ Error::Build { .. })),
            ) if self.waits_for_sources => {
                self.emit(Action::Cancel(JobKind::StartDatabase));
                self.emit(Action::Warn(format!(
                    "{error}\nit is built again when they change"
                )));
                self.emit(Action::Phase(WAITING_FOR_SOURCES.to_owned()));
                First::WaitingForSources
            }
            (First::WaitingForSources, Event::Saved { .. }) => {
                self.start(Job::Open);
                First::Opening
            }
            (
                first,
                Event::Opened(Err(error))
                | Event::Built(Err(error))
                | Event::DatabaseStarted(Err(error))
                | Event::Migrated(Err(error))
                | Event::ApiStarted(Err(error))
                | Event::DatabaseExited(error),
            ) => return self.stop(&State::FirstStart(first), Err(error)),
            (first, Event::ApiNotReady(source) | Event::ApiExited(source)) => {
                return self.stop(&State::FirstStart(first), Err(api_failed(source)));
            }
            (first, Event::Saved { new, .. }) => {
                self.save_later(new, now);
                first
            }
            (first, Event::Ordered(id, order)) => {
                self.waiting.orders.push_back((id, order));
                first
            }
            // The first start ends with an error if the database cannot be used.
            (
                first,
                Event::DatabaseBroken(_) | Event::SessionRefused(_) | Event::SessionAccepted,
            ) => first,
            (first, event) => {
                self.unexpected(&event);
                first
            }
        };
        State::FirstStart(next)
    }
}
