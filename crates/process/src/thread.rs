//! Runs blocking work in its own thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs blocking work in its own thread, which is notified when the caller stops waiting. Returns `None` after a panic. The runtime's
/// pool is not used, because the runtime waits for it at its end, and stalled work must not delay Ctrl-C.
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
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs no more than memory")
        .block_on(work)
}
