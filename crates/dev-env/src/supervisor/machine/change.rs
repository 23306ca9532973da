//! Changes of what runs: prepare, start, then commit or roll back. What runs goes on until the commit.

use std::time::Instant;

use super::interface::{
    Action, Builder, Done, Event, Files, Job, JobKind, Order, OrderId, Preparation, Prepared,
    Updated,
};
use super::state::{
    Api, Change, Machine, PasswordStep, Restart, RestartStep, Running, Save, SaveStep, State, Way,
};
use crate::Error;
use crate::report::up::Service;

/// What a failed restart reports.
pub(super) const GOES_ON: &str = "that failed: everything goes on with the old settings";

/// Returns the error of settings that a running environment cannot adopt.
pub(in crate::supervisor) fn needs_restart() -> Error {
    Error::hinted(
        "these settings move the database, which a reload leaves alone",
        "let them take effect: cargo dev restart",
    )
}

impl Machine {
    /// Makes the next change include what was not applied.
    pub(super) fn retry(&mut self, now: Instant) {
        if !self.waiting.unapplied.is_empty() {
            self.waiting.saved.get_or_insert((Files::new(), now));
        }
    }

    /// Drops a save that may be interrupted. The next save includes its files.
    pub(super) fn interrupt_save(&mut self, running: &mut Running) {
        let Some(Change::Save(save)) = &mut running.change else {
            return;
        };
        let job = match save.step {
            SaveStep::Preparing => JobKind::Prepare,
            SaveStep::Starting(_) => JobKind::StartCandidate,
            SaveStep::UpdatingDatabase | SaveStep::StartingUpdated | SaveStep::RollingBack(_) => {
                return;
            }
        };
        self.waiting.unapplied.append(&mut save.changed);
        self.waiting.forced |= save.forced;
        running.change = None;
        self.emit(Action::Cancel(job));
    }

    /// Begins the next change, unless one is in progress: orders first, then the move of the database, then saves.
    pub(super) fn next_change(&mut self, mut running: Running) -> State {
        if running.change.is_some() {
            return State::Running(running);
        }
        if let Some((id, order)) = self.waiting.orders.pop_front() {
            running.change = Some(self.begin_order(id, order));
        } else if std::mem::take(&mut self.waiting.moved) {
            self.start(Job::StartCandidate);
            running.change = Some(Change::Move);
        } else if let Some((files, since)) = self.waiting.saved.take() {
            running.change = self.begin_save(files, since);
        }
        State::Running(running)
    }

    fn begin_order(&mut self, order: OrderId, what: Order) -> Change {
        match what {
            Order::Restart(service) => {
                self.start(Job::Prepare(Preparation::Restart(service)));
                Change::Restart(Restart {
                    order,
                    service,
                    step: RestartStep::Preparing,
                })
            }
            Order::ChangePassword => {
                self.start(Job::SetPasswords(order));
                Change::Password(order, PasswordStep::Setting)
            }
        }
    }

    fn begin_save(&mut self, mut changed: Files, since: Instant) -> Option<Change> {
        changed.append(&mut self.waiting.unapplied);
        if changed.is_empty() {
            return None;
        }
        let save = Save {
            changed,
            forced: std::mem::take(&mut self.waiting.forced),
            since,
            step: SaveStep::Preparing,
        };
        self.prepare_save(&save, Builder::Fast);
        Some(Change::Save(save))
    }

    fn prepare_save(&mut self, save: &Save, builder: Builder) {
        self.start(Job::Prepare(Preparation::Save {
            changed: save.changed.clone(),
            forced: save.forced,
            builder,
        }));
    }

    /// Handles the end of a job of the change.
    pub(super) fn of_change(&mut self, mut running: Running, event: Event, now: Instant) -> State {
        if let Event::Prepared(Err(Error::LockReplaced)) = event {
            return self.stop(&State::Running(running), Err(Error::LockReplaced));
        }
        match running.change.take() {
            Some(Change::Save(save)) => {
                running.change = self.of_save(&mut running, save, event, now);
            }
            Some(Change::Restart(restart)) => {
                return self.of_restart(running, restart, event, now);
            }
            Some(Change::Password(order, step)) => {
                running.change = self.of_password(&mut running, order, step, event, now);
            }
            Some(Change::Move) => {
                match event {
                    Event::CandidateStarted(Ok(())) => self.commit(&mut running, now),
                    // The server runs. The API gets the address when it is restarted.
                    Event::CandidateStarted(Err(error)) => {
                        self.emit(Action::Warn(error.to_string()));
                    }
                    event => {
                        self.unexpected(&event);
                        running.change = Some(Change::Move);
                    }
                }
            }
            None => self.unexpected(&event),
        }
        self.next_change(running)
    }

    fn of_save(
        &mut self,
        running: &mut Running,
        save: Save,
        event: Event,
        now: Instant,
    ) -> Option<Change> {
        use SaveStep as Step;
        let Save { step, .. } = &save;
        let next = match (step, event) {
            (Step::Preparing, Event::Prepared(Ok(Prepared::Nothing))) => return None,
            (
                Step::Preparing,
                Event::Prepared(Ok(Prepared::Live {
                    updates_database: true,
                    ..
                })),
            ) => {
                self.start(Job::UpdateDatabase);
                Step::UpdatingDatabase
            }
            (Step::Preparing, Event::Prepared(Ok(Prepared::Live { built_by, .. }))) => {
                self.start(Job::StartCandidate);
                Step::Starting(built_by)
            }
            (Step::Preparing, Event::Prepared(Ok(Prepared::Switch))) => {
                return self.save_failed(running, save, needs_restart());
            }
            (Step::UpdatingDatabase, Event::DatabaseUpdated(Ok(_))) => {
                self.start(Job::StartCandidate);
                Step::StartingUpdated
            }
            // The error of a complete build is the right one.
            (Step::Starting(Builder::Fast), Event::CandidateStarted(Err(_))) => {
                self.prepare_save(&save, Builder::Cargo);
                Step::Preparing
            }
            (Step::UpdatingDatabase, Event::DatabaseUpdated(Err(error)))
            | (Step::StartingUpdated, Event::CandidateStarted(Err(error))) => {
                self.start(Job::RollBack);
                Step::RollingBack(error)
            }
            (Step::Preparing, Event::Prepared(Err(error)))
            | (Step::Starting(Builder::Cargo), Event::CandidateStarted(Err(error))) => {
                return self.save_failed(running, save, error);
            }
            (Step::Starting(_) | Step::StartingUpdated, Event::CandidateStarted(Ok(()))) => {
                self.commit(running, now);
                self.emit(Action::Settle);
                self.emit(Action::Report {
                    changed: save.changed,
                    since: save.since,
                    result: Ok(()),
                });
                return None;
            }
            (Step::RollingBack(_), Event::RolledBack) => {
                let Save {
                    step: Step::RollingBack(error),
                    changed,
                    since,
                    forced,
                } = save
                else {
                    return None;
                };
                let save = Save {
                    step: Step::Preparing,
                    changed,
                    since,
                    forced,
                };
                return self.save_failed(running, save, error);
            }
            (_, event) => {
                self.unexpected(&event);
                return Some(Change::Save(save));
            }
        };
        Some(Change::Save(Save { step: next, ..save }))
    }

    fn save_failed(&mut self, running: &Running, save: Save, error: Error) -> Option<Change> {
        self.emit(Action::Report {
            changed: save.changed.clone(),
            since: save.since,
            result: Err(error),
        });
        self.waiting.unapplied.extend(save.changed);
        self.waiting.forced = true;
        if matches!(running.api, Api::Ready) {
            self.emit(Action::SignalStale);
        }
        None
    }

    fn of_restart(
        &mut self,
        mut running: Running,
        restart: Restart,
        event: Event,
        now: Instant,
    ) -> State {
        use RestartStep as Step;
        let Restart {
            order,
            service,
            step,
        } = restart;
        let next = match (step, event) {
            (Step::Preparing, Event::Prepared(Ok(prepared))) => {
                self.start(Job::UpdateDatabase);
                Step::UpdatingDatabase(match prepared {
                    Prepared::Nothing | Prepared::Live { .. } => Way::Live,
                    Prepared::Switch => Way::Switch,
                })
            }
            // Nothing was changed yet.
            (Step::Preparing, Event::Prepared(Err(error))) => {
                return self.restarted(running, order, Err(error), now);
            }
            (Step::UpdatingDatabase(Way::Live), Event::DatabaseUpdated(Ok(Updated::Migrated))) => {
                self.start(Job::StartCandidate);
                Step::Starting
            }
            (Step::UpdatingDatabase(_), Event::DatabaseUpdated(Ok(updated))) => {
                self.cancel_restarts(&running);
                return self.begin_switch(order, service, updated);
            }
            (Step::UpdatingDatabase(_), Event::DatabaseUpdated(Err(error))) => {
                self.start(Job::RollBack);
                Step::RollingBack(error)
            }
            (Step::Starting, Event::CandidateStarted(Ok(()))) => {
                self.commit(&mut running, now);
                self.take_over(service);
                return self.restarted(running, order, Ok(Done::Restarted), now);
            }
            (Step::Starting, Event::CandidateStarted(Err(error))) => {
                self.emit(Action::Note(GOES_ON.to_owned()));
                self.start(Job::RollBack);
                Step::RollingBack(error)
            }
            (Step::RollingBack(error), Event::RolledBack) => {
                return self.restarted(running, order, Err(error), now);
            }
            (step, event) => {
                self.unexpected(&event);
                step
            }
        };
        running.change = Some(Change::Restart(Restart {
            order,
            service,
            step: next,
        }));
        State::Running(running)
    }

    /// The settings of a restart are in use.
    pub(super) fn take_over(&mut self, service: Option<Service>) {
        if service != Some(Service::Db) {
            // The restart has built the present sources.
            self.waiting.unapplied.clear();
            self.waiting.forced = false;
        }
        self.emit(Action::Settle);
        self.emit(Action::Announce);
    }

    pub(super) fn restarted(
        &mut self,
        running: Running,
        order: OrderId,
        result: Result<Done, Error>,
        now: Instant,
    ) -> State {
        self.emit(Action::Answer(order, result));
        self.retry(now);
        self.next_change(running)
    }

    fn of_password(
        &mut self,
        running: &mut Running,
        order: OrderId,
        step: PasswordStep,
        event: Event,
        now: Instant,
    ) -> Option<Change> {
        let file = match (step, event) {
            (PasswordStep::Setting, Event::PasswordsSet(Ok(file))) => {
                self.start(Job::StartCandidate);
                return Some(Change::Password(order, PasswordStep::Starting(file)));
            }
            (PasswordStep::Setting, Event::PasswordsSet(Err(error))) => {
                self.emit(Action::Answer(order, Err(error)));
                self.retry(now);
                return None;
            }
            (PasswordStep::Starting(file), Event::CandidateStarted(Ok(()))) => {
                self.commit(running, now);
                file
            }
            (PasswordStep::Starting(file), Event::CandidateStarted(Err(error))) => {
                self.emit(Action::Warn(error.to_string()));
                // It has the former password.
                if matches!(running.api, Api::Starting | Api::Ready) {
                    self.emit(Action::Drain);
                    self.start(Job::StartApi);
                    running.api = Api::Spawning;
                }
                file
            }
            (step, event) => {
                self.unexpected(&event);
                return Some(Change::Password(order, step));
            }
        };
        self.emit(Action::Answer(order, Ok(Done::PasswordsWritten(file))));
        self.retry(now);
        None
    }

    /// The candidate becomes the API, whatever the former one does.
    fn commit(&mut self, running: &mut Running, now: Instant) {
        if matches!(running.api, Api::Spawning) {
            self.emit(Action::Cancel(JobKind::StartApi));
        }
        running.api = Api::Ready;
        self.api.backoff.started(now);
        self.emit(Action::Commit);
    }
}
