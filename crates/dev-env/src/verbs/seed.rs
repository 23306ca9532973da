//! Demonstration data.

use emotionviz_settings::declared::APP_ENV;

use crate::engines::Engine;
use crate::report::events::Events;
use crate::{Environment, Error};
use local_postgres::psql::PsqlError;

/// Whose data it is.
pub const EMAIL: &str = "demo@example.com";
/// The password of that account: public, and for development alone.
pub const PASSWORD: &str = "demo-password-1";

const SQL: &str = include_str!("seed.sql");

/// Puts it into the development database, and returns how many entries the account has. What is there already stays.
///
/// # Errors
/// The settings say production, or the database has another schema.
pub async fn seed(
    environment: &Environment,
    engine: &Engine,
    events: &Events,
) -> Result<usize, Error> {
    if !environment.configuration.in_development()? {
        return Err(Error::hinted(
            format!(
                "demonstration data is for development, and APP_ENV is production (from {})",
                environment.configuration.origin(&APP_ENV.info)
            ),
            "set APP_ENV=development, or leave it out",
        ));
    }
    let session = engine.session("cargo dev db seed", events).await?;
    let done = session.sql_as_service(SQL).await;
    session.end().await?;
    match done {
        Ok(count) => Ok(count.trim().parse().unwrap_or_default()),
        Err(Error::Psql(PsqlError::Refused { message })) if message.contains("does not exist") => {
            Err(Error::hinted(
                format!("the database has not the present schema: {message}"),
                "bring it up to date: cargo dev migrate up",
            ))
        }
        Err(error) => Err(error),
    }
}
