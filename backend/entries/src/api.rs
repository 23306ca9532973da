//! Journal entries over HTTP.

use std::sync::Arc;

use axum::extract::FromRef;
use axum::http::StatusCode;
use emotionviz_core::openapi::{Always, WithBody, WithOwner, WithToken};
use emotionviz_core::{ApiError, Data, ErrorCode, Failure, Id, Json, Query};
use emotionviz_db::{EMOTIONS, JOURNAL_EMOTIONS};
use emotionviz_guard::{CurrentUser, Guard};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::models::{self, Draft, Filter, Order, Page};
use crate::schemas::{
    Created, Emotion, EmotionList, Entry, EntryChange, EntryList, ListParams, NewEntry, Sort,
};
use crate::services::{self, Error};

#[derive(Clone)]
pub(crate) struct State {
    pub(crate) pool: emotionviz_db::Pool,
    pub(crate) guard: Arc<Guard>,
}

impl FromRef<State> for Arc<Guard> {
    fn from_ref(state: &State) -> Self {
        state.guard.clone()
    }
}

pub(crate) fn router(state: State) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(list_emotions))
        .with_state(state)
}

type Call = axum::extract::State<State>;

/// A page of the user's entries.
#[utoipa::path(get, path = "/entries", operation_id = "list_entries", tag = "entries", params(ListParams), security(("bearer" = [])), responses(
    (status = 200, body = Data<EntryList>, description = "The page"),
    (status = 400, body = Failure, description = "A parameter breaks a rule"),
    WithToken, Always,
))]
async fn list(
    call: Call,
    user: CurrentUser,
    Query(params): Query<ListParams>,
) -> Result<Data<EntryList>, ApiError> {
    let filter = Filter {
        emotion: params.emotion,
        from: params.from,
        to: params.to,
    };
    let page = Page {
        order: params.sort.into(),
        limit: params.limit,
        offset: params.offset,
    };
    let (entries, total) = services::list(&call.pool, user.id, filter, page).await?;
    let entries = entries.into_iter().map(Entry::from).collect();
    Ok(Data::new(EntryList {
        entries,
        total,
        limit: params.limit,
        offset: params.offset,
    }))
}

/// Stores an entry.
#[utoipa::path(post, path = "/entries", operation_id = "create_entry", tag = "entries", request_body = NewEntry, security(("bearer" = [])), responses(
    (status = 201, body = Data<Created>, description = "The entry"),
    WithBody, WithToken, Always,
))]
async fn create(
    call: Call,
    user: CurrentUser,
    Json(new): Json<NewEntry>,
) -> Result<(StatusCode, Data<Created>), ApiError> {
    let draft = Draft {
        situation: Some(new.situation),
        emotions: Some(new.emotions),
        intensity: Some(new.intensity),
        notes: Some(new.notes),
    };
    let entry = services::create(&call.pool, user.id, draft).await?.into();
    Ok((StatusCode::CREATED, Data::new(Created { entry })))
}

/// One of the user's entries.
#[utoipa::path(get, path = "/entries/{id}", operation_id = "get_entry", tag = "entries", params(("id" = uuid::Uuid, Path)), security(("bearer" = [])), responses(
    (status = 200, body = Data<Entry>, description = "The entry"),
    WithToken, WithOwner, Always,
))]
async fn get(call: Call, user: CurrentUser, Id(id): Id) -> Result<Data<Entry>, ApiError> {
    Ok(Data::new(
        services::get(&call.pool, user.id, id).await?.into(),
    ))
}

/// Changes what the body names.
#[utoipa::path(put, path = "/entries/{id}", operation_id = "update_entry", tag = "entries", params(("id" = uuid::Uuid, Path)), request_body = EntryChange,
    security(("bearer" = [])), responses(
    (status = 200, body = Data<Entry>, description = "The entry as it is now"),
    WithBody, WithToken, WithOwner, Always,
))]
async fn update(
    call: Call,
    user: CurrentUser,
    Id(id): Id,
    Json(change): Json<EntryChange>,
) -> Result<Data<Entry>, ApiError> {
    let draft = Draft {
        situation: change.situation,
        emotions: change.emotions,
        intensity: change.intensity,
        notes: change.notes,
    };
    Ok(Data::new(
        services::update(&call.pool, user.id, id, draft)
            .await?
            .into(),
    ))
}

/// Deletes an entry, and its visualization.
#[utoipa::path(delete, path = "/entries/{id}", operation_id = "delete_entry", tag = "entries", params(("id" = uuid::Uuid, Path)), security(("bearer" = [])), responses(
    (status = 204, description = "It is gone"),
    WithToken, WithOwner, Always,
))]
async fn delete(call: Call, user: CurrentUser, Id(id): Id) -> Result<StatusCode, ApiError> {
    services::delete(&call.pool, user.id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The emotions that an entry may name.
#[utoipa::path(get, path = "/emotions", tag = "entries", responses(
    (status = 200, body = Data<EmotionList>, description = "All of them"),
    Always,
))]
async fn list_emotions() -> Data<EmotionList> {
    let emotions = EMOTIONS
        .iter()
        .map(|e| Emotion {
            id: e.id,
            name: e.name,
            description: e.description,
            color: e.color,
            icon: e.icon,
        })
        .collect();
    Data::new(EmotionList { emotions })
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::UnknownEmotions(invalid) => Self::from(ErrorCode::InvalidEmotion)
                .with("invalid_values", invalid)
                .with("valid_values", JOURNAL_EMOTIONS.to_vec()),
            Error::NotYours => Self::new(ErrorCode::Forbidden, "This entry is another user's."),
            Error::Missing => Self::new(ErrorCode::NotFound, "There is no such entry."),
            Error::Database(error) => error.into(),
        }
    }
}

impl From<models::Entry> for Entry {
    fn from(entry: models::Entry) -> Self {
        Self {
            id: entry.id,
            situation: entry.situation,
            emotions: entry.emotions.into_iter().flatten().collect(),
            intensity: entry.intensity,
            notes: entry.notes,
            created_at: entry.created_at,
            updated_at: entry.updated_at,
            has_visualization: entry.visualization_id.is_some(),
            visualization_id: entry.visualization_id,
        }
    }
}

impl From<Sort> for Order {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Created => Self::Created,
            Sort::CreatedDesc => Self::CreatedDesc,
            Sort::Intensity => Self::Intensity,
            Sort::IntensityDesc => Self::IntensityDesc,
            Sort::Updated => Self::Updated,
            Sort::UpdatedDesc => Self::UpdatedDesc,
        }
    }
}
