//! The services run, or are restarted because they ended. A change may be in progress next to them.

use std::fmt::Display;
use std::time::{Duration, Instant};

use super::interface::{
    Action, DatabaseStart, Event, Files, Job, JobKind, Order, OrderId, Started,
};
use super::state::{Api, Change, Database, Machine, Running, State};
use process::{ProcessError, describe};

/// As many lines of a service that ended are shown.
const LAST_LINES: usize = 5;
/// The number of refused sessions in a row before a restart: a single refusal may be temporary.
const REFUSALS: u32 = 2;

impl Machine {
    pub(super) fn in_running(&mut self, mut running: Running, event: Event, now: Instant) -> State {
        match event {
            Event::Saved { files, new } => self.saved(running, files, new, now),
            Event::Ordered(id, order) => self.ordered(running, id, order),
            Event::TimePassed => {
                self.restart_due(&mut running, now);
                State::Running(running)
            }
            Event::ApiStarted(_)
            | Event::ApiReady
            | Event::ApiNotReady(_)
            | Event::ApiExited(_) => {
                running.api = self.of_api(running.api, event, now);
                State::Running(running)
            }
            Event::DatabaseStarted(_)
            | Event::DatabaseStopped
            | Event::DatabaseExited(_)
            | Event::DatabaseBroken(_)
            | Event::SessionRefused(_)
            | Event::SessionAccepted => self.of_database(running, event, now),
            event => self.of_change(running, event, now),
        }
    }

    fn saved(&mut self, mut running: Running, files: Files, new: Files, now: Instant) -> State {
        // A compiler may have read neither the former nor the present contents of a file that is saved while it builds.
        let saved = if matches!(running.change, Some(Change::Save(_))) {
            files
        } else {
            new
        };
        self.save_later(saved, now);
        if self.waiting.saved.is_some() {
            self.interrupt_save(&mut running);
        }
        self.next_change(running)
    }

    fn ordered(&mut self, mut running: Running, id: OrderId, order: Order) -> State {
        self.waiting.orders.push_back((id, order));
        self.interrupt_save(&mut running);
        self.next_change(running)
    }

    fn restart_due(&mut self, running: &mut Running, now: Instant) {
        if running.database.due().is_some_and(|due| due <= now)
            && let Database::BackingOff { reason, .. } = &mut running.database
        {
            let reason = std::mem::take(reason);
            running.database = Database::Starting { reason };
            self.database.count += 1;
            self.start(Job::StartDatabase(DatabaseStart::Again));
        }
        if running.api.due().is_some_and(|due| due <= now) {
            running.api = Api::Spawning;
            self.api.count += 1;
            self.start(Job::StartApi);
        }
    }

    fn of_api(&mut self, api: Api, event: Event, now: Instant) -> Api {
        match (api, event) {
            (Api::Spawning, Event::ApiStarted(Ok(()))) => {
                self.api.backoff.started(now);
                Api::Starting
            }
            (Api::Spawning, Event::ApiStarted(Err(error))) => {
                self.emit(Action::Warn(error.to_string()));
                self.api_backs_off(now).0
            }
            (Api::Starting, Event::ApiReady) => {
                if !self.waiting.unapplied.is_empty() {
                    self.emit(Action::SignalStale);
                }
                self.emit(Action::Note("the API is ready again".to_owned()));
                Api::Ready
            }
            // It may become ready later, for example when the database is.
            (Api::Starting, Event::ApiNotReady(_)) => Api::Starting,
            (Api::Starting | Api::Ready, Event::ApiExited(error)) => {
                let (api, delay) = self.api_backs_off(now);
                self.emit(Action::Warn(ended(error, delay)));
                api
            }
            (api, event) => {
                self.unexpected(&event);
                api
            }
        }
    }

    pub(super) fn api_backs_off(&mut self, now: Instant) -> (Api, Duration) {
        let delay = self.api.backoff.next_delay(now);
        (Api::BackingOff { due: now + delay }, delay)
    }

    fn of_database(&mut self, mut running: Running, event: Event, now: Instant) -> State {
        let mut started = false;
        running.database = match (running.database, event) {
            (Database::Starting { .. }, Event::DatabaseStarted(Ok(at))) => {
                self.database.backoff.started(now);
                self.emit(Action::Note("PostgreSQL runs again".to_owned()));
                let runs = matches!(running.api, Api::Starting | Api::Ready);
                self.waiting.moved |= runs && at == Started::Own { moved: true };
                started = true;
                Database::started(at)
            }
            (Database::Starting { .. }, Event::DatabaseStarted(Err(error))) => {
                self.emit(Action::Warn(error.to_string()));
                self.database_backs_off(&error, now).0
            }
            (Database::StoppingBroken { reason }, Event::DatabaseStopped) => {
                self.database_backs_off(&reason, now).0
            }
            (Database::Ready { .. }, Event::DatabaseExited(error)) => {
                let (database, delay) = self.database_backs_off(&error, now);
                self.emit(Action::Warn(format!(
                    "{error}\nit is started again in {} ms",
                    delay.as_millis()
                )));
                database
            }
            (Database::Ready { .. }, Event::DatabaseBroken(reason)) => self.stop_broken(reason),
            (Database::Ready { refusals }, Event::SessionRefused(reason)) => {
                if refusals + 1 < REFUSALS {
                    self.emit(Action::CheckSessionSoon);
                    Database::Ready {
                        refusals: refusals + 1,
                    }
                } else {
                    self.stop_broken(format!(
                        "PostgreSQL runs but refuses every new session: {reason}"
                    ))
                }
            }
            (Database::Ready { .. }, Event::SessionAccepted) => Database::Ready { refusals: 0 },
            // The server of the check has ended.
            (database, Event::SessionRefused(_) | Event::SessionAccepted) => database,
            (database, event) => {
                self.unexpected(&event);
                database
            }
        };
        if !started {
            return State::Running(running);
        }
        if self.waiting.moved {
            self.interrupt_save(&mut running);
        }
        self.retry(now);
        self.next_change(running)
    }

    fn stop_broken(&mut self, reason: String) -> Database {
        self.emit(Action::Warn(format!("{reason}\nPostgreSQL is restarted")));
        self.start(Job::StopDatabase);
        Database::StoppingBroken {
            reason: first_line(&reason),
        }
    }

    pub(super) fn database_backs_off(
        &mut self,
        reason: &impl Display,
        now: Instant,
    ) -> (Database, Duration) {
        let delay = self.database.backoff.next_delay(now);
        let database = Database::BackingOff {
            due: now + delay,
            reason: first_line(&reason.to_string()),
        };
        (database, delay)
    }

    /// Cancels the jobs that restart services.
    pub(super) fn cancel_restarts(&mut self, running: &Running) {
        if matches!(running.api, Api::Spawning) {
            self.emit(Action::Cancel(JobKind::StartApi));
        }
        match running.database {
            Database::Starting { .. } => self.emit(Action::Cancel(JobKind::StartDatabase)),
            Database::StoppingBroken { .. } => self.emit(Action::Cancel(JobKind::StopDatabase)),
            Database::External | Database::Ready { .. } | Database::BackingOff { .. } => {}
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn ended(error: ProcessError, delay: Duration) -> String {
    let (how, tail) = match error {
        ProcessError::Exited { status, tail, .. } => (describe(status), tail),
        other => (other.to_string(), Vec::new()),
    };
    let last: String = tail[tail.len().saturating_sub(LAST_LINES)..]
        .iter()
        .map(|line| format!("\n  {line}"))
        .collect();
    format!(
        "the API ended ({how}); it is started again in {} ms{last}",
        delay.as_millis()
    )
}
