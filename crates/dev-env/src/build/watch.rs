//! Watching the files of a checkout that the service is made of.

use std::path::PathBuf;

use fast_reload::Sources;

use crate::build::cargo;
use crate::report::events::Events;
use crate::report::reload::Watching;
use crate::{Environment, Error};

pub(crate) use fast_reload::{ContentCache, Watcher};

/// Watches from now on; `given` is a program that is not built here.
///
/// # Errors
/// The files cannot be read.
pub(crate) async fn start(
    environment: &Environment,
    given: Option<PathBuf>,
    events: &Events,
) -> Result<Watcher, Error> {
    let checkout = &environment.checkout;
    let settings = vec![checkout.env_file(), checkout.backend_env_file()];
    let sources = Sources::new(&cargo::workspace(checkout), settings, given);
    let listener = cargo::listener(events);
    Ok(Watcher::start(sources, &environment.watch_test(), &listener).await?)
}

/// How changes are noticed, as other processes see it.
pub(crate) fn watching(watcher: &Watcher) -> Watching {
    match watcher.watching() {
        fast_reload::Watching::Events => Watching::Events,
        fast_reload::Watching::Polling(every) => Watching::Polling {
            every_ms: u64::try_from(every.as_millis()).unwrap_or(u64::MAX),
        },
    }
}
