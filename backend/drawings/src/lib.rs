//! Pictures of feelings, drawn on request and not stored.

mod api;
mod running;
mod schemas;
mod services;

use std::sync::Arc;

use emotionviz_guard::Guard;
use emotionviz_settings::PictureSide;
use utoipa_axum::router::OpenApiRouter;

/// Returns the calls that draw feelings, below `/api/v1`.
// All that other crates see of this one, and in types of other crates: an edit of another file can go live without them.
#[inline(never)]
pub fn router(guard: Arc<Guard>, side: PictureSide) -> OpenApiRouter {
    api::router(api::State::new(guard, side))
}
