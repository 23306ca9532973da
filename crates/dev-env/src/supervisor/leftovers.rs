//! What a tool that was killed has left running: the services, and the compilers of its build.

use std::time::Duration;

use crate::build::pid_file as build;
use crate::database::location;
use crate::service::command;
use crate::{Checkout, Error};
use process::{PidFile, PidFileError, StopSignal};

/// Requests that run finish within this.
const API_BOUND: Duration = Duration::from_secs(15);
/// The checkpoint writes what is dirty.
const DATABASE_BOUND: Duration = Duration::from_secs(60);
/// A compiler has nothing to finish.
const BUILD_BOUND: Duration = Duration::from_secs(2);

/// Ends it all, and returns the names of what there was. Only for whoever holds the checkout's lock.
///
/// # Errors
/// Something does not end.
pub(crate) async fn end(checkout: &Checkout) -> Result<Vec<&'static str>, Error> {
    let apis = command::pid_files(checkout)
        .into_iter()
        .map(|path| ("the API", path, StopSignal::Terminate, API_BOUND));
    let services = apis.chain([(
        "PostgreSQL",
        location::pid_file(checkout),
        StopSignal::Interrupt,
        DATABASE_BOUND,
    )]);
    let mut ended = Vec::new();
    for (name, path, signal, bound) in services {
        if PidFile::end_leftover(&path, signal, bound).await? {
            ended.push(name);
        }
    }
    for path in build::orphaned_pid_files(checkout) {
        match PidFile::end_leftover(&path, StopSignal::Terminate, BUILD_BOUND).await {
            Ok(true) => ended.push("the build"),
            // A compiler's server that the build has started may live on with the file: it is nobody's child any more.
            Ok(false) | Err(PidFileError::Survived { .. } | PidFileError::Supervised { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let _gone = std::fs::remove_file(path);
    }
    Ok(ended)
}
