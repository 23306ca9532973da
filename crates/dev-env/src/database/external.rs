//! The external databases (`DATABASE_URL`) that this checkout has used, in `data/run/external-databases.json`.

use std::path::PathBuf;
use std::time::Duration;

use emotionviz_settings::DatabaseUrl;
use serde::{Deserialize, Serialize};

use crate::project::configuration::External;
use crate::project::lock;
use crate::report::events::Events;
use crate::{Checkout, Error};
use process::files;

/// Another command writes the note within milliseconds.
const LOCK_BOUND: Duration = Duration::from_secs(10);

/// The running environment would switch to a database that the user did not confirm.
#[derive(Debug, thiserror::Error)]
#[error(
    "DATABASE_URL (from {origin}) names a database that this checkout has not used yet: {url}; nothing was changed\n\
     hint: switch to it: cargo dev down, then cargo dev up --yes"
)]
pub struct UnknownDatabase {
    origin: String,
    /// With its password masked.
    url: String,
}

crate::project::error::other_errors!(UnknownDatabase);

/// The identity of a database in the note.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    host: String,
    port: u16,
    database: String,
}

/// Adds a database to the note. Other commands may add theirs at the same time.
pub(crate) async fn remember(
    checkout: &Checkout,
    url: &DatabaseUrl,
    events: &Events,
) -> Result<(), Error> {
    let database = Known::of(url);
    let lock = lock::wait_for(checkout, "external-databases.lock", LOCK_BOUND, events).await?;
    let _lock = lock.ok_or_else(|| Error::at_work("command that stores a confirmation"))?;
    let mut all = known(checkout);
    if !all.contains(&database) {
        all.push(database);
        let path = path(checkout);
        let text = serde_json::to_vec_pretty(&all).expect("names and numbers are JSON");
        files::write_atomically(&path, &text, files::READABLE)
            .map_err(|source| Error::io("write", &path, source))?;
    }
    Ok(())
}

impl Known {
    fn of(url: &DatabaseUrl) -> Self {
        Self {
            host: url.host.clone(),
            port: url.port,
            database: url.database.clone(),
        }
    }
}

/// Refuses a database that the user did not confirm.
///
/// # Errors
/// This checkout has not used it yet.
pub(crate) fn refuse_unknown(checkout: &Checkout, external: &External) -> Result<(), Error> {
    if is_known(checkout, &external.migration_url) {
        return Ok(());
    }
    Err(UnknownDatabase {
        origin: external.origin.to_string(),
        url: external.migration_url.masked(),
    }
    .into())
}

/// Returns whether this checkout has used a database before.
pub(crate) fn is_known(checkout: &Checkout, url: &DatabaseUrl) -> bool {
    known(checkout).contains(&Known::of(url))
}

fn path(checkout: &Checkout) -> PathBuf {
    checkout.run().join("external-databases.json")
}

/// Without a readable note, the user is asked again.
fn known(checkout: &Checkout) -> Vec<Known> {
    std::fs::read(path(checkout))
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn concurrent_confirmations_are_all_remembered() {
        let (_folder, checkout) = Checkout::scratch(&[]);
        let database = |port| DatabaseUrl {
            port,
            .."postgres://u:p@host/d".parse::<DatabaseUrl>().unwrap()
        };
        std::thread::scope(|scope| {
            for port in 0..8 {
                let (checkout, database) = (&checkout, &database);
                scope.spawn(move || {
                    let (url, events) = (database(port), Events::silent());
                    let remembered = remember(checkout, &url, &events);
                    process::thread::block_on(remembered).unwrap();
                });
            }
        });
        let mut ports: Vec<u16> = known(&checkout)
            .into_iter()
            .map(|known| known.port)
            .collect();
        ports.sort_unstable();
        assert_eq!(ports, (0..8).collect::<Vec<_>>());
    }
}
