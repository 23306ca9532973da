//! The environment of PostgreSQL's programs. The locale, the time zone and the `PG*` variables of the user must not change a database that
//! is the same on every machine.

use std::ffi::{OsStr, OsString};

use process::Configuration;

/// Removes the variables that change the result of a program, and sets fixed values.
pub(super) fn scrub(mut configuration: Configuration) -> Configuration {
    let foreign = std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| is_foreign(name));
    configuration
        .env
        .splice(0..0, foreign.map(|name| (name, None)));
    let fixed = [
        ("LC_ALL", "C"),
        // With LC_ALL=C the encoding of a client would be SQL_ASCII.
        ("PGCLIENTENCODING", "UTF8"),
        ("PGCONNECT_TIMEOUT", "5"),
        // Client and server are on this machine: a negotiation costs round trips and protects nothing.
        ("PGSSLMODE", "disable"),
        ("PGGSSENCMODE", "disable"),
        // `/dev/null` would cause a warning.
        ("PGPASSFILE", "/nonexistent/pgpass"),
    ];
    for (name, value) in fixed {
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
    fn only_variables_that_change_a_result_are_removed() {
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
        for name in ["PATH", "HOME", "POSTGRES", "LANGUAGES", "TZDIR"] {
            assert!(!is_foreign(OsStr::new(name)), "{name}");
        }
    }
}
