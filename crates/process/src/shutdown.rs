//! A request to shut down, from a signal handler or any other source.

use std::sync::Arc;

use tokio::sync::watch;

/// A request to shut down that clones share. The first request asks for an orderly shutdown, the second for an immediate one.
#[derive(Clone, Debug)]
pub struct Shutdown(Arc<watch::Sender<u32>>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Shutdown {
    /// Requests a shutdown, or an immediate one if a shutdown is already requested.
    pub fn request(&self) {
        self.0.send_modify(|times| *times += 1);
    }

    /// Requests a shutdown, unless one is already requested.
    pub fn request_once(&self) {
        self.0.send_modify(|times| *times = (*times).max(1));
    }

    /// Returns whether a shutdown is requested.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Waits for the first request.
    pub async fn requested(&self) {
        self.requested_times(1).await;
    }

    /// Waits for the second request.
    pub async fn requested_twice(&self) {
        self.requested_times(2).await;
    }

    async fn requested_times(&self, times: u32) {
        let mut requests = self.0.subscribe();
        requests
            .wait_for(|n| *n >= times)
            .await
            .expect("self holds the sender");
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[tokio::test]
    async fn the_first_request_is_orderly_and_the_second_one_is_immediate() {
        let shutdown = Shutdown::default();
        let clone = shutdown.clone();
        assert!(!shutdown.is_requested());
        clone.request_once();
        clone.request_once();
        shutdown.requested().await;
        assert!(shutdown.is_requested());
        let pending = std::pin::pin!(shutdown.requested_twice());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(pending.poll(&mut context), Poll::Pending);
        clone.request();
        shutdown.requested_twice().await;
    }
}
