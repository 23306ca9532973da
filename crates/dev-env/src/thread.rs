//! Blocking work in a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs blocking work in a thread of its own, which is told when the caller does not wait any more; `None` when it panicked. Not in the
/// runtime's pool: the end of the runtime waits for that, and work that stalls must not hold up a Ctrl-C.
pub(crate) async fn in_thread<T: Send + 'static>(work: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> Option<T> {
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
