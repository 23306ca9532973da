//! New passwords for the database that runs, and for the API that uses it.

use std::path::PathBuf;

use secrecy::SecretString;

use super::services::Services;
use crate::Error;
use crate::database::passwords::Passwords;
use crate::database::session;
use crate::report::status::State;

impl Services {
    /// Changes them in the database and in the files, in both or in neither. Not to be dropped before it ends.
    pub(super) async fn change_password(
        &mut self,
        password: SecretString,
    ) -> Result<PathBuf, Error> {
        // What starts with the old one would not be ready.
        self.reloading.cancel();
        let changed = self.set_password(password).await;
        if changed.is_err() {
            self.try_again();
        }
        changed
    }

    async fn set_password(&mut self, password: SecretString) -> Result<PathBuf, Error> {
        let environment = self.environment.reread().await?;
        // Without one of its own it is not asked.
        let cluster = self.cluster.as_mut().ok_or(Error::NotRunning)?;
        let passwords = Passwords::new(password);
        let file = passwords
            .set(cluster, &environment.configuration, &environment.checkout)
            .await?;
        (cluster.password, cluster.app_role.password) = (passwords.owner, passwords.api);
        if let Some(place) = &mut self.place {
            place.database = session::api_url(cluster);
        }
        Ok(file)
    }

    /// Starts the API anew with the password that it now needs. The program is the one that ran: what does not compile just now
    /// does not matter.
    pub(super) async fn take_passwords_over(&mut self) {
        if let Err(error) = self.replace_api().await {
            self.events.warn(error.to_string());
            self.stop_api().await;
            self.start_api_or_again().await;
        }
        self.describe_api(State::Running).await;
        self.try_again();
    }
}
