use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::{request, time};

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
        let id = request::id();
        Self {
            timestamp: time::now(),
            request_id: id
                .as_ref()
                .and_then(|id| id.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
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

/// A response with a JSON body and without the envelope.
pub struct Plain<T>(pub StatusCode, pub T);

impl<T: Serialize> IntoResponse for Plain<T> {
    fn into_response(self) -> Response {
        json(self.0, &self.1)
    }
}

/// A failed answer.
#[derive(Serialize, ToSchema)]
pub struct Failure {
    /// Always false.
    #[schema(example = false)]
    success: bool,
    error: FailureError,
    meta: Meta,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
struct FailureError {
    code: ErrorCode,
    /// A sentence for a person.
    #[schema(value_type = String)]
    message: Cow<'static, str>,
    /// More, by code: `fields` with a rule for each wrong field, `retry_after_seconds`, `invalid_values`.
    #[schema(value_type = Object)]
    details: Map<String, Value>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let failure = Failure {
            success: false,
            error: FailureError {
                code: self.code,
                message: self.message,
                details: self.details,
            },
            meta: Meta::now(),
        };
        let mut response = json(status, &failure);
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110, 11.6.1: a 401 names the scheme.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Marks an answer of our own, which needs no envelope any more.
#[derive(Clone, Copy)]
struct Complete;

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let bytes = match serde_json::to_vec(body) {
        Ok(bytes) => bytes,
        Err(cause) => return ApiError::internal(cause).into_response(),
    };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if is_failure(status) {
        response.extensions_mut().insert(Complete);
    }
    response
}

fn is_failure(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// Wraps a failure of the router or of a library in the error envelope.
pub(crate) fn into_error_response(response: Response) -> Response {
    let status = response.status();
    if !is_failure(status) || response.extensions().get::<Complete>().is_some() {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(CONTENT_LENGTH);
    let mut failure = ApiError::from(ErrorCode::from_status(status)).into_response();
    *failure.status_mut() = status;
    failure.headers_mut().extend(parts.headers);
    failure
}
