//! Stops writers while a database is copied and changed, so that each acknowledged row is in the copy or in the database.
//!
//! `ALTER DATABASE … SET default_transaction_read_only = on` makes new sessions read-only, and existing sessions are terminated; readers
//! reconnect at once. A session that requests it (`BEGIN READ WRITE`) could still write, but neither the service nor psql does.
//!
//! A psql process that outlives a killed tool changes the setting. When its standard input is closed, it allows writes again. If the server
//! ended before, the database keeps a mark. The advisory lock of this psql process distinguishes the mark of a running command from the
//! mark of a killed one.

mod error;
pub(crate) mod left;
pub(crate) mod mark;

use std::time::Duration;

use tokio::time::Instant;

use self::mark::{BARRIER, FACTS, KEY, MARK};
use crate::Error;
use crate::database::session::Session;
use crate::report::events::Events;
use local_postgres::psql::literal;
use process::{Outliving, ProcessError};

pub(crate) use error::WritersError;

/// The time limit for terminated sessions to end.
const END_BOUND: Duration = Duration::from_secs(20);
const STATEMENT_BOUND: Duration = Duration::from_secs(30);
/// The time limit for allowing writes: a statement, or several attempts while the server restarts.
const LET_IN_BOUND: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// The line that psql prints after each answer.
const ANSWERED: &str = "-- answered";
/// The line that the script prints after psql has ended.
const ENDED: &str = "-- psql has ended";

/// Holds the session, and allows writes at its end: in that session, or in a new one, because the server may be restarting.
const SCRIPT: &str = r#"{ cat; printf '%s\n' "$1"; } | { "$0" -X -q -A -t -w -f -; ended=$?; echo '-- psql has ended'; exit $ended; } && exit
for second in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    sleep 1
    printf '%s\n' "$1" | "$0" -X -q -A -t -w -v ON_ERROR_STOP=1 -f - >/dev/null 2>&1 && exit
done
exit 1"#;

/// Selects other sessions of the database, except the server's own.
const OTHERS: &str = "FROM pg_stat_activity AS session WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()";

/// A database whose writers are stopped while this value lives.
pub(crate) struct StoppedWriters {
    psql: Outliving,
    database: String,
}

impl StoppedWriters {
    /// Opens the session that stops writers. Nothing is changed yet.
    pub(crate) async fn open(session: &Session, database: &str) -> Result<Self, Error> {
        let mut script = session
            .script_in(database, SCRIPT)
            .await?
            .args([left::LET_IN]);
        // The process may outlive the checkout, and must not keep its folder busy.
        script.current_dir = Some("/".into());
        Ok(Self {
            psql: Outliving::start(&script)?,
            database: database.to_owned(),
        })
    }

    /// Stops writers for the verb `by`, and reports the terminated sessions, except sessions of the service.
    ///
    /// # Errors
    /// Another command already stopped them, a session cannot be terminated, or a setting of the database or a role would override it.
    pub(crate) async fn stop(&mut self, by: &str, events: &Events) -> Result<(), Error> {
        events.phase("stopping writers");
        self.ask(
            "SET search_path = pg_catalog; SET lock_timeout = '10s'; SET idle_session_timeout = 0;",
        )
        .await?;
        if self
            .ask(&format!("SELECT pg_try_advisory_lock({KEY});"))
            .await?
            != ["t"]
        {
            return Err(WritersError::AtWork {
                database: self.database.clone(),
            }
            .into());
        }
        self.refuse_other_settings().await?;
        let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        // Only the time of day, because psql warns about names that are longer than 63 bytes.
        let mark = literal(&format!(
            "{MARK}{by}, {}",
            now.split_once('T').map_or(now.as_str(), |(_, time)| time)
        ));
        let set = format!(
            "DO $do$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
             EXECUTE format('ALTER DATABASE %I SET application_name = %L', current_database(), {mark}); END $do$;"
        );
        self.ask(&set).await?;
        self.ask(BARRIER).await?;
        let ended = self
            .ask(&format!(
                "SELECT {FACTS} {OTHERS} AND application_name <> 'emotionviz' ORDER BY pid;"
            ))
            .await?;
        self.end_sessions().await?;
        if !ended.is_empty() {
            events.note(format!(
                "terminated these sessions, so that they cannot write to {}:\n{}",
                self.database,
                ended.join("\n")
            ));
        }
        Ok(())
    }

    /// Terminates all other sessions of the database.
    ///
    /// # Errors
    /// A session does not end, or this role may not terminate it.
    pub(crate) async fn end_sessions(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + END_BOUND;
        loop {
            // Every session in the list is counted, also while it is ending: ended sessions disappear from the list.
            if self
                .ask(&format!("SELECT pg_terminate_backend(pid) {OTHERS};"))
                .await?
                .is_empty()
            {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let left = self.ask(&format!("SELECT {FACTS} {OTHERS};")).await?;
                return Err(WritersError::Left {
                    database: self.database.clone(),
                    sessions: left.join("\n  "),
                }
                .into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Checks that writes are still stopped. A restart of the server allows them again, and another database may have taken the name.
    ///
    /// # Errors
    /// Writes are possible.
    pub(crate) async fn check(&mut self) -> Result<(), Error> {
        let sql = format!(
            "SELECT current_database() = {} AND EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) AS line WHERE setrole = 0
             AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) AND line = 'default_transaction_read_only=on');",
            literal(&self.database)
        );
        // A session that has ended returns an error.
        match self.ask(&sql).await {
            Ok(lines) if lines == ["t"] => Ok(()),
            _ => Err(WritersError::Lost {
                database: self.database.clone(),
            }
            .into()),
        }
    }

    /// Allows writes again.
    ///
    /// # Errors
    /// The database does not answer.
    pub(crate) async fn let_in(self) -> Result<(), Error> {
        let (status, said) = self.psql.finish(LET_IN_BOUND).await?;
        if status.success() {
            Ok(())
        } else {
            Err(WritersError::NotLetIn {
                database: self.database,
                said,
            }
            .into())
        }
    }

    /// Leaves the mark in the database of a stopped server. The next start of that server allows writes again.
    pub(crate) async fn leave(self) {
        self.psql.kill().await;
    }

    /// Refuses a setting of a role that overrides the setting of the database, and a setting of the user that this would overwrite.
    async fn refuse_other_settings(&mut self) -> Result<(), Error> {
        let sql = format!(
            "SELECT format('ALTER %s RESET %s;', CASE
                 WHEN setrole = 0 THEN format('DATABASE %I', current_database())
                 WHEN setdatabase = 0 THEN format('ROLE %s', setrole::regrole)
                 ELSE format('ROLE %s IN DATABASE %I', setrole::regrole, current_database()) END, split_part(found, '=', 1))
             FROM pg_db_role_setting AS setting, unnest(setconfig) AS found
             WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
             AND (starts_with(found, 'default_transaction_read_only=') OR setrole = 0 AND starts_with(found, 'application_name='))
             AND NOT EXISTS (SELECT FROM unnest(setconfig) AS line WHERE starts_with(line, {}));",
            literal(&format!("application_name={MARK}"))
        );
        let statements = self.ask(&sql).await?;
        if statements.is_empty() {
            return Ok(());
        }
        Err(WritersError::OtherSetting {
            database: self.database.clone(),
            statements: statements.join(" "),
        }
        .into())
    }

    /// Returns the output of a statement.
    async fn ask(&mut self, sql: &str) -> Result<Vec<String>, Error> {
        let asked = async {
            // psql's own variables say how the last statement ended, without `psql:<stdin>:1: ERROR:` before it.
            self.psql
                .send(&format!(
                    "{sql}\n\\echo '{ANSWERED}' :ERROR :LAST_ERROR_MESSAGE\n"
                ))
                .await?;
            let mut lines = Vec::new();
            loop {
                let line = self.psql.line().await?.unwrap_or_else(|| ENDED.to_owned());
                match line.strip_prefix(ANSWERED) {
                    Some(rest) if rest.starts_with(" false") => return Ok(Ok(lines)),
                    Some(rest) => {
                        return Ok(Err(rest.trim_start_matches(" true").trim().to_owned()));
                    }
                    None if line == ENDED => return Ok(Err("the session ended".to_owned())),
                    None => lines.push(line),
                }
            }
        };
        let answer: Result<_, ProcessError> =
            match tokio::time::timeout(STATEMENT_BOUND, asked).await {
                Ok(answer) => answer,
                Err(_) => Ok(Err(format!(
                    "no answer within {} s",
                    STATEMENT_BOUND.as_secs()
                ))),
            };
        Ok(answer?.map_err(|reason| WritersError::Refused {
            database: self.database.clone(),
            reason,
        })?)
    }
}
