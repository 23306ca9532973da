//! The owner of databases that were restored from files of others.

use local_postgres::psql::{identifier, literal};
use local_postgres::roles;

/// The owner of databases that were restored from files of others.
///
/// Code in such a file runs with the rights of the role that changes rows, and `POSTGRES_USER` is a superuser.
/// The service's `migrate` continues as this role in its databases.
pub(crate) const OWNER_ROLE: &str = "emotionviz_owner";

/// The comment on [`OWNER_ROLE`], by which `migrate` recognises it (backend/db/src/migrate/owner.rs).
const OWNER_MARK: &str =
    "cargo dev made this role: it owns databases that were restored from files of others";

/// Returns SQL for psql that creates [`OWNER_ROLE`] or corrects its attributes.
pub(crate) fn owner_role_sql() -> String {
    let (owner, create) = (identifier(OWNER_ROLE), roles::create_sql(OWNER_ROLE));
    format!(
        "{create}ALTER ROLE {owner} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
COMMENT ON ROLE {owner} IS {};
",
        literal(OWNER_MARK)
    )
}

#[cfg(test)]
mod tests {
    use crate::project::names::API_ROLE;

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
            &roles::grants_sql(API_ROLE, "OWNER", "DATABASE")
                .replace("\"OWNER\"", ":\"USER\"")
                .replace("\"DATABASE\"", ":\"DBNAME\"")
                .replace("\"emotionviz_api\"", "emotionviz_api"),
        );
        assert_eq!(in_container[0], "CREATE ROLE emotionviz_api;");
        assert_eq!(in_container[1..], native);
    }
}
