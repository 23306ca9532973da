//! Changes of the schema: the service's `migrate`, run as the database's owner, with a copy of the database before anything goes back.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::engine::Engine;
use crate::events::Events;
use crate::session::Session;
use crate::{Error, backup, migrations};

/// What is to be done with the schema.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// Apply what is pending, or say what that would be.
    Up {
        /// Say it, and change nothing.
        dry_run: bool,
    },
    /// Revert the newest.
    Down {
        /// How many.
        count: u32,
    },
    /// Go to a version, forth or back.
    To {
        /// The version; 0 is before all.
        version: i64,
    },
    /// Say how each migration stands.
    Status {
        /// In one JSON document.
        json: bool,
    },
    /// Check that what is applied is what the code has.
    Verify,
}

/// What the service's `migrate` printed.
#[derive(Clone, Debug)]
pub struct Printed {
    /// On standard output.
    pub stdout: String,
    /// On standard error.
    pub stderr: String,
    /// Whether it went well.
    pub succeeded: bool,
}

impl Change {
    fn args(self) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Self::Up { dry_run: false } => words(&["up"]),
            Self::Up { dry_run: true } => words(&["up", "--dry-run"]),
            Self::Down { count } => words(&["down", &count.to_string()]),
            Self::To { version } => words(&["to", &version.to_string()]),
            Self::Status { json: false } => words(&["status"]),
            Self::Status { json: true } => words(&["status", "--json"]),
            Self::Verify => words(&["verify"]),
        }
    }
}

/// Does it, on the database that runs, or on one that is started for the moment.
///
/// # Errors
/// There is no database, or the copy before a step back fails.
pub async fn change(engine: &impl Engine, change: Change, colour: bool, events: &Events) -> Result<Printed, Error> {
    let session = engine.session("cargo dev migrate", events).await?;
    let printed = on(&session, change, colour, events).await;
    session.end().await?;
    printed
}

async fn on(session: &Session, change: Change, colour: bool, events: &Events) -> Result<Printed, Error> {
    if goes_back(session, change, colour).await? {
        let copy = copy_path(session, change);
        backup::write_copy(session, &copy, events).await?;
        events.note(format!("the database as it was is in {}\nback to it: cargo dev restore '{0}'", copy.display()));
    }
    events.phase("migrating");
    let args = change.args();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = session.migrate(&args, colour).await?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(Printed { stdout, stderr: output.stderr, succeeded: output.status.success() })
}

/// Whether rows may be lost.
async fn goes_back(session: &Session, change: Change, colour: bool) -> Result<bool, Error> {
    match change {
        Change::Down { .. } => Ok(true),
        Change::To { version } => {
            let known = migrations::versions(&session.environment().checkout)?;
            if version != 0 && !known.contains(&version) {
                return Err(Error::NoMigration { version: version.to_string() });
            }
            let applied = migrations::read(&session.migrate(&["status", "--json"], colour).await?)?;
            Ok(applied.revision.is_some_and(|revision| revision > version))
        }
        Change::Up { .. } | Change::Status { .. } | Change::Verify => Ok(false),
    }
}

fn copy_path(session: &Session, change: Change) -> PathBuf {
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string().replace(':', "-");
    session.environment().checkout.backups().join(format!("{now}-before-migrate-{}.dump", change.args().join("-")))
}
