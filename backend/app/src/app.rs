//! All features and their state, put together into one router.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use emotionviz_core::openapi::Failure;
use emotionviz_core::security::Passwords;
use emotionviz_core::{ApiError, ErrorCode, request};
use emotionviz_guard::Guard;
use emotionviz_settings::{Origins, Service};
use sqlx::PgPool;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use crate::{documents, health};

/// The largest body, in bytes: the longest entry in the widest characters, escaped, and room.
const MOST_BODY_BYTES: usize = 256 * 1024;

/// The service, ready to be served.
pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) pool: PgPool,
    pub(crate) guard: Arc<Guard>,
}

/// Builds it. Nothing is connected yet.
pub(crate) fn build(settings: &Service) -> App {
    let pool = emotionviz_db::pool::open(&settings.database);
    let guard = Guard::new(pool.clone(), &settings.security, settings.limits, &settings.http);
    let accounts = emotionviz_accounts::State { pool: pool.clone(), guard: guard.clone(), passwords: Passwords::new() };
    let entries = emotionviz_entries::State { pool: pool.clone(), guard: guard.clone() };
    let api = OpenApiRouter::new().merge(emotionviz_accounts::router(accounts)).merge(emotionviz_entries::router(entries));
    let (router, document) =
        OpenApiRouter::with_openapi(Document::openapi()).nest("/api/v1", api).merge(health::router(pool.clone())).split_for_parts();
    let router = router
        .merge(documents::router(&document))
        .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
        .layer(CatchPanicLayer::custom(|_| -> Response { ApiError::from(ErrorCode::InternalError).into_response() }))
        .layer(cors(settings.http.origins.clone()))
        .layer(middleware::from_fn(request::track));
    App { router, pool, guard }
}

/// The origins of the settings may call with credentials (<https://fetch.spec.whatwg.org/#http-cors-protocol>). Which headers they
/// send does not matter: who may call at all is decided by the origin and the token.
fn cors(origins: Origins) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| origin.to_str().is_ok_and(|origin| origins.allow(origin))))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([request::REQUEST_ID, request::RATE_LIMIT, request::RATE_REMAINING, request::RATE_RESET, header::RETRY_AFTER])
        .max_age(std::time::Duration::from_secs(3600))
}

#[derive(OpenApi)]
#[openapi(
    info(title = "EmotionVisualizer API", description = "A journal that turns feelings into pictures."),
    components(schemas(Failure)),
    modifiers(&BearerToken),
    tags(
        (name = "accounts", description = "Register, log in, export, delete"),
        (name = "entries", description = "Journal entries and their emotions"),
        (name = "health", description = "Whether the service lives and can serve"),
    ),
)]
struct Document;

struct BearerToken;

impl utoipa::Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut http = Http::new(HttpAuthScheme::Bearer);
        http.bearer_format = Some("JWT".to_owned());
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(http));
    }
}
