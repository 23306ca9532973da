//! Errors of calls and of the configuration. None of them holds text of a prompt or an answer, nor the key.

use std::fmt;
use std::time::Duration;

/// Why a [`Client`](crate::Client) could not be created.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The base URL is not an `http` or `https` URL.
    #[error("the base URL is not an http or https URL")]
    BaseUrl,
    /// The key has characters that an HTTP header cannot carry.
    #[error("the API key is empty or has characters that an HTTP header cannot carry")]
    ApiKey,
    /// The model's name has other characters than letters, digits, `.`, `-` and `_`.
    #[error("the name of the model must consist of letters, digits, '.', '-' and '_'")]
    Model,
    /// The trusted certificates of the system could not be read.
    #[error("the trusted certificates of the system could not be read")]
    Certificates(#[source] rustls::Error),
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up")]
    Http(#[source] reqwest::Error),
}

/// Why a call has no answer.
///
/// Reasons and status names are the provider's constants, such as `IMAGE_SAFETY`. Other text of the provider is never included.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The provider's filter refused the prompt or the answer. The same prompt will be refused again.
    #[error("the provider filtered the request ({reason})")]
    Filtered {
        /// The `blockReason` or `finishReason`.
        reason: String,
    },
    /// The answer has no picture, which is an ordinary event.
    #[error("the answer has no picture (finish reason {})", or_none(finish_reason))]
    NoPicture {
        /// The `finishReason`, if there is one.
        finish_reason: Option<String>,
    },
    /// The answer is empty, cut (`MAX_TOKENS`), or does not fit the type that was asked for.
    #[error("the answer does not fit (finish reason {})", or_none(finish_reason))]
    Unfit {
        /// The `finishReason`, if there is one.
        finish_reason: Option<String>,
    },
    /// The quota is used up.
    #[error("the quota is used up")]
    Quota {
        /// The wait that the provider asks for, or a minute if it states none. `None`: this key and model will never have a quota.
        retry_after: Option<Duration>,
    },
    /// The provider rejects the key.
    #[error("the provider rejects the API key")]
    BadKey,
    /// The model is unknown or retired.
    #[error("the model is unknown or retired")]
    RetiredModel,
    /// The answer was not complete in time.
    #[error("no complete answer within {} ms", waited.as_millis())]
    TimedOut {
        /// How long the last attempt waited for the provider. Zero: the deadline passed before a slot was free.
        waited: Duration,
    },
    /// No connection could be made.
    #[error("the provider cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The connection broke before the answer was complete.
    #[error("the connection broke before the answer was complete")]
    Interrupted(#[source] reqwest::Error),
    /// The response is larger than allowed.
    #[error("the response is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The response has a successful status, but its body is not what the protocol allows. It may be a web page of a proxy.
    #[error("the response is not valid")]
    InvalidResponse,
    /// Any other HTTP status.
    #[error("the provider answered with status {status} ({})", or_none(name))]
    Status {
        /// The HTTP status.
        status: u16,
        /// The name in the body, such as `INVALID_ARGUMENT`.
        name: Option<String>,
    },
    /// No request was sent, because of how earlier calls ended.
    #[error(transparent)]
    CircuitOpen(#[from] OpenCircuit),
}

/// Why the circuit is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Three calls in a row failed: no connection, no answer in time, a server error, or nonsense.
    Failures,
    /// The quota is used up.
    Quota,
    /// The provider rejects the key.
    BadKey,
    /// The model is unknown or retired.
    RetiredModel,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failures => "the last calls failed",
            Self::Quota => "the quota is used up",
            Self::BadKey => "the provider rejects the API key",
            Self::RetiredModel => "the model is unknown or retired",
        })
    }
}

/// The circuit is open: calls fail without a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("calls are suspended: {cause}")]
pub struct OpenCircuit {
    /// Why it is open.
    pub cause: Cause,
    /// When a call will be let through as a probe; zero while a probe runs. `None`: never.
    pub retry_after: Option<Duration>,
}

fn or_none(name: &Option<String>) -> &str {
    name.as_deref().unwrap_or("none")
}
