//! The declarations: name, type, default and meaning of each setting.

use std::marker::PhantomData;
use std::net::IpAddr;

use secrecy::SecretString;

use crate::{
    AppEnv, DatabaseUrl, Engine, Group, Info, Kind, LogLevel, Origins, PictureSide, Proxies,
    Setting, Switch, Use,
};

/// The example secrets of earlier versions and of this one: public, so worthless anywhere but on a developer's machine.
pub const PUBLIC_SECRETS: [&str; 3] = [
    "devpassword",
    "dev-secret-key-change-in-production",
    "dev-secret-key-please-change-this-in-production",
];

/// What the example files hold where a provider's key belongs: as good as no key.
pub const PLACEHOLDER_KEYS: [&str; 2] =
    ["your-gemini-api-key-here", "your-nanobanana-api-key-here"];

macro_rules! settings {
    ($(
        $group:ident $used_by:ident
        $(#[doc = $meaning:literal])+
        $name:ident: $type:ty $(= $default:literal)? $([example $example:literal])? $(, $secret:ident)?;
    )+) => {
        $(
            $(#[doc = $meaning])+
            pub const $name: Setting<$type> = Setting {
                info: Info {
                    name: stringify!($name),
                    meaning: &[$($meaning),+],
                    group: Group::$group,
                    used_by: Use::$used_by,
                    default: settings!(@option $($default)?),
                    example: settings!(@option $($example)?),
                    secret: settings!(@secret $($secret)?),
                    takes: <$type as Kind>::TAKES,
                    check: |text| <$type as Kind>::read(text).map(drop),
                },
                kind: PhantomData,
            };
        )+

        /// All of them, in the order in which they are shown.
        pub const ALL: &[Info] = &[$($name.info),+];
    };
    (@option) => { None };
    (@option $text:literal) => { Some($text) };
    (@secret) => { false };
    (@secret secret) => { true };
}

settings! {
    Database Tool
    /// The role that owns the database and migrates it.
    POSTGRES_USER: String = "emotionviz";
    Database Tool
    /// Its password. `cargo dev up` makes one up when nobody sets it; `cargo dev db password` changes it.
    POSTGRES_PASSWORD: SecretString [example "devpassword"], secret;
    Database Tool
    /// The database.
    POSTGRES_DB: String = "emotionviz_db";
    Database Tool
    /// The port of the database on this machine.
    POSTGRES_PORT: u16 = "5432";
    Database Tool
    /// The password of `emotionviz_api`, the role without rights to the schema that the service connects as.
    /// `cargo dev up` makes one up when nobody sets it.
    POSTGRES_API_PASSWORD: SecretString, secret;
    Database Both
    /// The database that the service uses. When it is set, in the environment or in a file, `cargo dev` starts none.
    DATABASE_URL: DatabaseUrl, secret;
    Database Both
    /// The same database for the role that may change the schema; `DATABASE_URL` when it is not set.
    MIGRATION_DATABASE_URL: DatabaseUrl, secret;
    Database Service
    /// The most connections that one process of the service opens.
    DATABASE_CONNECTIONS: u32 = "10";

    Api Both
    /// Where the service runs: development or production. Production refuses example secrets, short keys and `DEBUG`.
    APP_ENV: AppEnv = "production" [example "development"];
    Api Both
    /// The address that the service listens on.
    API_HOST: IpAddr = "127.0.0.1";
    Api Both
    /// The port that the service listens on. 0 takes any free one.
    API_PORT: u16 = "8000";
    Api Service
    /// The least severe message that is logged: debug, info, warning, error or critical.
    LOG_LEVEL: LogLevel = "info";
    Api Service
    /// Adds detail to the logs; refused in production.
    DEBUG: Switch = "off";
    Api Service
    /// The folder of app.log, which is rotated at 10 MB, three files in all. Not set: the log goes to standard output alone.
    LOG_DIR: String;
    Api Service
    /// Request limits per user and per address; off for benchmarks and tests.
    RATE_LIMITS: Switch = "on";
    Api Service
    /// The proxies whose X-Forwarded-For names the client: addresses or networks, separated by commas.
    TRUSTED_PROXIES: Proxies;

    ExternalServices Service
    /// The key of the text provider. Not set: the built-in one serves.
    GEMINI_API_KEY: SecretString [example "your-gemini-api-key-here"], secret;
    ExternalServices Service
    /// The key of the image provider. Not set: the built-in one serves.
    NANOBANANA_API_KEY: SecretString [example "your-nanobanana-api-key-here"], secret;
    ExternalServices Service
    /// The width and height of pictures, in pixels: 512 or 1024.
    VISUALIZATION_IMAGE_SIZE: PictureSide = "1024";

    Security Service
    /// The key that signs access tokens, 32 bytes or more. `cargo dev up` makes one up when nobody sets it.
    JWT_SECRET_KEY: SecretString [example "dev-secret-key-please-change-this-in-production"], secret;
    Security Service
    /// How access tokens are signed. HS256 is the one algorithm.
    JWT_ALGORITHM: String = "HS256";
    Security Service
    /// How long an access token is valid, in minutes.
    ACCESS_TOKEN_EXPIRE_MINUTES: u32 = "60";

    Cors Service
    /// The web origins that may call, separated by commas or as a JSON list: exact ones, custom schemes included, or any port
    /// (http://localhost:*). Capacitor's app is https://localhost on Android and capacitor://localhost on iOS.
    ALLOWED_ORIGINS: Origins = "http://localhost:*,https://localhost,capacitor://localhost,ionic://localhost";

    Tools Tool
    /// What runs the services: native, as processes of this machine, or docker, as the containers of docker-compose.yml. Not set:
    /// what ran here last.
    DEV_ENGINE: Engine;
    Tools Tool
    /// What the API's container starts with: --no-migrate, --no-reload, --lan-address. `cargo dev up` sets it.
    DEV_UP_OPTIONS: String;
    Tools Tool
    /// The port of Adminer on this machine, which Docker runs.
    ADMINER_PORT: u16 = "8080";
    Tools Tool
    /// The name of the Compose project. `cargo dev up` makes one up when nobody sets it; without it plain `docker compose` takes the
    /// name of the checkout's folder, and two checkouts with equal ones take each other's containers away.
    COMPOSE_PROJECT_NAME: String;
    Tools Tool
    /// The most processors that the API's container may use, compiling included. 0 is all of them.
    API_CPU_LIMIT: String = "0";
    Tools Tool
    /// The most memory that the API's container may use, compiling included.
    API_MEMORY_LIMIT: String = "4g";
    Tools Tool
    /// The memory that is kept for the API's container where memory is scarce.
    API_MEMORY_RESERVATION: String = "512m";
    Tools Tool
    /// The most memory that the database's container may use.
    DB_MEMORY_LIMIT: String = "1g";
    Tools Tool
    /// The memory that is kept for the database's container where memory is scarce. 0 is none.
    DB_MEMORY_RESERVATION: String = "0";
    Tools Tool
    /// The most memory that Adminer's container may use.
    ADMINER_MEMORY_LIMIT: String = "256m";
    Tools Tool
    /// The folder of initdb, postgres and psql. Not set: an installed PostgreSQL, else a downloaded one.
    POSTGRES_BIN_DIR: String;
    Tools Tool
    /// An `emotionviz` that is built already, for `cargo dev` to run instead of building one.
    SERVICE_BINARY: String;
}

/// The declaration of a name.
pub fn find(name: &str) -> Option<&'static Info> {
    ALL.iter().find(|info| info.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_defaults_and_examples_are_valid() {
        for info in ALL {
            for text in info.default.iter().chain(&info.example) {
                assert_eq!((info.check)(text), Ok(()), "{}", info.name);
            }
            assert!(
                !info.secret || info.default.is_none(),
                "{} must have no default",
                info.name
            );
            assert!(!info.meaning().is_empty() && find(info.name).is_some());
        }
    }
}
