//! Request and response bodies.

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A feeling to draw.
#[derive(Deserialize, ToSchema, Validate)]
pub(crate) struct FeelingRequest {
    /// One of `good`, `bad` and `not_sure`.
    #[garde(skip)]
    #[schema(example = "good")]
    pub(crate) feeling_category: String,
    /// Ids of moods, in any category. Duplicates are ignored.
    #[garde(custom(at_least_one))]
    #[schema(min_items = 1, example = json!(["chill", "content"]))]
    pub(crate) selected_emotions: Vec<String>,
}

/// A picture of a feeling.
#[derive(Serialize, ToSchema)]
pub(crate) struct Drawing {
    /// The picture in base64 (RFC 4648, section 4), with padding and without line breaks.
    #[schema(content_encoding = "base64", content_media_type = "image/png")]
    pub(crate) image_data: String,
    #[schema(example = "png")]
    pub(crate) image_format: &'static str,
    pub(crate) image_size: ImageSize,
    /// What was drawn.
    pub(crate) prompt_used: String,
    /// Three or four colours of the moods.
    #[schema(example = json!(["#A8E6CF", "#D4C4E8", "#9DC183"]))]
    pub(crate) dominant_colors: Vec<String>,
    pub(crate) generation_time_ms: u64,
    /// What drew the picture.
    pub(crate) provider: Provider,
}

/// The size of a picture in pixels.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImageSize {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// What draws pictures.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Provider {
    BuiltIn,
}

/// The ids of all moods that can be drawn.
#[derive(Serialize, ToSchema)]
pub(crate) struct Moods {
    pub(crate) positive_emotions: Vec<&'static str>,
    pub(crate) negative_emotions: Vec<&'static str>,
    pub(crate) all_emotions: Vec<&'static str>,
}

fn at_least_one(moods: &[String], (): &()) -> garde::Result {
    if moods.is_empty() {
        return Err(garde::Error::new("must hold at least one mood"));
    }
    Ok(())
}
