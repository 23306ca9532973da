//! The first `up` on a database that the Python backend made.

use sqlx::PgConnection;

use super::Error;

/// The one Alembic revision whose tables the first migration describes.
const REVISION: &str = "00d62578dab9";

/// What was found in a database of the Python backend, counted; every row of it was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Adoption {
    /// Accounts.
    pub users: i64,
    /// Journal entries.
    pub entries: i64,
    /// Visualizations.
    pub visualizations: i64,
    /// Intake sessions.
    pub intake_sessions: i64,
    /// Accounts whose address another account has in another case: they log in with the exact spelling.
    pub colliding_addresses: i64,
    /// Rows whose time of creation was not known.
    pub undated: i64,
    /// Entries with an intensity outside 0..1.
    pub odd_intensity: i64,
    /// Entries without an emotion, or with more than ten.
    pub odd_emotion_count: i64,
    /// Entries with an emotion that is none of today's.
    pub unknown_emotions: i64,
    /// Entries whose texts are empty or longer than today's limits.
    pub odd_text: i64,
    /// Entries or visualizations whose source, status or style is none of today's.
    pub odd_kind: i64,
}

/// A database of the Python backend, before anything is changed in it.
pub(super) struct Found {
    undated: i64,
}

/// Whether this is such a database; its tables must be untouched or not there at all.
pub(super) async fn recognise(conn: &mut PgConnection) -> Result<Option<Found>, Error> {
    let (ours, alembic): (bool, bool) =
        sqlx::query_as("SELECT to_regclass('_sqlx_migrations') IS NOT NULL, to_regclass('alembic_version') IS NOT NULL")
            .fetch_one(&mut *conn)
            .await?;
    if ours && sqlx::query_scalar("SELECT EXISTS (SELECT FROM _sqlx_migrations)").fetch_one(&mut *conn).await? {
        return Ok(None);
    }
    if !alembic {
        let foreign: Option<String> = sqlx::query_scalar(
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema()
             AND table_name IN ('users', 'emotion_entries', 'visualizations', 'intake_sessions') LIMIT 1",
        )
        .fetch_optional(conn)
        .await?;
        return foreign.map_or(Ok(None), |table| Err(Error::Foreign(table)));
    }
    let revision: Option<String> = sqlx::query_scalar("SELECT version_num FROM alembic_version").fetch_optional(&mut *conn).await?;
    match revision {
        Some(revision) if revision == REVISION => {}
        other => return Err(Error::OtherRevision(other.unwrap_or_else(|| "(none)".to_owned()))),
    }
    let undated = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM users WHERE created_at IS NULL) + (SELECT count(*) FROM emotion_entries WHERE created_at IS NULL)
              + (SELECT count(*) FROM visualizations WHERE created_at IS NULL)
              + (SELECT count(*) FROM intake_sessions WHERE created_at IS NULL)",
    )
    .fetch_one(conn)
    .await?;
    tracing::info!("this database was made by the Python backend: adopting it");
    Ok(Some(Found { undated }))
}

impl Found {
    pub(super) async fn report(self, conn: &mut PgConnection) -> Result<Adoption, Error> {
        let counted: Adoption = sqlx::query_as(
            "SELECT (SELECT count(*) FROM users) AS users,
                    (SELECT count(*) FROM emotion_entries) AS entries,
                    (SELECT count(*) FROM visualizations) AS visualizations,
                    (SELECT count(*) FROM intake_sessions) AS intake_sessions,
                    (SELECT count(*) FROM users WHERE email_key <> lower(email COLLATE \"C\")) AS colliding_addresses,
                    $1::bigint AS undated,
                    count(*) FILTER (WHERE intensity NOT BETWEEN 0 AND 1) AS odd_intensity,
                    count(*) FILTER (WHERE cardinality(emotions) NOT BETWEEN 1 AND 10) AS odd_emotion_count,
                    (SELECT count(*) FROM emotion_entries WHERE NOT emotions <@ $2) AS unknown_emotions,
                    count(*) FILTER (WHERE char_length(situation) NOT BETWEEN 1 AND 5000 OR char_length(notes) > 10000) AS odd_text,
                    count(*) FILTER (WHERE coalesce(source, '') NOT IN ('manual', 'intake_flow', 'import'))
                        + (SELECT count(*) FROM visualizations WHERE adopted_as_is) AS odd_kind
             FROM emotion_entries WHERE adopted_as_is",
        )
        .bind(self.undated)
        .bind(crate::JOURNAL_EMOTIONS)
        .fetch_one(conn)
        .await?;
        Ok(counted)
    }
}
