//! The data directory that `engine switch` moves aside, and moves back when it does not come to its end.
//!
//! The note `data/switch.json` stands from before the directory is renamed until the new one is complete and equal.
//! A killed switch leaves the note, and the next command moves the directory back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use emotionviz_settings::{Engine as Kind, Kind as _};
use serde::{Deserialize, Serialize};

use crate::database::maker;
use crate::engines::docker::{Docker, Unavailable};
use crate::engines::native::Native;
use crate::project::lock;
use crate::report::events::Events;
use crate::{Checkout, Environment, Error};
use process::{FileLock, files};

/// A command that puts the database back stops the other engine first.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the old database is while the new one is made.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    to: String,
    /// Where the files were.
    from: PathBuf,
    /// Where they are.
    kept: PathBuf,
    /// Whether `data/postgres` was a link to them.
    link: bool,
}

/// Puts the database back that a killed switch had moved aside.
///
/// # Errors
/// A switch is under way, or a file cannot be moved.
pub(crate) async fn recover(environment: &Environment, events: &Events) -> Result<(), Error> {
    if !note_path(&environment.checkout).exists() {
        return Ok(());
    }
    let _turn = lock(&environment.checkout, events).await?;
    put_back(environment, events).await
}

/// Lets one command at a time move the database, or put it back. Putting it back takes seconds, so other commands wait for it.
pub(crate) async fn lock(checkout: &Checkout, events: &Events) -> Result<FileLock, Error> {
    lock::wait_for(checkout, "switch.lock", PATIENCE, events)
        .await?
        .ok_or_else(|| {
            Error::hinted(
                "another command is moving the database to another engine; nothing was changed",
                "wait until that command ends, then repeat this one",
            )
        })
}

fn note_path(checkout: &Checkout) -> PathBuf {
    checkout.root().join("data/switch.json")
}

/// Gives the data directory another name, after writing that down. Returns its new path.
pub(crate) fn move_aside(checkout: &Checkout, maker: Kind, to: Kind) -> Result<PathBuf, Error> {
    let data_dir = maker::data_dir(checkout);
    let from = data_dir
        .canonicalize()
        .map_err(|source| Error::io("read", &data_dir, source))?;
    let kept = from.with_file_name(format!("postgres.{maker}-{}", files::timestamp()));
    let note = Note {
        to: to.to_string(),
        link: data_dir.is_symlink(),
        from,
        kept,
    };
    write_note(checkout, &note)?;
    if note.link {
        std::fs::remove_file(&data_dir).map_err(|source| Error::io("remove", &data_dir, source))?;
    }
    rename(&note.from, &note.kept)?;
    Ok(note.kept)
}

fn write_note(checkout: &Checkout, note: &Note) -> Result<(), Error> {
    let path = note_path(checkout);
    let text = serde_json::to_vec(note).expect("names are JSON");
    files::write_atomically(&path, &text, files::READABLE)
        .map_err(|source| Error::io("write", &path, source))
}

pub(crate) fn forget(checkout: &Checkout) -> Result<(), Error> {
    let path = note_path(checkout);
    std::fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
    sync(&checkout.root().join("data"))
}

/// Everything as it was before the switch that the note is of. What was begun is put aside, not removed: plain `docker compose`
/// does not know of the note, and may have gone on with it.
pub(crate) async fn put_back(environment: &Environment, events: &Events) -> Result<(), Error> {
    let checkout = &environment.checkout;
    let path = note_path(checkout);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::io("read", &path, source)),
    };
    let note: Note =
        serde_json::from_slice(&text).map_err(|error| Error::io("read", &path, error.into()))?;
    if note.kept.exists() {
        events.phase("putting the database back");
        let to = Kind::read(&note.to).unwrap_or(Kind::Native);
        match to {
            Kind::Native => drop(Native::new(environment.clone()).stop(events).await?),
            Kind::Docker => match Docker::new(environment.clone()).stop(events).await {
                Ok(_) => {}
                // Without Docker no container runs.
                Err(error) if error.is::<Unavailable>().is_some() => {}
                Err(error) => return Err(error),
            },
        }
        put_begun_aside(checkout, events)?;
        files::make_parents(&note.from)?;
        rename(&note.kept, &note.from)?;
    }
    let data_dir = maker::data_dir(checkout);
    if note.link && !data_dir.is_symlink() {
        std::os::unix::fs::symlink(&note.from, &data_dir)
            .map_err(|source| Error::io("write", &data_dir, source))?;
    }
    forget(checkout)?;
    events.note("a move to the other engine did not come to its end: the database is as it was");
    Ok(())
}

fn put_begun_aside(checkout: &Checkout, events: &Events) -> Result<(), Error> {
    let data_dir = maker::data_dir(checkout);
    let Ok(begun) = data_dir.canonicalize() else {
        // A link that leads nowhere, or nothing.
        let _nothing = std::fs::remove_file(&data_dir);
        return Ok(());
    };
    if data_dir.is_symlink() {
        std::fs::remove_file(&data_dir).map_err(|source| Error::io("remove", &data_dir, source))?;
    }
    // An empty folder is what Docker makes before anything else.
    if std::fs::remove_dir(&begun).is_ok() {
        return Ok(());
    }
    let aside = begun.with_file_name(format!("postgres.begun-{}", files::timestamp()));
    rename(&begun, &aside)?;
    events.note(format!(
        "the copy that was begun is not needed any more: rm -rf '{}'",
        aside.display()
    ));
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::rename(from, to).map_err(|source| Error::io("move", from, source))?;
    from.parent().map_or(Ok(()), sync)
}

/// A name is on disk when its folder is.
fn sync(folder: &Path) -> Result<(), Error> {
    files::sync_folder(folder).map_err(|source| Error::io("write", folder, source))
}
