use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{ApiError, ErrorCode, request, time};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What every answer says of itself.
#[derive(Serialize, ToSchema)]
pub struct Meta {
    /// When it was made.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    timestamp: String,
    /// The request's id, also in the header `x-request-id`.
    request_id: String,
    /// The version of the HTTP contract.
    #[schema(example = "v1")]
    api_version: &'static str,
}

impl Meta {
    /// Returns the metadata of an answer to the request that this task serves.
    pub fn now() -> Self {
        Self {
            timestamp: time::now(),
            request_id: request::id()
                .and_then(|id| id.to_str().map(str::to_owned).ok())
                .unwrap_or_default(),
            api_version: "v1",
        }
    }
}

/// A successful answer: `{"success": true, "data": …, "meta": …}`.
#[derive(Serialize, ToSchema)]
#[schema(as = Success)]
pub struct Data<T> {
    #[schema(example = true)]
    success: bool,
    data: T,
    meta: Meta,
}

impl<T> Data<T> {
    /// An answer to the request that this task serves.
    pub fn new(data: T) -> Self {
        Self {
            success: true,
            data,
            meta: Meta::now(),
        }
    }
}

impl<T: Serialize> IntoResponse for Data<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self)
    }
}

/// An answer without the envelope, whatever its status: health and the like.
pub struct Plain<T>(pub StatusCode, pub T);

impl<T: Serialize> IntoResponse for Plain<T> {
    fn into_response(self) -> Response {
        json(self.0, &self.1)
    }
}

/// Marks a failure that has the envelope already.
#[derive(Clone, Copy)]
struct Enveloped;

/// A response with a JSON body that is serialised once, here.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => with_bytes(status, bytes.into()),
        Err(cause) => ApiError::internal(cause).into_response(),
    }
}

fn with_bytes(status: StatusCode, bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    if is_failure(status) {
        response.extensions_mut().insert(Enveloped);
    }
    response
}

fn is_failure(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// Wraps a failure of the router or of a library in the error envelope.
pub(crate) fn into_error_response(response: Response) -> Response {
    let status = response.status();
    if !is_failure(status) || response.extensions().get::<Enveloped>().is_some() {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(CONTENT_LENGTH);
    let mut failure = ApiError::from(ErrorCode::of(status)).into_response();
    *failure.status_mut() = status;
    failure.headers_mut().extend(parts.headers);
    failure
}
