//! Everything that is stored about a user, as one JSON document that is never whole in memory.
//!
//! The rows come in pages, each a query of its own: a client that reads slowly holds no connection and no snapshot meanwhile.

use bytes::{BufMut, Bytes, BytesMut};
use emotionviz_core::Meta;
use emotionviz_db as db;
use futures_util::{Stream, stream};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
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

/// A row of a list, which continues after the id of its last row. Arrays are read with one dimension and the first index 1, also if an
/// older backend stored them otherwise. NaN is replaced, because JSON has no NaN.
trait Listed: for<'r> FromRow<'r, PgRow> + Serialize + Send + Unpin {
    /// `$1` is the user, `$2` the least id, `$3` the number of rows.
    const SELECT: &'static str;

    fn id(&self) -> Uuid;
}

impl Listed for EntryRow {
    const SELECT: &'static str =
        "SELECT id, situation, ARRAY(SELECT unnest(emotions)) AS emotions, coalesce(nullif(intensity, 'NaN'), 0)::float8 AS intensity, notes,
         source, intake_session_id, created_at, updated_at
         FROM emotion_entries WHERE user_id = $1 AND id >= $2 ORDER BY id LIMIT $3";

    fn id(&self) -> Uuid {
        self.id
    }
}

impl Listed for VisualizationRow {
    const SELECT: &'static str = "SELECT id, entry_id, status, style, image_url, thumbnail_url, summary,
         CASE WHEN insights IS NOT NULL THEN ARRAY(SELECT unnest(insights)) END AS insights, visual_elements, error_message,
         gemini_analysis, nanobanana_response, processing_started_at, processing_completed_at, created_at, updated_at
         FROM visualizations WHERE user_id = $1 AND id >= $2 ORDER BY id LIMIT $3";

    fn id(&self) -> Uuid {
        self.id
    }
}

impl Listed for IntakeSessionRow {
    const SELECT: &'static str = "SELECT id, initial_situation, conversation_history, current_step, is_complete, ai_context, final_summary,
         created_at, updated_at, completed_at
         FROM intake_sessions WHERE user_id = $1 AND id >= $2 ORDER BY id LIMIT $3";

    fn id(&self) -> Uuid {
        self.id
    }
}

/// The next part of the export: a list continues with this id.
enum Part {
    User,
    Entries(Uuid),
    Visualizations(Uuid),
    IntakeSessions(Uuid),
    End,
}

/// The document in the envelope, piece by piece. `meta` is that of the request.
pub(crate) fn document(
    pool: db::Pool,
    user: Uuid,
    meta: Meta,
) -> impl Stream<Item = db::Result<Bytes>> + Send {
    let mut end = BytesMut::from(&b"]},\"meta\":"[..]);
    write(&mut end, &meta);
    end.put_u8(b'}');
    let end = end.freeze();
    stream::try_unfold(Some(Part::User), move |part| {
        let (pool, end) = (pool.clone(), end.clone());
        async move {
            let Some(part) = part else { return Ok(None) };
            let mut out = BytesMut::new();
            let next = match part {
                Part::User => {
                    out.put_slice(b"{\"success\":true,\"data\":{\"user\":");
                    write(
                        &mut out,
                        &pool.run(async |c| user_row(c, user).await).await?,
                    );
                    out.put_slice(b",\"entries\":[");
                    Some(Part::Entries(Uuid::nil()))
                }
                Part::Entries(least) => Some(
                    match page::<EntryRow>(&pool, user, least, &mut out).await? {
                        Some(next) => Part::Entries(next),
                        None => {
                            out.put_slice(b"],\"visualizations\":[");
                            Part::Visualizations(Uuid::nil())
                        }
                    },
                ),
                Part::Visualizations(least) => Some(
                    match page::<VisualizationRow>(&pool, user, least, &mut out).await? {
                        Some(next) => Part::Visualizations(next),
                        None => {
                            out.put_slice(b"],\"intake_sessions\":[");
                            Part::IntakeSessions(Uuid::nil())
                        }
                    },
                ),
                Part::IntakeSessions(least) => Some(
                    match page::<IntakeSessionRow>(&pool, user, least, &mut out).await? {
                        Some(next) => Part::IntakeSessions(next),
                        None => Part::End,
                    },
                ),
                Part::End => {
                    out.put_slice(&end);
                    None
                }
            };
            Ok(Some((out.freeze(), next)))
        }
    })
}

async fn user_row(connection: &mut PgConnection, user: Uuid) -> db::Result<Option<UserRow>> {
    let row =
        sqlx::query_as("SELECT id, email, name, is_active, is_verified, created_at, updated_at, last_login_at FROM users WHERE id = $1")
            .bind(user)
            .fetch_optional(connection)
            .await?;
    Ok(row)
}

/// Writes a page of rows. Returns the smallest id of the next page, if there may be one.
async fn page<T: Listed>(
    pool: &db::Pool,
    user: Uuid,
    least: Uuid,
    out: &mut BytesMut,
) -> db::Result<Option<Uuid>> {
    let rows = pool.run(async |c| rows::<T>(c, user, least).await).await?;
    for (i, row) in rows.iter().enumerate() {
        if !least.is_nil() || i > 0 {
            out.put_u8(b',');
        }
        write(out, row);
    }
    Ok(rows
        .last()
        .and_then(|row| row.id().as_u128().checked_add(1))
        .map(Uuid::from_u128))
}

async fn rows<T: Listed>(
    connection: &mut PgConnection,
    user: Uuid,
    least: Uuid,
) -> db::Result<Vec<T>> {
    Ok(sqlx::query_as(T::SELECT)
        .bind(user)
        .bind(least)
        .bind(PAGE)
        .fetch_all(connection)
        .await?)
}

fn write(out: &mut BytesMut, value: &impl Serialize) {
    serde_json::to_writer(out.writer(), value)
        .expect("plain rows are always JSON, and memory takes all bytes");
}
