//! Checks of database URLs in settings files, which the containers and this machine both read. Some hosts resolve only in one of them.

use std::net::IpAddr;

use emotionviz_settings::declared::{DATABASE_URL, MIGRATION_DATABASE_URL};
use emotionviz_settings::{Origin, Problem, Setting, Values};

const SETTINGS: [&Setting<emotionviz_settings::DatabaseUrl>; 2] =
    [&DATABASE_URL, &MIGRATION_DATABASE_URL];
/// The service of docker-compose.yml.
const SERVICE: &str = "db";

/// URLs that do not work in the container, or on the machine.
pub(super) fn problems(values: &Values, in_container: bool) -> Vec<Problem> {
    if in_container {
        of_this_machine(values)
    } else {
        of_the_containers(values)
    }
}

/// Returns URLs in files with a loopback host, which in a container is the container itself.
pub(crate) fn of_this_machine(values: &Values) -> Vec<Problem> {
    named(values, is_loopback, |host| {
        format!(
            "names {host}, which in a container is the container itself. The containers have their own database, \
             which does not need this line: remove it. To use the database at {host}: cargo dev up --engine native"
        )
    })
}

/// Returns URLs in files with the host name of the database's container, which does not resolve on this machine. A value of the shell is
/// accepted: it is meant for one command, and its network may resolve the name.
fn of_the_containers(values: &Values) -> Vec<Problem> {
    named(
        values,
        |host| host == SERVICE,
        |host| {
            format!(
                "names the host {host}, which resolves only in the containers of docker-compose.yml. `cargo dev` runs this database itself, \
                 with POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB: remove this line"
            )
        },
    )
}

fn named(
    values: &Values,
    is_wrong: impl Fn(&str) -> bool,
    what: impl Fn(&str) -> String,
) -> Vec<Problem> {
    let problem = |setting: &&Setting<_>| {
        let url: emotionviz_settings::DatabaseUrl = values.read(setting).ok().flatten()?;
        let (_, origin) = values.text(&setting.info)?;
        (matches!(origin, Origin::File(..)) && is_wrong(&url.host))
            .then(|| values.problem(&setting.info, what(&url.host)))
    };
    SETTINGS.iter().filter_map(problem).collect()
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FASTAPI: &str = "postgresql+asyncpg://emotionviz:s3cret@HOST:5432/emotionviz_db";

    fn said(host: &str, origin: Origin, in_container: bool) -> String {
        let mut values = Values::default();
        values.set("DATABASE_URL", FASTAPI.replace("HOST", host), origin);
        problems(&values, in_container)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn file() -> Origin {
        Origin::File("backend/.env".into(), 3)
    }

    #[test]
    fn a_database_url_with_the_containers_host_is_refused_natively() {
        let said_of_db = said("db", file(), false);
        assert!(
            said_of_db.contains("DATABASE_URL names the host db")
                && said_of_db.contains("backend/.env:3"),
            "{said_of_db}"
        );
        assert!(
            said_of_db.contains("remove this line") && !said_of_db.contains("s3cret"),
            "{said_of_db}"
        );
        assert_eq!(said("db", file(), true), "");
        assert_eq!(
            said("db", Origin::Environment, false),
            "",
            "the network of a shell may know it"
        );
        assert_eq!(said("db.example.com", file(), false), "");
    }

    #[test]
    fn a_database_url_with_a_loopback_host_is_refused_in_a_container() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"] {
            let said_of_host = said(host, file(), true);
            assert!(
                said_of_host.contains("in a container is the container itself")
                    && said_of_host.contains("remove it"),
                "{said_of_host}"
            );
            assert_eq!(said(host, file(), false), "", "{host}");
        }
        for host in ["host.docker.internal", "10.0.0.1"] {
            assert_eq!(said(host, file(), true), "", "{host}");
        }
    }

    #[test]
    fn the_host_of_the_migration_database_url_is_checked() {
        let mut values = Values::default();
        values.set(
            "MIGRATION_DATABASE_URL",
            FASTAPI.replace("HOST", "db"),
            file(),
        );
        assert_eq!(problems(&values, false).len(), 1);
    }
}
