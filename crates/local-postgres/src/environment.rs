//! The environment in which PostgreSQL's programs run: the user's locale, time zone and `PG*` variables must not leak into a
//! database that is to be the same on every machine.

use std::ffi::{OsStr, OsString};

use process::Configuration;

/// Takes out what would change what a program does, and sets what makes it plain.
pub(super) fn scrub(mut configuration: Configuration) -> Configuration {
    let foreign = std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| is_foreign(name));
    configuration
        .env
        .splice(0..0, foreign.map(|name| (name, None)));
    let plain = [
        ("LC_ALL", "C"),
        // Under LC_ALL=C a client would take its own bytes for SQL_ASCII.
        ("PGCLIENTENCODING", "UTF8"),
        ("PGCONNECT_TIMEOUT", "5"),
        // Both ends are on this machine: what they would negotiate first costs round trips and protects nothing.
        ("PGSSLMODE", "disable"),
        ("PGGSSENCMODE", "disable"),
        // Not the user's. (`/dev/null` would do, with a warning.)
        ("PGPASSFILE", "/nonexistent/pgpass"),
    ];
    for (name, value) in plain {
        configuration
            .env
            .push((name.into(), Some(OsString::from(value))));
    }
    configuration
}

fn is_foreign(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b"PG")
        || name.starts_with(b"LC_")
        || name == b"LANG"
        || name == b"LANGUAGE"
        || name == b"TZ"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_a_result_is_foreign() {
        for name in [
            "PGHOST",
            "PGDATABASE",
            "LC_ALL",
            "LC_COLLATE",
            "LANG",
            "LANGUAGE",
            "TZ",
        ] {
            assert!(is_foreign(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "HOME", "POSTGRES_USER", "LANGUAGES", "TZDIR"] {
            assert!(!is_foreign(OsStr::new(name)), "{name}");
        }
    }
}
