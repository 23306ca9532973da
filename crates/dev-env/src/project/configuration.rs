//! The settings of a checkout: the environment, then `.env`, then `backend/.env`, then the defaults.

pub(crate) mod container;
pub(crate) mod database_host;
mod secrets;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use emotionviz_settings::declared::{
    self, ADMINER_PORT, APP_ENV, DATABASE_URL, DEV_ENGINE, JWT_SECRET_KEY, LOG_DIR,
    MIGRATION_DATABASE_URL,
};
use emotionviz_settings::declared::{
    ALLOWED_ORIGINS, API_HOST, API_PORT, POSTGRES_API_PASSWORD, POSTGRES_BIN_DIR, POSTGRES_DB,
    POSTGRES_PASSWORD,
};
use emotionviz_settings::declared::{POSTGRES_PORT, POSTGRES_USER, SERVICE_BINARY};
use emotionviz_settings::{
    AppEnv, DatabaseUrl, Engine, Info, Kind, Origin, Problem, Problems, Service, Setting, Use,
    Values,
};
use secrecy::SecretString;

use crate::project::env_files;
use crate::{Checkout, Error};
pub use secrets::generate;

/// A process environment: names and values.
pub type Variables = Vec<(OsString, OsString)>;

/// What was set, and where.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    values: Values,
    undeclared: Vec<(String, Origin)>,
    /// Whether these are the settings of the development container.
    in_container: bool,
}

/// What `cargo dev` itself reads.
#[derive(Clone, Debug)]
pub struct Tool {
    /// `POSTGRES_USER`.
    pub user: String,
    /// `POSTGRES_PASSWORD`.
    pub password: Option<SecretString>,
    /// `POSTGRES_API_PASSWORD`.
    pub api_password: Option<SecretString>,
    /// `POSTGRES_DB`.
    pub database: String,
    /// `POSTGRES_PORT`.
    pub postgres_port: Port,
    /// `API_HOST`.
    pub api_host: IpAddr,
    /// `API_PORT`.
    pub api_port: Port,
    /// The database that somebody else runs, when the settings name one.
    pub external: Option<External>,
    /// `ADMINER_PORT`.
    pub adminer_port: Port,
    /// `POSTGRES_BIN_DIR`.
    pub bin_dir: Option<PathBuf>,
    /// `SERVICE_BINARY`, and where it was set.
    pub service_binary: Option<(PathBuf, Origin)>,
}

impl Tool {
    /// Refuses work that is only for a database that `cargo dev` runs.
    ///
    /// # Errors
    /// The settings name the database.
    pub(crate) fn refuse_external(&self, what: &'static str) -> Result<(), Error> {
        match &self.external {
            Some(external) => Err(Error::hinted(
                format!(
                    "{what} is only for the database that cargo dev runs itself, and DATABASE_URL (from {}) names another one",
                    external.origin
                ),
                "without that setting: env -u DATABASE_URL cargo dev …, or remove it from the file",
            )),
            None => Ok(()),
        }
    }
}

/// A port that somebody set, or a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// The port.
    pub port: u16,
    /// Whether somebody set it.
    pub set: bool,
}

/// A database that somebody else runs.
#[derive(Clone, Debug)]
pub struct External {
    /// As the service connects.
    pub url: DatabaseUrl,
    /// As migrations connect.
    pub migration_url: DatabaseUrl,
    /// Who named it.
    pub origin: Origin,
}

/// The addresses that an API process is given.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where it listens.
    pub host: IpAddr,
    /// The port.
    pub port: u16,
    /// Its database.
    pub database: DatabaseUrl,
    /// The LAN address of this machine, if it may reach the API. Web pages on this address may also call the API.
    pub lan: Option<IpAddr>,
}

impl Configuration {
    /// Reads all layers.
    ///
    /// # Errors
    /// A file that cannot be read, or a line in it.
    pub fn read(checkout: &Checkout, environment: &Variables) -> Result<Self, Error> {
        let mut values = Values::from_environment(environment.iter().cloned());
        let mut undeclared = Vec::new();
        let mut layer = Vec::new();
        for path in [checkout.env_file(), checkout.backend_env_file()] {
            // What is set before comes before what these lines say.
            let counts = |name: &str| declared::find(name).is_some_and(|info| !values.is_set(info));
            layer = env_files::layer_after(&path, &layer, counts)?;
            let unknown = layer
                .iter()
                .filter(|(name, ..)| declared::find(name).is_none());
            undeclared.extend(unknown.map(|(name, _, origin)| (name.clone(), origin.clone())));
            values = values.or(layer.iter().cloned());
        }
        if !values.is_set(&APP_ENV.info) {
            values.set(
                APP_ENV.info.name,
                AppEnv::Development.to_string(),
                Origin::Default,
            );
        }
        Ok(Self {
            values,
            undeclared,
            in_container: false,
        })
    }

    /// The values.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Gives a setting a value that is nobody's wish.
    pub(crate) fn set_default(&mut self, info: &Info, value: String) {
        self.values.set(info.name, value, Origin::Default);
    }

    /// Names in the files that are no setting's.
    pub fn undeclared(&self) -> &[(String, Origin)] {
        &self.undeclared
    }

    /// Everything that is wrong with any setting, the service's rules included.
    pub fn problems(&self) -> Problems {
        let bad = declared::ALL.iter().filter_map(|info| {
            let (text, _) = self.values.text(info)?;
            (info.check)(text)
                .err()
                .map(|what| self.values.problem(info, what))
        });
        let mut problems: Vec<Problem> = bad
            .chain(database_host::problems(&self.values, self.in_container))
            .collect();
        // What `up` would make up is no problem while it is missing.
        let mut made = self.values.clone();
        let stand_ins = [
            (
                &JWT_SECRET_KEY.info,
                "a stand-in that is thirty-two bytes long",
            ),
            (&DATABASE_URL.info, "postgres://a@b/c"),
        ];
        for (info, stand_in) in stand_ins {
            if !made.is_set(info) {
                made.set(info.name, stand_in.to_owned(), Origin::Default);
            }
        }
        for problem in Service::from_values(&made).err().unwrap_or_default().0 {
            if !problems.iter().any(|known| known.name == problem.name) {
                problems.push(problem);
            }
        }
        Problems(problems)
    }

    /// What `cargo dev` itself reads.
    ///
    /// # Errors
    /// Every problem of every setting, the service's own included: nothing is started on settings that do not fit.
    pub fn tool(&self, checkout: &Checkout) -> Result<Tool, Error> {
        let problems = self.problems();
        if !problems.0.is_empty() {
            return Err(problems.into());
        }
        let values = &self.values;
        let one = |problem: Problem| Problems(vec![problem]);
        let file = |setting: &Setting<String>| {
            Ok::<_, Problems>(
                values
                    .read(setting)
                    .map_err(one)?
                    .map(|text| checkout.root().join(text)),
            )
        };
        let service_binary =
            file(&SERVICE_BINARY)?.map(|path| (path, self.origin(&SERVICE_BINARY.info)));
        Ok(Tool {
            user: self.get(&POSTGRES_USER)?,
            password: values.read(&POSTGRES_PASSWORD).map_err(one)?,
            api_password: values.read(&POSTGRES_API_PASSWORD).map_err(one)?,
            database: self.get(&POSTGRES_DB)?,
            postgres_port: self.port(&POSTGRES_PORT)?,
            api_host: self.get(&API_HOST)?,
            api_port: self.port(&API_PORT)?,
            external: self.external()?,
            adminer_port: self.port(&ADMINER_PORT)?,
            bin_dir: file(&POSTGRES_BIN_DIR)?,
            service_binary,
        })
    }

    /// `DEV_ENGINE`.
    ///
    /// # Errors
    /// There is no such engine.
    pub fn engine(&self) -> Result<Option<Engine>, Error> {
        self.values
            .read(&DEV_ENGINE)
            .map_err(|problem| Problems(vec![problem]).into())
    }

    /// Where a setting's value comes from.
    pub fn origin(&self, info: &Info) -> Origin {
        self.values
            .text(info)
            .map_or(Origin::Default, |(_, origin)| origin)
    }

    /// The folder of app.log.
    pub fn log_dir(&self, checkout: &Checkout) -> PathBuf {
        match self.values.text(&LOG_DIR.info) {
            Some((folder, _)) => checkout.root().join(folder),
            None => checkout.logs(),
        }
    }

    /// Whether the settings say that this is a developer's machine.
    ///
    /// # Errors
    /// When `APP_ENV` has no such value.
    pub fn in_development(&self) -> Result<bool, Error> {
        Ok(self.get(&APP_ENV)? == AppEnv::Development)
    }

    /// The settings that an API process gets: those that somebody set, its place, and nothing of the owner's.
    pub fn for_service(
        &self,
        place: &Place,
        log_dir: &Path,
    ) -> BTreeMap<&'static str, SecretString> {
        let set = declared::ALL
            .iter()
            .filter(|info| info.used_by != Use::Tool && self.values.is_set(info));
        let mut settings: BTreeMap<&str, SecretString> = set
            .filter_map(|info| Some((info.name, self.values.text(info)?.0.into())))
            .collect();
        settings.remove(MIGRATION_DATABASE_URL.info.name);
        settings.insert(API_HOST.info.name, place.host.to_string().into());
        settings.insert(API_PORT.info.name, place.port.to_string().into());
        settings.insert(DATABASE_URL.info.name, place.database.to_secret());
        // An invalid value is passed on, and the service refuses it.
        if let (Some(address), Ok(origins)) = (place.lan, self.get(&ALLOWED_ORIGINS)) {
            settings.insert(
                ALLOWED_ORIGINS.info.name,
                origins.with_any_port_of(address).to_string().into(),
            );
        }
        settings.insert(
            LOG_DIR.info.name,
            log_dir.to_string_lossy().into_owned().into(),
        );
        settings
    }

    pub(crate) fn external(&self) -> Result<Option<External>, Error> {
        let one = |problem: Problem| Problems(vec![problem]);
        let url = self.values.read(&DATABASE_URL).map_err(one)?;
        let migration_url = self.values.read(&MIGRATION_DATABASE_URL).map_err(one)?;
        let info = if url.is_some() {
            &DATABASE_URL.info
        } else {
            &MIGRATION_DATABASE_URL.info
        };
        // Given one of the two, it serves for both, as in the service.
        Ok(url
            .clone()
            .or_else(|| migration_url.clone())
            .map(|either| External {
                migration_url: migration_url.unwrap_or_else(|| either.clone()),
                url: either,
                origin: self.origin(info),
            }))
    }

    fn port(&self, setting: &Setting<u16>) -> Result<Port, Error> {
        Ok(Port {
            port: self.get(setting)?,
            set: self.values.is_set(&setting.info),
        })
    }

    fn get<T: Kind>(&self, setting: &Setting<T>) -> Result<T, Error> {
        self.values
            .get(setting)
            .map_err(|problem| Problems(vec![problem]).into())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::secrets::SECRET_LENGTH;
    use super::*;
    use process::thread::block_on;

    fn checkout(env: &str, backend_env: &str) -> (tempfile::TempDir, Checkout) {
        Checkout::scratch(&[(".env", env), ("backend/.env", backend_env)])
    }

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn the_shell_overrides_env_and_env_overrides_backend_env() {
        let (_folder, checkout) = checkout(
            "API_PORT=1\nPOSTGRES_PORT=2\nLOG_LEVEL=\n",
            "API_PORT=3\nPOSTGRES_DB=x\nLOG_LEVEL=debug\nMINE=1\n",
        );
        let configuration = Configuration::read(
            &checkout,
            &variables(&[("POSTGRES_PORT", "4"), ("POSTGRES_USER", "")]),
        )
        .unwrap();
        let tool = configuration.tool(&checkout).unwrap();
        assert_eq!(
            (tool.api_port, tool.postgres_port),
            (Port { port: 1, set: true }, Port { port: 4, set: true })
        );
        assert_eq!(
            (tool.database.as_str(), tool.user.as_str()),
            ("x", "emotionviz")
        );
        assert!(configuration.in_development().unwrap());
        assert_eq!(configuration.undeclared()[0].0, "MINE");
        assert_eq!(
            configuration
                .values()
                .text(&declared::LOG_LEVEL.info)
                .unwrap()
                .0,
            "debug"
        );
    }

    #[test]
    fn secrets_are_generated_once_and_kept() {
        let (_folder, checkout) = checkout("JWT_SECRET_KEY=mine\n", "");
        let mut first = Configuration::read(&checkout, &Vec::new()).unwrap();
        assert_eq!(
            block_on(first.make_secrets(&checkout, false)).unwrap(),
            ["POSTGRES_PASSWORD", "POSTGRES_API_PASSWORD"]
        );
        let made = first.tool(&checkout).unwrap().password.unwrap();
        assert_eq!(made.expose_secret().len(), SECRET_LENGTH);
        let mut second = Configuration::read(&checkout, &Vec::new()).unwrap();
        assert!(
            block_on(second.make_secrets(&checkout, true))
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            second
                .tool(&checkout)
                .unwrap()
                .password
                .unwrap()
                .expose_secret(),
            made.expose_secret()
        );
    }

    #[test]
    fn concurrent_commands_generate_the_same_secrets() {
        let (_folder, checkout) = checkout("", "");
        let before = || Configuration::read(&checkout, &Vec::new()).unwrap();
        let passwords: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = [before(), before(), before(), before()]
                .into_iter()
                .map(|mut configuration| {
                    let checkout = &checkout;
                    scope.spawn(move || {
                        block_on(configuration.make_secrets(checkout, false)).unwrap();
                        configuration
                            .tool(checkout)
                            .unwrap()
                            .password
                            .unwrap()
                            .expose_secret()
                            .to_owned()
                    })
                })
                .collect();
            makers
                .into_iter()
                .map(|maker| maker.join().unwrap())
                .collect()
        });
        assert!(
            passwords.iter().all(|password| *password == passwords[0]),
            "{passwords:?}"
        );
        assert_eq!(
            std::fs::read_to_string(checkout.env_file())
                .unwrap()
                .matches("POSTGRES_PASSWORD=")
                .count(),
            1
        );
    }

    #[test]
    fn a_database_that_exists_gets_no_new_password() {
        let (_folder, checkout) = checkout("", "");
        let mut configuration = Configuration::read(&checkout, &Vec::new()).unwrap();
        assert_eq!(
            block_on(configuration.make_secrets(&checkout, true)).unwrap(),
            ["POSTGRES_API_PASSWORD", "JWT_SECRET_KEY"]
        );
    }

    #[test]
    fn an_external_database_needs_no_passwords() {
        let (_folder, checkout) = checkout("", "DATABASE_URL=postgresql+asyncpg://a:b@h/d\n");
        let mut configuration = Configuration::read(&checkout, &Vec::new()).unwrap();
        assert_eq!(
            block_on(configuration.make_secrets(&checkout, false)).unwrap(),
            ["JWT_SECRET_KEY"]
        );
        let external = configuration.tool(&checkout).unwrap().external.unwrap();
        assert_eq!(
            (external.migration_url.host.as_str(), external.origin),
            ("h", Origin::File(checkout.backend_env_file(), 1))
        );
    }

    #[test]
    fn the_service_never_sees_the_owners_url() {
        let (_folder, checkout) = checkout(
            "POSTGRES_PASSWORD=owner\nDEBUG=on\n",
            "MIGRATION_DATABASE_URL=postgres://owner:x@h/d\n",
        );
        let configuration = Configuration::read(&checkout, &Vec::new()).unwrap();
        let place = Place {
            host: "127.0.0.1".parse().unwrap(),
            port: 9,
            database: "postgres://api:y@h/d".parse().unwrap(),
            lan: None,
        };
        let settings = configuration.for_service(&place, Path::new("/logs"));
        let shown: Vec<_> = settings
            .iter()
            .map(|(name, value)| format!("{name}={}", value.expose_secret()))
            .collect();
        assert_eq!(
            shown,
            [
                "API_HOST=127.0.0.1",
                "API_PORT=9",
                "APP_ENV=development",
                "DATABASE_URL=postgres://api:y@h:5432/d",
                "DEBUG=on",
                "LOG_DIR=/logs"
            ]
        );
    }

    #[test]
    fn lan_origins_are_allowed_in_addition_to_the_setting() {
        let lan = Some("192.168.1.20".parse().unwrap());
        let place = Place {
            host: [0, 0, 0, 0].into(),
            port: 9,
            database: "postgres://api:y@h/d".parse().unwrap(),
            lan,
        };
        for (file, allowed) in [
            (
                "",
                "http://localhost:*,https://localhost,capacitor://localhost,ionic://localhost,http://192.168.1.20:*",
            ),
            (
                "ALLOWED_ORIGINS='[\"https://app.example\"]'\n",
                "https://app.example,http://192.168.1.20:*",
            ),
            (
                "ALLOWED_ORIGINS=https://app.example/path\n",
                "https://app.example/path",
            ),
        ] {
            let (_folder, checkout) = checkout(file, "");
            let settings = Configuration::read(&checkout, &Vec::new())
                .unwrap()
                .for_service(&place, Path::new("/logs"));
            assert_eq!(settings["ALLOWED_ORIGINS"].expose_secret(), allowed);
        }
    }

    #[test]
    fn all_invalid_settings_are_reported_together() {
        let (_folder, checkout) =
            checkout("API_PORT=eighty\nJWT_ALGORITHM=none\nADMINER_PORT=x\n", "");
        let message = Configuration::read(&checkout, &Vec::new())
            .unwrap()
            .tool(&checkout)
            .unwrap_err()
            .to_string();
        for part in ["API_PORT", "JWT_ALGORITHM", "ADMINER_PORT", ".env:3"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_password_set_in_the_shell_is_reported_by_its_variable() {
        let (_folder, checkout) = checkout("", "");
        for name in ["POSTGRES_PASSWORD", "POSTGRES_API_PASSWORD"] {
            let configuration = Configuration::read(&checkout, &variables(&[(name, "x")])).unwrap();
            let refused =
                block_on(configuration.write_passwords(&checkout, &"new".into(), &"api".into()))
                    .unwrap_err()
                    .to_string();
            assert!(
                refused.contains(&format!("env -u {name} cargo dev")),
                "{refused}"
            );
        }
    }

    #[test]
    fn passwords_are_written_where_they_are_set() {
        let (_folder, checkout) = checkout("", "POSTGRES_PASSWORD=old\n");
        let configuration = Configuration::read(&checkout, &Vec::new()).unwrap();
        block_on(configuration.write_passwords(&checkout, &"new".into(), &"api".into())).unwrap();
        assert_eq!(
            std::fs::read_to_string(checkout.backend_env_file()).unwrap(),
            "POSTGRES_PASSWORD=new\n"
        );
        assert!(
            std::fs::read_to_string(checkout.env_file())
                .unwrap()
                .contains("POSTGRES_API_PASSWORD=api")
        );
    }
}
