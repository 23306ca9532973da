//! The OpenAPI document and two ways to read it, all from this binary.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use emotionviz_core::{ApiError, ErrorCode};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

const HTML_REDOC: &str = include_str!("../assets/redoc/index.html");
/// From the Python package drf-spectacular-sidecar, which takes it from npm's `redoc`; its licence is in the same folder.
const SCRIPT_REDOC: &[u8] = include_bytes!("../assets/redoc/redoc.standalone.js");

/// Both pages are scripts that create styles and images, and send requests to this service alone.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; worker-src 'self' blob:",
);
const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
/// A new version of the service may have a new bundle.
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// Serves `/openapi.json`, `/docs` (Swagger UI) and `/redoc`.
pub(crate) fn router(document: &OpenApi) -> Router {
    let json = Bytes::from(document.to_json().expect("an OpenAPI document is JSON"));
    let config = Arc::new(
        Config::from("/openapi.json")
            .persist_authorization(true)
            .try_it_out_enabled(true),
    );
    Router::new()
        .route(
            "/openapi.json",
            get(async move || {
                (
                    [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                    json,
                )
            }),
        )
        .route("/docs", get(async || Redirect::permanent("/docs/")))
        .route(
            "/docs/",
            get({
                let config = config.clone();
                async move || swagger_file("index.html", config)
            }),
        )
        .route(
            "/docs/{*file}",
            get(async move |Path(file): Path<String>| swagger_file(&file, config)),
        )
        .route(
            "/redoc",
            get(async || ([(CONTENT_SECURITY_POLICY, POLICY)], Html(HTML_REDOC))),
        )
        .route(
            "/redoc/redoc.standalone.js",
            get(async || {
                (
                    [(CONTENT_TYPE, JAVASCRIPT), (CACHE_CONTROL, AN_HOUR)],
                    SCRIPT_REDOC,
                )
            }),
        )
}

fn swagger_file(path: &str, config: Arc<Config<'_>>) -> Response {
    let file = match utoipa_swagger_ui::serve(path, config) {
        Ok(Some(file)) => file,
        Ok(None) => return ApiError::from(ErrorCode::NotFound).into_response(),
        Err(cause) => return ApiError::internal(cause).into_response(),
    };
    let Ok(kind) = HeaderValue::try_from(&file.content_type) else {
        return ApiError::internal("a content type").into_response();
    };
    let headers = [(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, POLICY)];
    let mut response = (StatusCode::OK, headers, file.bytes.into_owned()).into_response();
    if file.gzpipped {
        response
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
