use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::{ApiError, ErrorCode};

/// How long a body may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Reads the body before its handler runs, up to a number of bytes.
///
/// If an answer leaves a body unread, hyper closes the connection without notice, and the next request that its client sends there is lost.
/// Therefore a body is read even if the request is then rejected, and an answer to a body that was not read announces the close.
pub async fn read_body(State(limit): State<usize>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match read(body, limit).await {
        Ok(bytes) => {
            next.run(Request::from_parts(parts, Body::from(bytes)))
                .await
        }
        Err(error) => {
            let mut response = error.into_response();
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
            response
        }
    }
}

async fn read(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    // The client waits for `100 Continue` before it sends a body that its length already rules out.
    if body.size_hint().lower() > limit as u64 {
        return Err(ErrorCode::PayloadTooLarge.into());
    }
    match tokio::time::timeout(TIME_LIMIT, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_length_limit(&error) => Err(ErrorCode::PayloadTooLarge.into()),
        Ok(Err(_)) => Err(ApiError::new(
            ErrorCode::ValidationError,
            "The body could not be read.",
        )),
        Err(_) => Err(ErrorCode::RequestTimeout.into()),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}
