//! The queries of journal entries.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use emotionviz_db as db;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Postgres, Row};
use uuid::Uuid;

use crate::decode;

/// A journal entry.
pub(crate) struct Entry {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) situation: String,
    pub(crate) emotions: Vec<Cow<'static, str>>,
    /// From 0 to 1.
    pub(crate) intensity: f64,
    pub(crate) notes: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) visualization_id: Option<Uuid>,
}

/// What an entry is made of, or changed in: what is `None` stays.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) situation: Option<String>,
    pub(crate) emotions: Option<Vec<&'static str>>,
    pub(crate) intensity: Option<f64>,
    pub(crate) notes: Option<String>,
}

impl Draft {
    pub(crate) fn is_empty(&self) -> bool {
        self.situation.is_none()
            && self.emotions.is_none()
            && self.intensity.is_none()
            && self.notes.is_none()
    }
}

/// The order of a list. Entries that are equal in it are in the order of their ids, so that pages do not overlap.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Created,
    CreatedDesc,
    Intensity,
    IntensityDesc,
    Updated,
    UpdatedDesc,
}

/// Which of a user's entries.
#[derive(Clone, Copy, Default)]
pub(crate) struct Filter {
    pub(crate) emotion: Option<&'static str>,
    /// Created then or later.
    pub(crate) from: Option<DateTime<Utc>>,
    /// Created before.
    pub(crate) to: Option<DateTime<Utc>>,
}

/// Which of them are on the page.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    pub(crate) order: Order,
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

/// The columns of an [`Entry`], in the order in which it reads them. Rows of an older backend have NULLs that ours never writes.
macro_rules! columns {
    ($visualization:literal) => {
        concat!(
            "e.id, e.user_id, e.situation, e.emotions, e.intensity, coalesce(e.notes, ''), \
             e.created_at, coalesce(e.updated_at, e.created_at), ",
            $visualization
        )
    };
}
const JOINED: &str = columns!("v.id");
macro_rules! subquery {
    () => {
        columns!("(SELECT v.id FROM visualizations v WHERE v.entry_id = e.id)")
    };
}

impl FromRow<'_, PgRow> for Entry {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get(0)?,
            user_id: row.try_get(1)?,
            situation: row.try_get(2)?,
            emotions: read(row, 3, decode::emotions)?,
            intensity: read(row, 4, decode::hundredths)?,
            notes: row.try_get(5)?,
            created_at: read(row, 6, decode::time)?,
            updated_at: read(row, 7, decode::time)?,
            visualization_id: row.try_get(8)?,
        })
    }
}

/// Reads a column from its binary form, in which all values of prepared statements come.
fn read<T>(
    row: &PgRow,
    index: usize,
    decode: impl FnOnce(&[u8]) -> Result<T, decode::Malformed>,
) -> sqlx::Result<T> {
    let bytes = row
        .try_get_raw(index)?
        .as_bytes()
        .map_err(sqlx::Error::Decode)?;
    decode(bytes).map_err(|error| sqlx::Error::ColumnDecode {
        index: index.to_string(),
        source: error.into(),
    })
}

/// Returns a page of a user's entries, and the number of entries on all pages.
pub(crate) async fn list(
    connection: &mut PgConnection,
    user: Uuid,
    filter: Filter,
    page: Page,
) -> db::Result<(Vec<Entry>, i64)> {
    let (key, direction) = match page.order {
        Order::Created => ("e.created_at", ""),
        Order::CreatedDesc => ("e.created_at", " DESC"),
        Order::Intensity => ("e.intensity", ""),
        Order::IntensityDesc => ("e.intensity", " DESC"),
        Order::Updated => ("coalesce(e.updated_at, e.created_at)", ""),
        Order::UpdatedDesc => ("coalesce(e.updated_at, e.created_at)", " DESC"),
    };
    let (filters, used) = conditions(filter);
    let (limit, offset) = (used + 1, used + 2);
    // The count comes with each row: one round trip.
    let sql = format!(
        "SELECT {JOINED}, (SELECT count(*) FROM emotion_entries e WHERE e.user_id = $1{filters})
         FROM emotion_entries e LEFT JOIN visualizations v ON v.entry_id = e.id
         WHERE e.user_id = $1{filters} ORDER BY {key}{direction}, e.id{direction} LIMIT ${limit} OFFSET ${offset}"
    );
    let rows = bind(sqlx::query(AssertSqlSafe(sql)), user, filter)
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(&mut *connection)
        .await?;
    let total = match rows.first() {
        Some(row) => row.try_get(9)?,
        None if page.offset == 0 => 0,
        None => count(connection, user, filter).await?,
    };
    let entries = rows
        .iter()
        .map(Entry::from_row)
        .collect::<sqlx::Result<_>>()?;
    Ok((entries, total))
}

/// Counts a user's entries, for a page after the last one.
async fn count(connection: &mut PgConnection, user: Uuid, filter: Filter) -> db::Result<i64> {
    let sql = format!(
        "SELECT count(*) FROM emotion_entries e WHERE e.user_id = $1{}",
        conditions(filter).0
    );
    Ok(bind(sqlx::query(AssertSqlSafe(sql)), user, filter)
        .fetch_one(connection)
        .await?
        .try_get(0)?)
}

/// Returns the conditions of a filter, and how many parameters they and the user's id take, numbered as [`bind`] binds them.
///
/// Each set of filters has a statement of its own, so that each is planned for its filters.
fn conditions(filter: Filter) -> (String, usize) {
    let mut sql = String::new();
    let mut used = 1;
    let filters = [
        // `@>` would use the index of all users' entries with the emotion, few of which are this user's.
        (filter.emotion.is_some(), ["", " = ANY (e.emotions)"]),
        (filter.from.is_some(), ["e.created_at >= ", ""]),
        (filter.to.is_some(), ["e.created_at < ", ""]),
    ];
    for (_, [before, after]) in filters.iter().filter(|(given, _)| *given) {
        used += 1;
        sql.push_str(&format!(" AND {before}${used}{after}"));
    }
    (sql, used)
}

type Query<'q> = sqlx::query::Query<'q, Postgres, sqlx::postgres::PgArguments>;

fn bind<'q>(query: Query<'q>, user: Uuid, filter: Filter) -> Query<'q> {
    let mut query = query.bind(user);
    if let Some(emotion) = filter.emotion {
        query = query.bind(emotion);
    }
    if let Some(from) = filter.from {
        query = query.bind(from);
    }
    if let Some(to) = filter.to {
        query = query.bind(to);
    }
    query
}

/// Stores a new entry.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    user: Uuid,
    draft: Draft,
) -> db::Result<Entry> {
    let entry = sqlx::query_as(concat!(
        "INSERT INTO emotion_entries AS e (user_id, situation, emotions, intensity, notes)
         VALUES ($1, $2, $3, $4::float8, coalesce($5, '')) RETURNING ",
        columns!("NULL::uuid")
    ))
    .bind(user)
    .bind(draft.situation)
    .bind(draft.emotions)
    .bind(draft.intensity)
    .bind(draft.notes)
    .fetch_one(connection)
    .await?;
    Ok(entry)
}

/// The entry of an id, whoever's it is.
pub(crate) async fn find(connection: &mut PgConnection, id: Uuid) -> db::Result<Option<Entry>> {
    let sql = concat!(
        "SELECT ",
        subquery!(),
        " FROM emotion_entries e WHERE e.id = $1"
    );
    Ok(sqlx::query_as(sql)
        .bind(id)
        .fetch_optional(connection)
        .await?)
}

/// Whose an entry is.
pub(crate) async fn owner(connection: &mut PgConnection, id: Uuid) -> db::Result<Option<Uuid>> {
    Ok(
        sqlx::query_scalar("SELECT user_id FROM emotion_entries WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?,
    )
}

/// Changes a user's entry. `None` when the user has no such entry.
pub(crate) async fn update(
    connection: &mut PgConnection,
    user: Uuid,
    id: Uuid,
    draft: Draft,
) -> db::Result<Option<Entry>> {
    let entry = sqlx::query_as(concat!(
        "UPDATE emotion_entries e SET situation = coalesce($3, situation), emotions = coalesce($4, emotions),
         intensity = coalesce($5::float8::numeric, intensity), notes = coalesce($6, notes), updated_at = now()
         WHERE id = $1 AND user_id = $2 RETURNING ",
        subquery!()
    ))
    .bind(id)
    .bind(user)
    .bind(draft.situation)
    .bind(draft.emotions)
    .bind(draft.intensity)
    .bind(draft.notes)
    .fetch_optional(connection)
    .await?;
    Ok(entry)
}

/// Deletes a user's entry, and says whether there was one.
pub(crate) async fn delete(
    connection: &mut PgConnection,
    user: Uuid,
    id: Uuid,
) -> db::Result<bool> {
    let done = sqlx::query("DELETE FROM emotion_entries WHERE id = $1 AND user_id = $2")
        .bind(id)
        .bind(user)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}
