//! Processes of the API whose socket another one has taken over: they answer what they have begun, and end.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::report::events::Events;
use process::{Process, StopSignal};

/// The service's own bounds: it takes leave of its clients, finishes what is under way, and says its last words.
const BOUND: Duration = Duration::from_secs(40);

/// Those that are still at it.
pub(super) struct Retiring {
    processes: JoinSet<()>,
    hurry: watch::Sender<bool>,
    events: Events,
}

impl Retiring {
    pub(super) fn new(events: Events) -> Self {
        Self {
            processes: JoinSet::new(),
            hurry: watch::Sender::new(false),
            events,
        }
    }

    /// Lets a process go. `signal` says in which way.
    pub(super) fn add(&mut self, mut process: Process, signal: StopSignal) {
        while self.processes.try_join_next().is_some() {}
        let (mut hurry, events) = (self.hurry.subscribe(), self.events.clone());
        self.processes.spawn(async move {
            let hurried = async { hurry.wait_for(|hurry| *hurry).await.is_ok() };
            let ended = tokio::select! {
                ended = process.stop_by(signal, BOUND) => ended,
                _ = hurried => process.stop().await,
            };
            if let Err(error) = ended {
                events.warn(error.to_string());
            }
        });
    }

    /// Ends them as any other process: the environment ends.
    pub(super) async fn stop(&mut self) {
        self.hurry.send_replace(true);
        while self.processes.join_next().await.is_some() {}
        self.hurry.send_replace(false);
    }
}
