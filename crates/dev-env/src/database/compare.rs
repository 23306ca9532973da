//! What a database holds, in a few lines: of every table how many rows, and a hash of all of them in an order of their own. Two
//! databases with the same lines hold the same.

use std::fmt::Write;

use crate::Error;
use crate::database::session::Session;

/// Rows as text do not depend on whoever asks.
const SETTINGS: &str = "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET extra_float_digits = 3;
SET bytea_output = 'hex'; SET search_path = pg_catalog;
";

/// One statement for each table. A row is hashed as the text of all its columns, NULL told from nothing. `format` calls the type's output
/// function, and no cast of a database's own.
const TABLES: &str = "SELECT format($sql$SELECT %L, count(*), coalesce(encode(sha256(string_agg(h, ''::bytea ORDER BY h)), 'hex'), '')
FROM (SELECT decode(md5(format('%%s', (t.*))), 'hex') AS h FROM ONLY %I.%I AS t) AS hashes$sql$, nspname || '.' || relname, nspname, relname)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE (relkind = 'r' OR relkind = 'm' AND relispopulated) AND relpersistence <> 't'
AND nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_')
ORDER BY nspname, relname \\gexec
";

const OTHERS: &str = "SELECT 'sequence ' || schemaname || '.' || sequencename, last_value FROM pg_sequences ORDER BY 1;
SELECT 'large objects', count(*), coalesce(encode(sha256(string_agg(
    decode(md5(loid || ' ' || pageno || ' ' || encode(data, 'hex')), 'hex'), ''::bytea ORDER BY loid, pageno)), 'hex'), '')
FROM pg_largeobject;
";

/// What a database holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contents(String);

impl Contents {
    /// Of one of a session's server.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn of(session: &Session, database: &str) -> Result<Self, Error> {
        let asked = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n{SETTINGS}{TABLES}{OTHERS}COMMIT;\n"
        );
        Ok(Self(session.sql_in(database, &asked).await?))
    }

    /// How many tables, and rows in all of them.
    pub(crate) fn size(&self) -> (usize, u64) {
        let tables = self
            .0
            .lines()
            .filter(|line| !line.starts_with("sequence ") && !line.starts_with("large objects"));
        let rows: Vec<u64> = tables
            .filter_map(|line| line.rsplit('|').nth(1)?.parse().ok())
            .collect();
        (rows.len(), rows.iter().sum())
    }

    /// What another one has otherwise; `None` when it holds the same.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        let name = |line: &str| line.split('|').next().unwrap_or_default().to_owned();
        let only = |one: &Self, other: &Self| {
            one.0
                .lines()
                .filter(|line| !other.0.lines().any(|theirs| theirs == *line))
                .map(name)
                .collect::<Vec<_>>()
        };
        let mut names = [only(self, other), only(other, self)].concat();
        names.sort();
        names.dedup();
        let mut said = String::new();
        for name in names.iter().take(5) {
            let of = |one: &Self| {
                let line = one
                    .0
                    .lines()
                    .find(|line| line.split('|').next() == Some(name))?;
                Some(line.split('|').nth(1).unwrap_or_default().to_owned())
            };
            let count = |one: &Self| of(one).unwrap_or_else(|| "nothing".to_owned());
            // Writing to a text does not fail.
            let _written = write!(
                said,
                "{name} has {} and had {}; ",
                count(other),
                count(self)
            );
        }
        Some(said.trim_end_matches("; ").to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_between_databases_are_named() {
        let one = Contents(
            "public.a|2|aa\npublic.b|7|bb\nsequence public.s|9\nlarge objects|0|".to_owned(),
        );
        assert_eq!((one.size(), one.difference(&one.clone())), ((2, 9), None));
        let other = Contents(
            one.0
                .replace("public.a|2|aa", "public.a|2|ab")
                .replace("public.b|7|bb\n", ""),
        );
        assert_eq!(
            one.difference(&other).unwrap(),
            "public.a has 2 and had 2; public.b has nothing and had 7"
        );
    }
}
