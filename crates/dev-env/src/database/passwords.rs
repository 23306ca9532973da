//! New passwords for the database's roles: in the database and in the settings files, or in neither.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use crate::project::configuration::{self, Configuration};
use crate::project::env_files;
use crate::{Checkout, Error};
use local_postgres::{ClusterConfig, roles};

const SQL_BOUND: Duration = Duration::from_secs(10);

/// The passwords of both roles.
#[derive(Clone)]
pub(crate) struct Passwords {
    pub owner: SecretString,
    pub api: SecretString,
}

impl Passwords {
    /// This one for the owner, and another for the API's role.
    pub(crate) fn new(owner: SecretString) -> Self {
        Self {
            owner,
            api: configuration::generate().into(),
        }
    }

    /// Gives them to the roles of the server that `cluster` describes, which runs, and writes them to the files that
    /// `configuration` was read from. Returns the file that has the owner's. Not to be dropped before it ends: what fails
    /// half-way is put back.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub(crate) async fn set(
        &self,
        cluster: &ClusterConfig,
        configuration: &Configuration,
        checkout: &Checkout,
    ) -> Result<PathBuf, Error> {
        self.set_by(configuration, checkout, self.set_in_database(cluster))
            .await
    }

    /// The same, where `in_database` gives them to the roles.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub(crate) async fn set_by(
        &self,
        configuration: &Configuration,
        checkout: &Checkout,
        in_database: impl Future<Output = Result<(), Error>>,
    ) -> Result<PathBuf, Error> {
        let before = [
            Before::of(checkout.env_file())?,
            Before::of(checkout.backend_env_file())?,
        ];
        let done = match configuration
            .write_passwords(checkout, &self.owner, &self.api)
            .await
        {
            // The file first: putting it back needs no server.
            Ok(file) => in_database.await.map(|()| file),
            Err(error) => Err(error),
        };
        if done.is_err() {
            for file in &before {
                file.put_back().await?;
            }
        }
        done
    }

    async fn set_in_database(&self, cluster: &ClusterConfig) -> Result<(), Error> {
        let Err(error) = roles::set_passwords(cluster, &self.owner, &self.api).await else {
            return Ok(());
        };
        // A session that is lost on the way back may have done it all the same; the server knows.
        match cluster
            .psql_over_tcp(&cluster.superuser, &self.owner)
            .run("select 1", SQL_BOUND)
            .await
        {
            Ok(_) => Ok(()),
            Err(_) => Err(error.into()),
        }
    }
}

/// A settings file as it was.
enum Before {
    Absent(PathBuf),
    File(PathBuf, String),
    /// A pipe or another special file, which is never written.
    Other,
}

impl Before {
    fn of(path: PathBuf) -> Result<Self, Error> {
        Ok(if path.is_file() {
            let text = env_files::read(&path)?;
            Self::File(path, text)
        } else if path.is_symlink() || path.exists() {
            Self::Other
        } else {
            Self::Absent(path)
        })
    }

    async fn put_back(&self) -> Result<(), Error> {
        match self {
            Self::File(path, text) if env_files::read(path).is_ok_and(|now| now == *text) => Ok(()),
            Self::File(path, text) => env_files::replace(path, text).await,
            Self::Absent(path) => remove(path),
            Self::Other => Ok(()),
        }
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", path, source))
        }
        _ => Ok(()),
    }
}
