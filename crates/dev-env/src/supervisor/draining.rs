//! Former processes of the API: they finish the requests that they have begun, and end.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::report::events::Events;
use process::{Process, StopSignal};

/// Longer than the bounds of the service: it closes idle connections, finishes requests, and writes its last log lines.
const BOUND: Duration = Duration::from_secs(40);

/// The processes that drain.
pub(super) struct Draining {
    processes: JoinSet<()>,
    hurry: watch::Sender<bool>,
    events: Events,
}

impl Draining {
    pub(super) fn new(events: Events) -> Self {
        Self {
            processes: JoinSet::new(),
            hurry: watch::Sender::new(false),
            events,
        }
    }

    /// Lets a process drain. A process that was never ready has no clients, and may not handle the signal for draining yet.
    pub(super) fn add(&mut self, mut process: Process, was_ready: bool) {
        while self.processes.try_join_next().is_some() {}
        let signal = if was_ready {
            StopSignal::Quit
        } else {
            StopSignal::Terminate
        };
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

    /// Stops all of them within the usual bound of the API.
    pub(super) async fn stop(mut self) {
        self.hurry.send_replace(true);
        while self.processes.join_next().await.is_some() {}
    }
}
