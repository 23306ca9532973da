//! Cross-origin calls (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use std::time::Duration;

use axum::http::{Method, header};
use emotionviz_core::request;
use emotionviz_settings::Origins;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// Lets the origins of the settings call with credentials, with any request headers: the origin and the token decide who may call.
pub(crate) fn layer(origins: Origins) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| {
            origin.to_str().is_ok_and(|origin| origins.allow(origin))
        }))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            request::REQUEST_ID,
            request::RATE_LIMIT,
            request::RATE_REMAINING,
            request::RATE_RESET,
            header::RETRY_AFTER,
        ])
        .max_age(Duration::from_secs(3600))
}
