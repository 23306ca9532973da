//! The queries of journal entries.

use chrono::{DateTime, Utc};
use emotionviz_db as db;
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

#[derive(FromRow)]
pub(crate) struct Entry {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) situation: String,
    /// Some rows of the Python backend have NULLs among them.
    pub(crate) emotions: Vec<Option<String>>,
    pub(crate) intensity: f64,
    pub(crate) notes: String,
    #[sqlx(try_from = "db::Time")]
    pub(crate) created_at: DateTime<Utc>,
    #[sqlx(try_from = "db::Time")]
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) visualization_id: Option<Uuid>,
}

/// The fields of a new entry, or of a change, in which `None` keeps the stored value.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) situation: Option<String>,
    pub(crate) emotions: Option<Vec<String>>,
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

/// The order of a list. Entries that are equal in it are ordered by id, so that pages do not overlap.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Created,
    CreatedDesc,
    Intensity,
    IntensityDesc,
    Updated,
    UpdatedDesc,
}

/// Selects some of a user's entries.
#[derive(Default)]
pub(crate) struct Filter {
    pub(crate) emotion: Option<String>,
    /// Created then or later.
    pub(crate) from: Option<DateTime<Utc>>,
    /// Created before.
    pub(crate) to: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy)]
pub(crate) struct Page {
    pub(crate) order: Order,
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

/// The columns of an [`Entry`]. Rows of the Python backend may have NULLs, a NaN, which JSON has no number for, and arrays with several
/// dimensions or another first index, which sqlx does not read.
macro_rules! columns {
    ($visualization:literal) => {
        concat!(
            "e.id, e.user_id, e.situation, coalesce(nullif(e.intensity, 'NaN'), 0)::float8 AS intensity, coalesce(e.notes, '') AS notes, \
             CASE WHEN array_ndims(e.emotions) = 1 AND array_lower(e.emotions, 1) = 1 THEN e.emotions \
             ELSE ARRAY(SELECT unnest(e.emotions)) END AS emotions, \
             e.created_at, coalesce(e.updated_at, e.created_at) AS updated_at, ",
            $visualization,
            " AS visualization_id"
        )
    };
}
const JOINED: &str = columns!("v.id");
macro_rules! subquery {
    () => {
        columns!("(SELECT v.id FROM visualizations v WHERE v.entry_id = e.id)")
    };
}

#[derive(FromRow)]
struct Listed {
    #[sqlx(flatten)]
    entry: Entry,
    total: i64,
}

/// Returns a page of a user's entries, and the number of entries on all pages.
pub(crate) async fn list(
    connection: &mut PgConnection,
    user: Uuid,
    filter: &Filter,
    page: Page,
) -> db::Result<(Vec<Entry>, i64)> {
    let order = match page.order {
        Order::Created => "e.created_at, e.id",
        Order::CreatedDesc => "e.created_at DESC, e.id DESC",
        Order::Intensity => "e.intensity, e.id",
        Order::IntensityDesc => "e.intensity DESC, e.id DESC",
        Order::Updated => "coalesce(e.updated_at, e.created_at), e.id",
        Order::UpdatedDesc => "coalesce(e.updated_at, e.created_at) DESC, e.id DESC",
    };
    // The count comes with each row: one round trip.
    let mut query = QueryBuilder::new("SELECT (");
    push_count(&mut query, user, filter);
    query.push(") AS total, ").push(JOINED);
    query.push(" FROM emotion_entries e LEFT JOIN visualizations v ON v.entry_id = e.id");
    push_conditions(&mut query, user, filter);
    query.push(" ORDER BY ").push(order);
    query.push(" LIMIT ").push_bind(page.limit);
    query.push(" OFFSET ").push_bind(page.offset);
    let rows: Vec<Listed> = query.build_query_as().fetch_all(&mut *connection).await?;
    let total = match rows.first() {
        Some(row) => row.total,
        None if page.offset == 0 => 0,
        // A page after the last one.
        None => {
            let mut query = QueryBuilder::new("");
            push_count(&mut query, user, filter);
            query.build_query_scalar().fetch_one(connection).await?
        }
    };
    Ok((rows.into_iter().map(|row| row.entry).collect(), total))
}

fn push_count(query: &mut QueryBuilder<Postgres>, user: Uuid, filter: &Filter) {
    query.push("SELECT count(*) FROM emotion_entries e");
    push_conditions(query, user, filter);
}

/// Each set of filters has a statement of its own, so that each is planned for its filters.
fn push_conditions(query: &mut QueryBuilder<Postgres>, user: Uuid, filter: &Filter) {
    query.push(" WHERE e.user_id = ").push_bind(user);
    if let Some(emotion) = &filter.emotion {
        // `@>` would use the index of all users' entries with the emotion, few of which are this user's.
        query.push(" AND ").push_bind(emotion.clone());
        query.push(" = ANY (e.emotions)");
    }
    if let Some(from) = filter.from {
        query.push(" AND e.created_at >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        query.push(" AND e.created_at < ").push_bind(to);
    }
}

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

/// Finds an entry of any user.
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

pub(crate) async fn owner(connection: &mut PgConnection, id: Uuid) -> db::Result<Option<Uuid>> {
    Ok(
        sqlx::query_scalar("SELECT user_id FROM emotion_entries WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?,
    )
}

/// Changes a user's entry. Returns `None` if the user has no such entry.
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

/// Deletes a user's entry. Returns false if the user has no such entry.
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
