//! The two roles, and whether the settings fit the database.
//!
//! `POSTGRES_USER` owns the database and migrates. The API connects as [`API_ROLE`], which reads and writes rows and can neither
//! create nor alter.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::psql::{PsqlError, identifier, literal};
use super::{ClusterConfig, access};

/// The role that the API connects as.
pub const API_ROLE: &str = "emotionviz_api";

/// The owner of databases that were restored from files of others. Code in such a file runs with the rights of the role that changes rows, and
/// `POSTGRES_USER` is a superuser: the service's `migrate` continues as this role in its databases.
pub(crate) const OWNER_ROLE: &str = "emotionviz_owner";

/// The comment on [`OWNER_ROLE`], by which `migrate` recognises it (backend/db/src/migrate/owner.rs).
const OWNER_MARK: &str =
    "cargo dev made this role: it owns databases that were restored from files of others";

/// The role that tests connect as where they have no server of their own.
pub(crate) const TEST_ROLE: &str = "emotionviz_test";

const BOUND: Duration = Duration::from_secs(30);

/// Keeps a statement with a password out of the server's log, should it fail or be logged.
pub(crate) const UNLOGGED: &str = "SET log_min_error_statement = panic; SET log_statement = 'none'; SET log_min_duration_statement = -1;\n";

/// Settings that do not fit the database that is there.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    /// The password is another one.
    #[error(
        "POSTGRES_PASSWORD does not fit the database in {}, which was made with another password. Put that one back, or type `cargo dev db password` to give the database and .env a new one",
        data_dir.display()
    )]
    Password {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The user is another one.
    #[error(
        "POSTGRES_USER is {wanted}, and the database in {} has no such owner{}. A database keeps the user it was made with: set POSTGRES_USER back",
        data_dir.display(),
        made_with.as_ref().map_or(String::new(), |user| format!(": it was made with {user}"))
    )]
    User {
        /// The data directory.
        data_dir: PathBuf,
        /// What the settings say.
        wanted: String,
        /// Whom it was made with, where its files say so.
        made_with: Option<String>,
    },
    /// There is no such database.
    #[error(
        "POSTGRES_DB is {wanted}, and the data in {} has no such database{}. Set POSTGRES_DB back, or make one: `cargo dev db shell -c 'CREATE DATABASE …'`",
        data_dir.display(),
        if existing.is_empty() { String::new() } else { format!(" (it has {})", existing.join(", ")) }
    )]
    Database {
        /// The data directory.
        data_dir: PathBuf,
        /// What the settings say.
        wanted: String,
        /// What is there.
        existing: Vec<String>,
    },
}

/// Why roles are not as the settings say.
#[derive(Debug, thiserror::Error)]
pub enum RolesError {
    /// The settings do not fit the database.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// A statement failed.
    #[error(transparent)]
    Psql(#[from] PsqlError),
}

/// Whether user, password and database of the settings work on the running server, over TCP, as applications connect. The API's
/// role belongs to the tool: where it is missing or has another password it is mended, and `true` returned.
pub async fn verify(config: &ClusterConfig) -> Result<bool, RolesError> {
    let as_owner = config.psql_over_tcp(&config.superuser, &config.password);
    let as_api = config.psql_over_tcp(API_ROLE, &config.api_password);
    let (owner, api) = tokio::join!(
        as_owner.run("select 1", BOUND),
        as_api.run("select 1", BOUND)
    );
    if let Err(error) = owner {
        return Err(match explain(config, &error).await {
            Some(mismatch) => mismatch.into(),
            None => error.into(),
        });
    }
    match api {
        Ok(_) => Ok(false),
        Err(error) if is_refused(&error) => {
            let login = api_login_sql(&config.api_password);
            config.psql().run(&login, BOUND).await?;
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// Gives both roles new passwords, together or not at all. Needs no old one.
pub async fn set_passwords(
    config: &ClusterConfig,
    password: &SecretString,
    api_password: &SecretString,
) -> Result<(), RolesError> {
    config
        .psql()
        .run(
            &set_passwords_sql(&config.superuser, password, api_password),
            BOUND,
        )
        .await?;
    Ok(())
}

/// The same as the owner says it.
pub(crate) fn set_passwords_sql(
    owner: &str,
    password: &SecretString,
    api_password: &SecretString,
) -> String {
    let (owner, api) = (
        set_password(owner, password),
        set_password(API_ROLE, api_password),
    );
    format!("{UNLOGGED}BEGIN;\n{owner}{api}COMMIT;\n")
}

/// Makes the API's role where there is none.
pub(crate) fn create_api_role() -> String {
    let (api, name) = (identifier(API_ROLE), literal(API_ROLE));
    format!(
        "SELECT 'CREATE ROLE {api}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) \\gexec\n"
    )
}

/// What a refused session says about the settings, if it does.
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

/// What a new server is told before anything else, in the database `postgres`.
pub(super) fn bootstrap(config: &ClusterConfig) -> String {
    let mut sql = format!(
        "{UNLOGGED}{}",
        set_password(&config.superuser, &config.password)
    );
    if !matches!(config.database.as_str(), "postgres" | "template1") {
        let (database, owner) = (identifier(&config.database), identifier(&config.superuser));
        sql.push_str(&format!("CREATE DATABASE {database} OWNER {owner};\n"));
    }
    sql
}

/// Makes the API's role, and prepares `POSTGRES_DB` for it, in a new server.
pub(super) fn api_role(config: &ClusterConfig) -> String {
    api_role_sql(&config.superuser, &config.database, &config.api_password)
}

/// Makes the API's role, and prepares a new database for it, as its owner says it in there.
pub(crate) fn api_role_sql(owner: &str, database: &str, password: &SecretString) -> String {
    let (login, grants) = (login_sql(password), api_grants_sql(owner, database));
    format!("{UNLOGGED}BEGIN;\n{login}{grants}COMMIT;\n")
}

/// Makes the API's role what it has to be, whatever it was. Changes no database: one that exists may be another application's, and the
/// service's `migrate` grants the rights in it after that check.
pub(crate) fn api_login_sql(password: &SecretString) -> String {
    format!("{UNLOGGED}BEGIN;\n{}COMMIT;\n", login_sql(password))
}

fn login_sql(password: &SecretString) -> String {
    let (api, create) = (identifier(API_ROLE), create_api_role());
    let password = set_password(API_ROLE, password);
    format!(
        "{create}ALTER ROLE {api} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
{password}"
    )
}

/// Makes [`OWNER_ROLE`] what it has to be.
pub(crate) fn owner_role_sql() -> String {
    let (owner, name) = (identifier(OWNER_ROLE), literal(OWNER_ROLE));
    format!(
        "SELECT 'CREATE ROLE {owner}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) \\gexec
ALTER ROLE {owner} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
COMMENT ON ROLE {owner} IS {};
",
        literal(OWNER_MARK)
    )
}

/// Makes the tests' role what it has to be, as the owner says it.
pub(crate) fn test_role_sql(password: &SecretString) -> String {
    let (test, name) = (identifier(TEST_ROLE), literal(TEST_ROLE));
    format!(
        "{UNLOGGED}SELECT 'CREATE ROLE {test}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) \\gexec
ALTER ROLE {test} LOGIN SUPERUSER;
{}",
        set_password(TEST_ROLE, password)
    )
}

/// What the API's role may in a database, as its owner says it in there.
pub(crate) fn api_grants_sql(owner: &str, database: &str) -> String {
    let (api, owner, database) = (
        identifier(API_ROLE),
        identifier(owner),
        identifier(database),
    );
    format!(
        "-- Nobody but the owner makes anything, not even for a session.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC;
GRANT CONNECT ON DATABASE {database} TO {api};
GRANT USAGE ON SCHEMA public TO {api};
-- What is there, and what migrations will make.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {api};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {api};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {api};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT USAGE ON SEQUENCES TO {api};
"
    )
}

fn set_password(role: &str, password: &SecretString) -> String {
    format!(
        "ALTER ROLE {} PASSWORD {};\n",
        identifier(role),
        literal(password.expose_secret())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_prepares_a_new_database_as_the_native_engine_does() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../backend/docker/db/prepare.sql"
        );
        let statements = |sql: &str| -> Vec<String> {
            let lines = sql.lines().filter(|line| !line.starts_with("--"));
            lines.map(str::to_owned).collect()
        };
        let in_container = statements(&std::fs::read_to_string(file).unwrap());
        let native = statements(
            &api_grants_sql("OWNER", "DATABASE")
                .replace("\"OWNER\"", ":\"USER\"")
                .replace("\"DATABASE\"", ":\"DBNAME\"")
                .replace("\"emotionviz_api\"", "emotionviz_api"),
        );
        assert_eq!(in_container[0], "CREATE ROLE emotionviz_api;");
        assert_eq!(in_container[1..], native);
    }
}
