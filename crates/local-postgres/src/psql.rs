//! SQL by `psql`, from its standard input. A password is in its environment, and never in its arguments, which all users of the machine
//! can read.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::config::ClusterConfig;
use crate::environment;
use process::user::User;
use process::{Configuration, ProcessError, capture};

/// How a session connects.
#[derive(Clone)]
pub enum Connection {
    /// Through the Unix socket, as the user who owns the server's files, without a password.
    Socket {
        /// The folder of the socket.
        socket_dir: PathBuf,
        /// The user of this machine.
        owner: User,
    },
    /// Over TCP to 127.0.0.1, with a password.
    Tcp {
        /// The password.
        password: SecretString,
    },
    /// Over TCP to another machine or container, with a password.
    Network {
        /// The name of the host.
        host: String,
        /// The password.
        password: SecretString,
    },
}

/// A session: program, server, role and database.
#[derive(Clone)]
pub struct Psql {
    /// The program.
    pub program: PathBuf,
    /// How to connect.
    pub connection: Connection,
    /// The server's port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
}

/// Why SQL failed.
#[derive(Debug, thiserror::Error)]
pub enum PsqlError {
    /// psql did not run or did not finish.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The server refused the session or a statement. Later statements did not run.
    #[error("{message}")]
    Refused {
        /// The error output of psql.
        message: String,
    },
}

impl ClusterConfig {
    /// Returns a session of the superuser through the socket, without a password.
    pub fn psql(&self) -> Psql {
        Psql {
            program: self.binaries.psql(),
            connection: Connection::Socket {
                socket_dir: self.socket_dir.clone(),
                owner: self.owner.clone(),
            },
            port: self.port,
            user: self.superuser.clone(),
            database: self.database.clone(),
        }
    }

    /// Returns a session over TCP with a password, as applications connect.
    pub fn psql_over_tcp(&self, user: &str, password: &SecretString) -> Psql {
        Psql {
            program: self.binaries.psql(),
            connection: Connection::Tcp {
                password: password.clone(),
            },
            port: self.port,
            user: user.to_owned(),
            database: self.database.clone(),
        }
    }
}

impl Psql {
    /// Returns the same session for another database.
    #[must_use]
    pub fn in_database(mut self, database: &str) -> Self {
        database.clone_into(&mut self.database);
        self
    }

    /// Returns the environment variables of libpq for this session.
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        let host = match &self.connection {
            Connection::Socket { socket_dir, .. } => socket_dir.clone().into_os_string(),
            Connection::Tcp { .. } => "127.0.0.1".into(),
            Connection::Network { host, .. } => host.into(),
        };
        let mut variables: Vec<(OsString, OsString)> = vec![
            ("PGHOST".into(), host),
            ("PGPORT".into(), self.port.to_string().into()),
            ("PGUSER".into(), (&self.user).into()),
            ("PGDATABASE".into(), (&self.database).into()),
        ];
        if let Connection::Tcp { password } | Connection::Network { password, .. } =
            &self.connection
        {
            variables.push(("PGPASSWORD".into(), password.expose_secret().into()));
        }
        variables
    }

    /// Returns the configuration of a client program for this session.
    pub fn client(&self, name: &str, program: PathBuf) -> Configuration {
        let mut configuration = environment::scrub(Configuration::new(name, program));
        configuration.env.extend(
            self.variables()
                .into_iter()
                .map(|(name, value)| (name, Some(value))),
        );
        if let Connection::Socket { owner, .. } = &self.connection {
            configuration.run_as = Some(owner.clone());
        }
        configuration
    }

    /// Runs SQL and returns the values of its results, one row per line, columns separated by `|`. Stops at the first statement that fails.
    ///
    /// # Errors
    /// A statement failed, or psql did not finish within `bound`.
    pub async fn run(&self, sql: &str, bound: Duration) -> Result<String, PsqlError> {
        self.run_bytes(sql.as_bytes(), bound).await
    }

    /// Does the same for SQL in any encoding.
    pub(super) async fn run_bytes(&self, sql: &[u8], bound: Duration) -> Result<String, PsqlError> {
        run(self.client("psql", self.program.clone()), sql, bound).await
    }
}

/// Does the same with a configured psql.
///
/// # Errors
/// See [`Psql::run`].
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

/// Quotes an SQL identifier.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes an SQL string literal.
pub fn literal(text: &str) -> String {
    // A backslash is not special, because standard_conforming_strings is on by default.
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_in_identifiers_and_literals_are_doubled() {
        assert_eq!(identifier(r#"a"b"#), r#""a""b""#);
        assert_eq!(literal(r"it's \ a 'test'"), r"'it''s \ a ''test'''");
    }

    #[test]
    fn a_password_is_in_the_environment_and_not_in_the_arguments() {
        let psql = Psql {
            program: "psql".into(),
            connection: Connection::Tcp {
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
