//! All features and their state, put together into one router.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use emotionviz_core::metrics::Requests;
use emotionviz_core::{ApiError, Clock, ErrorCode, Failure, read_body, track};
use emotionviz_db::Pool;
use emotionviz_guard::{Guard, Passwords};
use emotionviz_settings::{Origins, Service};
use prometheus::Registry;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use crate::websockets::WebSockets;
use crate::{cors, documents, health, metrics};

/// The longest entry in the widest characters, escaped, fits into it.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// The time limit of a handler until the head of its answer. A streamed answer may take longer.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(30);

pub struct App {
    pub router: Router,
    pub pool: Pool,
    pub guard: Arc<Guard>,
    pub websockets: WebSockets,
    pub requests: Arc<Requests>,
}

/// Builds the service. Nothing is connected yet.
pub fn build(settings: &Service, clock: Clock) -> App {
    let pool = Pool::new(&settings.database, clock.clone());
    let websockets = WebSockets::default();
    let guard = Guard::new(
        pool.clone(),
        &settings.security,
        settings.limits,
        &settings.http,
        clock,
    );
    let accounts = emotionviz_accounts::router(pool.clone(), guard.clone(), Passwords::new());
    let entries = emotionviz_entries::router(pool.clone(), guard.clone());
    let drawings = emotionviz_drawings::router(guard.clone(), settings.providers.picture_side);
    let api = OpenApiRouter::new()
        .merge(accounts)
        .merge(entries)
        .merge(drawings);
    let registry = Registry::new();
    let requests = Arc::new(Requests::new(&registry));
    let probes = health::router(pool.clone()).merge(metrics::router(registry, pool.clone()));
    let (probes, probes_document) = probes.split_for_parts();
    let (api, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .nest("/api/v1", api)
        .split_for_parts();
    document.merge(probes_document);
    let router = layered(
        probes,
        api.merge(documents::router(&document)),
        settings.http.origins.clone(),
        requests.clone(),
    );
    App {
        router,
        pool,
        guard,
        websockets,
        requests,
    }
}

/// Adds the middleware: limits to `others` alone, the rest to all routes.
fn layered(probes: Router, others: Router, origins: Origins, requests: Arc<Requests>) -> Router {
    let limits = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(|_| -> Response {
            ApiError::from(ErrorCode::InternalError).into_response()
        }))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            TIME_LIMIT,
        ));
    let every = ServiceBuilder::new()
        .layer(from_fn_with_state(requests, track))
        .layer(cors::layer(origins))
        .layer(from_fn_with_state(MAX_BODY_BYTES, read_body));
    // With a state, axum builds each handler once, and not for each request.
    others
        .layer(limits)
        .merge(probes)
        .layer(every)
        .with_state(())
}

#[derive(OpenApi)]
#[openapi(
    info(title = "EmotionVisualizer API", description = "A journal that turns feelings into pictures."),
    components(schemas(Failure)),
    modifiers(&BearerToken),
    tags(
        (name = "accounts", description = "Register, log in, export, delete"),
        (name = "entries", description = "Journal entries and their emotions"),
        (name = "drawings", description = "Pictures of feelings"),
        (name = "health", description = "Whether the service lives and can serve, and its figures"),
    ),
)]
struct Document;

struct BearerToken;

impl utoipa::Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut http = Http::new(HttpAuthScheme::Bearer);
        http.bearer_format = Some("JWT".to_owned());
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(http));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::{Body, Bytes, to_bytes};
    use axum::http::Request;
    use axum::routing::{get, post};
    use emotionviz_settings::Kind;
    use tower::ServiceExt;

    use super::*;

    /// Returns the status and the error code of a request to the route.
    async fn failure(route: axum::routing::MethodRouter) -> (u16, String) {
        let (routes, origins) = (
            Router::new().route("/", route),
            Origins::read("https://app.example").unwrap(),
        );
        let router = layered(
            Router::new(),
            routes,
            origins,
            Arc::new(Requests::new(&Registry::new())),
        );
        let request = Request::get("/")
            .header("origin", "https://app.example")
            .body(Body::empty())
            .unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(
            response.headers()["access-control-allow-origin"],
            "https://app.example"
        );
        let (status, id) = (
            response.status().as_u16(),
            response.headers()["x-request-id"]
                .to_str()
                .unwrap()
                .to_owned(),
        );
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&body["success"], &body["meta"]["request_id"]),
            (&false.into(), &id.into()),
            "{body}"
        );
        assert!(!body.to_string().contains("planted"), "{body}");
        (status, body["error"]["code"].as_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn a_panic_has_the_error_envelope() {
        let panicking = || async {
            if true {
                panic!("planted {}", "text")
            }
        };
        assert_eq!(
            failure(get(panicking)).await,
            (500, "INTERNAL_ERROR".to_owned())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_out_has_the_error_envelope() {
        let slow = || tokio::time::sleep(2 * TIME_LIMIT);
        assert_eq!(
            failure(get(slow)).await,
            (503, "SERVICE_UNAVAILABLE".to_owned())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_given_up_and_its_connection_closed() {
        let stalled =
            Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>());
        let request = Request::post("/").body(stalled).unwrap();
        let router = layered(
            Router::new(),
            Router::new().route("/", post(|| async {})),
            Origins::read("https://app.example").unwrap(),
            Arc::new(Requests::new(&Registry::new())),
        );
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(response.headers()["connection"], "close");
    }

    #[tokio::test]
    async fn an_answer_of_a_library_has_the_error_envelope() {
        let bare = || async { (StatusCode::IM_A_TEAPOT, "planted") };
        assert_eq!(
            failure(get(bare)).await,
            (418, "VALIDATION_ERROR".to_owned())
        );
    }
}
