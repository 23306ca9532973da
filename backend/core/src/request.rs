//! The request that the current task serves: its id, its user, and what the rate limits leave to its client.

use std::cell::Cell;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries a request's id, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub const RATE_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub const RATE_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What a rate limit leaves to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many requests the window admits.
    pub limit: u32,
    pub remaining: u32,
    /// When the next window begins, in seconds since 1970.
    pub reset: i64,
}

struct Current {
    id: HeaderValue,
    user: Cell<Option<Uuid>>,
    rate_limit: Cell<Option<RateLimit>>,
}

tokio::task_local! {
    static CURRENT: Current;
}

/// Runs the work on a request. An id that the client sent is taken over if it is valid.
pub(crate) async fn scope<T>(sent: Option<HeaderValue>, work: impl Future<Output = T>) -> T {
    let id = match sent {
        Some(id) if is_valid(id.as_bytes()) => id,
        _ => HeaderValue::from_str(
            Uuid::new_v4()
                .hyphenated()
                .encode_lower(&mut Uuid::encode_buffer()),
        )
        .expect("a UUID is ASCII"),
    };
    let current = Current {
        id,
        user: Cell::new(None),
        rate_limit: Cell::new(None),
    };
    CURRENT.scope(current, work).await
}

fn is_valid(id: &[u8]) -> bool {
    (1..=64).contains(&id.len())
        && id
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

pub fn id() -> Option<HeaderValue> {
    CURRENT.try_with(|c| c.id.clone()).ok()
}

pub(crate) fn user() -> Option<Uuid> {
    CURRENT.try_with(|c| c.user.get()).ok().flatten()
}

pub fn set_user(user: Uuid) {
    CURRENT.try_with(|c| c.user.set(Some(user))).ok();
}

pub fn set_rate_limit(limit: RateLimit) {
    CURRENT.try_with(|c| c.rate_limit.set(Some(limit))).ok();
}

/// Writes the id and the rate limit into the headers of the answer.
pub(crate) fn write_headers(headers: &mut HeaderMap) {
    CURRENT.with(|current| {
        headers.insert(REQUEST_ID, current.id.clone());
        if let Some(left) = current.rate_limit.get() {
            headers.insert(RATE_LIMIT, left.limit.into());
            headers.insert(RATE_REMAINING, left.remaining.into());
            headers.insert(RATE_RESET, left.reset.into());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_ids_of_letters_digits_and_hyphens_are_taken_over() {
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
