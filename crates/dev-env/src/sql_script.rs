//! Runs SQL from a file or from standard input with psql, without psqlrc, up to the first error.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::Error;
use crate::process::{capture, on_terminal_reading};
use crate::session::Session;

const BOUND: Duration = Duration::from_secs(60);
/// psql writes each statement that it sends to its log, below a line that is `********* QUERY **********` up to PostgreSQL 16, and
/// `/******** QUERY *********/` from 17 on.
const COUNT: &str = r#"grep -cE '^[*/]+ QUERY [*/]+$' "$1"; rm -f "$1""#;

/// A script that failed.
#[derive(Debug, thiserror::Error)]
#[error(
    "psql stopped at the first error in {from}, in the database {database}; the {ran} statements before the error ran, and their changes remain unless the file began a transaction\n\
     hint: to run all statements or none, begin the file with BEGIN; and end it with COMMIT;"
)]
pub struct ScriptError {
    /// The source of the SQL.
    from: String,
    /// The database.
    database: String,
    /// The number of statements that ran.
    ran: usize,
}

/// Runs the SQL of a file or of standard input, and returns the number of statements. Their output goes to the terminal.
///
/// # Errors
/// The file cannot be read, or a statement fails; those before it ran.
pub async fn run(session: &Session, file: Option<&Path>) -> Result<usize, Error> {
    let stdin = match file {
        Some(path) => File::open(path).map_err(|source| Error::io("read", path, source))?.into(),
        None => Stdio::inherit(),
    };
    let database = &session.url().database;
    // The log is next to psql, possibly in a container.
    let made = capture(session.script_in(database, "mktemp").await?, b"", BOUND).await?;
    let log = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let psql = session.client_in("psql", database).await?.args(["-X", "-w", "-v", "ON_ERROR_STOP=1", "-L", &log, "-f", "-"]);
    let ended = on_terminal_reading(psql, stdin).await;
    let counted = capture(session.script_in(database, COUNT).await?.args([&log]), b"", BOUND).await?;
    let sent: usize = String::from_utf8_lossy(&counted.stdout).trim().parse().unwrap_or_default();
    if ended?.success() {
        return Ok(sent);
    }
    let from = file.map_or("standard input".to_owned(), |path| path.display().to_string());
    // The last statement is the one that failed.
    Err(ScriptError { from, database: database.clone(), ran: sent.saturating_sub(1) }.into())
}
