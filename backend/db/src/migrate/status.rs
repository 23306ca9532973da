use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::embedded::is_reversible;
use super::line_ends::is_checksum_of;
use super::{Error, is_empty, pause, ups};

/// How a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Applied, and the file is what it was.
    Applied,
    /// Not applied.
    Pending,
    /// Not applied, and nothing but comments is written into the file.
    Empty,
    /// Applied, and the file was edited since.
    Edited,
    /// Applied, and this code has no such file.
    Missing,
}

/// A migration.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Entry {
    /// Its version, `YYYYMMDDHHMMSS`.
    pub version: i64,
    /// What it does.
    pub description: String,
    /// How it stands.
    pub state: State,
    /// When it was applied.
    pub applied_at: Option<DateTime<Utc>>,
    /// The SHA-384 of this code's file, in hexadecimal.
    pub checksum: Option<String>,
    /// Whether this code can revert it.
    pub reversible: bool,
}

/// The schema against the code.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Status {
    /// The newest applied migration.
    pub revision: Option<i64>,
    /// The newest one of this code that is written.
    pub latest: Option<i64>,
    /// Whether automatic migration is paused since a `down`.
    pub paused: bool,
    /// Every migration, in order.
    #[serde(rename = "migrations")]
    pub entries: Vec<Entry>,
}

impl Status {
    pub(super) fn is_pending(&self, version: i64) -> bool {
        self.entries
            .iter()
            .any(|e| e.version == version && e.state == State::Pending)
    }

    /// Those that are not written yet.
    pub fn empty(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| e.state == State::Empty)
    }

    /// Those that are applied and not what this code has.
    pub fn damaged(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(|e| matches!(e.state, State::Edited | State::Missing))
    }
}

/// How every migration stands. Changes nothing in the database.
///
/// # Errors
/// The database is away.
pub(super) async fn status(conn: &mut PgConnection) -> Result<Status, Error> {
    let (recorded, pausable): (bool, bool) =
        sqlx::query_as("SELECT to_regclass('_sqlx_migrations') IS NOT NULL, to_regclass('_migrations_paused') IS NOT NULL")
            .fetch_one(&mut *conn)
            .await?;
    let mut applied: BTreeMap<i64, (String, Vec<u8>, DateTime<Utc>)> = BTreeMap::new();
    if recorded {
        let rows: Vec<(i64, String, Vec<u8>, DateTime<Utc>)> = sqlx::query_as(
            "SELECT version, description, checksum, installed_on FROM _sqlx_migrations",
        )
        .fetch_all(&mut *conn)
        .await?;
        applied.extend(
            rows.into_iter()
                .map(|(version, description, checksum, at)| (version, (description, checksum, at))),
        );
    }
    let revision = applied.keys().next_back().copied();
    let mut entries = Vec::new();
    for migration in ups() {
        let row = applied.remove(&migration.version);
        let state = match &row {
            None if is_empty(migration) => State::Empty,
            None => State::Pending,
            Some((_, checksum, _)) if is_checksum_of(checksum, migration) => State::Applied,
            Some(_) => State::Edited,
        };
        let description = migration.description.to_string();
        let checksum = Some(
            migration
                .checksum
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        );
        entries.push(Entry {
            version: migration.version,
            description,
            state,
            applied_at: row.map(|(_, _, at)| at),
            checksum,
            reversible: is_reversible(migration.version),
        });
    }
    let latest = entries
        .iter()
        .filter(|e| e.state != State::Empty)
        .map(|e| e.version)
        .max();
    entries.extend(
        applied
            .into_iter()
            .map(|(version, (description, _, at))| Entry {
                version,
                description,
                state: State::Missing,
                applied_at: Some(at),
                checksum: None,
                reversible: is_reversible(version),
            }),
    );
    entries.sort_by_key(|e| e.version);
    let paused = pausable && pause::is_on(conn).await?;
    Ok(Status {
        revision,
        latest,
        paused,
        entries,
    })
}
