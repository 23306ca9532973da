//! The migrations of this binary.

use std::sync::LazyLock;

use sqlx::migrate::{Migration, Migrator};

use super::is_empty;
use super::line_ends::normalised;

/// Both ways of every migration.
pub(super) static MIGRATIONS: LazyLock<Vec<Migration>> = LazyLock::new(|| {
    static EMBEDDED: Migrator = sqlx::migrate!();
    normalised(&EMBEDDED)
});

/// Returns the migrations that this binary may apply, oldest first, written or not.
pub(crate) fn ups() -> impl Iterator<Item = &'static Migration> {
    MIGRATIONS
        .iter()
        .filter(|migration| migration.migration_type.is_up_migration())
}

/// Returns the migration that reverts this version.
pub(super) fn undo(version: i64) -> Option<&'static Migration> {
    MIGRATIONS
        .iter()
        .find(|m| m.version == version && m.migration_type.is_down_migration())
}

/// Returns whether this binary can revert this version: what undoes it is written, or there is nothing to undo.
pub(super) fn is_reversible(version: i64) -> bool {
    undo(version).is_some_and(|down| !is_empty(down) || !is_written(version))
}

/// Returns whether what applies this version is written.
pub(super) fn is_written(version: i64) -> bool {
    ups().any(|m| m.version == version && !is_empty(m))
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    #[test]
    fn every_migration_can_be_reverted_and_has_a_moment() {
        let of = |up: bool| -> Vec<i64> {
            MIGRATIONS
                .iter()
                .filter(|m| {
                    m.migration_type.is_reversible() && m.migration_type.is_up_migration() == up
                })
                .map(|m| m.version)
                .collect()
        };
        assert_eq!(of(true), of(false));
        assert_eq!(
            of(true).len() * 2,
            MIGRATIONS.iter().count(),
            "a migration is a pair of files: .up.sql and .down.sql"
        );
        for version in of(true) {
            assert!(
                chrono::NaiveDateTime::parse_from_str(&version.to_string(), "%Y%m%d%H%M%S").is_ok(),
                "{version} is not a time in the form YYYYMMDDHHMMSS"
            );
        }
    }

    #[test]
    fn outside_a_transaction_there_is_one_statement() {
        for migration in MIGRATIONS.iter().filter(|m| m.no_tx) {
            let code: String = migration
                .sql
                .as_str()
                .lines()
                .filter(|line| !line.trim_start().starts_with("--"))
                .collect();
            let statements = code
                .split(';')
                .filter(|statement| !statement.trim().is_empty())
                .count();
            assert!(
                statements <= 1,
                "{} holds {statements} statements",
                migration.version
            );
        }
    }
}
