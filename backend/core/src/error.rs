use std::borrow::Cow;
use std::fmt::Display;

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What went wrong, in a word that clients can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    ValidationError,
    InvalidEmotion,
    InvalidCategory,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    PayloadTooLarge,
    UnsupportedMediaType,
    RateLimitExceeded,
    InternalError,
    ServiceUnavailable,
}

impl ErrorCode {
    pub fn status(self) -> StatusCode {
        self.status_and_message().0
    }

    /// Returns the status, and the sentence for clients that applies if the failure has none of its own.
    fn status_and_message(self) -> (StatusCode, &'static str) {
        match self {
            Self::ValidationError => (StatusCode::BAD_REQUEST, "The request is not valid."),
            Self::InvalidEmotion => (StatusCode::BAD_REQUEST, "An emotion is not known."),
            Self::InvalidCategory => (StatusCode::BAD_REQUEST, "The category is not known."),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "Sign in to do this."),
            Self::Forbidden => (StatusCode::FORBIDDEN, "This is not yours."),
            Self::NotFound => (StatusCode::NOT_FOUND, "There is nothing here."),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "This path does not take that method.",
            ),
            Self::RequestTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "The body came too slowly: try again.",
            ),
            Self::Conflict => (StatusCode::CONFLICT, "This contradicts what is there."),
            Self::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be JSON: Content-Type: application/json.",
            ),
            Self::RateLimitExceeded => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests: try again later.",
            ),
            Self::InternalError => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong on our side.",
            ),
            Self::ServiceUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The service is not available: try again later.",
            ),
        }
    }

    /// Returns the code for a status that the router or a library chose.
    pub(crate) fn from_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Self::RequestTimeout,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::SERVICE_UNAVAILABLE => Self::ServiceUnavailable,
            status if status.is_client_error() => Self::ValidationError,
            _ => Self::InternalError,
        }
    }
}

/// A failure as the client sees it. It holds nothing that the client sent: its texts end in logs and screenshots.
#[derive(Debug)]
pub struct ApiError {
    pub(crate) code: ErrorCode,
    pub(crate) message: Cow<'static, str>,
    pub(crate) details: Map<String, Value>,
    pub(crate) retry_after: Option<u64>,
}

impl ApiError {
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Map::new(),
            retry_after: None,
        }
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Logs the cause of a fault, which the client does not see. The cause must hold no text of a user.
    pub fn internal(cause: impl Display) -> Self {
        tracing::error!(%cause, "internal error");
        ErrorCode::InternalError.into()
    }

    /// Logs why the service is temporarily unavailable. The cause must hold no text of a user.
    pub fn unavailable(cause: impl Display) -> Self {
        tracing::warn!(%cause, "unavailable");
        ErrorCode::ServiceUnavailable.into()
    }

    /// Returns the failure of fields that break a rule: the name of each, and the rule as in "must be between 0 and 1".
    pub fn fields<K: Into<String>, V: Into<Value>>(
        fields: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let fields: Map<String, Value> = fields
            .into_iter()
            .map(|(name, rule)| (name.into(), rule.into()))
            .collect();
        Self::from(ErrorCode::ValidationError).with("fields", fields)
    }

    /// Returns the failure of too many requests, which ends in so many seconds.
    pub fn rate_limited(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::from(ErrorCode::RateLimitExceeded).with("retry_after_seconds", seconds)
        }
    }

    pub fn code(&self) -> ErrorCode {
        self.code
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.status_and_message().1)
    }
}
