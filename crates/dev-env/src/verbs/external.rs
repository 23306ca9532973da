//! Confirmation before a checkout changes an external database (`DATABASE_URL`) for the first time.

use std::fmt;

use emotionviz_settings::DatabaseUrl;

use crate::database::external;
use crate::database::session::Session;
use crate::engines::Engine;
use crate::project::error::indented;
use crate::report::events::Events;
use crate::service::migrations;
use crate::{Checkout, Error};
use local_postgres::psql::PsqlError;

/// The revision of the Python backend whose databases are adopted.
const PYTHON_REVISION: &str = "00d62578dab9";

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
        if engine.kind() == emotionviz_settings::Engine::Docker
            || external::is_known(&checkout, &url)
        {
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
        external::remember(&self.checkout, &self.url, events).await
    }

    /// Refuses a verb that would change the database.
    pub fn refuse(self, verb: &str) -> Error {
        ExternalError::NotAgreed(Box::new(self), verb.to_owned()).into()
    }
}

/// Describes the database.
async fn holds(session: &Session) -> Result<String, Error> {
    let sql = r"SET search_path = pg_catalog;
SELECT to_regclass('public._sqlx_migrations') IS NOT NULL AS sqlx, to_regclass('public.alembic_version') IS NOT NULL AS alembic \gset
SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_');
\if :sqlx
SELECT 'sqlx ' || version FROM public._sqlx_migrations WHERE success ORDER BY version;
\endif
\if :alembic
SELECT 'alembic ' || version_num FROM public.alembic_version;
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
