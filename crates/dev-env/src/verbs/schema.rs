//! Changes of the schema: the service's `migrate`, run as the database's owner, with a copy of the database before anything goes back.

use std::path::PathBuf;

use crate::Error;
use crate::database::lock_holders::{self, MIGRATING, MIGRATION_PATIENCE};
use crate::database::session::{Migrator, Session};
use crate::database::writers::StoppedWriters;
use crate::engines::Engine;
use crate::project::lock;
use crate::report::events::Events;
use crate::service::migrations;
use crate::verbs::backup;
use process::shutdown::Shutdown;

/// Why the schema cannot be changed as asked.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// No migration has the version.
    #[error(
        "no migration file begins with {version}; nothing was changed\nhint: list the migrations: cargo dev migrate status"
    )]
    NoMigration {
        /// The version.
        version: String,
    },
    /// An applied migration is not in the code.
    #[error(
        "migration {version} is applied in {database}, and this code has no such migration, so it cannot be reverted; nothing was changed\n\
         hint: list the migrations: cargo dev migrate status; check out the code that has it (git switch), then repeat the command"
    )]
    Missing {
        /// The migration.
        version: i64,
        /// The database.
        database: String,
    },
    /// Nothing undoes an applied migration.
    #[error(
        "migration {version} cannot be reverted: nothing undoes it; nothing was changed\n\
         hint: write the statements that undo it into backend/db/migrations/{file} (`SELECT 1;` if there is nothing to undo), then repeat the command"
    )]
    NoUndo {
        /// The migration.
        version: i64,
        /// The name of the file that undoes it.
        file: String,
    },
}

crate::project::error::other_errors!(SchemaError);

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

/// Runs the change, on the running database or on a temporarily started one. Returns `None` when `stop` was requested.
///
/// # Errors
/// There is no database, or the copy before a step back fails.
pub async fn change(
    engine: &Engine,
    change: Change,
    colour: bool,
    events: &Events,
    stop: &Shutdown,
) -> Result<Option<Printed>, Error> {
    let session = tokio::select! {
        biased;
        () = stop.requested() => return Ok(None),
        session = engine.session("cargo dev migrate", events) => session?,
    };
    if matches!(change, Change::Down { .. } | Change::To { .. }) {
        events.note(format!("database: {}", session.url().masked()));
    }
    let mut back = None;
    let printed = tokio::select! {
        biased;
        () = stop.requested() => Ok(None),
        printed = on(&session, change, colour, &mut back, events) => printed.map(Some),
    };
    if let Some(back) = back {
        let succeeded = matches!(&printed, Ok(Some(printed)) if printed.succeeded);
        back.finish(&session, succeeded, events).await;
    }
    session.end().await?;
    printed
}

async fn on(
    session: &Session,
    change: Change,
    colour: bool,
    back: &mut Option<StepBack>,
    events: &Events,
) -> Result<Printed, Error> {
    let args = change.args();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let migrator = session.current_migrator(&words, colour).await?;
    if goes_back(session, &migrator, change).await? {
        let back = back.insert(StepBack::begin(session).await?);
        back.copy(session, &args, events).await?;
        back.writers.check().await?;
    }
    events.phase(MIGRATING);
    let migrated = migrator.run(&session.url().database, &words);
    let output = lock_holders::named(
        session,
        &session.url().database,
        MIGRATING,
        MIGRATION_PATIENCE,
        migrated,
    )
    .await?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(Printed {
        stdout,
        stderr: output.stderr,
        succeeded: output.status.success(),
    })
}

/// Returns whether a migration will be reverted, so that rows may be lost. Refuses migrations that cannot be reverted, before the copy.
async fn goes_back(
    session: &Session,
    migrator: &Migrator<'_>,
    change: Change,
) -> Result<bool, Error> {
    let known = migrations::versions(&session.environment().checkout)?;
    match change {
        Change::Down { .. } | Change::To { version: 0 } => {}
        Change::To { version } if known.contains(&version) => {}
        Change::To { version } => {
            return Err(SchemaError::NoMigration {
                version: version.to_string(),
            }
            .into());
        }
        Change::Up { .. } | Change::Status { .. } | Change::Verify => return Ok(false),
    }
    let applied = migrations::read(
        &migrator
            .run(&session.url().database, &["status", "--json"])
            .await?,
    )?;
    let newest_first = applied
        .migrations
        .iter()
        .rev()
        .filter(|migration| migration.is_applied());
    let reverted: Vec<_> = match change {
        Change::Down { count } => newest_first
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            .collect(),
        Change::To { version } => newest_first
            .take_while(|migration| migration.version > version)
            .collect(),
        _ => Vec::new(),
    };
    if let Some(missing) = reverted
        .iter()
        .find(|migration| migration.state == "missing")
    {
        return Err(SchemaError::Missing {
            version: missing.version,
            database: session.url().database.clone(),
        }
        .into());
    }
    if let Some(kept) = reverted
        .iter()
        .find(|migration| migration.reversible == Some(false))
    {
        return Err(SchemaError::NoUndo {
            version: kept.version,
            file: migrations::undo(&session.environment().checkout, kept.version)?,
        }
        .into());
    }
    Ok(!reverted.is_empty())
}

/// A revert: writers are stopped, and a copy is written first.
struct StepBack {
    writers: StoppedWriters,
    // Closing the file releases the lock.
    _replacing: process::FileLock,
    /// The migrations that were applied before, and the copy.
    copied: Option<(String, PathBuf)>,
}

impl StepBack {
    async fn begin(session: &Session) -> Result<Self, Error> {
        let replacing = lock::replacing(&session.environment().checkout)?;
        Ok(Self {
            writers: StoppedWriters::open(session, &session.url().database).await?,
            _replacing: replacing,
            copied: None,
        })
    }

    async fn copy(
        &mut self,
        session: &Session,
        args: &[String],
        events: &Events,
    ) -> Result<(), Error> {
        self.writers
            .stop(&format!("migrate {}", args.join(" ")), events)
            .await?;
        let file = format!(
            "{}-before-migrate-{}.dump",
            process::files::timestamp(),
            args.join("-")
        );
        let path = session.environment().checkout.backups().join(file);
        self.copied = Some((applied(session).await?, path.clone()));
        backup::write_copy(session, &path, events).await
    }

    /// Allows writes again. Removes the copy unless a migration was reverted.
    async fn finish(mut self, session: &Session, succeeded: bool, events: &Events) {
        let database = &session.url().database;
        if let Some((before, path)) = self.copied.take() {
            // An interrupted migration may still be ending; sessions that remain after it are not of this command.
            let _unended = if succeeded {
                Ok(())
            } else {
                self.writers.end_sessions().await
            };
            let reverted = succeeded || applied(session).await.map_or(true, |now| now != before);
            if reverted {
                let path = path.display();
                let back = if session.is_external() {
                    // No URL in the arguments: all users of the machine can read its password there.
                    format!(
                        "pg_restore --clean --if-exists --single-transaction --file=- '{path}' | cargo dev db shell"
                    )
                } else {
                    format!("cargo dev restore '{path}'")
                };
                events.note(format!(
                    "the copy of {database} before the change is {path}\nhint: restore it: {back}"
                ));
            } else {
                backup::remove_copy(&path);
                events.note(format!("nothing of {database} was reverted"));
            }
        }
        if let Err(error) = self.writers.let_in().await {
            events.warn(error.to_string());
        }
    }
}

/// Returns the applied migrations for comparison. The query reads a plain table only: a view could hold code of others.
async fn applied(session: &Session) -> Result<String, Error> {
    const APPLIED: &str = r"SET search_path = pg_catalog;
SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('public._sqlx_migrations') AND relkind = 'r') AS is_table \gset
\if :is_table
SELECT string_agg(version::text, ' ' ORDER BY version) FROM public._sqlx_migrations;
\endif
";
    session.sql(APPLIED).await
}
