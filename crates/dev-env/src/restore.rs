//! A copy of the database is put back: into a new database, which takes the name when it is whole and known to be this application's. The
//! database that was there is kept.

pub(crate) mod count;
mod error;
mod filter;
mod format;
mod lexer;
mod load;
mod migrated;
mod room;
mod rules;
mod source;
mod swap;
mod tokens;
mod utf16;
mod zstandard;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crate::backup::{Key, Verdict, compare, now};
use crate::engine::Engine;
use crate::events::Events;
use crate::postgres::psql::identifier;
use crate::session::Session;
use crate::stop::Stop;
use crate::thread::in_thread;
use crate::{Checkout, Error, database_settings, lock};

pub use error::{Refusal, RestoreError};
pub use swap::Rows;

use filter::Report;
use load::Loader;
use room::Room;
use source::Copy;

/// What a restore did.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The database.
    pub database: String,
    /// The database that had its name before.
    pub kept: String,
    /// The tables of both.
    pub rows: Vec<Rows>,
}

/// Puts a copy back: a file in any format of pg_dump, packed or not, standard input for `-`, or a kept database by its name. `None` when
/// `stop` was asked.
///
/// # Errors
/// The copy is damaged or refused, or another restore runs; the database is as it was then.
pub async fn restore(
    engine: &impl Engine,
    checkout: &Checkout,
    from: &Path,
    colour: bool,
    events: &Events,
    stop: &Stop,
) -> Result<Option<Restored>, Error> {
    let opened = async {
        match kept_name(from) {
            Some(name) if name.starts_with(swap::KEPT) => Ok(Err(name)),
            Some(name) => Err(RestoreError::NotFound { name, kept: Vec::new() }.into()),
            None => open(checkout, from, events).await.map(Ok),
        }
    };
    let Some(opened) = until(stop, opened).await.transpose()? else { return Ok(None) };
    let Some(session) = until(stop, engine.session("cargo dev restore", events)).await.transpose()? else { return Ok(None) };
    let restored = match opened {
        Ok((copy, trusted)) => from_copy(&session, copy, trusted, colour, events, stop).await,
        Err(name) => from_kept(&session, &name, colour, events, stop).await,
    };
    session.end().await?;
    restored
}

/// Does `work` unless `stop` is asked before it ends.
async fn until<T>(stop: &Stop, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.asked() => None,
        done = work => Some(done),
    }
}

/// The name of a database, where there is no file of that name.
fn kept_name(from: &Path) -> Option<String> {
    let name = from.to_str()?;
    (!name.contains('/') && name != "-" && std::fs::symlink_metadata(from).is_err()).then(|| name.to_owned())
}

/// Opens a copy and compares it with its checksum. Whether this checkout has written it comes with it.
async fn open(checkout: &Checkout, from: &Path, events: &Events) -> Result<(Copy, bool), Error> {
    checkout.make_folders()?;
    events.phase("reading the copy");
    let (path, folder) = (from.to_owned(), checkout.root().join("data"));
    let broken = || RestoreError::Read { copy: from.display().to_string(), source: std::io::Error::other("the work broke off") };
    let (copy, verdict) = in_thread(move |cancelled| {
        let copy = source::open(&path, &folder, cancelled)?;
        let verdict = path.is_file().then(|| compare(&path, Key::read(&folder).as_ref())).transpose();
        verdict.map(|verdict| (copy, verdict)).map_err(|source| RestoreError::Read { copy: path.display().to_string(), source })
    })
    .await
    .unwrap_or_else(|| Err(broken()))?;
    let shown = copy.shown.clone();
    match verdict {
        Some(Verdict::Whole { is_sealed, .. }) => Ok((copy, is_sealed)),
        Some(Verdict::Damaged) => Err(RestoreError::Damaged { copy: shown }.into()),
        Some(Verdict::Older) => Err(RestoreError::OlderChecksum { copy: shown }.into()),
        Some(Verdict::Unknown(reason)) => {
            events.note(format!("{reason}: whether the copy is whole was not checked by a checksum"));
            Ok((copy, false))
        }
        None => Ok((copy, false)),
    }
}

async fn from_copy(
    session: &Session,
    copy: Copy,
    trusted: bool,
    colour: bool,
    events: &Events,
    stop: &Stop,
) -> Result<Option<Restored>, Error> {
    let Some(turn) = until(stop, begin(session)).await.transpose()? else { return Ok(None) };
    let stamp = stamp();
    let room = Room::new(&stamp);
    let filled = until(stop, fill_and_check(session, &room, copy, trusted, colour, events)).await;
    let swapped = match filled {
        Some(Ok(())) => swap::swap(session, &room.name, &kept_as(&stamp)).await.map(Some),
        Some(Err(error)) => Err(error),
        None => Ok(None),
    };
    // The database has another name then. What cannot be removed the next restore removes.
    let _left = room.remove(session).await;
    let restored = match swapped? {
        Some(()) => Some(report(session, kept_as(&stamp)).await?),
        None => None,
    };
    drop(turn);
    Ok(restored)
}

/// One restore at a time: the lock is the system's, and ends with this process.
async fn begin(session: &Session) -> Result<File, Error> {
    session.refuse_external("a restore")?;
    let turn = lock::file(&session.environment().checkout, "restore.lock")?.ok_or(Error::AtWork("`cargo dev restore`"))?;
    room::sweep(session).await?;
    Ok(turn)
}

async fn fill_and_check(session: &Session, room: &Room, copy: Copy, trusted: bool, colour: bool, events: &Events) -> Result<(), Error> {
    let shown = copy.shown.clone();
    let database = &session.url().database;
    let rules = Arc::new(room::rules(session, trusted).await?);
    let loader = Loader { session, copy: Arc::new(copy), rules };
    events.phase("checking the copy");
    let checked = loader.check().await?;
    check_contents(&checked, &shown)?;
    let migrator = session.migrator(colour).await?;

    events.phase("restoring into a new database");
    room.make(session, database).await?;
    for extension in &checked.extensions {
        let make = format!("CREATE EXTENSION IF NOT EXISTS {}", identifier(extension));
        session.sql_in(&room.name, &make).await?;
    }
    let psql = if trusted { session.client_in("psql", &room.name).await? } else { room.psql(session).await? };
    let loaded = loader.load(psql).await?;
    room.grant(session).await?;
    tell(&loaded, &shown, events);

    migrated::check_tables(session, &room.name, &shown).await?;
    let migrator = if trusted { migrator } else { room.migrator(migrator) };
    migrated::migrate(&migrator, session, room, &shown, events).await?;
    if !trusted {
        room.refuse_code(session, &shown).await?;
    }
    room.hand_over(session).await?;
    // A copy has none of them, and they are of the name that it takes.
    let settings = database_settings::of_database(session, database, &room.name).await?;
    session.sql_in("postgres", &settings).await?;
    Ok(())
}

/// Refuses before anything is made what cannot become this application's database.
fn check_contents(report: &Report, copy: &str) -> Result<(), Error> {
    if report.tables.is_empty() && report.has_rows {
        return Err(RestoreError::DataOnly { copy: copy.to_owned() }.into());
    }
    let names: Vec<String> = report.tables.iter().map(|name| name.strip_prefix("public.").unwrap_or(name).to_owned()).collect();
    migrated::refuse_missing(&names, copy)
}

/// Says what was left out, and what was not checked.
fn tell(report: &Report, copy: &str, events: &Events) {
    if !report.left.is_empty() {
        let left = report.left.iter().map(|(what, times)| if *times == 1 { what.clone() } else { format!("{what} ({times} times)") });
        events.note(format!("left out of {copy}:\n{}", left.collect::<Vec<_>>().join("\n")));
    }
    if !report.is_of_pg_dump {
        events.note(format!("{copy} was not made by pg_dump and has no end mark: whether rows are missing was not checked"));
    }
    if !report.has_rows {
        events.warn(format!("{copy} holds no rows"));
    }
}

/// A kept database takes its old name again.
async fn from_kept(session: &Session, name: &str, colour: bool, events: &Events, stop: &Stop) -> Result<Option<Restored>, Error> {
    let stamp = stamp();
    let prepared = async {
        let turn = begin(session).await?;
        let kept = swap::kept(session).await?;
        if !kept.iter().any(|kept| kept == name) {
            return Err(RestoreError::NotFound { name: name.to_owned(), kept }.into());
        }
        migrated::check_tables(session, name, name).await?;
        let migrator = session.migrator(colour).await?;
        migrated::apply(&migrator, name, name, events).await?;
        Ok::<_, Error>(turn)
    };
    let Some(turn) = until(stop, prepared).await.transpose()? else { return Ok(None) };
    swap::swap(session, name, &kept_as(&stamp)).await?;
    let restored = report(session, kept_as(&stamp)).await?;
    drop(turn);
    Ok(Some(restored))
}

async fn report(session: &Session, kept: String) -> Result<Restored, Error> {
    let database = session.url().database.clone();
    let rows = swap::rows(session, &kept, &database).await?;
    Ok(Restored { database, kept, rows })
}

fn stamp() -> String {
    now().chars().filter(char::is_ascii_digit).collect()
}

fn kept_as(stamp: &str) -> String {
    format!("{}{stamp}", swap::KEPT)
}

/// Fills a new database of the session's server with an archive that this tool has just made of another one.
///
/// # Errors
/// The archive cannot be read, or the server refuses.
pub(crate) async fn fill(session: &Session, database: &str, archive: &Path, events: &Events) -> Result<(), Error> {
    events.phase(format!("restoring {database}"));
    let owner = &session.url().user;
    let make = format!("CREATE DATABASE {} OWNER {} TEMPLATE template0", identifier(database), identifier(owner));
    session.sql_in("postgres", &make).await?;
    let (copy, _) = open(&session.environment().checkout, archive, &Events::silent()).await?;
    let loader = Loader { session, copy: Arc::new(copy), rules: Arc::new(room::rules(session, true).await?) };
    let loaded = loader.load(session.client_in("psql", database).await?).await?;
    tell(&Report { has_rows: true, ..loaded }, &format!("the copy of {database}"), events);
    let grants = crate::postgres::roles::api_grants_sql(owner, database);
    session.sql_in(database, &format!("BEGIN;\n{grants}COMMIT;\n")).await?;
    Ok(())
}
