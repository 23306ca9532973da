//! A restart that moves or restarts the database: the services stop, then start with the new settings. If that fails, they start with the
//! former settings.

use std::time::Instant;

use super::change::GOES_ON;
use super::interface::{Action, DatabaseStart, Done, Event, Job, OrderId, Updated};
use super::state::{
    Api, BackStep, Database, Machine, Running, State, SwitchStep as Step, Switching,
};
use crate::Error;
use crate::report::up::Service;
use crate::service::command::api_failed;

impl Machine {
    pub(super) fn begin_switch(
        &mut self,
        order: OrderId,
        service: Option<Service>,
        updated: Updated,
    ) -> State {
        self.emit(Action::AdoptSettings);
        self.start(Job::StopServices);
        State::Switching(Switching {
            order,
            service,
            step: Step::Stopping(updated),
        })
    }

    pub(super) fn while_switching(
        &mut self,
        switching: Switching,
        event: Event,
        now: Instant,
    ) -> State {
        let Switching {
            order,
            service,
            step,
        } = switching;
        let step = match (step, event) {
            (step, Event::Saved { new, .. }) => {
                self.save_later(new, now);
                step
            }
            (step, Event::Ordered(id, what)) => {
                self.waiting.orders.push_back((id, what));
                step
            }
            // A check of the server that runs no more, or of one that has just started.
            (
                step,
                Event::DatabaseBroken(_) | Event::SessionRefused(_) | Event::SessionAccepted,
            ) => step,
            // The process was stopped on purpose.
            (
                step @ (Step::Stopping(_) | Step::GoingBack(BackStep::Stopping, _)),
                Event::ApiReady
                | Event::ApiNotReady(_)
                | Event::ApiExited(_)
                | Event::DatabaseExited(_),
            ) => step,
            (Step::GoingBack(back, error), event) => {
                return self.while_going_back(order, service, back, error, event, now);
            }
            (Step::Stopping(updated), Event::ServicesStopped) => {
                self.start(Job::StartDatabase(DatabaseStart::Adopted));
                Step::StartingDatabase(updated)
            }
            (Step::StartingDatabase(Updated::Migrated), Event::DatabaseStarted(Ok(started))) => {
                self.start(Job::StartApi);
                Step::StartingApi(started)
            }
            (Step::StartingDatabase(Updated::Unreachable), Event::DatabaseStarted(Ok(started))) => {
                self.start(Job::Migrate);
                Step::Migrating(started)
            }
            (Step::Migrating(started), Event::Migrated(Ok(()))) => {
                self.start(Job::StartApi);
                Step::StartingApi(started)
            }
            (Step::StartingApi(started), Event::ApiStarted(Ok(()))) => Step::StartingApi(started),
            (Step::StartingApi(started), Event::ApiReady) => {
                self.api.backoff.started(now);
                self.database.backoff.started(now);
                self.take_over(service);
                let running = Running {
                    database: Database::started(started),
                    api: Api::Ready,
                    change: None,
                };
                return self.restarted(running, order, Ok(Done::Restarted), now);
            }
            (
                _,
                Event::DatabaseStarted(Err(error))
                | Event::DatabaseExited(error)
                | Event::Migrated(Err(error))
                | Event::ApiStarted(Err(error)),
            ) => self.go_back(error),
            (_, Event::ApiNotReady(source) | Event::ApiExited(source)) => {
                self.go_back(api_failed(source))
            }
            (step, event) => {
                self.unexpected(&event);
                step
            }
        };
        State::Switching(Switching {
            order,
            service,
            step,
        })
    }

    fn go_back(&mut self, error: Error) -> Step {
        self.emit(Action::Note(GOES_ON.to_owned()));
        self.emit(Action::CancelAll);
        self.emit(Action::RestoreSettings);
        self.start(Job::StopServices);
        Step::GoingBack(BackStep::Stopping, error)
    }

    /// Starts the services with the former settings. A service that does not start is tried again, as if it had ended.
    fn while_going_back(
        &mut self,
        order: OrderId,
        service: Option<Service>,
        back: BackStep,
        error: Error,
        event: Event,
        now: Instant,
    ) -> State {
        let (database, api) = match (back, event) {
            (BackStep::Stopping, Event::ServicesStopped) => {
                self.start(Job::StartDatabase(DatabaseStart::Adopted));
                return going_back(order, service, BackStep::StartingDatabase, error);
            }
            (BackStep::StartingDatabase, Event::DatabaseStarted(Ok(started))) => {
                self.database.backoff.started(now);
                self.start(Job::StartApi);
                return going_back(order, service, BackStep::SpawningApi(started), error);
            }
            (BackStep::StartingDatabase, Event::DatabaseStarted(Err(why))) => {
                self.emit(Action::Warn(why.to_string()));
                self.start(Job::StartApi);
                (self.database_backs_off(&why, now).0, Api::Spawning)
            }
            (BackStep::SpawningApi(started), Event::ApiStarted(Ok(()))) => {
                self.api.backoff.started(now);
                return going_back(order, service, BackStep::StartingApi(started), error);
            }
            (BackStep::SpawningApi(started), Event::ApiStarted(Err(why))) => {
                self.emit(Action::Warn(why.to_string()));
                (Database::started(started), self.api_backs_off(now).0)
            }
            (BackStep::SpawningApi(_), Event::DatabaseExited(why)) => {
                self.emit(Action::Warn(why.to_string()));
                (self.database_backs_off(&why, now).0, Api::Spawning)
            }
            (BackStep::StartingApi(started), Event::ApiReady) => {
                (Database::started(started), Api::Ready)
            }
            (BackStep::StartingApi(started), Event::ApiExited(why)) => {
                self.emit(Action::Warn(why.to_string()));
                (Database::started(started), self.api_backs_off(now).0)
            }
            (BackStep::StartingApi(started), Event::ApiNotReady(why)) => {
                self.emit(Action::Warn(why.to_string()));
                (Database::started(started), Api::Starting)
            }
            (BackStep::StartingApi(_), Event::DatabaseExited(why)) => {
                self.emit(Action::Warn(why.to_string()));
                (self.database_backs_off(&why, now).0, Api::Starting)
            }
            (back, event) => {
                self.unexpected(&event);
                return going_back(order, service, back, error);
            }
        };
        let running = Running {
            database,
            api,
            change: None,
        };
        self.restarted(running, order, Err(error), now)
    }
}

fn going_back(order: OrderId, service: Option<Service>, back: BackStep, error: Error) -> State {
    State::Switching(Switching {
        order,
        service,
        step: Step::GoingBack(back, error),
    })
}
