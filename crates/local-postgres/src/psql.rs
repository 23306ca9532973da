//! SQL through `psql`: on its standard input, with the password (where one is needed) in its environment, never in the
//! arguments that every user of the machine can read.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::{ClusterConfig, environment};
use process::owner::Owner;
use process::{Configuration, ProcessError, capture};

/// How a session gets in.
#[derive(Clone)]
pub enum Way {
    /// Through the socket, as the user who owns the server's files. No password.
    Socket {
        /// The folder of the socket.
        socket_dir: PathBuf,
        /// The user of this machine.
        owner: Owner,
    },
    /// Over TCP to 127.0.0.1, with a password.
    Tcp {
        /// The password.
        password: SecretString,
    },
    /// Over TCP to another machine or container, with a password.
    Network {
        /// Its name.
        host: String,
        /// The password.
        password: SecretString,
    },
}

/// Where SQL goes, and as whom.
#[derive(Clone)]
pub struct Psql {
    /// The program.
    pub program: PathBuf,
    /// How to get in.
    pub way: Way,
    /// The server's port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
}

/// Why SQL did not run.
#[derive(Debug, thiserror::Error)]
pub enum PsqlError {
    /// psql could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The server refused the session or a statement; nothing after that statement ran.
    #[error("{message}")]
    Refused {
        /// What psql printed.
        message: String,
    },
}

impl ClusterConfig {
    /// The owner's way in, which needs no password: through the socket, into `POSTGRES_DB`.
    pub fn psql(&self) -> Psql {
        Psql {
            program: self.binaries.psql(),
            way: Way::Socket {
                socket_dir: self.socket_dir.clone(),
                owner: self.owner.clone(),
            },
            port: self.port,
            user: self.superuser.clone(),
            database: self.database.clone(),
        }
    }

    /// The way in that applications take: 127.0.0.1 and a password.
    pub fn psql_over_tcp(&self, user: &str, password: &SecretString) -> Psql {
        Psql {
            program: self.binaries.psql(),
            way: Way::Tcp {
                password: password.clone(),
            },
            port: self.port,
            user: user.to_owned(),
            database: self.database.clone(),
        }
    }
}

impl Psql {
    /// The same way into another database.
    #[must_use]
    pub fn in_database(mut self, database: &str) -> Self {
        database.clone_into(&mut self.database);
        self
    }

    /// libpq's variables for this session: for psql, pg_dump, an init script.
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        let host = match &self.way {
            Way::Socket { socket_dir, .. } => socket_dir.clone().into_os_string(),
            Way::Tcp { .. } => "127.0.0.1".into(),
            Way::Network { host, .. } => host.into(),
        };
        let mut variables: Vec<(OsString, OsString)> = vec![
            ("PGHOST".into(), host),
            ("PGPORT".into(), self.port.to_string().into()),
            ("PGUSER".into(), (&self.user).into()),
            ("PGDATABASE".into(), (&self.database).into()),
        ];
        if let Way::Tcp { password } | Way::Network { password, .. } = &self.way {
            variables.push(("PGPASSWORD".into(), password.expose_secret().into()));
        }
        variables
    }

    /// Any client program of the same directory, in a plain environment and with this session's variables.
    pub fn client(&self, name: &str, program: PathBuf) -> Configuration {
        let mut configuration = environment::scrub(Configuration::new(name, program));
        configuration.env.extend(
            self.variables()
                .into_iter()
                .map(|(name, value)| (name, Some(value))),
        );
        if let Way::Socket { owner, .. } = &self.way {
            configuration.run_as = Some(owner.clone());
        }
        configuration
    }

    /// Runs SQL and returns what it printed: unaligned, values only. The first statement that fails ends it.
    pub async fn run(&self, sql: &str, bound: Duration) -> Result<String, PsqlError> {
        self.run_bytes(sql.as_bytes(), bound).await
    }

    /// The same for a file's bytes, whatever their encoding.
    pub(super) async fn run_bytes(&self, sql: &[u8], bound: Duration) -> Result<String, PsqlError> {
        run(self.client("psql", self.program.clone()), sql, bound).await
    }
}

/// Runs SQL with a psql that knows where to, and returns what it printed.
pub async fn run(psql: Configuration, sql: &[u8], bound: Duration) -> Result<String, PsqlError> {
    let psql = psql.args([
        "-X",
        "-q",
        "-A",
        "-t",
        "-w",
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        "-",
    ]);
    let output = capture(psql, sql, bound).await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end_matches('\n')
            .to_owned());
    }
    Err(PsqlError::Refused {
        message: output.stderr.trim().to_owned(),
    })
}

/// A name as SQL reads it.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL reads it, whatever it holds.
pub fn literal(text: &str) -> String {
    // With standard_conforming_strings on (the default) a backslash in '' stands for itself.
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_cannot_break_out() {
        assert_eq!(identifier(r#"a"b"#), r#""a""b""#);
        assert_eq!(literal(r"it's \ a 'test'"), r"'it''s \ a ''test'''");
    }

    #[test]
    fn a_password_is_in_no_argument() {
        let psql = Psql {
            program: "psql".into(),
            way: Way::Tcp {
                password: "s3cret".into(),
            },
            port: 5432,
            user: "u".into(),
            database: "d".into(),
        };
        let client = psql.client("psql", "psql".into());
        assert!(client.args.is_empty());
        assert!(
            client
                .env
                .contains(&("PGPASSWORD".into(), Some("s3cret".into())))
        );
        assert!(
            client
                .env
                .contains(&("PGHOST".into(), Some("127.0.0.1".into())))
        );
    }
}
