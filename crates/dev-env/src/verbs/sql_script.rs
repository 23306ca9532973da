//! Runs SQL from a file or from standard input with psql, without psqlrc, up to the first error.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::Error;
use crate::database::session::Session;
use crate::verbs::restore::count::Counter;
use process::on_terminal_with;
use process::thread::in_thread;

/// What psql said is passed on within this.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A script that failed.
#[derive(Debug, thiserror::Error)]
#[error(
    "psql stopped {} in the database {database}; {}, and their changes remain unless the file began a transaction\n\
     hint: to run all statements or none, begin the file with BEGIN; and end it with COMMIT;",
    stopped(from, *line),
    before(ran.as_ref())
)]
pub struct ScriptError {
    /// The source of the SQL.
    from: String,
    /// The database.
    database: String,
    /// The line of the error, if psql named one.
    line: Option<u64>,
    /// The fewest and the most statements that can have run, if they are known.
    ran: Option<RangeInclusive<usize>>,
}

crate::project::error::other_errors!(ScriptError);

fn stopped(from: &str, line: Option<u64>) -> String {
    match line {
        Some(line) => format!("at the first error, in line {line} of {from},"),
        None => format!("before the end of {from},"),
    }
}

fn before(ran: Option<&RangeInclusive<usize>>) -> String {
    match ran.map(|ran| (ran.start(), ran.end())) {
        None => "some of its statements may have run".to_owned(),
        Some((fewest, most)) if fewest == most => {
            format!("the {fewest} statements before the error ran")
        }
        // psql does not say which statement of a line has failed.
        Some((fewest, most)) => format!(
            "{fewest} to {most} statements before the error ran, because that line has several statements"
        ),
    }
}

/// Runs the SQL of a file or of standard input, and returns the number of statements. Their output goes to the terminal.
///
/// # Errors
/// The file cannot be read, or a statement fails; those before it ran.
pub async fn run(session: &Session, file: Option<&Path>) -> Result<usize, Error> {
    let script: Box<dyn Read + Send> = match file {
        Some(path) => Box::new(File::open(path).map_err(|source| Error::io("read", path, source))?),
        None => Box::new(std::io::stdin()),
    };
    let from = file.map_or("standard input".to_owned(), |path| {
        path.display().to_string()
    });
    let pipe = || std::io::pipe().map_err(|source| Error::io("read", Path::new(&from), source));
    let ((stdin, to_psql), (of_psql, stderr)) = (pipe()?, pipe()?);
    let database = &session.url().database;
    let psql = session.client_in("psql", database).await?.args([
        "-X",
        "-w",
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        "-",
    ]);
    let counter = Arc::new(Mutex::new(Counter::new()));
    let counting = Arc::clone(&counter);
    // Not waited for: it may read from a pipe that sends nothing any more.
    tokio::spawn(in_thread(move |_| feed(script, to_psql, &counting)));
    let relayed = tokio::spawn(in_thread(move |_| relay(of_psql)));
    let ended = on_terminal_with(psql, stdin.into(), stderr.into()).await;
    // What the script has started may hold the pipe open.
    let line = tokio::time::timeout(LAST_WORDS, relayed)
        .await
        .ok()
        .and_then(Result::ok)
        .flatten()
        .flatten();
    let counter = counter.lock().unwrap_or_else(PoisonError::into_inner);
    if ended?.success() {
        return Ok(counter.total());
    }
    let ran = line.map(|line| counter.before(line));
    Err(ScriptError {
        from,
        database: database.clone(),
        line,
        ran,
    }
    .into())
}

/// Passes a script on to psql, line by line, and counts its statements.
fn feed(script: impl Read, mut psql: impl Write, counter: &Mutex<Counter>) {
    let (mut script, mut line) = (BufReader::new(script), Vec::new());
    while script
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        // Counted first: psql may end at this line.
        counter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .read(&line);
        if psql.write_all(&line).is_err() {
            return;
        }
        line.clear();
    }
}

/// Passes on what psql says, and returns the line that it named last: that of the error that it stopped at.
fn relay(from: impl Read) -> Option<u64> {
    let (mut from, mut said, mut last) = (BufReader::new(from), Vec::new(), None);
    while from.read_until(b'\n', &mut said).is_ok_and(|read| read > 0) {
        // Nothing else can be told where standard error is closed.
        let _closed = std::io::stderr().write_all(&said);
        if said.starts_with(b"psql:") {
            // A file that the script includes has lines of its own.
            last = line_of(&said);
        }
        said.clear();
    }
    last
}

/// `psql:<stdin>:7: ERROR: …` → 7.
fn line_of(said: &[u8]) -> Option<u64> {
    let rest = said.strip_prefix(b"psql:<stdin>:")?;
    let end = rest.iter().position(|byte| *byte == b':')?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_error_is_the_last_that_psql_names() {
        let said =
            "psql:<stdin>:3: NOTICE:  a\npsql:<stdin>:7: ERROR:  b\nDETAIL:  psql:<stdin>:9: c\n";
        assert_eq!(relay(said.as_bytes()), Some(7));
        for said in [
            "psql: error: no server\n",
            "psql:<stdin>:3: NOTICE:  a\npsql:other.sql:1: ERROR:  b\n",
        ] {
            assert_eq!(relay(said.as_bytes()), None, "{said}");
        }
    }

    #[test]
    fn a_script_is_passed_on_to_the_byte() {
        let script = b"SELECT 1;\r\n\\echo \xff\nSELECT 2";
        let (mut to, counter) = (Vec::new(), Mutex::new(Counter::new()));
        feed(&script[..], &mut to, &counter);
        assert_eq!(
            (to.as_slice(), counter.into_inner().unwrap().total()),
            (&script[..], 2)
        );
    }
}
