//! What services do by themselves, and what is done about it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitStatus;

use super::never;
use super::reloading::Attempted;
use super::services::{PROBE_EVERY, READY_BOUND, Services};
use crate::report::status::State;
use crate::service::command::Probe;
use local_postgres::psql::PsqlError;
use local_postgres::server::ServerError;
use process::{ProcessError, describe};

/// Something that a service did.
pub(super) enum News {
    /// The API that was started again is ready.
    ApiReady,
    /// The API ended.
    ApiEnded(Result<ExitStatus, ProcessError>),
    /// It is time to start the API again.
    ApiDue,
    /// PostgreSQL ended.
    DatabaseEnded(ServerError),
    /// It is time to start PostgreSQL again.
    DatabaseDue,
    /// The next check is due.
    CheckDue,
    /// The result of a session check.
    SessionChecked(Result<(), PsqlError>),
    /// Files were saved.
    Changed(BTreeSet<PathBuf>),
    /// An attempt to let changes go live has come to its end.
    Attempted(Box<Attempted>),
    /// The compiler has looked at what it may have to compile again.
    Primed,
}

impl Services {
    /// Waits for the next thing that a service does. Cancel safe.
    pub(super) async fn news(&mut self) -> News {
        let probe = self
            .place
            .as_ref()
            .map(|place| Probe::new(place.host, place.port));
        let (api, ready) = (self.api.as_mut(), self.api_ready);
        let api = async {
            match (api, probe) {
                (Some(api), Some(probe)) if !ready => match api
                    .until_ready(READY_BOUND, PROBE_EVERY * 5, || probe.ready())
                    .await
                {
                    Ok(()) => News::ApiReady,
                    Err(ProcessError::Exited { status, .. }) => News::ApiEnded(Ok(status)),
                    // It goes on without being ready: as long as it does not end there is nothing to do about it.
                    Err(_) => News::ApiEnded(api.exited().await),
                },
                (Some(api), _) => News::ApiEnded(api.exited().await),
                (None, _) => never().await,
            }
        };
        let server = self.server.as_mut();
        let database = async {
            match server {
                Some(server) => News::DatabaseEnded(server.died().await),
                None => never().await,
            }
        };
        let (watcher, attempt) = (
            self.reloading.watcher.as_mut(),
            self.reloading.attempt.as_mut(),
        );
        let changed = async {
            match watcher {
                Some(watcher) => News::Changed(watcher.changed().await),
                None => never().await,
            }
        };
        let attempted = async {
            match attempt {
                Some(attempt) => News::Attempted(Box::new(attempt.work.as_mut().await)),
                None => never().await,
            }
        };
        let priming = self.reloading.priming.as_mut();
        let primed = async {
            match priming {
                Some(priming) => {
                    priming.as_mut().await;
                    News::Primed
                }
                None => never().await,
            }
        };
        let checkup = self.checkup.news();
        tokio::select! {
            news = attempted => news,
            news = primed => news,
            news = changed => news,
            news = database => news,
            news = api => news,
            () = self.server_again.due() => News::DatabaseDue,
            () = self.api_again.due() => News::ApiDue,
            news = checkup => news,
        }
    }

    /// Does what a piece of news asks for.
    pub(super) async fn react(&mut self, news: News) {
        match news {
            News::ApiReady => {
                self.api_ready = true;
                self.board
                    .update(|snapshot| snapshot.api.state = State::Running);
                self.say_behind();
                self.events.note("the API is ready again");
            }
            News::ApiEnded(how) => {
                let tail = self.api.take().map(|api| api.tail()).unwrap_or_default();
                let how = how.map_or_else(|error| error.to_string(), describe);
                self.board
                    .update(|snapshot| snapshot.api.ended(State::Failed));
                let wait = self.api_again.schedule();
                let last = tail
                    .iter()
                    .rev()
                    .take(5)
                    .rev()
                    .map(|line| format!("\n  {line}"))
                    .collect::<String>();
                self.events.warn(format!(
                    "the API ended ({how}); it is started again in {} ms{last}",
                    wait.as_millis()
                ));
            }
            News::ApiDue => {
                self.board.update(|snapshot| snapshot.api.restarts += 1);
                let spawned = match self.rebuild_if_gone().await {
                    Ok(()) => self.spawn_api().await,
                    Err(error) => Err(error),
                };
                if let Err(error) = spawned {
                    self.api_again.schedule();
                    self.events.warn(error.to_string());
                }
            }
            News::CheckDue => self.check().await,
            News::SessionChecked(session) => self.session_checked(session).await,
            News::Changed(files) => self.changed(files),
            News::Attempted(attempted) => self.attempted(*attempted).await,
            News::Primed => self.reloading.priming = None,
            News::DatabaseEnded(why) => {
                self.server = None;
                let why = crate::Error::from(why);
                self.database_failed(&why.to_string());
                let wait = self.server_again.schedule();
                self.events.warn(format!(
                    "{why}\nit is started again in {} ms",
                    wait.as_millis()
                ));
            }
            News::DatabaseDue => {
                self.board.update(|snapshot| snapshot.db.restarts += 1);
                match self.start_server_again().await {
                    Ok(()) => {
                        self.events.note("PostgreSQL runs again");
                        self.try_again();
                    }
                    Err(error) => {
                        self.database_failed(&error.to_string());
                        self.server_again.schedule();
                        self.events.warn(error.to_string());
                    }
                }
            }
        }
    }

    /// Makes `status` report that the database does not run, with the reason.
    pub(super) fn database_failed(&self, why: &str) {
        self.board.update(|snapshot| {
            snapshot.db.ended(State::Failed);
            snapshot.db.reason = why.lines().next().map(str::to_owned);
        });
    }
}
