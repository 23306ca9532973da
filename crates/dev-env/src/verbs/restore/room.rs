//! The temporary database of a restore, and the role that loads it.
//!
//! A name and a comment mark both. Objects with both marks and without a running restore were left by a killed restore.

use secrecy::{ExposeSecret, SecretString};

use super::error::RestoreError;
use crate::Error;
use crate::database::database_settings;
use crate::database::owner_role::OWNER_ROLE;
use crate::database::session::{Migrator, Session};
use crate::project::configuration::generate;
use crate::project::names::API_ROLE;
use local_postgres::psql::{identifier, literal};
use local_postgres::roles::{self, UNLOGGED};
use process::Configuration;

/// The prefix of the names.
const PREFIX: &str = "emotionviz_restoring_";
/// The comment on each.
pub(super) const MARK: &str =
    "cargo dev restore fills this; when no such command runs it can be dropped";

/// Lists code on the tables that each `migrate` writes to, and functions with the privileges of their owner.
const CODE: &str = r"SET search_path = pg_catalog;
WITH own AS (
    SELECT pg_class.* FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relname IN ('_sqlx_migrations', '_migrations_paused', '_migrations_breaking') AND nspname NOT IN ('pg_catalog', 'information_schema')
)
SELECT 'function ' || pg_proc.oid::regprocedure || ' (SECURITY DEFINER)' FROM pg_proc JOIN pg_roles ON pg_roles.oid = proowner
WHERE prosecdef AND rolname = {role}
UNION ALL SELECT 'relation ' || oid::regclass || ' (not a plain table)' FROM own
WHERE relkind <> 'r' OR relhassubclass OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = own.oid)
UNION ALL SELECT 'trigger ' || tgname || ' of ' || oid::regclass FROM own JOIN (SELECT tgname, tgrelid FROM pg_trigger) t ON tgrelid = oid
UNION ALL SELECT 'rule ' || rulename || ' of ' || oid::regclass FROM own JOIN (SELECT rulename, ev_class FROM pg_rewrite) r ON ev_class = oid
UNION ALL SELECT 'row-level security of ' || oid::regclass FROM own WHERE relrowsecurity
UNION ALL SELECT 'policy ' || polname || ' of ' || oid::regclass FROM own JOIN (SELECT polname, polrelid FROM pg_policy) p ON polrelid = oid
UNION ALL SELECT 'default ' || pg_get_expr(adbin, adrelid) || ' of ' || oid::regclass FROM own JOIN (SELECT adbin, adrelid FROM pg_attrdef) d ON adrelid = oid
WHERE pg_get_expr(adbin, adrelid) NOT IN ('now()', 'CURRENT_TIMESTAMP')
UNION ALL SELECT 'constraint ' || conname || ' of ' || oid::regclass FROM own JOIN (SELECT conname, conrelid, contype FROM pg_constraint) c ON conrelid = oid
WHERE contype NOT IN ('p', 'u', 'n')
UNION ALL SELECT 'index ' || indexrelid::regclass || ' of ' || oid::regclass FROM own JOIN pg_index ON indrelid = oid
WHERE indexprs IS NOT NULL OR indpred IS NOT NULL
UNION ALL SELECT 'column ' || attname || ' of ' || own.oid::regclass || ' (' || format_type(atttypid, atttypmod) || ')' FROM own JOIN pg_attribute ON attrelid = own.oid
JOIN pg_type ON pg_type.oid = atttypid WHERE typnamespace <> 'pg_catalog'::regnamespace
ORDER BY 1;
";

/// Lists triggers and rules. The migrations create none.
const CODE_ON_ROWS: &str = "SET search_path = pg_catalog;
SELECT 'trigger ' || tgname || ' of ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'rule ' || rulename || ' of ' || ev_class::regclass FROM pg_rewrite JOIN pg_class ON pg_class.oid = ev_class
WHERE rulename <> '_RETURN' AND relnamespace <> 'pg_catalog'::regnamespace
ORDER BY 1;
";

/// A database that is being loaded.
pub(super) struct Room {
    /// The name of the database and of the role that loads it.
    pub(super) name: String,
    /// The name of a second database, with the schema of the migrations.
    pub(super) expected: String,
    password: SecretString,
}

impl Room {
    pub(super) fn new(stamp: &str) -> Self {
        let name = format!("{PREFIX}{stamp}");
        Self {
            expected: format!("{name}_schema"),
            name,
            password: generate().into(),
        }
    }

    /// Creates the database, with encoding, collation and tablespace of `like`, and the role, which owns it and has no other privileges.
    ///
    /// # Errors
    /// The server refuses.
    pub(super) async fn make(&self, session: &Session, like: &str) -> Result<(), Error> {
        let (name, mark) = (identifier(&self.name), literal(MARK));
        let role = format!(
            "{UNLOGGED}BEGIN;
CREATE ROLE {name} LOGIN PASSWORD {};
COMMENT ON ROLE {name} IS {mark};
COMMIT;
",
            literal(self.password.expose_secret())
        );
        // A copy does not contain the collation of its database.
        let database = format!(
            "SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L TABLESPACE %I', {0}, {0}, pg_encoding_to_char(encoding), datcollate, datctype, spcname)
FROM pg_database JOIN pg_tablespace ON pg_tablespace.oid = dattablespace WHERE datname = {1} \\gexec
COMMENT ON DATABASE {name} IS {mark};
",
            literal(&self.name),
            literal(like)
        );
        session
            .sql_in("postgres", &format!("{role}{database}"))
            .await?;
        Ok(())
    }

    /// Creates the database as a copy of another one, with its owner and its settings.
    ///
    /// # Errors
    /// The server refuses.
    pub(super) async fn make_copy_of(&self, session: &Session, kept: &str) -> Result<(), Error> {
        let (name, owner) = (identifier(&self.name), &session.url().user);
        let settings = database_settings::of_database(session, kept, &self.name).await?
            + &database_settings::privileges(session, kept, &self.name).await?;
        let sql = format!(
            "SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE %I', {}, pg_get_userbyid(datdba), datname) FROM pg_database WHERE datname = {} \\gexec
COMMENT ON DATABASE {name} IS {};\n{settings}",
            literal(&self.name),
            literal(kept),
            literal(MARK)
        );
        session.sql_in("postgres", &sql).await?;
        session
            .sql_in(
                &self.name,
                &format!(
                    "BEGIN;\n{}COMMIT;\n",
                    roles::grants_sql(API_ROLE, owner, &self.name)
                ),
            )
            .await?;
        Ok(())
    }

    /// Returns psql as the role.
    ///
    /// # Errors
    /// This machine has no psql.
    pub(super) async fn psql(&self, session: &Session) -> Result<Configuration, Error> {
        let psql = session
            .client_in("psql", &self.name)
            .await?
            .env("PGPASSWORD", self.password.expose_secret());
        Ok(psql.args(["--username", &self.name]))
    }

    /// Returns the service's `migrate` as the role: code of a copy runs with the privileges that it was loaded with.
    pub(super) fn migrator<'a>(&self, migrator: Migrator<'a>) -> Migrator<'a> {
        migrator.with_login(&self.name, &self.password)
    }

    /// Grants the API's role its privileges. Migrations revoke some of them.
    ///
    /// # Errors
    /// The server refuses.
    pub(super) async fn grant(&self, session: &Session) -> Result<(), Error> {
        let grants = roles::grants_sql(API_ROLE, &session.url().user, &self.name);
        session
            .sql_in(&self.name, &format!("BEGIN;\n{grants}COMMIT;\n"))
            .await?;
        Ok(())
    }

    /// Refuses code that would later run as the owner: triggers on the tables of the migrations, and functions with the owner's privileges.
    ///
    /// # Errors
    /// The copy contains such code.
    pub(super) async fn refuse_code(&self, session: &Session, copy: &str) -> Result<(), Error> {
        let found = session
            .sql_in(&self.name, &CODE.replace("{role}", &literal(&self.name)))
            .await?;
        match found.lines().map(str::to_owned).collect::<Vec<_>>() {
            found if found.is_empty() => Ok(()),
            found => Err(RestoreError::Code {
                copy: copy.to_owned(),
                found,
            }
            .into()),
        }
    }

    /// Gives the database and all objects in it to their owner: [`OWNER_ROLE`], or for a copy of this checkout's own the role of the session.
    /// The database then keeps the owner of `like`.
    ///
    /// # Errors
    /// The server refuses.
    pub(super) async fn hand_over(
        &self,
        session: &Session,
        like: &str,
        trusted: bool,
    ) -> Result<(), Error> {
        let name = identifier(&self.name);
        let (make, owner) = if trusted {
            (String::new(), session.url().user.as_str())
        } else {
            (crate::database::owner_role::owner_role_sql(), OWNER_ROLE)
        };
        let mut sql = format!(
            "BEGIN;\n{make}REASSIGN OWNED BY {name} TO {};\nDROP OWNED BY {name};\n",
            identifier(owner)
        );
        if trusted {
            sql += &format!(
                "SELECT format('ALTER DATABASE %I OWNER TO %I', {}, pg_get_userbyid(datdba)) FROM pg_database
WHERE datname = {} AND pg_get_userbyid(datdba) <> {} \\gexec\n",
                literal(&self.name),
                literal(like),
                literal(OWNER_ROLE)
            );
        }
        session.sql_in(&self.name, &(sql + "COMMIT;\n")).await?;
        Ok(())
    }

    /// Lists code that came with the copy and runs when rows change.
    ///
    /// # Errors
    /// The query fails.
    pub(super) async fn code_on_rows(&self, session: &Session) -> Result<Vec<String>, Error> {
        let found = session.sql_in(&self.name, CODE_ON_ROWS).await?;
        Ok(found.lines().map(str::to_owned).collect())
    }

    /// Removes the databases and the role.
    ///
    /// # Errors
    /// The server refuses.
    pub(super) async fn remove(&self, session: &Session) -> Result<(), Error> {
        let sql = [
            drop_database(&self.name),
            drop_database(&self.expected),
            drop_role(&self.name),
        ]
        .concat();
        session.sql_in("postgres", &sql).await?;
        Ok(())
    }
}

/// Removes the objects of killed restores: databases with both marks, or with a marked name and a marked owner; roles with both marks.
///
/// # Errors
/// The server refuses.
pub(super) async fn sweep(session: &Session) -> Result<(), Error> {
    let (prefix, mark) = (literal(PREFIX), literal(MARK));
    let left = format!(
        "SELECT 'd', datname FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE starts_with(datname, {prefix})
AND {mark} IN (shobj_description(pg_database.oid, 'pg_database'), CASE WHEN starts_with(rolname, {prefix}) THEN shobj_description(pg_roles.oid, 'pg_authid') END)
UNION ALL
SELECT 'r', rolname FROM pg_roles WHERE starts_with(rolname, {prefix}) AND shobj_description(oid, 'pg_authid') = {mark}
ORDER BY 1, 2"
    );
    for line in session.sql_in("postgres", &left).await?.lines() {
        let sql = match line.split_once('|') {
            Some(("d", name)) => drop_database(name),
            Some((_, name)) => drop_role(name),
            None => continue,
        };
        session.sql_in("postgres", &sql).await?;
    }
    Ok(())
}

fn drop_database(name: &str) -> String {
    format!(
        "DROP DATABASE IF EXISTS {} WITH (FORCE);\n",
        identifier(name)
    )
}

fn drop_role(name: &str) -> String {
    format!("DROP ROLE IF EXISTS {};\n", identifier(name))
}

/// Reads the roles, settings, tablespaces and extensions of the server.
///
/// # Errors
/// The query fails.
pub(super) async fn rules(session: &Session, trusted: bool) -> Result<super::rules::Rules, Error> {
    let asked = format!(
        "SELECT 'version', split_part(current_setting('server_version'), ' ', 1)
UNION ALL SELECT 'role', rolname FROM pg_roles
UNION ALL SELECT 'setting', lower(name) FROM pg_settings WHERE context = 'user' OR {trusted}
UNION ALL SELECT 'tablespace', spcname FROM pg_tablespace
UNION ALL SELECT DISTINCT 'untrusted', name FROM pg_available_extension_versions WHERE superuser AND NOT trusted"
    );
    let mut rules = super::rules::Rules {
        database: session.url().database.clone(),
        owner: session.url().user.clone(),
        api: API_ROLE.to_owned(),
        trusted,
        ..Default::default()
    };
    for (kind, name) in session
        .sql_in("postgres", &asked)
        .await?
        .lines()
        .filter_map(|line| line.split_once('|'))
    {
        let name = name.to_owned();
        match kind {
            "version" => rules.version = name,
            "role" => drop(rules.roles.insert(name)),
            "setting" => drop(rules.settings.insert(name)),
            "tablespace" => drop(rules.tablespaces.insert(name)),
            _ => drop(rules.untrusted.insert(name)),
        }
    }
    Ok(rules)
}
