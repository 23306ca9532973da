//! Runs blocking work in its own thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs blocking work in its own thread, which is notified when the caller stops waiting. Returns `None` after a panic. The runtime's
/// pool is not used, because the runtime waits for it at its end, and stalled work must not delay the exit of the process.
pub async fn in_thread<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> T + Send + 'static,
) -> Option<T> {
    struct Cancel(Arc<AtomicBool>);
    impl Drop for Cancel {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let cancel = Cancel(Arc::default());
    let cancelled = Arc::clone(&cancel.0);
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _caller_is_gone = sender.send(work(&cancelled));
    });
    receiver.await.ok()
}

/// Runs asynchronous work in a thread without a runtime.
///
/// # Panics
/// The system has no resources for a runtime, or the thread already runs one.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs no more than memory")
        .block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_in_a_thread_returns_its_result_or_none_after_a_panic() {
        assert_eq!(in_thread(|_| 7).await, Some(7));
        let panics = in_thread(|_| -> u8 { std::panic::resume_unwind(Box::new("expected")) });
        assert_eq!(panics.await, None);
    }

    #[tokio::test]
    async fn work_is_notified_when_its_caller_stops_waiting() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let work = in_thread(move |cancelled| {
            while !cancelled.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            sender.send(()).unwrap();
        });
        assert!(
            tokio::time::timeout(std::time::Duration::ZERO, work)
                .await
                .is_err()
        );
        receiver.await.unwrap();
    }
}
