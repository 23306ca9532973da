//! The settings in the container: the files as they are now, then what Compose passed on, then development's examples.

use std::path::Path;

use emotionviz_settings::declared::{ADMINER_PORT, API_HOST, API_PORT, POSTGRES_PORT};
use emotionviz_settings::{DatabaseUrl, Origin};
use secrecy::{ExposeSecret, SecretString};

use crate::configuration::{Tool, Variables};
use crate::postgres::roles::API_ROLE;
use crate::{Checkout, Environment, Error, env_files, sha256};

/// The database as containers reach it, whatever `POSTGRES_PORT` says: that is the machine's.
const DATABASE: (&str, u16) = ("db", 5432);

/// What runs in the container with.
pub(super) struct Settings {
    pub(super) environment: Environment,
    pub(super) tool: Tool,
    /// The database as its owner.
    pub(super) owner: DatabaseUrl,
    /// The database as the API.
    pub(super) api: DatabaseUrl,
    /// Whether the API's role is ours to make.
    pub(super) own_database: bool,
    /// Settings that have no effect where they are.
    pub(super) misplaced: Vec<String>,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// A file that cannot be read, or a value that does not fit.
    pub(super) fn read(folder: &Path, variables: &Variables) -> Result<Self, Error> {
        let checkout = Checkout::find(folder)?;
        let mut environment = Environment::find(folder, without(variables, &checkout)?)?;
        environment.configuration.set_examples();
        let tool = environment.configuration.tool(&checkout)?;
        let misplaced = misplaced(&environment);
        let (owner, api, own_database) = match &tool.external {
            Some(external) => (external.migration_url.clone(), external.url.clone(), false),
            None => {
                let password = tool.password.clone().unwrap_or_default();
                let api_password = tool.api_password.clone().unwrap_or_else(|| derived(API_ROLE, &password));
                (url(&tool, &tool.user, password), url(&tool, API_ROLE, api_password), true)
            }
        };
        Ok(Self { environment, tool, owner, api, own_database, misplaced })
    }
}

/// The variables without those that `.env` sets. Compose passed on what the shell and `.env` set when the container was made;
/// `.env` may say something else since.
fn without(variables: &Variables, checkout: &Checkout) -> Result<Variables, Error> {
    let set = env_files::layer(&checkout.env_file())?;
    let is_set = |name: &std::ffi::OsString| set.iter().any(|(set, value, _)| name == set.as_str() && !value.is_empty());
    Ok(variables.iter().filter(|(name, _)| !is_set(name)).cloned().collect())
}

/// What Compose itself has to know counts in `.env` alone.
fn misplaced(environment: &Environment) -> Vec<String> {
    let file = environment.checkout.backend_env_file();
    let settings = [&API_PORT.info, &POSTGRES_PORT.info, &ADMINER_PORT.info, &API_HOST.info];
    let there = settings.into_iter().filter_map(|info| {
        let (value, Origin::File(path, _)) = environment.configuration.values().text(info)? else { return None };
        let differs = path == file && Some(value) != info.default;
        differs.then(|| {
            format!(
                "{} is {value} in backend/.env, which Docker Compose does not read: put it into .env beside docker-compose.yml",
                info.name
            )
        })
    });
    there.collect()
}

fn url(tool: &Tool, user: &str, password: SecretString) -> DatabaseUrl {
    let (host, port) = (DATABASE.0.to_owned(), DATABASE.1);
    DatabaseUrl { user: user.to_owned(), password: Some(password), host, port, database: tool.database.clone(), ssl_mode: None }
}

/// A password for a role where nobody sets one: the same in every container of these settings, and no way back from it.
pub(super) fn derived(role: &str, password: &SecretString) -> SecretString {
    sha256::of(format!("{role}\0{}", password.expose_secret())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout(env: &str, backend_env: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("backend")).unwrap();
        for (path, text) in [("Cargo.toml", ""), ("backend/.env.example", ""), (".env", env), ("backend/.env", backend_env)] {
            std::fs::write(folder.path().join(path), text).unwrap();
        }
        folder
    }

    fn read(folder: &tempfile::TempDir, variables: &[(&str, &str)]) -> Settings {
        Settings::read(folder.path(), &variables.iter().map(|(name, value)| (name.into(), value.into())).collect()).unwrap()
    }

    #[test]
    fn without_any_file_developments_values_hold() {
        let settings = read(&checkout("", ""), &[("POSTGRES_USER", "")]);
        assert_eq!(settings.owner.to_secret().expose_secret(), "postgres://emotionviz:devpassword@db:5432/emotionviz_db");
        assert_eq!((settings.api.user.as_str(), settings.api.host.as_str()), (API_ROLE, "db"));
        assert_ne!(settings.api.password.unwrap().expose_secret(), "devpassword");
    }

    #[test]
    fn what_env_says_now_counts() {
        let folder =
            checkout("LOG_LEVEL=debug\nPOSTGRES_PORT=6000\n", "LOG_LEVEL=error\nPOSTGRES_PASSWORD='a b/c@d$e'\nPOSTGRES_DB=theirs\n");
        let settings = read(&folder, &[("LOG_LEVEL", "info"), ("POSTGRES_DB", "shells")]);
        let text = |info| settings.environment.configuration.values().text(info).unwrap().0.to_owned();
        assert_eq!(text(&emotionviz_settings::declared::LOG_LEVEL.info), "debug");
        assert_eq!((settings.owner.database.as_str(), settings.owner.port), ("shells", 5432));
        assert_eq!(settings.owner.password.unwrap().expose_secret(), "a b/c@d$e");
    }

    #[test]
    fn ports_where_compose_does_not_see_them() {
        let settings = read(&checkout("API_PORT=8001\n", "API_PORT=8002\nPOSTGRES_PORT=5433\nADMINER_PORT=8080\n"), &[]);
        assert_eq!(settings.misplaced.len(), 1, "{:?}", settings.misplaced);
        assert!(settings.misplaced[0].starts_with("POSTGRES_PORT is 5433 in backend/.env"));
    }

    #[test]
    fn the_apis_password_is_the_same_everywhere() {
        let password = || read(&checkout("POSTGRES_PASSWORD=x\n", ""), &[]).api.password.unwrap().expose_secret().to_owned();
        assert_eq!(password(), password());
        assert_ne!(password(), read(&checkout("", ""), &[]).api.password.unwrap().expose_secret());
    }
}
