//! Confirmation before a checkout changes an external database (`DATABASE_URL`) for the first time.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use emotionviz_settings::DatabaseUrl;
use serde::{Deserialize, Serialize};

use crate::Checkout;
use crate::Error;
use crate::database::session::Session;
use crate::engines::Engine;
use crate::project::configuration::External;
use crate::project::error::indented;
use crate::project::lock;
use crate::report::events::Events;
use crate::service::migrations;
use local_postgres::psql::PsqlError;
use process::files;

/// The revision of the Python backend whose databases are adopted.
const PYTHON_REVISION: &str = "00d62578dab9";

/// Another command writes the note within milliseconds.
const LOCK_BOUND: Duration = Duration::from_secs(10);

/// Why an external database is not changed.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// The user did not confirm.
    #[error(
        "{0}\nnothing was changed\nhint: use it: cargo dev {1} --yes; without it: env -u DATABASE_URL -u MIGRATION_DATABASE_URL cargo dev {1}, or remove it from the file"
    )]
    NotAgreed(Box<FirstUse>, String),
    /// The database does not answer.
    #[error(
        "the database {url} (DATABASE_URL from {origin}) cannot be reached:\n{}\nnothing was changed\nhint: cargo dev config explain DATABASE_URL",
        indented(reason)
    )]
    Away {
        /// Who named it.
        origin: String,
        /// Where it is; the password is masked.
        url: String,
        /// What psql printed.
        reason: String,
    },
    /// The running environment would switch to the database.
    #[error(
        "DATABASE_URL (from {origin}) names a database that this checkout has not used yet: {url}; nothing was changed\n\
         hint: switch to it: cargo dev down, then cargo dev up --yes"
    )]
    Unknown {
        /// Who named it.
        origin: String,
        /// Where it is; the password is masked.
        url: String,
    },
}

crate::project::error::other_errors!(ExternalError);

/// A database that this checkout has not used yet.
#[derive(Debug)]
pub struct FirstUse {
    checkout: Checkout,
    url: DatabaseUrl,
    origin: String,
    holds: String,
}

/// The identity of a database in the note.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    host: String,
    port: u16,
    database: String,
}

impl fmt::Display for FirstUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DatabaseUrl {
            user,
            host,
            port,
            database,
            ..
        } = &self.url;
        let (origin, holds) = (&self.origin, &self.holds);
        writeln!(
            f,
            "DATABASE_URL (from {origin}) names a database that this checkout has not used yet:"
        )?;
        write!(
            f,
            "host {host}, port {port}, database {database}, user {user}: {holds}"
        )
    }
}

impl FirstUse {
    /// Returns the database of the settings if this checkout has not used it yet. Reads what the database holds.
    ///
    /// # Errors
    /// The settings are not valid, or the database does not answer.
    pub async fn of(engine: &Engine, events: &Events) -> Result<Option<Self>, Error> {
        let environment = engine.environment();
        let Some(external) = environment.configuration.external()? else {
            return Ok(None);
        };
        let (checkout, url) = (environment.checkout.clone(), external.migration_url.clone());
        if engine.kind() == emotionviz_settings::Engine::Docker || is_known(&checkout, &url) {
            return Ok(None);
        }
        let looked = async {
            let session = engine.session("cargo dev", events).await?;
            let holds = holds(&session).await;
            session.end().await?;
            holds
        };
        let origin = external.origin.to_string();
        match looked.await {
            Ok(holds) => Ok(Some(Self {
                checkout,
                url,
                origin,
                holds,
            })),
            Err(Error::Psql(PsqlError::Refused { message: reason })) => Err(ExternalError::Away {
                origin,
                url: url.masked(),
                reason,
            }
            .into()),
            Err(error) => Err(error),
        }
    }

    /// Stores the confirmation.
    ///
    /// # Errors
    /// The note cannot be written.
    pub async fn agree(self, events: &Events) -> Result<(), Error> {
        remember(&self.checkout, Known::of(&self.url), events).await
    }

    /// Refuses a verb that would change the database.
    pub fn refuse(self, verb: &str) -> Error {
        ExternalError::NotAgreed(Box::new(self), verb.to_owned()).into()
    }
}

/// Adds a database to the note. Other commands may add theirs at the same time.
async fn remember(checkout: &Checkout, database: Known, events: &Events) -> Result<(), Error> {
    let lock = lock::wait_for(checkout, "external-databases.lock", LOCK_BOUND, events).await?;
    let _lock = lock.ok_or(Error::AtWork("command that stores a confirmation"))?;
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
    Err(ExternalError::Unknown {
        origin: external.origin.to_string(),
        url: external.migration_url.masked(),
    }
    .into())
}

fn is_known(checkout: &Checkout, url: &DatabaseUrl) -> bool {
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

/// Describes the database.
async fn holds(session: &Session) -> Result<String, Error> {
    let sql = r"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS sqlx, to_regclass('alembic_version') IS NOT NULL AS alembic \gset
SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_');
\if :sqlx
SELECT 'sqlx ' || version FROM _sqlx_migrations WHERE success ORDER BY version;
\endif
\if :alembic
SELECT 'alembic ' || version_num FROM alembic_version;
\endif
";
    let said = session.sql(sql).await?;
    let mut lines = said.lines();
    let tables = lines.next().unwrap_or("0").trim().to_owned();
    let (mut applied, mut revision) = (Vec::new(), None);
    for line in lines {
        match line.split_once(' ') {
            Some(("sqlx", version)) => applied.push(version.to_owned()),
            Some(("alembic", version)) => revision = Some(version.to_owned()),
            _ => {}
        }
    }
    let ours = migrations::versions(&session.environment().checkout)?
        .iter()
        .map(i64::to_string)
        .any(|version| applied.contains(&version));
    let looks_like = match (tables.as_str(), ours, applied.last(), revision.as_deref()) {
        (_, true, Some(newest), _) => format!("those of this application at revision {newest}"),
        ("0", ..) => return Ok("it is empty".to_owned()),
        (.., Some(PYTHON_REVISION)) => "those of the Python backend".to_owned(),
        (_, false, Some(_), _) => "those of another project that migrates with sqlx".to_owned(),
        _ => "not this application's".to_owned(),
    };
    Ok(format!("{tables} tables: {looks_like}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn concurrent_confirmations_are_all_remembered() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("backend")).unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        std::fs::write(folder.path().join("backend/.env.example"), "").unwrap();
        let checkout = Checkout::find(folder.path()).unwrap();
        let database = |port| Known {
            host: "host".to_owned(),
            port,
            database: "d".to_owned(),
        };
        std::thread::scope(|scope| {
            for port in 0..8 {
                let (checkout, database) = (&checkout, &database);
                scope.spawn(move || {
                    let events = Events::silent();
                    let remembered = remember(checkout, database(port), &events);
                    process::thread::block_on(remembered).unwrap();
                });
            }
        });
        let mut ports: Vec<u16> = known(&checkout).iter().map(|known| known.port).collect();
        ports.sort_unstable();
        assert_eq!(ports, (0..8).collect::<Vec<_>>());
    }
}
