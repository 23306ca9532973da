//! Everything that is stored about a user, as one JSON document that is never whole in memory.
//!
//! The rows are read in pages, each by a query of its own: a client that reads slowly holds no connection and no snapshot.

use bytes::Bytes;
use emotionviz_core::Meta;
use emotionviz_db as db;
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, Row};
use utoipa::ToSchema;
use uuid::Uuid;

/// How many rows are in memory at once; an entry has 60 kB at most.
const PAGE: i64 = 100;

/// The document.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "stands in the OpenAPI document for what is written piece by piece"
)]
pub(crate) struct Export {
    user: Option<UserRow>,
    entries: Vec<EntryRow>,
    visualizations: Vec<VisualizationRow>,
    intake_sessions: Vec<IntakeSessionRow>,
}

/// The account; everything but the hash of the password.
#[derive(FromRow, Serialize, ToSchema)]
#[schema(as = ExportedUser)]
pub(crate) struct UserRow {
    id: Uuid,
    email: String,
    name: Option<String>,
    is_active: Option<bool>,
    is_verified: Option<bool>,
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created_at: db::Time,
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>)]
    updated_at: Option<db::Time>,
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>)]
    last_login_at: Option<db::Time>,
}

/// A journal entry.
#[derive(FromRow, Serialize, ToSchema)]
#[schema(as = ExportedEntry)]
pub(crate) struct EntryRow {
    id: Uuid,
    situation: String,
    emotions: Vec<Option<String>>,
    intensity: f64,
    notes: Option<String>,
    source: Option<String>,
    intake_session_id: Option<Uuid>,
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created_at: db::Time,
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>)]
    updated_at: Option<db::Time>,
}

/// JSON that is passed on as it is stored.
type Stored = Option<Json<Box<RawValue>>>;

/// The picture of an entry.
#[derive(FromRow, Serialize, ToSchema)]
#[schema(as = ExportedVisualization)]
pub(crate) struct VisualizationRow {
    id: Uuid,
    entry_id: Uuid,
    status: String,
    style: String,
    image_url: Option<String>,
    thumbnail_url: Option<String>,
    summary: Option<String>,
    insights: Option<Vec<Option<String>>>,
    #[schema(value_type = Option<Object>)]
    visual_elements: Stored,
    error_message: Option<String>,
    #[schema(value_type = Option<Object>)]
    gemini_analysis: Stored,
    #[schema(value_type = Option<Object>)]
    nanobanana_response: Stored,
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>)]
    processing_started_at: Option<db::Time>,
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>)]
    processing_completed_at: Option<db::Time>,
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created_at: db::Time,
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>)]
    updated_at: Option<db::Time>,
}

/// A guided conversation.
#[derive(FromRow, Serialize, ToSchema)]
#[schema(as = ExportedIntakeSession)]
pub(crate) struct IntakeSessionRow {
    id: Uuid,
    initial_situation: String,
    #[schema(value_type = Option<Object>)]
    conversation_history: Stored,
    current_step: Option<i32>,
    is_complete: Option<bool>,
    #[schema(value_type = Option<Object>)]
    ai_context: Stored,
    final_summary: Option<String>,
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created_at: db::Time,
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>)]
    updated_at: Option<db::Time>,
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>)]
    completed_at: Option<db::Time>,
}

/// A row of a list of the document. Arrays are read with one dimension and the first index 1, also if the Python backend stored them
/// otherwise. NaN is replaced, because JSON has no NaN.
trait Listed: for<'r> FromRow<'r, PgRow> + Serialize {
    const NAME: &'static str;
    /// `$1` is the user, `$2` the least id, `$3` the number of rows.
    const SELECT: &'static str;
}

impl Listed for EntryRow {
    const NAME: &'static str = "entries";
    const SELECT: &'static str =
        "SELECT id, situation, ARRAY(SELECT unnest(emotions)) AS emotions, coalesce(nullif(intensity, 'NaN'), 0)::float8 AS intensity, notes,
         source, intake_session_id, created_at, updated_at
         FROM emotion_entries WHERE user_id = $1 AND id >= $2 ORDER BY id LIMIT $3";
}

impl Listed for VisualizationRow {
    const NAME: &'static str = "visualizations";
    const SELECT: &'static str = "SELECT id, entry_id, status, style, image_url, thumbnail_url, summary,
         CASE WHEN insights IS NOT NULL THEN ARRAY(SELECT unnest(insights)) END AS insights, visual_elements, error_message,
         gemini_analysis, nanobanana_response, processing_started_at, processing_completed_at, created_at, updated_at
         FROM visualizations WHERE user_id = $1 AND id >= $2 ORDER BY id LIMIT $3";
}

impl Listed for IntakeSessionRow {
    const NAME: &'static str = "intake_sessions";
    const SELECT: &'static str = "SELECT id, initial_situation, conversation_history, current_step, is_complete, ai_context, final_summary,
         created_at, updated_at, completed_at
         FROM intake_sessions WHERE user_id = $1 AND id >= $2 ORDER BY id LIMIT $3";
}

/// Streams the document in the envelope of the request that `meta` describes.
pub(crate) fn document(
    pool: db::Pool,
    user: Uuid,
    meta: Meta,
) -> impl Stream<Item = db::Result<Bytes>> + Send {
    let account = pool.clone();
    let begin = stream::once(async move {
        let account = account.run(async |c| user_row(c, user).await).await?;
        let account = json(&account);
        Ok(format!("{{\"success\":true,\"data\":{{\"user\":{account}").into())
    });
    begin
        .chain(list::<EntryRow>(pool.clone(), user))
        .chain(list::<VisualizationRow>(pool.clone(), user))
        .chain(list::<IntakeSessionRow>(pool, user))
        .chain(text(format!("}},\"meta\":{}}}", json(&meta))))
}

async fn user_row(connection: &mut PgConnection, user: Uuid) -> db::Result<Option<UserRow>> {
    let row =
        sqlx::query_as("SELECT id, email, name, is_active, is_verified, created_at, updated_at, last_login_at FROM users WHERE id = $1")
            .bind(user)
            .fetch_optional(connection)
            .await?;
    Ok(row)
}

/// Streams a list with its name, a page of rows at a time.
fn list<T: Listed>(pool: db::Pool, user: Uuid) -> impl Stream<Item = db::Result<Bytes>> + Send {
    let pages = stream::try_unfold(Some(Uuid::nil()), move |least| {
        let pool = pool.clone();
        async move {
            let Some(least) = least else { return Ok(None) };
            let (mut page, next) = pool.run(async |c| page::<T>(c, user, least).await).await?;
            if !least.is_nil() && !page.is_empty() {
                page.insert(0, ',');
            }
            Ok(Some((page.into(), next)))
        }
    });
    text(format!(",\"{}\":[", T::NAME))
        .chain(pages)
        .chain(text("]".to_owned()))
}

/// Returns the rows of a page, and the least id of the next page, if there may be one.
async fn page<T: Listed>(
    connection: &mut PgConnection,
    user: Uuid,
    least: Uuid,
) -> db::Result<(String, Option<Uuid>)> {
    let rows = sqlx::query(T::SELECT)
        .bind(user)
        .bind(least)
        .bind(PAGE)
        .fetch_all(connection)
        .await?;
    let mut page = Vec::with_capacity(rows.len());
    for row in &rows {
        page.push(json(&T::from_row(row)?));
    }
    let last: Option<Uuid> = rows.last().map(|row| row.try_get("id")).transpose()?;
    let next = last.and_then(|id| id.as_u128().checked_add(1));
    Ok((page.join(","), next.map(Uuid::from_u128)))
}

fn text(text: String) -> impl Stream<Item = db::Result<Bytes>> + Send {
    stream::once(async { Ok(text.into()) })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain rows have a form in JSON")
}
