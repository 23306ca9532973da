//! Line endings do not matter in SQL. A checkout on Windows may have CRLF (`core.autocrlf`), and the checksum of a migration must be the
//! same in every checkout.

use sqlx::migrate::{Migration, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

/// Returns the migrations with `\n` as line endings.
pub(super) fn normalised(embedded: &Migrator) -> Vec<Migration> {
    embedded
        .iter()
        .map(|m| with_sql(m, m.sql.as_str().replace("\r\n", "\n")))
        .collect()
}

/// Returns whether a recorded checksum belongs to a migration. Some databases recorded checksums of files with `\r\n`.
pub(super) fn is_checksum_of(recorded: &[u8], migration: &Migration) -> bool {
    recorded == &migration.checksum[..] || recorded == &crlf_checksum(migration)[..]
}

/// The checksum of the same migration in a file with `\r\n`.
pub(crate) fn crlf_checksum(migration: &Migration) -> Vec<u8> {
    with_sql(migration, migration.sql.as_str().replace('\n', "\r\n"))
        .checksum
        .to_vec()
}

fn with_sql(m: &Migration, sql: String) -> Migration {
    Migration::new(
        m.version,
        m.description.clone(),
        m.migration_type,
        AssertSqlSafe(sql).into_sql_str(),
        m.no_tx,
    )
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use sqlx::migrate::MigrationType;

    use super::*;

    fn migration(sql: &str) -> Migration {
        Migration::new(
            1,
            "one".into(),
            MigrationType::ReversibleUp,
            AssertSqlSafe(sql.to_owned()).into_sql_str(),
            false,
        )
    }

    #[test]
    fn a_migration_checksum_ignores_line_endings_only() {
        let (lf, crlf) = (
            migration("SELECT 1;\nSELECT 2;\n"),
            migration("SELECT 1;\r\nSELECT 2;\r\n"),
        );
        let mixed = migration("SELECT 1;\r\nSELECT 2;\n");
        assert_ne!(lf.checksum, crlf.checksum);
        for embedded in [&lf, &crlf, &mixed] {
            let migrator = Migrator {
                migrations: Cow::Owned(vec![embedded.clone()]),
                ..Migrator::DEFAULT
            };
            let [normalised] = &normalised(&migrator)[..] else {
                panic!("one migration")
            };
            assert_eq!(normalised.checksum, lf.checksum);
            assert!(
                is_checksum_of(&lf.checksum, normalised)
                    && is_checksum_of(&crlf.checksum, normalised)
            );
            assert!(!is_checksum_of(
                &migration("SELECT 1;\nSELECT 3;\n").checksum,
                normalised
            ));
        }
    }
}
