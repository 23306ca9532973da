//! The two roles of a cluster, and whether a configuration fits the database.
//!
//! The superuser owns the database and applies migrations. The application connects as [`crate::AppRole`].

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::access;
use crate::config::{AppRole, ClusterConfig};
use crate::psql::{PsqlError, identifier, literal};

const BOUND: Duration = Duration::from_secs(30);

/// Settings of a session that keep its statements, which have a password, out of the server's log.
pub const UNLOGGED: &str = "SET log_min_error_statement = panic; SET log_statement = 'none'; SET log_min_duration_statement = -1;\n";

/// Why a configuration does not fit the existing database.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    /// The superuser has another password.
    #[error("the database in {} was created with another password", data_dir.display())]
    Password {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The database has another superuser.
    #[error(
        "the database in {} has no superuser {wanted}{}",
        data_dir.display(),
        made_with.as_ref().map_or(String::new(), |user| format!(": it was created with {user}"))
    )]
    User {
        /// The data directory.
        data_dir: PathBuf,
        /// The superuser of the configuration.
        wanted: String,
        /// The superuser that the data directory was created with, if its files are unchanged.
        made_with: Option<String>,
    },
    /// The database does not exist.
    #[error(
        "the data in {} has no database {wanted}{}",
        data_dir.display(),
        if existing.is_empty() { String::new() } else { format!(" (it has {})", existing.join(", ")) }
    )]
    Database {
        /// The data directory.
        data_dir: PathBuf,
        /// The database of the configuration.
        wanted: String,
        /// The existing databases.
        existing: Vec<String>,
    },
}

/// Why the roles could not be verified or changed.
#[derive(Debug, thiserror::Error)]
pub enum RolesError {
    /// The configuration does not fit the database.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// A statement failed.
    #[error(transparent)]
    Psql(#[from] PsqlError),
}

/// Connects to the running server as both roles of `config`, over TCP, as applications do. If the role of the application does not exist
/// or has another password, it is created or changed, and `true` returned. Its privileges are unchanged.
///
/// # Errors
/// The superuser, its password or the database do not fit, or the server does not answer.
pub async fn verify(config: &ClusterConfig) -> Result<bool, RolesError> {
    let as_owner = config.psql_over_tcp(&config.superuser, &config.password);
    let as_app = config.psql_over_tcp(&config.app_role.name, &config.app_role.password);
    let (owner, app) = tokio::join!(
        as_owner.run("select 1", BOUND),
        as_app.run("select 1", BOUND)
    );
    if let Err(error) = owner {
        return Err(match explain(config, &error).await {
            Some(mismatch) => mismatch.into(),
            None => error.into(),
        });
    }
    match app {
        Ok(_) => Ok(false),
        Err(error) if is_refused(&error) => {
            config
                .psql()
                .run(&config.app_role.login_sql(), BOUND)
                .await?;
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// Sets the passwords of both roles, in one transaction. The old ones are not needed.
///
/// # Errors
/// The server refuses, or does not answer.
pub async fn set_passwords(
    config: &ClusterConfig,
    password: &SecretString,
    app_password: &SecretString,
) -> Result<(), RolesError> {
    let sql = passwords_sql(&[
        (&config.superuser, password),
        (&config.app_role.name, app_password),
    ]);
    config.psql().run(&sql, BOUND).await?;
    Ok(())
}

/// Returns SQL for psql that sets the passwords of roles, in one transaction.
pub fn passwords_sql(passwords: &[(&str, &SecretString)]) -> String {
    let statements: String = passwords
        .iter()
        .map(|(role, password)| password_sql(role, password))
        .collect();
    format!("{UNLOGGED}BEGIN;\n{statements}COMMIT;\n")
}

/// Returns SQL for psql that creates a role if it does not exist.
pub fn create_sql(role: &str) -> String {
    format!(
        "SELECT 'CREATE ROLE {}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {}) \\gexec\n",
        identifier(role),
        literal(role)
    )
}

/// Returns the mismatch that explains a refused session.
pub(super) async fn explain(config: &ClusterConfig, refused: &PsqlError) -> Option<Mismatch> {
    let PsqlError::Refused { message } = refused else {
        return None;
    };
    let data_dir = config.data_dir.clone();
    let wanted = config.superuser.clone();
    let made_with = access::superuser_of(&config.data_dir);
    let no_database = message.contains(&format!("database \"{}\" does not exist", config.database));
    if no_database {
        let sql = "select datname from pg_database where not datistemplate and datname <> 'postgres' order by 1";
        let existing = config
            .psql()
            .in_database("postgres")
            .run(sql, BOUND)
            .await
            .unwrap_or_default();
        let existing = existing.lines().map(str::to_owned).collect();
        return Some(Mismatch::Database {
            data_dir,
            wanted: config.database.clone(),
            existing,
        });
    }
    let no_role = message.contains(&format!("role \"{wanted}\" does not exist"));
    if no_role
        || is_refused(refused)
            && made_with
                .as_ref()
                .is_some_and(|made_with| *made_with != wanted)
    {
        return Some(Mismatch::User {
            data_dir,
            wanted,
            made_with,
        });
    }
    is_refused(refused).then_some(Mismatch::Password { data_dir })
}

fn is_refused(error: &PsqlError) -> bool {
    let PsqlError::Refused { message } = error else {
        return false;
    };
    [
        "authentication failed",
        "no password supplied",
        "does not exist",
        "is not permitted to log in",
        "no pg_hba.conf entry",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// Returns the first SQL of a new cluster, for the database `postgres`.
pub(super) fn bootstrap_sql(config: &ClusterConfig) -> String {
    let mut sql = format!(
        "{UNLOGGED}{}",
        password_sql(&config.superuser, &config.password)
    );
    if !matches!(config.database.as_str(), "postgres" | "template1") {
        let (database, owner) = (identifier(&config.database), identifier(&config.superuser));
        sql.push_str(&format!("CREATE DATABASE {database} OWNER {owner};\n"));
    }
    sql
}

pub(super) fn app_role_sql(config: &ClusterConfig) -> String {
    config.app_role.sql(&config.superuser, &config.database)
}

impl AppRole {
    /// Returns SQL for psql that creates the role or corrects its attributes and password, and prepares `database` for it, as `owner` of
    /// `database`, in a session of that database.
    pub fn sql(&self, owner: &str, database: &str) -> String {
        let (login, grants) = (self.login(), grants_sql(&self.name, owner, database));
        format!("{UNLOGGED}BEGIN;\n{login}{grants}COMMIT;\n")
    }

    /// Returns SQL for psql that creates the role or corrects its attributes and password. Changes no database.
    pub fn login_sql(&self) -> String {
        format!("{UNLOGGED}BEGIN;\n{}COMMIT;\n", self.login())
    }

    fn login(&self) -> String {
        let (role, create) = (identifier(&self.name), create_sql(&self.name));
        let password = password_sql(&self.name, &self.password);
        format!(
            "{create}ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
{password}"
        )
    }
}

/// Returns SQL that grants `role` the privileges of an [`AppRole`], as `owner` of `database`, in a session of that database.
pub fn grants_sql(role: &str, owner: &str, database: &str) -> String {
    let (role, owner, database) = (identifier(role), identifier(owner), identifier(database));
    format!(
        "-- Only the owner creates anything, temporary tables included.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC;
GRANT CONNECT ON DATABASE {database} TO {role};
GRANT USAGE ON SCHEMA public TO {role};
-- Existing tables, and those of later migrations.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT USAGE ON SEQUENCES TO {role};
"
    )
}

/// Returns SQL that sets the password of a role. Run it after [`UNLOGGED`].
pub fn password_sql(role: &str, password: &SecretString) -> String {
    format!(
        "ALTER ROLE {} PASSWORD {};\n",
        identifier(role),
        literal(password.expose_secret())
    )
}
