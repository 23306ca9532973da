//! Copies of the database: archives of `pg_dump`, each next to its checksum.

mod checksum;
mod error;
mod seal;
mod target;
mod unfinished;
mod write;

use std::path::{Path, PathBuf};

use crate::Error;
use crate::database::lock_holders;
use crate::database::session::Session;
use crate::engines::Engine;
use crate::report::events::Events;

pub(crate) use checksum::{Verdict, compare};
pub use error::BackupError;
pub(crate) use seal::Key;

use target::Target;

/// The target of a copy.
#[derive(Clone, Debug)]
pub enum Written {
    /// To this file; its SHA-256 is in the file of the same name with `.sha256`, as `sha256sum --check` reads it.
    File(PathBuf),
    /// To standard output, a FIFO or a device.
    Stream,
}

/// Writes a copy to `to`, or to the checkout's `data/backups`. The path `-` is standard output. A file that this tool did not write is
/// replaced only with `force`.
///
/// # Errors
/// The database does not exist, or the copy cannot be written; existing files stay.
pub async fn backup(
    engine: &Engine,
    to: Option<&Path>,
    force: bool,
    events: &Events,
) -> Result<Written, Error> {
    let session = engine.session("cargo dev backup", events).await?;
    let written = write(&session, to, force, events).await;
    session.end().await?;
    written
}

async fn write(
    session: &Session,
    to: Option<&Path>,
    force: bool,
    events: &Events,
) -> Result<Written, Error> {
    let checkout = &session.environment().checkout;
    let default = checkout
        .backups()
        .join(format!("{}.dump", process::files::timestamp()));
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
            lock_holders::named(
                session,
                database,
                &format!("copying {database}"),
                lock_holders::PATIENCE,
                written,
            )
            .await?;
            Ok(Written::Stream)
        }
    }
}

/// Writes an archive of the session's database to `to`, with its checksum. Existing files are replaced when both are complete.
///
/// # Errors
/// The copy cannot be written; what was there before stays.
pub(crate) async fn write_copy(session: &Session, to: &Path, events: &Events) -> Result<(), Error> {
    events.phase("copying the database");
    write_archive(session, &session.url().database, to).await
}

/// Writes an archive of any database of the session's server.
///
/// # Errors
/// The copy cannot be written; what was there before stays.
pub(crate) async fn write_archive(
    session: &Session,
    database: &str,
    to: &Path,
) -> Result<(), Error> {
    process::files::make_parents(to)?;
    let keys = session.environment().checkout.root().join("data");
    process::files::make_parents(&keys.join("file"))?;
    let written = write::to_file(
        session.client_in("pg_dump", database).await?,
        database,
        to,
        &keys,
    );
    lock_holders::named(
        session,
        database,
        &format!("copying {database}"),
        lock_holders::PATIENCE,
        written,
    )
    .await
}

/// Removes a copy and its checksum if they exist.
pub(crate) fn remove_copy(copy: &Path) {
    for file in [checksum::path(copy).as_path(), copy] {
        // The copy may not have been written.
        let _absent = std::fs::remove_file(file);
    }
}
