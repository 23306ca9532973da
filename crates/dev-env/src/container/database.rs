//! The database container as seen from the API's: waiting for it, and the role that the API connects as.

use std::time::Duration;

use emotionviz_settings::DatabaseUrl;
use tokio::time::Instant;

use crate::configuration::{External, Tool, container as settings};
use crate::events::Events;
use crate::postgres::psql::{Psql, PsqlError, Way};
use crate::postgres::roles;
use crate::{Environment, Error};

/// A server that recovers from a crash may take this long, or one that is being made, by scripts of the user's.
const PATIENCE: Duration = Duration::from_secs(600);
const SQL_BOUND: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// The owner's way in.
pub(super) fn owner(url: &DatabaseUrl) -> Psql {
    Psql {
        program: "psql".into(),
        way: Way::Network { host: url.host.clone(), password: url.password.clone().unwrap_or_default() },
        port: url.port,
        user: url.user.clone(),
        database: url.database.clone(),
    }
}

/// Waits until it answers, and makes the API's role where that is ours.
///
/// # Errors
/// It refuses these settings, or does not answer in time, or the owner may not make a role.
pub(crate) async fn prepare(database: &External, events: &Events) -> Result<(), Error> {
    wait(database, events).await?;
    give_role(database).await
}

/// Gives the API's role the password of these settings, where it is ours.
///
/// # Errors
/// The owner may not, or the database does not answer.
pub(crate) async fn give_role(database: &External) -> Result<(), Error> {
    if !settings::is_ours(database) {
        return Ok(());
    }
    let owner = &database.migration_url;
    let password = database.url.password.clone().unwrap_or_default();
    make_role(owner, roles::API_ROLE, &roles::api_role_sql(&owner.user, &owner.database, &password)).await
}

/// Gives the API's role the password of these settings again, for what runs with them. Where that fails it is said.
pub(crate) async fn keep_role(environment: &Environment, events: &Events) {
    let kept = match environment.configuration.tool(&environment.checkout) {
        Ok(Tool { external: Some(external), .. }) => give_role(&external).await,
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = kept {
        events.warn(error.to_string());
    }
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
            return Err(Error::ContainerDatabase { url: url.masked(), message });
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
pub(super) async fn for_tests(database: &External) -> Result<DatabaseUrl, Error> {
    let owner = &database.migration_url;
    if !settings::is_ours(database) {
        return Ok(owner.clone());
    }
    let password = settings::derived(roles::TEST_ROLE, &owner.password.clone().unwrap_or_default());
    make_role(owner, roles::TEST_ROLE, &roles::test_role_sql(&password)).await?;
    Ok(DatabaseUrl { user: roles::TEST_ROLE.to_owned(), password: Some(password), ..owner.clone() })
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
