//! New passwords for the database's roles, given through the container.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::engine::Docker;
use crate::Error;
use crate::database::passwords::Passwords;
use crate::database::session::Session;
use crate::project::configuration;
use crate::project::names::API_ROLE;
use crate::report::events::Events;
use local_postgres::{psql, roles};
use process::shutdown::Shutdown;

const BOUND: Duration = Duration::from_secs(30);

impl Docker {
    pub(crate) async fn change_password(
        &self,
        password: Option<String>,
        events: &Events,
        stop: &Shutdown,
    ) -> Result<Option<PathBuf>, Error> {
        self.environment.configuration.passwords_can_be_written()?;
        let passwords = Passwords::new(
            password.map_or_else(|| configuration::generate().into(), SecretString::from),
        );
        let runs = self.look().await?.1.running("api").is_some();
        let session = tokio::select! {
            biased;
            () = stop.requested() => return Ok(None),
            session = self.session_on(false, events) => session?,
        };
        // From here on either all of it changes or nothing: whoever wants to stop waits.
        let changed = set(self, &session, &passwords).await;
        session.end().await?;
        let file = changed?;
        if runs {
            // The database's health is asked with the new one; the API connects with it, and may have seen the file before the database
            // had it.
            let docker = Docker::new(self.environment.reread().await?);
            tokio::select! {
                biased;
                () = stop.requested() => {}
                restarted = docker.restart(None, events) => restarted?,
            }
        }
        Ok(Some(file))
    }
}

async fn set(engine: &Docker, session: &Session, passwords: &Passwords) -> Result<PathBuf, Error> {
    // No API may have run yet.
    let create = roles::create_sql(API_ROLE);
    let owner = session.url().user.as_str();
    let sql =
        create + &roles::passwords_sql(&[(owner, &passwords.owner), (API_ROLE, &passwords.api)]);
    let in_database = async {
        let psql = session.client_in("psql", "postgres").await?;
        psql::run(psql, sql.as_bytes(), BOUND).await?;
        Ok(())
    };
    passwords
        .set_by(
            &engine.environment.configuration,
            &engine.environment.checkout,
            in_database,
        )
        .await
}
