//! What belongs to one request: its id, its user, its place in the rate limits, its one line in the log, and its place in the metrics.

use std::cell::Cell;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
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

struct Context {
    id: HeaderValue,
    user: Cell<Option<Uuid>>,
    rate_limit: Cell<Option<RateLimit>>,
}

tokio::task_local! {
    static CONTEXT: Context;
}

/// The id of the request that this task serves.
pub fn id() -> Option<HeaderValue> {
    CONTEXT.try_with(|c| c.id.clone()).ok()
}

/// Says who makes the request that this task serves.
pub fn set_user(user: Uuid) {
    CONTEXT.try_with(|c| c.user.set(Some(user))).ok();
}

/// Says what the rate limits leave to the client of the request that this task serves.
pub fn set_rate_limit(limit: RateLimit) {
    CONTEXT.try_with(|c| c.rate_limit.set(Some(limit))).ok();
}

/// The outermost layer: gives the request its id, each failure its shape, the log its line, and counts it.
pub async fn track(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let context = Context { id: id_for(request.headers()), user: Cell::new(None), rate_limit: Cell::new(None) };
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let serve = async move {
        let mut unfinished = Line { method, route, started, status: None, requests };
        let mut response = envelope::shaped(next.run(request).await);
        CONTEXT.with(|c| write_headers(c, response.headers_mut()));
        unfinished.status = Some(response.status());
        response
    };
    CONTEXT.scope(context, serve).await
}

fn write_headers(context: &Context, headers: &mut HeaderMap) {
    headers.insert(REQUEST_ID, context.id.clone());
    if let Some(left) = context.rate_limit.get() {
        headers.insert(RATE_LIMIT, left.limit.into());
        headers.insert(RATE_REMAINING, left.remaining.into());
        headers.insert(RATE_RESET, left.reset.into());
    }
}

/// The client's own id when it is a valid one, else a new one.
fn id_for(headers: &HeaderMap) -> HeaderValue {
    match headers.get(REQUEST_ID) {
        Some(id) if is_valid(id.as_bytes()) => id.clone(),
        _ => {
            let mut text = Uuid::encode_buffer();
            HeaderValue::from_str(Uuid::new_v4().hyphenated().encode_lower(&mut text)).expect("a UUID is ASCII")
        }
    }
}

fn is_valid(id: &[u8]) -> bool {
    (1..=64).contains(&id.len()) && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// The request's line in the log, and in the metrics, written when it is dropped: also when the client goes away before the answer.
struct Line {
    method: Method,
    route: Option<MatchedPath>,
    started: Instant,
    status: Option<StatusCode>,
    requests: Requests,
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
        self.requests.count(&self.method, route, self.status.as_ref().map_or("499", StatusCode::as_str), took);
        let status = self.status.map_or(499, |s| s.as_u16());
        let duration_ms = took.as_micros() as f64 / 1000.0;
        let user = CONTEXT.try_with(|c| c.user.get()).ok().flatten();
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
        for good in ["a", "A-b_9", "5da4fb3c-7b21-4e5d-922d-92a894b3b178", &"x".repeat(64)] {
            assert!(is_valid(good.as_bytes()), "{good}");
        }
        for bad in ["", "a b", "a\tb", "ä", "{}", &"x".repeat(65)] {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
    }
}
