//! Waits for conditions that no event reports.

use std::time::{Duration, Instant};

/// Calls `condition` every `every` until it returns a value, and at least once. Returns `None` after the deadline.
pub async fn poll_until<T, F: Future<Output = Option<T>>>(
    deadline: tokio::time::Instant,
    every: Duration,
    mut condition: impl FnMut() -> F,
) -> Option<T> {
    loop {
        let value = condition().await;
        if value.is_some() || tokio::time::Instant::now() >= deadline {
            return value;
        }
        tokio::time::sleep(every).await;
    }
}

/// Does the same in a thread that may block.
pub fn poll_blocking<T>(
    deadline: Instant,
    every: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> Option<T> {
    loop {
        let value = condition();
        if value.is_some() || Instant::now() >= deadline {
            return value;
        }
        std::thread::sleep(every);
    }
}

/// Returns the time after `bound`.
pub fn after(bound: Duration) -> tokio::time::Instant {
    tokio::time::Instant::now() + bound
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    #[tokio::test]
    async fn a_condition_is_polled_until_it_holds_or_the_deadline_passes() {
        let every = Duration::from_millis(1);
        let mut calls = 0;
        let counted = poll_until(after(Duration::from_secs(60)), every, || {
            calls += 1;
            ready((calls == 3).then_some(calls))
        });
        assert_eq!(counted.await, Some(3));
        let mut calls = 0;
        let never = poll_until(after(Duration::ZERO), every, || {
            calls += 1;
            ready(None::<()>)
        });
        assert_eq!((never.await, calls), (None, 1));
        let mut calls = 0;
        let counted = poll_blocking(Instant::now() + Duration::from_secs(60), every, || {
            calls += 1;
            (calls == 3).then_some(calls)
        });
        assert_eq!(counted, Some(3));
        assert_eq!(poll_blocking(Instant::now(), every, || None::<()>), None);
    }
}
