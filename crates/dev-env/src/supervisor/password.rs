//! The job that sets new passwords for the database that runs.

use std::path::PathBuf;

use secrecy::SecretString;

use super::serving::{Database, Serving};
use crate::Error;
use crate::database::passwords::Passwords;

/// Sets them in the database and in the files, in both or in neither. Not to be dropped before it ends.
///
/// # Errors
/// The supervisor runs no database, or nothing was changed.
pub(super) async fn set(
    serving: Serving,
    password: Option<SecretString>,
) -> Result<(PathBuf, Passwords), Error> {
    let environment = serving.environment.reread().await?;
    let (Database::Own(cluster), Some(password)) = (&serving.database, password) else {
        return Err(Error::not_running());
    };
    let passwords = Passwords::new(password);
    let file = passwords
        .set(cluster, &environment.configuration, &environment.checkout)
        .await?;
    Ok((file, passwords))
}

impl Passwords {
    /// Makes the next processes use the passwords.
    pub(super) fn use_in(self, serving: &mut Serving) {
        if let Database::Own(cluster) = &mut serving.database {
            (cluster.password, cluster.app_role.password) = (self.owner, self.api);
        }
        serving.place.database = serving.database.api_url();
    }
}
