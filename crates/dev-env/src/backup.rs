//! Copies of the database that somebody asks for: an archive with its checksum beside it; and back, into a database of its own
//! that takes the other's name when it is complete.

mod checksum;
pub(crate) mod disk;
mod error;
mod target;
mod unfinished;
mod write;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::engine::Engine;
use crate::events::Events;
use crate::postgres::psql::{identifier, literal};
use crate::postgres::roles;
use crate::process::{describe, from_file};
use crate::session::Session;
use crate::{Checkout, Error, database_settings, lock, lock_holders, owner};

pub use error::BackupError;

use checksum::Verdict;
use target::Target;

/// Names of databases that are being filled. One that is there when nobody restores was left by a killed restore.
pub(crate) const FILLING: &str = "restoring_";
const LOAD_BOUND: Duration = Duration::from_secs(3600);
/// The API connects again at once, and a database that somebody is connected to cannot be renamed.
const SWAP_TRIES: u32 = 10;
const END_AGAIN: Duration = Duration::from_millis(100);
/// What `pg_dump --format=custom` begins with.
const ARCHIVE: &[u8] = b"PGDMP";

/// What a restore did.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The database.
    pub database: String,
    /// The one that had its name before.
    pub kept: String,
}

/// Where a copy was written to.
#[derive(Clone, Debug)]
pub enum Written {
    /// To this file; its SHA-256 is in the file of the same name with `.sha256`, as `sha256sum --check` reads it.
    File(PathBuf),
    /// To standard output, a FIFO or a device.
    Stream,
}

/// Writes a copy to `to`, or into the checkout's `data/backups`. A path of `-` is standard output. A file that this tool has not made is
/// replaced only with `force`.
///
/// # Errors
/// There is no database, or the copy cannot be written; what was there before stays.
pub async fn backup(engine: &impl Engine, to: Option<&Path>, force: bool, events: &Events) -> Result<Written, Error> {
    let session = engine.session("cargo dev backup", events).await?;
    let written = write(&session, to, force, events).await;
    session.end().await?;
    written
}

async fn write(session: &Session, to: Option<&Path>, force: bool, events: &Events) -> Result<Written, Error> {
    let checkout = &session.environment().checkout;
    let default = checkout.backups().join(format!("{}.dump", now()));
    let to = to.unwrap_or(&default);
    match target::choose(checkout, to, force).await? {
        Target::File(path) => {
            write_copy(session, &path, events).await?;
            Ok(Written::File(path))
        }
        Target::Stream(stream) => {
            events.phase("copying the database");
            let database = &session.url().database;
            let pg_dump = session.client_in("pg_dump", database).await?;
            let to = to.display().to_string();
            let written = write::to_stream(pg_dump, database, &to, stream);
            lock_holders::named(session, database, &format!("copying {database}"), lock_holders::PATIENCE, written).await?;
            Ok(Written::Stream)
        }
    }
}

/// Writes an archive of the session's database to `to`, next to its checksum. What was there is replaced when both are whole.
///
/// # Errors
/// The copy cannot be written; what was there before stays.
pub(crate) async fn write_copy(session: &Session, to: &Path, events: &Events) -> Result<(), Error> {
    events.phase("copying the database");
    write_archive(session, &session.url().database, to).await
}

/// The same of any database of the session's server.
///
/// # Errors
/// The copy cannot be written; what was there before stays.
pub(crate) async fn write_archive(session: &Session, database: &str, to: &Path) -> Result<(), Error> {
    owner::make_parents(to)?;
    let written = write::to_file(session.client_in("pg_dump", database).await?, database, to);
    lock_holders::named(session, database, &format!("copying {database}"), lock_holders::PATIENCE, written).await
}

/// Removes a copy and its checksum, where they are.
pub(crate) fn remove_copy(copy: &Path) {
    for file in [checksum::path(copy).as_path(), copy] {
        // It may not have come to it.
        let _absent = std::fs::remove_file(file);
    }
}

/// Puts a copy back: into a new database, which takes the name when all of it is there. The old one is kept under another name.
/// A copy is an archive of [`backup`] or of `pg_dump --format=custom`, or SQL as `pg_dump` prints it.
///
/// # Errors
/// The file is damaged or refused, or somebody restores already; the database is as it was then.
pub async fn restore(engine: &impl Engine, from: &Path, colour: bool, events: &Events) -> Result<Restored, Error> {
    let archive = look(from, events)?;
    let session = engine.session("cargo dev restore", events).await?;
    let restored = restore_on(&session, from, archive, colour, events).await;
    session.end().await?;
    restored
}

async fn restore_on(session: &Session, from: &Path, archive: bool, colour: bool, events: &Events) -> Result<Restored, Error> {
    session.refuse_external("a restore")?;
    let _turn = turn(&session.environment().checkout)?;
    sweep(session).await?;
    let stamp: String = now().chars().filter(char::is_ascii_digit).collect();
    let new = format!("{FILLING}{stamp}");
    let filled = async {
        fill(session, &new, from, archive, events).await?;
        events.phase("applying migrations");
        let said = session.migrate_in(&new, colour).await?;
        said.lines().for_each(|line| events.note(line));
        // A copy has none of them, and they are of the name that it takes.
        let settings = database_settings::of_database(session, &session.url().database, &new).await?;
        session.sql_in("postgres", &settings).await?;
        swap(session, &new, &format!("before_restore_{stamp}")).await
    };
    let restored = filled.await;
    if restored.is_err() {
        // Where even that fails the next restore does it.
        let _left = session.sql_in("postgres", &drop_database(&new)).await;
    }
    restored
}

pub(crate) async fn fill(session: &Session, new: &str, from: &Path, archive: bool, events: &Events) -> Result<(), Error> {
    events.phase("restoring into a new database");
    let owner = &session.url().user;
    session.sql_in("postgres", &format!("CREATE DATABASE {} OWNER {} TEMPLATE template0", identifier(new), identifier(owner))).await?;
    let load = if archive {
        // Rights are given below: the role that has them may not exist where the copy was made.
        let words = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", "-w", "--dbname", new];
        session.client_in("pg_restore", new).await?.args(words)
    } else {
        let words = ["-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-o", "/dev/null", "-f", "-"];
        session.client_in("psql", new).await?.args(words)
    };
    // On its standard input, where whoever the client runs as, and wherever, can read it.
    let file = File::open(from).map_err(|source| Error::io("read", from, source))?;
    let output = from_file(load, file, LOAD_BOUND).await?;
    if !output.status.success() {
        let said = output.stderr.trim();
        let reason = if said.is_empty() { describe(output.status) } else { said.to_owned() };
        return Err(Error::Restore { path: from.to_owned(), reason });
    }
    let grants = roles::api_grants_sql(owner, new);
    session.sql_in(new, &format!("BEGIN;\n{grants}COMMIT;\n")).await?;
    Ok(())
}

/// The new database takes the name of the other, which gets `kept`: both at once, or neither.
pub(crate) async fn swap(session: &Session, new: &str, kept: &str) -> Result<Restored, Error> {
    let database = &session.url().database;
    let sql = format!(
        "BEGIN;
ALTER DATABASE {} RENAME TO {};
ALTER DATABASE {} RENAME TO {};
COMMIT;
",
        identifier(database),
        identifier(kept),
        identifier(new),
        identifier(database)
    );
    let both = [database.as_str(), new];
    let mut tries = 1;
    loop {
        // A session that began before the first name was locked is ended while the renaming waits for it, which it does for 5 s.
        let renamed = tokio::select! {
            biased;
            renamed = session.sql_in("postgres", &sql) => renamed,
            never = end_sessions(session, &both) => never,
        };
        match renamed {
            Ok(_) => return Ok(Restored { database: database.clone(), kept: kept.to_owned() }),
            Err(error) if tries >= SWAP_TRIES || !error.to_string().contains("accessed by other users") => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

/// Ends the sessions of these databases, again and again.
async fn end_sessions<T>(session: &Session, databases: &[&str]) -> Result<T, Error> {
    let names: Vec<String> = databases.iter().map(|name| literal(name)).collect();
    let sql = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ({})", names.join(", "));
    loop {
        session.sql_in("postgres", &sql).await?;
        tokio::time::sleep(END_AGAIN).await;
    }
}

/// One restore at a time: the lock is the system's, and ends with this process.
fn turn(checkout: &Checkout) -> Result<File, Error> {
    lock::file(checkout, "restore.lock")?.ok_or(Error::AtWork("`cargo dev restore`"))
}

/// Removes what killed restores left.
async fn sweep(session: &Session) -> Result<(), Error> {
    let left = format!("SELECT datname FROM pg_database WHERE starts_with(datname, {})", literal(FILLING));
    for name in session.sql_in("postgres", &left).await?.lines() {
        session.sql_in("postgres", &drop_database(name)).await?;
    }
    Ok(())
}

pub(crate) fn drop_database(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(name))
}

/// Whether a copy is an archive. Compares it with its checksum, where there is one.
fn look(from: &Path, events: &Events) -> Result<bool, Error> {
    let io = |source| Error::io("read", from, source);
    let mut start = Vec::new();
    File::open(from).and_then(|file| file.take(ARCHIVE.len() as u64).read_to_end(&mut start)).map_err(io)?;
    match checksum::compare(from).map_err(io)? {
        Verdict::Whole => {}
        Verdict::Unknown(reason) => events.note(format!("{reason}: whether the copy is whole was not checked")),
        Verdict::Damaged | Verdict::Older => return Err(Error::DamagedBackup { path: from.to_owned() }),
    }
    Ok(start == ARCHIVE)
}

pub(crate) fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string().replace(':', "-")
}
