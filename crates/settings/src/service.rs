use std::net::IpAddr;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use crate::declared::{
    ACCESS_TOKEN_EXPIRE_MINUTES, ALLOWED_ORIGINS, API_HOST, API_PORT, APP_ENV,
    DATABASE_CONNECTIONS, DATABASE_URL, DEBUG, GEMINI_API_KEY, JWT_ALGORITHM, JWT_SECRET_KEY,
    LOG_DIR, LOG_LEVEL, MIGRATION_DATABASE_URL, NANOBANANA_API_KEY, PLACEHOLDER_KEYS,
    PUBLIC_SECRETS, RATE_LIMITS, TRUSTED_PROXIES, VISUALIZATION_IMAGE_SIZE,
};
use crate::{
    AppEnv, DatabaseUrl, Kind, LogLevel, Origins, PictureSide, Problem, Problems, Proxies, Setting,
    Values,
};

/// The service's configuration, a field a topic.
#[derive(Clone, Debug)]
pub struct Service {
    /// Where it listens and who may call.
    pub http: Http,
    /// The database.
    pub database: Database,
    /// Tokens.
    pub security: Security,
    /// Logs.
    pub logging: Logging,
    /// Request limits.
    pub limits: Limits,
    /// AI providers.
    pub providers: Providers,
}

/// Where the service listens and who may call.
#[derive(Clone, Debug)]
pub struct Http {
    /// The address.
    pub host: IpAddr,
    /// The port; 0 is any free one.
    pub port: u16,
    /// Web origins that may call.
    pub origins: Origins,
    /// Proxies whose word on the client's address is taken.
    pub trusted_proxies: Proxies,
}

/// The database.
#[derive(Clone, Debug)]
pub struct Database {
    /// What the service uses.
    pub url: DatabaseUrl,
    /// What migrations use.
    pub migration_url: DatabaseUrl,
    /// The most connections of one process.
    pub connections: u32,
}

/// Tokens.
#[derive(Clone, Debug)]
pub struct Security {
    /// The key of HMAC-SHA-256 (RFC 7518, 3.2).
    pub jwt_secret: SecretString,
    /// How long a token is valid, in minutes.
    pub token_minutes: u32,
}

/// Logs.
#[derive(Clone, Debug)]
pub struct Logging {
    /// Readable in development, JSON in production.
    pub environment: AppEnv,
    /// The least severe message.
    pub level: LogLevel,
    /// More detail.
    pub debug: bool,
    /// The folder of app.log.
    pub dir: Option<PathBuf>,
}

/// Request limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Whether there are any.
    pub on: bool,
}

/// AI providers; `None` where no key is set.
#[derive(Clone, Debug)]
pub struct Providers {
    /// The key of the text provider.
    pub gemini_api_key: Option<SecretString>,
    /// The key of the image provider.
    pub nanobanana_api_key: Option<SecretString>,
    /// The width and height of pictures.
    pub picture_side: PictureSide,
}

impl Service {
    /// Reads every topic.
    ///
    /// # Errors
    /// Every problem of every topic.
    pub fn from_values(values: &Values) -> Result<Self, Problems> {
        let parts = (
            Http::from_values(values),
            Database::from_values(values),
            Security::from_values(values),
            Logging::from_values(values),
            Limits::from_values(values),
            Providers::from_values(values),
        );
        match parts {
            (Ok(http), Ok(database), Ok(security), Ok(logging), Ok(limits), Ok(providers)) => {
                Ok(Self {
                    http,
                    database,
                    security,
                    logging,
                    limits,
                    providers,
                })
            }
            (a, b, c, d, e, f) => {
                let problems = [a.err(), b.err(), c.err(), d.err(), e.err(), f.err()]
                    .into_iter()
                    .flatten()
                    .flat_map(|p| p.0);
                // APP_ENV is read by several topics.
                Err(problems.fold(Problems::default(), |mut all, problem| {
                    if !all.0.contains(&problem) {
                        all.0.push(problem);
                    }
                    all
                }))
            }
        }
    }
}

/// Collects the problems of a topic while its settings are read.
struct Reader<'a> {
    values: &'a Values,
    problems: Problems,
}

impl<'a> Reader<'a> {
    fn new(values: &'a Values) -> Self {
        Self {
            values,
            problems: Problems::default(),
        }
    }

    fn note<T>(&mut self, read: Result<T, Problem>) -> Option<T> {
        read.map_err(|problem| self.problems.0.push(problem)).ok()
    }

    fn get<T: Kind>(&mut self, setting: &Setting<T>) -> Option<T> {
        let read = self.values.get(setting);
        self.note(read)
    }

    fn require<T: Kind>(&mut self, setting: &Setting<T>) -> Option<T> {
        let read = self.values.require(setting);
        self.note(read)
    }

    fn read<T: Kind>(&mut self, setting: &Setting<T>) -> Option<T> {
        let read = self.values.read(setting);
        self.note(read).flatten()
    }

    fn refuse<T>(&mut self, setting: &Setting<T>, what: &str) {
        self.problems
            .0
            .push(self.values.problem(&setting.info, what));
    }

    /// An environment that cannot be read is as strict as production.
    fn in_production(&mut self) -> bool {
        self.get(&APP_ENV) != Some(AppEnv::Development)
    }

    fn done<T>(self, made: Option<T>) -> Result<T, Problems> {
        match made {
            Some(made) if self.problems.0.is_empty() => Ok(made),
            _ => Err(self.problems),
        }
    }
}

impl Http {
    /// Reads the topic.
    ///
    /// # Errors
    /// All of its problems.
    pub fn from_values(values: &Values) -> Result<Self, Problems> {
        let mut r = Reader::new(values);
        let (host, port, origins) = (r.get(&API_HOST), r.get(&API_PORT), r.get(&ALLOWED_ORIGINS));
        let trusted_proxies = r.read(&TRUSTED_PROXIES).unwrap_or_default();
        let made = || {
            Some(Self {
                host: host?,
                port: port?,
                origins: origins?,
                trusted_proxies,
            })
        };
        r.done(made())
    }
}

impl Database {
    /// Reads the topic.
    ///
    /// # Errors
    /// All of its problems.
    pub fn from_values(values: &Values) -> Result<Self, Problems> {
        let mut r = Reader::new(values);
        let production = r.in_production();
        // Given one of the two, it serves for both.
        let migration = r.read(&MIGRATION_DATABASE_URL);
        let url = match r.read(&DATABASE_URL) {
            None if migration.is_some() && !values.is_set(&DATABASE_URL.info) => migration.clone(),
            None if r.problems.0.is_empty() => r.require(&DATABASE_URL),
            url => url,
        };
        let connections = r.get(&DATABASE_CONNECTIONS);
        for (setting, url) in [(&DATABASE_URL, &url), (&MIGRATION_DATABASE_URL, &migration)] {
            let password = url.as_ref().and_then(|url| url.password.as_ref());
            if production
                && values.is_set(&setting.info)
                && password.is_some_and(|p| PUBLIC_SECRETS.contains(&p.expose_secret()))
            {
                r.refuse(setting, "has the example password, which everybody knows: set another one in production");
            }
        }
        let made = || {
            Some(Self {
                migration_url: migration.or_else(|| url.clone())?,
                url: url?,
                connections: connections?,
            })
        };
        r.done(made())
    }
}

impl Security {
    /// Reads the topic.
    ///
    /// # Errors
    /// All of its problems.
    pub fn from_values(values: &Values) -> Result<Self, Problems> {
        const LEAST_BYTES: usize = 32;
        let mut r = Reader::new(values);
        let production = r.in_production();
        let jwt_secret = r.require(&JWT_SECRET_KEY);
        if let (true, Some(secret)) = (production, &jwt_secret) {
            if PUBLIC_SECRETS.contains(&secret.expose_secret()) {
                r.refuse(
                    &JWT_SECRET_KEY,
                    "is the example key, which everybody knows: set another one in production (openssl rand -hex 32)",
                );
            } else if secret.expose_secret().len() < LEAST_BYTES {
                r.refuse(&JWT_SECRET_KEY, "is shorter than 32 bytes: set a longer one in production (openssl rand -hex 32)");
            }
        }
        if r.get(&JWT_ALGORITHM)
            .is_some_and(|algorithm| algorithm != "HS256")
        {
            r.refuse(
                &JWT_ALGORITHM,
                "must be HS256: the service signs its tokens with no other algorithm",
            );
        }
        let token_minutes = r.get(&ACCESS_TOKEN_EXPIRE_MINUTES);
        let made = || {
            Some(Self {
                jwt_secret: jwt_secret?,
                token_minutes: token_minutes?,
            })
        };
        r.done(made())
    }
}

impl Logging {
    /// Reads the topic.
    ///
    /// # Errors
    /// All of its problems.
    pub fn from_values(values: &Values) -> Result<Self, Problems> {
        let mut r = Reader::new(values);
        let production = r.in_production();
        let (environment, level) = (r.get(&APP_ENV), r.get(&LOG_LEVEL));
        let debug = r.get(&DEBUG).map(crate::Switch::is_on);
        if production && debug == Some(true) {
            r.refuse(
                &DEBUG,
                "must be off in production: it adds detail to the logs that does not belong there",
            );
        }
        let dir = r.read(&LOG_DIR).map(PathBuf::from);
        let made = || {
            Some(Self {
                environment: environment?,
                level: level?,
                debug: debug?,
                dir,
            })
        };
        r.done(made())
    }
}

impl Limits {
    /// Reads the topic.
    ///
    /// # Errors
    /// All of its problems.
    pub fn from_values(values: &Values) -> Result<Self, Problems> {
        let mut r = Reader::new(values);
        let on = r.get(&RATE_LIMITS).map(crate::Switch::is_on);
        let made = || Some(Self { on: on? });
        r.done(made())
    }
}

impl Providers {
    /// Reads the topic.
    ///
    /// # Errors
    /// All of its problems.
    pub fn from_values(values: &Values) -> Result<Self, Problems> {
        let mut r = Reader::new(values);
        let mut key = |setting| {
            r.read(setting)
                .filter(|key: &SecretString| !PLACEHOLDER_KEYS.contains(&key.expose_secret()))
        };
        let (gemini_api_key, nanobanana_api_key) = (key(&GEMINI_API_KEY), key(&NANOBANANA_API_KEY));
        let picture_side = r.get(&VISUALIZATION_IMAGE_SIZE);
        let made = || {
            Some(Self {
                gemini_api_key,
                nanobanana_api_key,
                picture_side: picture_side?,
            })
        };
        r.done(made())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origin;

    fn values(pairs: &[(&str, &str)]) -> Values {
        Values::default().or(pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned(), Origin::Environment)))
    }

    const GOOD: [(&str, &str); 2] = [
        ("DATABASE_URL", "postgres://a:b@h/d"),
        ("JWT_SECRET_KEY", "0123456789abcdef0123456789abcdef"),
    ];

    fn with(more: &[(&'static str, &'static str)]) -> Result<Service, String> {
        Service::from_values(&values(&[more, &GOOD].concat())).map_err(|p| p.to_string())
    }

    #[test]
    fn the_service_starts_with_the_required_settings_only() {
        let service = with(&[]).unwrap();
        assert_eq!(service.logging.environment, AppEnv::Production);
        assert_eq!(
            (service.http.port, service.security.token_minutes),
            (8000, 60)
        );
        assert_eq!(service.database.migration_url.database, "d");
        assert!(service.limits.on);
    }

    #[test]
    fn all_invalid_settings_are_reported_together() {
        let error = Service::from_values(&values(&[
            ("API_PORT", "eighty"),
            ("LOG_LEVEL", "loud"),
            ("JWT_ALGORITHM", "none"),
        ]))
        .unwrap_err()
        .to_string();
        for part in [
            "API_PORT must be",
            "LOG_LEVEL must be",
            "JWT_ALGORITHM must be HS256",
            "DATABASE_URL is not set",
            "JWT_SECRET_KEY is not set",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn production_refuses_well_known_secrets() {
        for secret in PUBLIC_SECRETS {
            assert!(
                with(&[("JWT_SECRET_KEY", secret)])
                    .unwrap_err()
                    .contains("everybody knows")
            );
        }
        assert!(
            with(&[("JWT_SECRET_KEY", "short")])
                .unwrap_err()
                .contains("shorter than 32 bytes")
        );
        assert!(
            with(&[("DATABASE_URL", "postgres://a:devpassword@h/d")])
                .unwrap_err()
                .contains("everybody knows")
        );
        assert!(
            with(&[("DEBUG", "true")])
                .unwrap_err()
                .contains("off in production")
        );
        with(&[
            ("APP_ENV", "development"),
            ("JWT_SECRET_KEY", "short"),
            ("DEBUG", "true"),
            ("DATABASE_URL", "postgres://a:devpassword@h/d"),
        ])
        .unwrap();
    }

    #[test]
    fn placeholders_are_refused_as_keys() {
        let service = with(&[
            ("GEMINI_API_KEY", "your-gemini-api-key-here"),
            ("NANOBANANA_API_KEY", "real"),
        ])
        .unwrap();
        assert!(
            service.providers.gemini_api_key.is_none()
                && service.providers.nanobanana_api_key.is_some()
        );
    }

    #[test]
    fn an_empty_setting_counts_as_not_set() {
        assert_eq!(with(&[("API_PORT", "")]).unwrap().http.port, 8000);
    }

    #[test]
    fn secrets_are_never_printed() {
        let service = with(&[("GEMINI_API_KEY", "planted")]).unwrap();
        let printed = format!("{service:?} {:?}", values(&GOOD));
        assert!(
            !printed.contains("planted") && !printed.contains("0123456789abcdef"),
            "{printed}"
        );
    }
}
