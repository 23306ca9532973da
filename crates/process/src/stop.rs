//! The wish to stop, from wherever it comes: a signal, the control socket.

use std::sync::Arc;

use tokio::sync::watch;

/// Asked once: end everything in order. Asked again: at once.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<u32>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Stop {
    /// Asks, once more.
    pub fn ask(&self) {
        self.0.send_modify(|times| *times += 1);
    }

    /// Asks, unless somebody has asked.
    pub fn ask_once(&self) {
        self.0.send_modify(|times| *times = (*times).max(1));
    }

    /// Whether somebody has asked.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Waits until somebody asks.
    pub async fn asked(&self) {
        self.asked_times(1).await;
    }

    /// Waits until somebody has asked twice.
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
