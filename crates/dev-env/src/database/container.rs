//! The database container as seen from the API's: waiting for it, and the role that the API connects as.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use emotionviz_settings::DatabaseUrl;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::database::writers;
use crate::project::configuration::{External, Tool, container as settings};
use crate::project::error::indented;
use crate::project::names::{API_ROLE, TEST_ROLE};
use crate::report::events::Events;
use crate::{Environment, Error};
use local_postgres::AppRole;
use local_postgres::psql::{Connection, Psql, PsqlError, identifier};
use local_postgres::roles::{self, UNLOGGED};

/// A server that recovers from a crash may take this long, or one that is being made, by scripts of the user's.
const PATIENCE: Duration = Duration::from_secs(600);
const SQL_BOUND: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// The owner's way in.
pub(crate) fn owner(url: &DatabaseUrl) -> Psql {
    Psql {
        program: "psql".into(),
        connection: Connection::Network {
            host: url.host.clone(),
            password: url.password.clone().unwrap_or_default(),
        },
        port: url.port,
        user: url.user.clone(),
        database: url.database.clone(),
    }
}

/// The settings that the database has taken and the API's role has the password of. `None` while that changes, and where it failed or
/// was broken off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prepared(Arc<Mutex<Option<[SecretString; 2]>>>);

impl Prepared {
    /// Whether the database is prepared for these settings.
    pub(crate) fn is(&self, database: &External) -> bool {
        let plain = |[url, migration_url]: [SecretString; 2]| {
            (
                url.expose_secret().to_owned(),
                migration_url.expose_secret().to_owned(),
            )
        };
        self.lock()
            .clone()
            .is_some_and(|prepared| plain(prepared) == plain(urls(database)))
    }

    /// Waits until it answers, and makes the API's role where that is ours. The role gets its rights in the database from `migrate`, which
    /// checks first that the database is this application's.
    ///
    /// # Errors
    /// It refuses these settings, or does not answer in time, or the owner may not make a role.
    pub(crate) async fn prepare(&self, database: &External, events: &Events) -> Result<(), Error> {
        wait(database, events).await?;
        let psql = owner(&database.migration_url);
        let run = async |database: &str, sql: &str| {
            psql.clone().in_database(database).run(sql, SQL_BOUND).await
        };
        writers::left::let_in_left(&database.migration_url.database, run, events).await?;
        self.give_role(database).await
    }

    /// Gives the API's role the password of these settings, where it is ours.
    ///
    /// # Errors
    /// The owner may not, or the database does not answer.
    pub(crate) async fn give_role(&self, database: &External) -> Result<(), Error> {
        *self.lock() = None;
        if settings::is_ours(database) {
            let owner = &database.migration_url;
            let password = database.url.password.clone().unwrap_or_default();
            let role = AppRole {
                name: API_ROLE.to_owned(),
                password,
            };
            make_role(owner, API_ROLE, &role.login_sql()).await?;
        }
        *self.lock() = Some(urls(database));
        Ok(())
    }

    /// Gives the API's role the password of these settings again, for what runs with them. Where that fails it is said.
    pub(crate) async fn keep_role(&self, environment: &Environment, events: &Events) {
        let kept = match environment.configuration.tool(&environment.checkout) {
            Ok(Tool {
                external: Some(external),
                ..
            }) => self.give_role(&external).await,
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            events.warn(error.to_string());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<[SecretString; 2]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn urls(database: &External) -> [SecretString; 2] {
    [database.url.to_secret(), database.migration_url.to_secret()]
}

/// Waits until it answers.
///
/// # Errors
/// It refuses these settings, or does not answer in time.
pub(crate) async fn wait(database: &External, events: &Events) -> Result<(), Error> {
    let url = &database.migration_url;
    let psql = owner(url);
    let deadline = Instant::now() + PATIENCE;
    let mut said = false;
    loop {
        let message = match psql.run("select 1", SQL_BOUND).await {
            Ok(_) => return Ok(()),
            Err(PsqlError::Refused { message }) => message,
            Err(error) => return Err(error.into()),
        };
        if !is_away(&message) || Instant::now() >= deadline {
            return Err(Error::hinted(
                format!(
                    "the database {} does not take these settings, or is away:\n{}",
                    url.masked(),
                    indented(&message)
                ),
                "what it says itself: docker compose logs db",
            ));
        }
        if !std::mem::replace(&mut said, true) {
            events.note(format!("waiting for the database: {message}"));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Makes a role by these statements. Containers that start at once take turns.
async fn make_role(url: &DatabaseUrl, name: &str, sql: &str) -> Result<(), Error> {
    let sql = format!("SELECT pg_advisory_lock(hashtext('{name}')) \\g /dev/null\n{sql}");
    owner(url).run(&sql, SQL_BOUND).await?;
    Ok(())
}

/// Where tests make their databases. As a role that may what the owner may, with a password that is no public example: some
/// tests run the service as production does, which refuses one.
///
/// # Errors
/// The owner may not make the role, or the database does not answer.
pub(crate) async fn for_tests(database: &External) -> Result<DatabaseUrl, Error> {
    let owner = &database.migration_url;
    if !settings::is_ours(database) {
        return Ok(owner.clone());
    }
    let password = settings::derived(TEST_ROLE, &owner.password.clone().unwrap_or_default());
    make_role(owner, TEST_ROLE, &test_role_sql(&password)).await?;
    Ok(DatabaseUrl {
        user: TEST_ROLE.to_owned(),
        password: Some(password),
        ..owner.clone()
    })
}

fn test_role_sql(password: &SecretString) -> String {
    format!(
        "{UNLOGGED}{}ALTER ROLE {} LOGIN SUPERUSER;\n{}",
        roles::create_sql(TEST_ROLE),
        identifier(TEST_ROLE),
        roles::password_sql(TEST_ROLE, password)
    )
}

/// Whether it may answer later.
fn is_away(message: &str) -> bool {
    [
        "refused",
        "could not translate host name",
        "starting up",
        "shutting down",
        "timeout expired",
        "server closed",
        "in recovery mode",
        "No route",
    ]
    .iter()
    .any(|words| message.contains(words))
}
