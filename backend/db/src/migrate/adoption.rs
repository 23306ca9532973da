//! The first `up` on a database that the Python backend made.

use emotionviz_core::email;
use sqlx::PgConnection;
use sqlx::migrate::Migration;
use sqlx::types::Uuid;

use super::{Error, Step, kept, odd_rows, step};

/// The migration that converts the Python backend's tables.
pub(super) const LAST: i64 = 20_261_123_000_000;

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
    /// Accounts whose address differs from another account's only in spelling. They log in with the exact spelling.
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

/// Applies [`LAST`] in the transaction of the connection, and keeps the user's objects on these tables. The file must not change, because
/// databases record its checksum.
pub(super) async fn apply(
    conn: &mut PgConnection,
    migration: &Migration,
) -> Result<(Step, Adoption), Error> {
    let aside = kept::put_aside(conn).await?;
    odd_rows::refuse(conn).await?;
    let undated = count_undated(conn).await?;
    let step = step::apply(conn, migration).await?;
    key_addresses(conn).await?;
    let adoption = count(conn, undated).await?;
    aside.put_back(conn).await?;
    Ok((step, adoption))
}

async fn count_undated(conn: &mut PgConnection) -> Result<i64, Error> {
    let undated = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM users WHERE created_at IS NULL) + (SELECT count(*) FROM emotion_entries WHERE created_at IS NULL)
              + (SELECT count(*) FROM visualizations WHERE created_at IS NULL)
              + (SELECT count(*) FROM intake_sessions WHERE created_at IS NULL)",
    );
    Ok(undated.fetch_one(conn).await?)
}

/// Sets the keys of addresses that an earlier version stored: their key was the address in lower case (ASCII). If the role is a superuser, no
/// trigger of the user runs. Does nothing before [`LAST`].
pub(super) async fn key_addresses_again(conn: &mut PgConnection) -> Result<(), Error> {
    let has_keys = "SELECT count(*) = 4 FROM pg_attribute
                    WHERE attrelid = to_regclass('users') AND attname IN ('id', 'email', 'email_key', 'created_at') AND NOT attisdropped";
    if !sqlx::query_scalar::<_, bool>(has_keys)
        .fetch_one(&mut *conn)
        .await?
    {
        return Ok(());
    }
    let set = "SELECT set_config('session_replication_role', $1, true) FROM pg_roles WHERE rolname = current_user AND rolsuper";
    let before: Option<String> =
        sqlx::query_scalar("SELECT current_setting('session_replication_role')")
            .fetch_one(&mut *conn)
            .await?;
    sqlx::query(set).bind("replica").execute(&mut *conn).await?;
    key_addresses(conn).await?;
    sqlx::query(set).bind(before).execute(&mut *conn).await?;
    Ok(())
}

/// Sets the keys of addresses that are not ASCII, which the migration treats as ASCII. If accounts share a key, the newest keeps it, as in
/// the migration.
async fn key_addresses(conn: &mut PgConnection) -> Result<(), Error> {
    let stored: Vec<(Uuid, String, String)> = sqlx::query_as(
        "SELECT id, email::text, email_key FROM users WHERE email::text !~ '^[!-~]*$'",
    )
    .fetch_all(&mut *conn)
    .await?;
    let keyed = stored
        .into_iter()
        .map(|(id, address, stored)| (id, email::key(&address), stored));
    let addresses: Vec<(Uuid, String, String)> = keyed.collect();
    if addresses
        .iter()
        .all(|(id, key, stored)| stored == key || *stored == id.to_string())
    {
        return Ok(());
    }
    let (ids, keys): (Vec<Uuid>, Vec<String>) =
        addresses.into_iter().map(|(id, key, _)| (id, key)).unzip();
    for keeps_it in [false, true] {
        // Keys are removed first, because a key is unique after each statement.
        sqlx::query(
            "UPDATE users SET email_key = CASE WHEN $3 THEN key ELSE users.id::text END
             FROM (
                 SELECT id, key, row_number() OVER (PARTITION BY key ORDER BY created_at DESC, id) = 1 AS is_youngest
                 FROM (SELECT users.id, created_at, coalesce(keyed.key, lower(email::text COLLATE \"C\"))
                       FROM users LEFT JOIN unnest($1::uuid[], $2::text[]) AS keyed (id, key) USING (id)) AS every (id, created_at, key)
                 WHERE key = ANY ($2)
             ) AS ranked
             WHERE ranked.id = users.id AND is_youngest = $3 AND email_key <> CASE WHEN $3 THEN key ELSE users.id::text END",
        )
        .bind(&ids)
        .bind(&keys)
        .bind(keeps_it)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

async fn count(conn: &mut PgConnection, undated: i64) -> Result<Adoption, Error> {
    let counted: Adoption = sqlx::query_as(
        "SELECT (SELECT count(*) FROM users) AS users,
                    (SELECT count(*) FROM emotion_entries) AS entries,
                    (SELECT count(*) FROM visualizations) AS visualizations,
                    (SELECT count(*) FROM intake_sessions) AS intake_sessions,
                    (SELECT count(*) FROM users WHERE email_key = id::text) AS colliding_addresses,
                    $1::bigint AS undated,
                    count(*) FILTER (WHERE intensity NOT BETWEEN 0 AND 1) AS odd_intensity,
                    count(*) FILTER (WHERE cardinality(emotions) NOT BETWEEN 1 AND 10) AS odd_emotion_count,
                    (SELECT count(*) FROM emotion_entries WHERE NOT emotions <@ $2) AS unknown_emotions,
                    count(*) FILTER (WHERE char_length(situation) NOT BETWEEN 1 AND 5000 OR char_length(notes) > 10000) AS odd_text,
                    count(*) FILTER (WHERE coalesce(source, '') NOT IN ('manual', 'intake_flow', 'import'))
                        + (SELECT count(*) FROM visualizations WHERE adopted_as_is) AS odd_kind
             FROM emotion_entries WHERE adopted_as_is",
    )
    .bind(undated)
    .bind(crate::JOURNAL_EMOTIONS)
    .fetch_one(conn)
    .await?;
    Ok(counted)
}
