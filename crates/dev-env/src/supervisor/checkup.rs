//! Files and shared memory of services can be removed while they run, and their processes do not end. So they are checked periodically, and
//! restored, or the service is restarted.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::news::News;
use super::services::Services;
use super::{api, never};
use crate::Error;
use crate::build::cargo;
use crate::database::location;
use crate::database::session;
use crate::report::status::State;
use local_postgres::psql::{Psql, PsqlError};
use process::Process;
use process::files::make_parents;
use process::log_file;

/// The interval of the file check, which takes a few system calls.
const FILES_EVERY: Duration = Duration::from_secs(1);
/// The interval of the session check, which starts two processes and takes about 10 ms of processor time.
const SESSION_EVERY: Duration = Duration::from_secs(5);
const SESSION_BOUND: Duration = Duration::from_secs(10);
/// The number of refused sessions before a restart: a single refusal may be temporary.
const REFUSALS: u32 = 2;

/// A pending session check.
type Asking = Pin<Box<dyn Future<Output = Result<(), PsqlError>>>>;

/// The times of the next checks.
pub(super) struct Checkup {
    files: Instant,
    session: Instant,
    asking: Option<Asking>,
    refusals: u32,
}

impl Default for Checkup {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            files: now + FILES_EVERY,
            session: now + SESSION_EVERY,
            asking: None,
            refusals: 0,
        }
    }
}

impl Checkup {
    /// Waits for the next check, or for the result of a check. Cancel safe.
    pub(super) async fn news(&mut self) -> News {
        let files = self.files;
        let asked = async {
            match self.asking.as_mut() {
                Some(asking) => asking.as_mut().await,
                None => never().await,
            }
        };
        tokio::select! {
            session = asked => News::SessionChecked(session),
            () = tokio::time::sleep_until(files) => News::CheckDue,
        }
    }

    fn ask(&mut self, psql: Psql) {
        self.session = Instant::now() + SESSION_EVERY;
        self.asking = Some(Box::pin(async move {
            psql.run("select 1", SESSION_BOUND).await.map(drop)
        }));
    }
}

impl Services {
    /// Runs the immediate checks, and starts the session check.
    pub(super) async fn check(&mut self) {
        self.checkup.files = Instant::now() + FILES_EVERY;
        if !self.environment.checkout.is_in_place() {
            // This environment stops. Another checkout at this path gets none of its files.
            return;
        }
        self.restore_logs();
        self.restore_program();
        let lost = self
            .server
            .as_ref()
            .zip(self.cluster.as_ref())
            .filter(|(server, _)| server.has_lost_socket());
        if let Some((_, cluster)) = lost {
            let why = format!(
                "the folder of PostgreSQL's socket, {}, was removed: no session can be opened",
                cluster.socket_dir.display()
            );
            return self.restart_server(why).await;
        }
        let is_due = self.checkup.asking.is_none() && Instant::now() >= self.checkup.session;
        if let (true, Some(cluster), Some(_)) = (is_due, &self.cluster, &self.server) {
            self.checkup.ask(cluster.psql().in_database("postgres"));
        }
    }

    /// Handles the result of a session check.
    pub(super) async fn session_checked(&mut self, session: Result<(), PsqlError>) {
        self.checkup.asking = None;
        let refused = match session {
            Err(PsqlError::Refused { message }) if is_broken(&message) && self.server.is_some() => {
                message
            }
            _ => {
                self.checkup.refusals = 0;
                return;
            }
        };
        self.checkup.refusals += 1;
        if self.checkup.refusals < REFUSALS {
            self.checkup.session = Instant::now() + FILES_EVERY;
            return;
        }
        self.checkup.refusals = 0;
        self.restart_server(format!(
            "PostgreSQL runs but refuses every new session: {refused}"
        ))
        .await;
    }

    async fn restart_server(&mut self, why: String) {
        self.checkup.asking = None;
        let Some(server) = self.server.take() else {
            return;
        };
        self.events.warn(format!("{why}\nPostgreSQL is restarted"));
        if let Err(error) = server.stop_broken().await {
            self.events.warn(error.to_string());
        }
        self.database_failed(&why);
        self.server_again.schedule();
    }

    /// Restarts the server with its configuration, except for removed files.
    pub(super) async fn start_server_again(&mut self) -> Result<(), Error> {
        let checkout = self.environment.checkout.clone();
        if let Some(cluster) = &mut self.cluster {
            cluster.socket_dir = location::socket_folder(&checkout, &cluster.owner);
            if !cluster.binaries.program("postgres").exists() {
                let tool = self.environment.configuration.tool(&checkout)?;
                let place = location::Place {
                    owner: cluster.owner.clone(),
                    data_dir: cluster.data_dir.clone(),
                    exists: true,
                };
                cluster.binaries = location::binaries(&tool, Some(&place), &self.events).await?;
            }
        }
        self.run_server(true).await?;
        let moved = match (&self.cluster, &self.place) {
            (Some(cluster), Some(place)) => session::api_url(cluster).host != place.database.host,
            _ => false,
        };
        if moved && self.api.is_some() {
            let tool = self.environment.configuration.tool(&checkout)?;
            let port = self.place.as_ref().map_or(0, |place| place.port);
            self.place = Some(api::place(self.cluster.as_ref(), &tool, self.options, port));
            match self.replace_api().await {
                Ok(()) => self.describe_api(State::Running).await,
                // The server runs. The API uses the new address when it is restarted.
                Err(error) => self.events.warn(error.to_string()),
            }
        }
        Ok(())
    }

    /// Creates the log folder again, so that the service reopens its log. Folder and file belong to the owner of the checkout.
    fn restore_logs(&self) {
        if self.api.is_some() {
            let log = self
                .environment
                .configuration
                .log_dir(&self.environment.checkout)
                .join("app.log");
            // A full or read-only disk does not stop the environment.
            let _unwritable = make_parents(&log).map(|()| log_file::open(&log));
        }
    }

    /// Restores the running program, which restarts and the other verbs use.
    fn restore_program(&self) {
        let (Some(program), Some(pid)) = (&self.program, self.api.as_ref().and_then(Process::pid))
        else {
            return;
        };
        if program.path() == self.environment.kept_program() && !program.path().exists() {
            // If that fails, the next start builds it.
            let _gone = make_parents(program.path()).map(|()| program.restore_from(pid));
        }
    }

    /// Builds the program if the kept build was removed.
    pub(super) async fn rebuild_if_gone(&mut self) -> Result<(), Error> {
        if self
            .program
            .as_ref()
            .is_none_or(|program| program.is_complete())
        {
            return Ok(());
        }
        let tool = self
            .environment
            .configuration
            .tool(&self.environment.checkout)?;
        let program =
            cargo::program(&self.environment, &tool, self.building(), &self.events).await?;
        self.keep(program);
        Ok(())
    }
}

/// Returns whether a refusal with this text is permanent until a restart (LC_ALL=C keeps the text English). Other refusals are temporary,
/// or the user must correct them: too many clients, a starting server, a wrong password.
fn is_broken(refusal: &str) -> bool {
    const GONE: &str = "No such file or directory";
    let lacks = |what: &str, reasons: &[&str]| {
        refusal
            .split_once(what)
            .is_some_and(|(_, rest)| reasons.iter().any(|reason| rest.contains(reason)))
    };
    refusal.contains("FATAL")
        && (lacks(
            "shared memory segment",
            &[GONE, "Invalid argument", "does not exist"],
        ) || lacks("could not open file", &[GONE]))
}

#[cfg(test)]
mod tests {
    use super::is_broken;

    #[test]
    fn only_permanent_refusals_of_sessions_cause_a_restart() {
        let refused = |why: &str| {
            format!(
                "psql: error: connection to server on socket \"/tmp/s/.s.PGSQL.5432\" failed: FATAL:  {why}"
            )
        };
        for why in [
            "could not open shared memory segment \"/PostgreSQL.1669925116\": No such file or directory",
            "could not open shared memory segment \"pg_dynshmem/mmap.80944624\": No such file or directory",
            "could not open file \"global/pg_filenode.map\": No such file or directory",
            "could not attach to shared memory segment \"4711\": Invalid argument",
            "could not open shared memory segment \"/PostgreSQL.1669925116\": segment does not exist",
        ] {
            assert!(is_broken(&refused(why)), "{why}");
        }
        for why in [
            "sorry, too many clients already",
            "could not open file \"global/pg_filenode.map\": Too many open files",
            "could not open file \"global/pg_filenode.map\": Too many open files in system",
            "could not open file \"global/pg_filenode.map\": Permission denied",
            "could not open shared memory segment \"/PostgreSQL.1669925116\": Too many open files",
            "could not open shared memory segment \"/PostgreSQL.1669925116\": Permission denied",
            "could not resize shared memory segment \"/PostgreSQL.1669925116\" to 8192 bytes: No space left on device",
            "the database system is starting up",
            "the database system is shutting down",
            "password authentication failed for user \"emotionviz\"",
            "role \"emotionviz\" does not exist",
            "database \"postgres\" does not exist",
        ] {
            assert!(!is_broken(&refused(why)), "{why}");
        }
        assert!(!is_broken(
            "psql: error: connection to server on socket \"x\" failed: No such file or directory"
        ));
    }
}
