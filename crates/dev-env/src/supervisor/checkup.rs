//! Files and shared memory of services can be removed while they run, and their processes do not end. So they are checked periodically, and
//! restored, or the service is restarted.

use std::time::Duration;

use tokio::time::Instant;

use super::hands::Hands;
use super::jobs::{Jobs, Key};
use super::machine::Event;
use local_postgres::psql::PsqlError;
use process::files::make_parents;
use process::log_file;

/// The interval of the file check, which takes a few system calls.
const FILES_EVERY: Duration = Duration::from_secs(1);
/// The interval of the session check, which starts two processes and takes about 10 ms of processor time.
const SESSION_EVERY: Duration = Duration::from_secs(5);
const SESSION_BOUND: Duration = Duration::from_secs(10);

/// The times of the next checks.
pub(super) struct Checkup {
    files: Instant,
    session: Instant,
}

impl Default for Checkup {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            files: now + FILES_EVERY,
            session: now + SESSION_EVERY,
        }
    }
}

impl Checkup {
    /// Waits for the next check.
    pub(super) async fn due(&self) {
        tokio::time::sleep_until(self.files).await;
    }

    /// Checks for a session at the next check, and not after the usual interval.
    pub(super) fn ask_soon(&mut self) {
        self.session = Instant::now() + FILES_EVERY;
    }

    /// Runs the immediate checks, and starts the session check if it is due.
    pub(super) fn check(&mut self, hands: &Hands, jobs: &mut Jobs) -> Option<Event> {
        let now = Instant::now();
        self.files = now + FILES_EVERY;
        if !hands.environment().checkout.is_in_place() {
            // This environment stops. Another checkout at this path gets none of its files.
            return None;
        }
        restore_logs(hands);
        restore_program(hands);
        let (server, cluster) = hands.server.as_ref().zip(hands.running_cluster())?;
        if server.has_lost_socket() {
            return Some(Event::DatabaseBroken(format!(
                "the folder of PostgreSQL's socket, {}, was removed: no session can be opened",
                cluster.socket_dir.display()
            )));
        }
        if !jobs.runs(Key::Session) && now >= self.session {
            self.session = now + SESSION_EVERY;
            let psql = cluster.psql().in_database("postgres");
            let session = async move { psql.run("select 1", SESSION_BOUND).await };
            jobs.start(Key::Session, session, |_, session| {
                Some(match session {
                    Err(PsqlError::Refused { message }) if is_broken(&message) => {
                        Event::SessionRefused(message)
                    }
                    _ => Event::SessionAccepted,
                })
            });
        }
        None
    }
}

/// Creates the log folder again, so that the service reopens its log. Folder and file belong to the owner of the checkout.
fn restore_logs(hands: &Hands) {
    if hands.api.is_some() {
        let environment = hands.environment();
        let log = environment
            .configuration
            .log_dir(&environment.checkout)
            .join("app.log");
        // A full or read-only disk does not stop the environment.
        let _unwritable = make_parents(&log).map(|()| log_file::open(&log));
    }
}

/// Restores the running program, which restarts and the other verbs use.
fn restore_program(hands: &Hands) {
    let Some(pid) = hands.api.as_ref().and_then(|api| api.process.pid()) else {
        return;
    };
    let serving = hands.serving();
    let program = &serving.program;
    if program.path() == serving.environment.kept_program() && !program.path().exists() {
        // If that fails, the next start builds it.
        let _gone = make_parents(program.path()).map(|()| program.restore_from(pid));
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
