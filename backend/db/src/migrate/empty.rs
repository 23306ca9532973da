//! A migration whose file holds nothing but comments and blanks is not written yet: it waits until it is.

use sqlx::migrate::Migration;

/// Whether it is one.
pub(crate) fn is_empty(migration: &Migration) -> bool {
    says_nothing(migration.sql.as_str())
}

/// Comments are those of PostgreSQL: `--` to the end of the line, and `/* … */`, which nests. One that does not end is an error
/// which PostgreSQL is to name.
fn says_nothing(sql: &str) -> bool {
    let mut rest = sql.trim_ascii_start();
    while !rest.is_empty() {
        let after = match rest.strip_prefix("--") {
            Some(comment) => Some(
                comment
                    .split_once(['\n', '\r'])
                    .map_or("", |(_, after)| after),
            ),
            None => after_block(rest),
        };
        let Some(after) = after else { return false };
        rest = after.trim_ascii_start();
    }
    true
}

/// What follows on the block comment that this begins with.
fn after_block(sql: &str) -> Option<&str> {
    let mut rest = sql.strip_prefix("/*")?;
    let mut open = 1;
    while open > 0 {
        rest = &rest[rest.find(['/', '*'])?..];
        (open, rest) = match rest.get(..2) {
            Some("/*") => (open + 1, &rest[2..]),
            Some("*/") => (open - 1, &rest[2..]),
            _ => (open, &rest[1..]),
        };
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::says_nothing;

    #[test]
    fn what_says_nothing() {
        for sql in [
            "",
            " \n\t\r\n",
            "-- entries have a mood\n",
            "-- no-transaction\n-- breaking",
            "-- one\r-- two",
            "/* one */ -- two\n/* three\n*/\n",
            "/* /* nested */ still */",
            "/**/ /***/ /*/ */ --",
            "/* é * ü / */",
        ] {
            assert!(says_nothing(sql), "{sql}");
        }
        for sql in [
            "SELECT 1",
            "-- a\nSELECT 1; -- b",
            "/* /* nested */ open",
            "/* a */ SELECT 1",
            "- - a",
            "/",
            "/*",
            "/*/",
            ";",
            "*/",
        ] {
            assert!(!says_nothing(sql), "{sql}");
        }
    }
}
