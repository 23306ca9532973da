//! The settings in the container: the files as they are now, then what Compose passed on, then development's examples.

use emotionviz_settings::declared::{
    ADMINER_MEMORY_LIMIT, API_CPU_LIMIT, API_MEMORY_LIMIT, API_MEMORY_RESERVATION,
};
use emotionviz_settings::declared::{
    ADMINER_PORT, API_HOST, API_PORT, DATABASE_URL, MIGRATION_DATABASE_URL,
};
use emotionviz_settings::declared::{
    COMPOSE_PROJECT_NAME, DB_MEMORY_LIMIT, DB_MEMORY_RESERVATION, DEV_UP_OPTIONS,
};
use emotionviz_settings::declared::{POSTGRES_DB, POSTGRES_PASSWORD, POSTGRES_PORT, POSTGRES_USER};
use emotionviz_settings::{DatabaseUrl, Info, Origin};
use secrecy::{ExposeSecret, SecretString};

use super::{Configuration, External, Tool, Variables};
use crate::project::env_files;
use crate::project::names::API_ROLE;
use crate::{Checkout, Error};

/// Where the API listens, whatever `API_HOST` and `API_PORT` say: those are of the machine, and Compose publishes this one there.
const LISTEN: (&str, &str) = ("0.0.0.0", "8000");
/// The database as containers reach it, whatever `POSTGRES_PORT` says: that is the machine's.
const DATABASE: (&str, u16) = ("db", 5432);
/// What the database's container is made with, too.
const OF_THE_DATABASE: [&Info; 3] = [
    &POSTGRES_USER.info,
    &POSTGRES_PASSWORD.info,
    &POSTGRES_DB.info,
];
/// What Compose itself has to know.
const OF_COMPOSE: [&Info; 12] = [
    &API_PORT.info,
    &POSTGRES_PORT.info,
    &ADMINER_PORT.info,
    &API_HOST.info,
    &COMPOSE_PROJECT_NAME.info,
    &DEV_UP_OPTIONS.info,
    &API_CPU_LIMIT.info,
    &API_MEMORY_LIMIT.info,
    &API_MEMORY_RESERVATION.info,
    &DB_MEMORY_LIMIT.info,
    &DB_MEMORY_RESERVATION.info,
    &ADMINER_MEMORY_LIMIT.info,
];

/// Reads them: what a process of the API gets in here is what it gets anywhere, with these addresses.
///
/// # Errors
/// A file that cannot be read, or a value that does not fit.
pub(crate) fn settings(checkout: &Checkout, variables: &Variables) -> Result<Configuration, Error> {
    let [env, backend] = files(checkout)?;
    let mut configuration = Configuration::read(checkout, &without(variables, &env))?;
    configuration.in_container = true;
    configuration.set_what_compose_did_not_pass(variables, &backend);
    configuration.set_examples();
    let tool = configuration.tool(checkout)?;
    configuration.set_default(&API_HOST.info, LISTEN.0.to_owned());
    configuration.set_default(&API_PORT.info, LISTEN.1.to_owned());
    if tool.external.is_none() {
        let password = tool.password.clone().unwrap_or_default();
        let api_password = tool
            .api_password
            .clone()
            .unwrap_or_else(|| derived(API_ROLE, &password));
        for (info, url) in [
            (
                &MIGRATION_DATABASE_URL.info,
                url(&tool, &tool.user, password),
            ),
            (&DATABASE_URL.info, url(&tool, API_ROLE, api_password)),
        ] {
            configuration.set_default(info, url.to_secret().expose_secret().to_owned());
        }
    }
    Ok(configuration)
}

/// Whether a database is the container's beside this one, and its API's role ours to make.
pub(crate) fn is_ours(database: &External) -> bool {
    database.origin == Origin::Default
}

impl Configuration {
    /// The database's settings where Compose passed nothing on: `backend/.env` comes first then, as in `backend/docker/db/settings`.
    fn set_what_compose_did_not_pass(&mut self, variables: &Variables, backend: &env_files::Layer) {
        let passed = |info: &Info| {
            variables
                .iter()
                .any(|(name, value)| name == info.name && !value.is_empty())
        };
        for info in OF_THE_DATABASE.into_iter().filter(|info| !passed(info)) {
            if let Some((_, value, origin)) = backend.iter().find(|(name, ..)| name == info.name) {
                let default = info.default.or(info.example).unwrap_or_default();
                let value = if value.is_empty() { default } else { value };
                self.values.set(info.name, value.to_owned(), origin.clone());
            }
        }
    }
}

/// What `.env` says, and `backend/.env`, which may refer to it.
fn files(checkout: &Checkout) -> Result<[env_files::Layer; 2], Error> {
    let env = env_files::layer(&checkout.env_file())?;
    let backend = env_files::layer_after(&checkout.backend_env_file(), &env, |_| false)?;
    Ok([env, backend])
}

/// The variables without those that `.env` sets. Compose passed on what the shell and `.env` set when the container was made;
/// `.env` may say something else since. The database's container has what it was made with, and so has this one.
fn without(variables: &Variables, env: &env_files::Layer) -> Variables {
    let is_set = |name: &std::ffi::OsString| {
        env.iter()
            .any(|(set, value, _)| name == set.as_str() && !value.is_empty())
    };
    let is_the_databases =
        |name: &std::ffi::OsString| OF_THE_DATABASE.iter().any(|info| name == info.name);
    variables
        .iter()
        .filter(|(name, _)| is_the_databases(name) || !is_set(name))
        .cloned()
        .collect()
}

/// What to say of settings that have no effect where they are: what Compose itself has to know counts in `.env` alone.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn misplaced(checkout: &Checkout) -> Result<Vec<String>, Error> {
    let [env, backend] = files(checkout)?;
    let is_set_above = |name: &str| {
        env.iter()
            .any(|(set, value, _)| set == name && !value.is_empty())
    };
    let there = backend.into_iter().filter_map(|(name, value, _)| {
        let info = OF_COMPOSE.into_iter().find(|info| info.name == name)?;
        let counts = !value.is_empty() && !is_set_above(&name) && Some(value.as_str()) != info.default;
        counts.then(|| {
            format!("{name} is {value} in backend/.env, which Docker Compose does not read: put it into .env beside docker-compose.yml")
        })
    });
    Ok(there.collect())
}

fn url(tool: &Tool, user: &str, password: SecretString) -> DatabaseUrl {
    let (host, port) = (DATABASE.0.to_owned(), DATABASE.1);
    DatabaseUrl {
        user: user.to_owned(),
        password: Some(password),
        host,
        port,
        database: tool.database.clone(),
        ssl_mode: None,
    }
}

/// A password for a role where nobody sets one: the same in every container of these settings, and no way back from it.
pub(crate) fn derived(role: &str, password: &SecretString) -> SecretString {
    process::files::sha256(format!("{role}\0{}", password.expose_secret())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout(env: &str, backend_env: &str) -> tempfile::TempDir {
        Checkout::scratch(&[(".env", env), ("backend/.env", backend_env)]).0
    }

    fn read(folder: &tempfile::TempDir, variables: &[(&str, &str)]) -> (Configuration, External) {
        let checkout = Checkout::find(folder.path()).unwrap();
        let configuration = settings(
            &checkout,
            &variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
        .unwrap();
        let tool = configuration.tool(&checkout).unwrap();
        assert_eq!(
            (tool.api_host.to_string().as_str(), tool.api_port.port),
            ("0.0.0.0", 8000)
        );
        (configuration, tool.external.unwrap())
    }

    #[test]
    fn without_settings_files_the_development_defaults_apply() {
        let (_, database) = read(&checkout("", ""), &[("POSTGRES_USER", "")]);
        assert_eq!(
            database.migration_url.to_secret().expose_secret(),
            "postgres://emotionviz:devpassword@db:5432/emotionviz_db"
        );
        assert_eq!(
            (database.url.user.as_str(), database.url.host.as_str()),
            (API_ROLE, "db")
        );
        assert_ne!(
            database.url.password.as_ref().unwrap().expose_secret(),
            "devpassword"
        );
        assert!(is_ours(&database));
    }

    #[test]
    fn the_current_content_of_env_overrides_the_containers_environment() {
        let folder = checkout(
            "LOG_LEVEL=debug\nPOSTGRES_PORT=6000\n",
            "LOG_LEVEL=error\nPOSTGRES_PASSWORD='a b/c@d$e'\nPOSTGRES_DB=theirs\n",
        );
        let (configuration, database) =
            read(&folder, &[("LOG_LEVEL", "info"), ("POSTGRES_DB", "shells")]);
        let text = |info| configuration.values().text(info).unwrap().0.to_owned();
        assert_eq!(
            text(&emotionviz_settings::declared::LOG_LEVEL.info),
            "debug"
        );
        assert_eq!(
            (
                database.migration_url.database.as_str(),
                database.migration_url.port
            ),
            ("shells", 5432)
        );
        assert_eq!(
            database.migration_url.password.unwrap().expose_secret(),
            "a b/c@d$e"
        );
    }

    #[test]
    fn one_settings_file_may_refer_to_the_other() {
        let folder = checkout(
            "OF_BOTH_FILES=ann\n",
            "OF_BOTH_FILES=bea\nPOSTGRES_USER=${OF_BOTH_FILES}_x\n",
        );
        assert_eq!(
            read(&folder, &[("POSTGRES_USER", "")]).1.migration_url.user,
            "ann_x"
        );
    }

    #[test]
    fn an_external_database_keeps_its_url_in_the_container() {
        let (_, database) = read(
            &checkout("DATABASE_URL=postgres://a:b@elsewhere/d\n", ""),
            &[],
        );
        assert_eq!(
            (
                database.url.host.as_str(),
                database.migration_url.user.as_str(),
                is_ours(&database)
            ),
            ("elsewhere", "a", false)
        );
    }

    #[test]
    fn ports_that_compose_does_not_read_are_reported() {
        let folder = checkout(
            "API_PORT=8001\n",
            "API_PORT=8002\nPOSTGRES_PORT=5433\nADMINER_PORT=8080\nDB_MEMORY_LIMIT=2g\n",
        );
        let misplaced = misplaced(&Checkout::find(folder.path()).unwrap()).unwrap();
        assert_eq!(misplaced.len(), 2, "{misplaced:?}");
        assert!(
            misplaced[1].starts_with("POSTGRES_PORT is 5433 in backend/.env")
                && misplaced[0].starts_with("DB_MEMORY_LIMIT is 2g")
        );
    }

    #[test]
    fn the_password_of_the_api_is_the_same_everywhere() {
        let password = || {
            read(&checkout("POSTGRES_PASSWORD=x\n", ""), &[])
                .1
                .url
                .password
                .unwrap()
                .expose_secret()
                .to_owned()
        };
        assert_eq!(password(), password());
        assert_ne!(
            password(),
            read(&checkout("", ""), &[])
                .1
                .url
                .password
                .unwrap()
                .expose_secret()
        );
    }
}
