//! Journal entries and their emotions.

mod api;
mod models;
mod schemas;
mod services;

use std::sync::Arc;

use emotionviz_db::Pool;
use emotionviz_guard::Guard;
use utoipa_axum::router::OpenApiRouter;

/// Returns the calls on entries, below `/api/v1`.
// All that other crates see of this one, and in types of other crates: an edit of another file can go live without them.
#[inline(never)]
pub fn router(pool: Pool, guard: Arc<Guard>) -> OpenApiRouter {
    api::router(api::State { pool, guard })
}
