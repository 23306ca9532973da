//! What belongs to one request: its id, its user, its place in the rate limits, its one line in the log, and its place in the metrics.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;
use tower::{Layer, Service};
use uuid::Uuid;

use crate::envelope;
use crate::metrics::Requests;

/// The header that carries a request's id, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How many requests a window admits.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
/// How many of them are left.
pub const RATE_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// When the next window begins, in seconds since 1970.
pub const RATE_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What a rate limit leaves to the client of this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many requests the window admits.
    pub limit: u32,
    /// How many of them are left.
    pub remaining: u32,
    /// When the next window begins, in seconds since 1970.
    pub reset: i64,
}

/// What is known of the request that a task serves.
pub struct Current {
    id: Id,
    user: Cell<Option<Uuid>>,
    rate_limit: Cell<Option<RateLimit>>,
}

tokio::task_local! {
    static CURRENT: Current;
}

/// The id of the request that this task serves.
pub fn id() -> Option<HeaderValue> {
    CURRENT.try_with(|c| c.id.to_header()).ok()
}

/// Says who makes the request that this task serves.
pub fn set_user(user: Uuid) {
    CURRENT.try_with(|c| c.user.set(Some(user))).ok();
}

/// Says what the rate limits leave to the client of the request that this task serves.
pub fn set_rate_limit(limit: RateLimit) {
    CURRENT.try_with(|c| c.rate_limit.set(Some(limit))).ok();
}

/// The outermost layer: gives the request its id, each failure its shape, the log its line, and counts it.
#[derive(Clone, Copy)]
pub struct Track(pub &'static Requests);

impl<S> Layer<S> for Track {
    type Service = Tracked<S>;

    fn layer(&self, inner: S) -> Tracked<S> {
        Tracked {
            requests: self.0,
            inner,
        }
    }
}

/// What [`Track`] makes of a service.
#[derive(Clone)]
pub struct Tracked<S> {
    requests: &'static Requests,
    inner: S,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Tracked<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = TaskLocalFuture<Current, Answering<S::Future>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let unfinished = Line {
            started: Instant::now(),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            status: None,
            requests: self.requests,
        };
        let current = Current {
            id: Id::of(request.headers()),
            user: Cell::new(None),
            rate_limit: Cell::new(None),
        };
        CURRENT.scope(
            current,
            Answering {
                answer: self.inner.call(request),
                unfinished,
            },
        )
    }
}

pin_project! {
    /// An answer of which something is made yet.
    pub struct Answering<F> {
        #[pin]
        answer: F,
        unfinished: Line,
    }
}

impl<E, F: Future<Output = Result<Response, E>>> Future for Answering<F> {
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = envelope::shaped(ready!(this.answer.poll(context))?);
        CURRENT.with(|c| write_headers(c, response.headers_mut()));
        this.unfinished.status = Some(response.status());
        Poll::Ready(Ok(response))
    }
}

fn write_headers(current: &Current, headers: &mut HeaderMap) {
    headers.insert(REQUEST_ID, current.id.to_header());
    if let Some(left) = current.rate_limit.get() {
        headers.insert(RATE_LIMIT, left.limit.into());
        headers.insert(RATE_REMAINING, left.remaining.into());
        headers.insert(RATE_RESET, left.reset.into());
    }
}

/// A request's id.
enum Id {
    Clients(HeaderValue),
    Ours(Uuid),
}

impl Id {
    /// The client's own when it is a valid one, else a new one.
    fn of(headers: &HeaderMap) -> Self {
        match headers.get(REQUEST_ID) {
            Some(id) if is_valid(id.as_bytes()) => Self::Clients(id.clone()),
            _ => Self::Ours(Uuid::new_v4()),
        }
    }

    fn to_header(&self) -> HeaderValue {
        match self {
            Self::Clients(id) => id.clone(),
            Self::Ours(id) => {
                let mut text = Uuid::encode_buffer();
                HeaderValue::from_str(id.hyphenated().encode_lower(&mut text))
                    .expect("a UUID is ASCII")
            }
        }
    }
}

fn is_valid(id: &[u8]) -> bool {
    (1..=64).contains(&id.len())
        && id
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// The request's line in the log, and in the metrics, written when it is dropped: also when the client goes away before the answer.
struct Line {
    method: Method,
    route: Option<MatchedPath>,
    started: Instant,
    status: Option<StatusCode>,
    requests: &'static Requests,
}

impl Drop for Line {
    fn drop(&mut self) {
        let route = self.route.as_ref().map_or("-", MatchedPath::as_str);
        let failed = self.status.is_none_or(|s| s.is_server_error());
        if !failed && (route.starts_with("/health") || route == "/metrics") {
            return;
        }
        let method = self.method.as_str();
        let took = self.started.elapsed();
        // nginx's number for a client that went away.
        self.requests.count(
            &self.method,
            route,
            self.status.as_ref().map_or("499", StatusCode::as_str),
            took,
        );
        let status = self.status.map_or(499, |s| s.as_u16());
        let duration_ms = took.as_micros() as f64 / 1000.0;
        let user = CURRENT.try_with(|c| c.user.get()).ok().flatten();
        let mut text = Uuid::encode_buffer();
        let user_id = user.map(|user| &*user.hyphenated().encode_lower(&mut text));
        if status >= 500 {
            tracing::error!(method, route, status, duration_ms, user_id, "request");
        } else {
            tracing::info!(method, route, status, duration_ms, user_id, "request");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_taken_over() {
        for good in [
            "a",
            "A-b_9",
            "5da4fb3c-7b21-4e5d-922d-92a894b3b178",
            &"x".repeat(64),
        ] {
            assert!(is_valid(good.as_bytes()), "{good}");
        }
        for bad in ["", "a b", "a\tb", "ä", "{}", &"x".repeat(65)] {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
    }
}
