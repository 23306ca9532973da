use std::borrow::Cow;
use std::fmt::Display;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::{Meta, envelope};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $status:ident, $message:literal;)+) => {
        /// What went wrong, in a word that clients can tell apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)+
        }

        impl PartialSchema for ErrorCode {
            fn schema() -> RefOr<Schema> {
                let codes = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([$($text),+]));
                codes.description(Some("What went wrong, in a word that clients can tell apart.")).into()
            }
        }

        impl ErrorCode {
            /// The HTTP status that goes with it.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            /// The sentence for clients when there is nothing more precise to say.
            fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)+ }
            }
        }
    };
}

codes! {
    /// A field is missing, of the wrong type or out of range.
    ValidationError = "VALIDATION_ERROR", BAD_REQUEST, "The request is not valid.";
    /// An emotion that is not known.
    InvalidEmotion = "INVALID_EMOTION", BAD_REQUEST, "An emotion is not known.";
    /// No token, one that does not count, or wrong credentials.
    Unauthorized = "UNAUTHORIZED", UNAUTHORIZED, "Sign in to do this.";
    /// Somebody else's, or the account is inactive.
    Forbidden = "FORBIDDEN", FORBIDDEN, "This is not yours.";
    /// No such resource or path.
    NotFound = "NOT_FOUND", NOT_FOUND, "There is nothing here.";
    /// The path does not take this method.
    MethodNotAllowed = "METHOD_NOT_ALLOWED", METHOD_NOT_ALLOWED, "This path does not take that method.";
    /// It contradicts what is there.
    Conflict = "CONFLICT", CONFLICT, "This contradicts what is there.";
    /// The body is over the limit.
    PayloadTooLarge = "PAYLOAD_TOO_LARGE", PAYLOAD_TOO_LARGE, "The body is too large.";
    /// The body is no JSON.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", UNSUPPORTED_MEDIA_TYPE, "The body must be JSON: Content-Type: application/json.";
    /// Too many requests.
    RateLimitExceeded = "RATE_LIMIT_EXCEEDED", TOO_MANY_REQUESTS, "Too many requests: try again later.";
    /// A fault of ours.
    InternalError = "INTERNAL_ERROR", INTERNAL_SERVER_ERROR, "Something went wrong on our side.";
    /// The database is away.
    ServiceUnavailable = "SERVICE_UNAVAILABLE", SERVICE_UNAVAILABLE, "The service is not available: try again later.";
}

impl ErrorCode {
    /// The code that stands for a status which something else than our own code chose.
    pub(crate) fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::SERVICE_UNAVAILABLE => Self::ServiceUnavailable,
            status if status.is_client_error() => Self::ValidationError,
            _ => Self::InternalError,
        }
    }
}

impl ToSchema for ErrorCode {}

/// A failure, as the client sees it. Never made of what the client sent: its texts end in logs and screenshots.
#[derive(Debug)]
pub struct ApiError {
    code: ErrorCode,
    message: Cow<'static, str>,
    details: Map<String, Value>,
    retry_after: Option<u64>,
}

#[derive(Serialize)]
struct Failure<'a> {
    success: bool,
    error: FailureError<'a>,
    meta: Meta,
}

#[derive(Serialize)]
struct FailureError<'a> {
    code: ErrorCode,
    message: &'a str,
    details: &'a Map<String, Value>,
}

impl ApiError {
    /// A failure with a sentence of its own.
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

    /// A failure that something unforeseen caused. The cause is logged here and shown to nobody; it must hold no user's text.
    pub fn internal(cause: impl Display) -> Self {
        tracing::error!(%cause, "internal error");
        ErrorCode::InternalError.into()
    }

    /// A failure that passes when something else comes back. The cause is logged here; it must hold no user's text.
    pub fn unavailable(cause: impl Display) -> Self {
        tracing::warn!(%cause, "unavailable");
        ErrorCode::ServiceUnavailable.into()
    }

    /// Fields that break a rule: each one's name, and the rule as "must be between 0 and 1".
    pub fn fields<K: Into<String>, V: Into<Value>>(
        fields: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let fields: Map<String, Value> = fields
            .into_iter()
            .map(|(name, rule)| (name.into(), rule.into()))
            .collect();
        Self::from(ErrorCode::ValidationError).with("fields", fields)
    }

    /// Too many requests; `seconds` from now there will be room again.
    pub fn rate_limited(seconds: u64) -> Self {
        let mut error =
            Self::from(ErrorCode::RateLimitExceeded).with("retry_after_seconds", json!(seconds));
        error.retry_after = Some(seconds);
        error
    }

    fn failure(&self, meta: Meta) -> Failure<'_> {
        Failure {
            success: false,
            error: FailureError {
                code: self.code,
                message: &self.message,
                details: &self.details,
            },
            meta,
        }
    }

    /// Its code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.message())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = envelope::json(self.code.status(), &self.failure(Meta::now()));
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.code == ErrorCode::Unauthorized {
            // RFC 9110, 11.6.1: a 401 names the scheme.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
