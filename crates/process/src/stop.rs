//! A request to shut down, from a signal handler or any other source.

use std::sync::Arc;

use tokio::sync::watch;

/// A request to shut down that clones share. The first request asks for an orderly shutdown, the second for an immediate one.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<u32>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Stop {
    /// Requests a shutdown, or an immediate one if a shutdown is already requested.
    pub fn ask(&self) {
        self.0.send_modify(|times| *times += 1);
    }

    /// Requests a shutdown, unless one is already requested.
    pub fn ask_once(&self) {
        self.0.send_modify(|times| *times = (*times).max(1));
    }

    /// Returns whether a shutdown is requested.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Waits for the first request.
    pub async fn asked(&self) {
        self.asked_times(1).await;
    }

    /// Waits for the second request.
    pub async fn insisted(&self) {
        self.asked_times(2).await;
    }

    async fn asked_times(&self, times: u32) {
        let mut asked = self.0.subscribe();
        asked
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
        let stop = Stop::default();
        let clone = stop.clone();
        assert!(!stop.is_asked());
        clone.ask_once();
        clone.ask_once();
        stop.asked().await;
        assert!(stop.is_asked());
        let pending = std::pin::pin!(stop.insisted());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(pending.poll(&mut context), Poll::Pending);
        clone.ask();
        stop.insisted().await;
    }
}
