use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

/// Where a PostgreSQL database is and who connects to it.
///
/// Read from `postgres://`, `postgresql://` or SQLAlchemy's `postgresql+asyncpg://user:password@host:port/database?options`.
/// A password may hold any character, percent-encoded or as it is: the last `@` ends it.
#[derive(Clone, Debug)]
pub struct DatabaseUrl {
    /// The role.
    pub user: String,
    /// Its password.
    pub password: Option<SecretString>,
    /// A host name or address; a folder when it begins with `/` (the server's socket is in it).
    pub host: String,
    /// The port; also part of the socket's name.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The value of the option `sslmode` (libpq) or `ssl` (asyncpg).
    pub ssl_mode: Option<String>,
}

/// Why a text is no database URL. The text itself is left out: it may hold a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadUrl {
    /// Another scheme, or none.
    #[error("must begin with postgres://, postgresql:// or postgresql+asyncpg://")]
    Scheme,
    /// No user before the host.
    #[error("names no user: postgres://user:password@host:5432/database")]
    User,
    /// No database after the host.
    #[error("names no database: postgres://user:password@host:5432/database")]
    Database,
    /// The port is no number.
    #[error(
        "has a port that is no number from 1 to 65535 (a \"/\", \"?\" or \"#\" in a password must come before the last \"@\")"
    )]
    Port,
}

impl FromStr for DatabaseUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(BadUrl::Scheme)?;
        if !matches!(scheme, "postgres" | "postgresql" | "postgresql+asyncpg") {
            return Err(BadUrl::Scheme);
        }
        let (who, place) = rest.rsplit_once('@').ok_or(BadUrl::User)?;
        let (user, password) = match who.split_once(':') {
            Some((user, password)) => (user, Some(decode(password).into())),
            None => (who, None),
        };
        let (place, query) = place.split_once('?').unwrap_or((place, ""));
        let option = |name: &str| {
            query
                .split('&')
                .filter_map(|o| o.split_once('='))
                .find(|(k, _)| *k == name)
                .map(|(_, v)| decode(v))
        };
        let (address, database) = place.split_once('/').ok_or(BadUrl::Database)?;
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (
                host,
                port.parse().ok().filter(|p| *p > 0).ok_or(BadUrl::Port)?,
            ),
            _ => (address, 5432),
        };
        if user.is_empty() {
            return Err(BadUrl::User);
        }
        if database.is_empty() {
            return Err(BadUrl::Database);
        }
        let host = option("host")
            .unwrap_or_else(|| decode(host.trim_start_matches('[').trim_end_matches(']')));
        Ok(Self {
            user: decode(user),
            password,
            host: if host.is_empty() {
                "localhost".to_owned()
            } else {
                host
            },
            port: match option("port") {
                Some(port) => port.parse().map_err(|_| BadUrl::Port)?,
                None => port,
            },
            database: decode(database),
            ssl_mode: option("sslmode").or_else(|| option("ssl")),
        })
    }
}

impl DatabaseUrl {
    /// The URL in full, everything in it percent-encoded: a secret when it has a password.
    pub fn to_secret(&self) -> SecretString {
        let password = self
            .password
            .as_ref()
            .map(|p| format!(":{}", encode(p.expose_secret())))
            .unwrap_or_default();
        self.with_password(&password).into()
    }

    /// The URL with its password masked, to be shown.
    pub fn masked(&self) -> String {
        self.with_password(if self.password.is_some() { ":***" } else { "" })
    }

    fn with_password(&self, password: &str) -> String {
        let mut options = Vec::new();
        let host = if self.host.starts_with('/') {
            options.push(format!("host={}", encode(&self.host)));
            "localhost".to_owned()
        } else if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        options.extend(
            self.ssl_mode
                .iter()
                .map(|mode| format!("sslmode={}", encode(mode))),
        );
        let query = if options.is_empty() {
            String::new()
        } else {
            format!("?{}", options.join("&"))
        };
        format!(
            "postgres://{}{password}@{host}:{}/{}{query}",
            encode(&self.user),
            self.port,
            encode(&self.database)
        )
    }
}

/// A `%` that begins no escape stands for itself, so that a password typed as it is works.
fn decode(text: &str) -> String {
    percent_decode_str(text)
        .decode_utf8()
        .map_or_else(|_| text.to_owned(), Into::into)
}

fn encode(text: &str) -> String {
    const PLAIN: percent_encoding::AsciiSet = NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    utf8_percent_encode(text, &PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> DatabaseUrl {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn a_database_url_may_have_three_schemes() {
        for scheme in ["postgres", "postgresql", "postgresql+asyncpg"] {
            let url = read(&format!("{scheme}://ann:secret@db:5433/journal"));
            assert_eq!(
                (
                    url.user.as_str(),
                    url.host.as_str(),
                    url.port,
                    url.database.as_str()
                ),
                ("ann", "db", 5433, "journal")
            );
        }
        assert_eq!(
            "mysql://a:b@c/d".parse::<DatabaseUrl>().unwrap_err(),
            BadUrl::Scheme
        );
    }

    #[test]
    fn any_password_survives_encoding_in_a_database_url() {
        for password in ["p@ss/w:rd#1?x=y&z", "100%", "%zz", "ä ö", "a+b", "$'\"\\"] {
            let raw = read(&format!("postgresql://ann:{password}@db/journal"));
            assert_eq!(
                raw.password.as_ref().unwrap().expose_secret(),
                password,
                "as typed"
            );
            let again = read(raw.to_secret().expose_secret());
            assert_eq!(again.password.unwrap().expose_secret(), password, "encoded");
        }
    }

    #[test]
    fn the_options_of_a_database_url_are_read() {
        let url = read("postgres://ann@localhost:5440/journal?host=/tmp/a%20b&sslmode=disable");
        assert_eq!(
            (url.host.as_str(), url.port, url.ssl_mode.as_deref()),
            ("/tmp/a b", 5440, Some("disable"))
        );
        assert_eq!(read(url.to_secret().expose_secret()).host, "/tmp/a b");
        assert_eq!(read("postgres://a:b@[::1]:5432/d").host, "::1");
        assert_eq!(
            read("postgresql+asyncpg://a:b@h/d?ssl=require")
                .ssl_mode
                .as_deref(),
            Some("require")
        );
    }

    #[test]
    fn errors_of_a_database_url_never_contain_the_password() {
        assert_eq!(
            "postgres://db:5432/journal"
                .parse::<DatabaseUrl>()
                .unwrap_err(),
            BadUrl::User
        );
        assert_eq!(
            "postgres://a:b@db:5432".parse::<DatabaseUrl>().unwrap_err(),
            BadUrl::Database
        );
        assert_eq!(
            "postgres://a:b@db:port/x"
                .parse::<DatabaseUrl>()
                .unwrap_err(),
            BadUrl::Port
        );
        assert_eq!(
            read("postgres://ann:secret@db/journal").masked(),
            "postgres://ann:***@db:5432/journal"
        );
    }
}
