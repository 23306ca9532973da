//! Pictures of feelings over HTTP.

use std::sync::Arc;

use axum::extract::FromRef;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use emotionviz_core::openapi::{Always, WithBody};
use emotionviz_core::{ApiError, Data, ErrorCode, Failure, Json};
use emotionviz_guard::{Guard, PictureRequest};
use emotionviz_settings::PictureSide;
use painter::{Category, Color, Mood};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::schemas::{Drawing, FeelingRequest, ImageSize, Moods, Provider};
use crate::services::{self, Error, FeelingCategory, FeelingPainter};

#[derive(Clone)]
pub(crate) struct State {
    guard: Arc<Guard>,
    painter: Arc<FeelingPainter>,
}

impl State {
    pub(crate) fn new(guard: Arc<Guard>, side: PictureSide) -> Self {
        Self {
            guard,
            painter: Arc::new(FeelingPainter::new(side)),
        }
    }
}

impl FromRef<State> for Arc<Guard> {
    fn from_ref(state: &State) -> Self {
        state.guard.clone()
    }
}

pub(crate) fn router(state: State) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(draw_feeling))
        .routes(routes!(list_moods))
        .with_state(state)
}

type Call = axum::extract::State<State>;

/// Draws a feeling. No token is needed.
#[utoipa::path(post, path = "/visualizations/feeling", operation_id = "draw_feeling", tag = "drawings", request_body = FeelingRequest, responses(
    (status = 200, body = Data<Drawing>, description = "The picture"),
    (status = 429, body = Failure, description = "Too many pictures for this address"),
    WithBody, Always,
))]
async fn draw_feeling(
    call: Call,
    client: PictureRequest,
    Json(feeling): Json<FeelingRequest>,
) -> Result<Data<Drawing>, ApiError> {
    let category = FeelingCategory::from_id(&feeling.feeling_category)?;
    let moods = services::moods(feeling.selected_emotions)?;
    let drawing = call
        .painter
        .draw_feeling(client.address, category, moods)
        .await?;
    Ok(Data::new(Drawing::from(&*drawing)))
}

/// Lists the moods that can be drawn.
#[utoipa::path(get, path = "/visualizations/emotions", operation_id = "list_moods", tag = "drawings", responses(
    (status = 200, body = Data<Moods>, description = "The ids of the moods"),
    Always,
))]
async fn list_moods() -> Data<Moods> {
    Data::new(Moods {
        positive_emotions: services::mood_ids(Category::Good),
        negative_emotions: services::mood_ids(Category::Bad),
        all_emotions: Mood::ALL.map(Mood::id).to_vec(),
    })
}

impl From<&services::Drawing> for Drawing {
    fn from(drawing: &services::Drawing) -> Self {
        Self {
            image_data: STANDARD.encode(&drawing.png),
            image_format: "png",
            image_size: ImageSize {
                width: drawing.side,
                height: drawing.side,
            },
            prompt_used: drawing.description.clone(),
            dominant_colors: drawing.colors.iter().map(Color::to_string).collect(),
            generation_time_ms: u64::try_from(drawing.took.as_millis()).unwrap_or(u64::MAX),
            provider: Provider::BuiltIn,
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::UnknownCategory(invalid) => Self::from(ErrorCode::InvalidCategory)
                .with("invalid_values", vec![invalid])
                .with(
                    "valid_values",
                    FeelingCategory::ALL.map(FeelingCategory::id).to_vec(),
                ),
            Error::UnknownMoods(invalid) => Self::from(ErrorCode::InvalidEmotion)
                .with("invalid_values", invalid)
                .with("valid_values", Mood::ALL.map(Mood::id).to_vec()),
            Error::Painter(cause) => Self::internal(cause),
        }
    }
}
