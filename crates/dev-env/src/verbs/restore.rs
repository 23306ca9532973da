//! Restores a copy of the database into a new database, which is renamed when it is complete and checked. The old database is kept.

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

use std::path::Path;

use crate::database::database_settings;
use crate::database::owner_role::OWNER_ROLE;
use crate::database::session::Session;
use crate::engines::Engine;
use crate::project::lock;
use crate::project::names::API_ROLE;
use crate::report::events::Events;
use crate::verbs::backup::{Key, Verdict, compare};
use crate::{Checkout, Error};
use local_postgres::psql::identifier;
use local_postgres::roles;
use process::files::timestamp;
use process::shutdown::Shutdown;
use process::thread::in_thread;

pub use error::{Refusal, RestoreError};
pub use swap::Rows;

use filter::Report;
use load::Loader;
use room::Room;
use source::Copy;

/// The result of a restore.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The database.
    pub database: String,
    /// The old database, under its new name.
    pub kept: String,
    /// The tables of both databases.
    pub rows: Vec<Rows>,
}

/// Restores a copy: a file in any format of pg_dump, compressed or not, standard input for `-`, or a kept database by its name. Returns
/// `None` when `stop` was requested.
///
/// # Errors
/// The copy is damaged or refused, or another restore runs; the database is unchanged then.
pub async fn restore(
    engine: &Engine,
    checkout: &Checkout,
    from: &Path,
    colour: bool,
    events: &Events,
    stop: &Shutdown,
) -> Result<Option<Restored>, Error> {
    let opened = async {
        match kept_name(from) {
            Some(name) if name.starts_with(swap::KEPT) => Ok(Err(name)),
            Some(name) => Err(RestoreError::NotFound {
                name,
                kept: Vec::new(),
            }
            .into()),
            None => open(checkout, from, events).await.map(Ok),
        }
    };
    let Some(opened) = until(stop, opened).await.transpose()? else {
        return Ok(None);
    };
    let Some(session) = until(stop, engine.session("cargo dev restore", events))
        .await
        .transpose()?
    else {
        return Ok(None);
    };
    let restored = match opened {
        Ok((copy, trusted)) => from_copy(&session, copy, trusted, colour, events, stop).await,
        Err(name) => from_kept(&session, &name, colour, events, stop).await,
    };
    let ended = session.end().await;
    if let (Ok(Some(_)), Err(error)) = (&restored, &ended) {
        // The restore is done, and the user needs the name of the kept database.
        events.warn(error.to_string());
        return restored;
    }
    restored.and_then(|restored| ended.map(|()| restored))
}

/// Runs `work` until `stop` is requested.
async fn until<T>(stop: &Shutdown, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.requested() => None,
        done = work => Some(done),
    }
}

/// Returns the argument as the name of a database, unless a file has that name.
fn kept_name(from: &Path) -> Option<String> {
    let name = from.to_str()?;
    (!name.contains('/') && name != "-" && std::fs::symlink_metadata(from).is_err())
        .then(|| name.to_owned())
}

/// Opens a copy and compares it with its checksum. Also returns whether this checkout wrote the copy.
async fn open(checkout: &Checkout, from: &Path, events: &Events) -> Result<(Copy, bool), Error> {
    checkout.make_folders()?;
    events.phase("reading the copy");
    let (path, folder) = (from.to_owned(), checkout.root().join("data"));
    let broken = || RestoreError::Read {
        copy: from.display().to_string(),
        source: std::io::Error::other("the work broke off"),
    };
    let (copy, verdict) = in_thread(move |cancelled| {
        let copy = source::open(&path, &folder, cancelled)?;
        let verdict = path
            .is_file()
            .then(|| compare(&path, Key::read(&folder).as_ref()))
            .transpose();
        verdict
            .map(|verdict| (copy, verdict))
            .map_err(|source| RestoreError::Read {
                copy: path.display().to_string(),
                source,
            })
    })
    .await
    .unwrap_or_else(|| Err(broken()))?;
    let shown = copy.shown.clone();
    match verdict {
        Some(Verdict::Whole { is_sealed, .. }) => Ok((copy, is_sealed)),
        Some(Verdict::Damaged) => Err(RestoreError::Damaged { copy: shown }.into()),
        Some(Verdict::Older) => Err(RestoreError::OlderChecksum { copy: shown }.into()),
        Some(Verdict::Unknown(reason)) => {
            events.note(format!(
                "{reason}: the copy was not verified with a checksum"
            ));
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
    stop: &Shutdown,
) -> Result<Option<Restored>, Error> {
    let Some(turn) = until(stop, begin(session)).await.transpose()? else {
        return Ok(None);
    };
    let stamp = stamp();
    let room = Room::new(&stamp);
    let filled = until(
        stop,
        fill_and_check(session, &room, copy, trusted, colour, events),
    )
    .await;
    let swapped = match filled {
        Some(Ok(())) => swap::swap(session, &room.name, &kept_as(&stamp))
            .await
            .map(Some),
        Some(Err(error)) => Err(error),
        None => Ok(None),
    };
    // The database has another name then. The next restore removes what cannot be removed here.
    let _left = room.remove(session).await;
    let restored = match swapped? {
        Some(()) => Some(report(session, kept_as(&stamp), events).await),
        None => None,
    };
    drop(turn);
    Ok(restored)
}

async fn begin(session: &Session) -> Result<process::FileLock, Error> {
    session.refuse_external("a restore")?;
    let turn = lock::replacing(&session.environment().checkout)?;
    room::sweep(session).await?;
    Ok(turn)
}

async fn fill_and_check(
    session: &Session,
    room: &Room,
    copy: Copy,
    trusted: bool,
    colour: bool,
    events: &Events,
) -> Result<(), Error> {
    let shown = copy.shown.clone();
    let database = &session.url().database;
    events.phase("checking the copy");
    let (loader, checked, trusted) = Loader::checked(session, copy, trusted).await?;
    check_contents(&checked, &shown)?;
    let migrator = session.migrator(colour).await?;

    events.phase("restoring into a new database");
    let loaded = load(session, room, database, &loader, &checked).await?;
    tell(&loaded, &shown, events);

    migrated::check_tables(session, &room.name, &shown).await?;
    let migrator = if trusted {
        migrator
    } else {
        room.migrator(migrator)
    };
    migrated::migrate(&migrator, session, room, &shown, events).await?;
    if !trusted {
        room.refuse_code(session, &shown).await?;
        let code = room.code_on_rows(session).await?;
        if !code.is_empty() {
            events.note(format!(
                "{shown} has code that runs when rows change:\n{}\nmigrations run it with the rights of {OWNER_ROLE}; a superuser who changes rows in cargo dev db shell runs it with all rights",
                code.join("\n")
            ));
        }
    }
    room.hand_over(session, database, trusted).await?;
    // A copy has none of these, and they belong to the name of the database.
    let settings = database_settings::of_database(session, database, &room.name).await?
        + &database_settings::privileges(session, database, &room.name).await?;
    session.sql_in("postgres", &settings).await?;
    Ok(())
}

/// Creates the new database like another one, and loads the copy into it.
async fn load(
    session: &Session,
    room: &Room,
    like: &str,
    loader: &Loader<'_>,
    checked: &Report,
) -> Result<Report, Error> {
    room.make(session, like).await?;
    for extension in &checked.extensions {
        let make = format!("CREATE EXTENSION IF NOT EXISTS {}", identifier(extension));
        session.sql_in(&room.name, &make).await?;
    }
    let psql = if loader.rules.trusted {
        session.client_in("psql", &room.name).await?
    } else {
        room.psql(session).await?
    };
    let loaded = loader.load(psql).await?;
    room.grant(session).await?;
    Ok(loaded)
}

/// Refuses a copy that cannot become this application's database, before a database is created.
fn check_contents(report: &Report, copy: &str) -> Result<(), Error> {
    if report.tables.is_empty() && report.has_rows {
        return Err(RestoreError::DataOnly {
            copy: copy.to_owned(),
        }
        .into());
    }
    let names: Vec<String> = report
        .tables
        .iter()
        .map(|name| name.strip_prefix("public.").unwrap_or(name).to_owned())
        .collect();
    migrated::refuse_missing(&names, copy)
}

/// Reports skipped statements and missing checks.
fn tell(report: &Report, copy: &str, events: &Events) {
    if !report.left.is_empty() {
        let left = report.left.iter().map(|(what, times)| {
            if *times == 1 {
                what.clone()
            } else {
                format!("{what} ({times} times)")
            }
        });
        events.note(format!(
            "skipped in {copy}:\n{}",
            left.collect::<Vec<_>>().join("\n")
        ));
    }
    if !report.is_of_pg_dump {
        events.note(format!("{copy} was not written by pg_dump and has no end mark, so missing rows were not detected"));
    }
    if !report.has_rows {
        events.warn(format!("{copy} has no rows"));
    }
}

/// Renames a kept database to its old name. Where it lacks migrations, a copy of it takes the name, and the kept one stays as it is.
async fn from_kept(
    session: &Session,
    name: &str,
    colour: bool,
    events: &Events,
    stop: &Shutdown,
) -> Result<Option<Restored>, Error> {
    let stamp = stamp();
    let room = Room::new(&stamp);
    let prepared = async {
        let turn = begin(session).await?;
        let kept = swap::kept(session).await?;
        if !kept.iter().any(|kept| kept == name) {
            return Err(RestoreError::NotFound {
                name: name.to_owned(),
                kept,
            }
            .into());
        }
        migrated::check_tables(session, name, name).await?;
        let migrator = session.migrator(colour).await?;
        if !migrated::lacks_migrations(&migrator, name).await? {
            migrated::apply(&migrator, name, name, events).await?;
            return Ok((turn, name));
        }
        events.phase(format!("copying {name}"));
        room.make_copy_of(session, name).await?;
        migrated::apply(&migrator, &room.name, name, events).await?;
        Ok::<_, Error>((turn, room.name.as_str()))
    };
    let swapped = match until(stop, prepared).await {
        Some(Ok((turn, new))) => swap::swap(session, new, &kept_as(&stamp))
            .await
            .map(|()| Some(turn)),
        Some(Err(error)) => Err(error),
        None => Ok(None),
    };
    // As in `from_copy`.
    let _left = room.remove(session).await;
    let Some(turn) = swapped? else {
        return Ok(None);
    };
    let restored = report(session, kept_as(&stamp), events).await;
    drop(turn);
    Ok(Some(restored))
}

/// What a restore did. The rows of a database that cannot be read are not counted: it may have been replaced for that.
async fn report(session: &Session, kept: String, events: &Events) -> Restored {
    let database = session.url().database.clone();
    let rows = swap::rows(session, &kept, &database)
        .await
        .unwrap_or_else(|error| {
            events.warn(format!(
                "the rows of {kept} and {database} could not be counted: {error}"
            ));
            Vec::new()
        });
    Restored {
        database,
        kept,
        rows,
    }
}

fn stamp() -> String {
    timestamp().chars().filter(char::is_ascii_digit).collect()
}

fn kept_as(stamp: &str) -> String {
    format!("{}{stamp}", swap::KEPT)
}

/// Loads an archive that this tool just wrote into a new database of the session's server.
///
/// # Errors
/// The archive cannot be read, or the server refuses.
pub(crate) async fn fill(
    session: &Session,
    database: &str,
    archive: &Path,
    events: &Events,
) -> Result<(), Error> {
    events.phase(format!("restoring {database}"));
    let (copy, _) = open(&session.environment().checkout, archive, &Events::silent()).await?;
    let (loader, checked, trusted) = Loader::checked(session, copy, true).await?;
    let loaded = if trusted {
        let owner = &session.url().user;
        let make = format!(
            "CREATE DATABASE {} OWNER {} TEMPLATE template0",
            identifier(database),
            identifier(owner)
        );
        session.sql_in("postgres", &make).await?;
        let loaded = loader
            .load(session.client_in("psql", database).await?)
            .await?;
        let grants = roles::grants_sql(API_ROLE, owner, database);
        session
            .sql_in(database, &format!("BEGIN;\n{grants}COMMIT;\n"))
            .await?;
        loaded
    } else {
        let room = Room::new(&stamp());
        let loaded = load(session, &room, "postgres", &loader, &checked).await?;
        room.hand_over(session, "postgres", false).await?;
        let rename = format!(
            "COMMENT ON DATABASE {0} IS NULL;\nALTER DATABASE {0} RENAME TO {1}",
            identifier(&room.name),
            identifier(database)
        );
        session.sql_in("postgres", &rename).await?;
        room.remove(session).await?;
        loaded
    };
    tell(
        &Report {
            has_rows: true,
            ..loaded
        },
        &format!("the copy of {database}"),
        events,
    );
    Ok(())
}
