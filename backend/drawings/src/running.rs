//! Requests that are being worked on, each once.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

/// Work in progress, by a keyed hash of the request, from which the request cannot be read.
///
/// Work ends when all requests that wait for it have gone.
pub(crate) struct Running<T> {
    hasher: RandomState,
    work: Arc<Mutex<HashMap<u64, WeakShared<BoxFuture<'static, T>>>>>,
}

impl<T: Clone + Send + Sync + 'static> Running<T> {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            work: Arc::default(),
        }
    }

    /// Joins the work for an equal request, or starts it.
    pub(crate) fn join(
        &self,
        request: impl Hash,
        start: impl FnOnce() -> BoxFuture<'static, T>,
    ) -> Shared<BoxFuture<'static, T>> {
        let key = self.hasher.hash_one(request);
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.retain(|_, shared| {
            shared
                .upgrade()
                .is_some_and(|shared| shared.peek().is_none())
        });
        if let Some(running) = work.get(&key).and_then(WeakShared::upgrade) {
            return running;
        }
        let started = start().shared();
        // The future has not been polled, so it can be downgraded.
        work.extend(started.downgrade().map(|weak| (key, weak)));
        started
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn equal_requests_share_the_work_until_it_is_done() {
        let (running, count, done) = (
            Running::new(),
            Arc::new(AtomicU32::new(0)),
            Arc::new(Notify::new()),
        );
        let join = |request: &'static str| {
            let (count, done) = (count.clone(), done.clone());
            running.join(request, move || {
                async move {
                    let number = count.fetch_add(1, Ordering::Relaxed);
                    done.notified().await;
                    number
                }
                .boxed()
            })
        };
        let (first, twin) = (join("a"), join("a"));
        done.notify_one();
        assert_eq!((first.await, twin.await), (0, 0));
        let again = join("a");
        done.notify_one();
        assert_eq!(again.await, 1);
    }

    #[tokio::test]
    async fn different_requests_are_worked_on_separately() {
        let running = Running::new();
        let join =
            |request: &'static str| running.join(request, move || async move { request }.boxed());
        let (one, other) = (join("a"), join("b"));
        assert_eq!((one.await, other.await), ("a", "b"));
    }

    #[tokio::test]
    async fn work_without_requests_is_dropped() {
        let running = Running::new();
        let held = Arc::new(());
        let inside = held.clone();
        drop(running.join("a", move || {
            async move {
                std::future::pending::<()>().await;
                drop(inside);
            }
            .boxed()
        }));
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
