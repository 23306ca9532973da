//! The state of all services, kept up to date by the supervisor, and the commands that watch it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::report::events::{Event, Events, Source};
use crate::report::snapshot::Snapshot;

/// As many reloads are remembered.
const REMEMBERED: usize = 20;

/// The snapshot, and those who receive the events.
#[derive(Clone, Default)]
pub(crate) struct StatusHub(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    snapshot: Snapshot,
    subscribers: Vec<mpsc::UnboundedSender<Event>>,
    answered: u64,
}

impl StatusHub {
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.lock().snapshot.clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.lock().snapshot);
    }

    /// Returns how many requests the API has answered, without probes.
    pub(crate) fn answered(&self) -> u64 {
        self.lock().answered
    }

    /// Returns all events from now on.
    pub(crate) fn subscribe(&self) -> mpsc::UnboundedReceiver<Event> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().subscribers.push(sender);
        receiver
    }

    /// Returns events that go to `events` and to the subscribers, and that update the snapshot.
    pub(crate) fn relay(&self, events: Events) -> Events {
        let hub = self.clone();
        Events::new(move |event| {
            hub.note(&event);
            events.tell(event);
        })
    }

    fn note(&self, event: &Event) {
        let mut inner = self.lock();
        let snapshot = &mut inner.snapshot;
        match event {
            Event::Phase(what) => snapshot.doing = Some(what.clone()),
            Event::Ready(addresses) => {
                snapshot.doing = None;
                snapshot.addresses.clone_from(addresses);
            }
            Event::Reload(reload) => {
                let old = (snapshot.reloads.len() + 1).saturating_sub(REMEMBERED);
                snapshot.reloads.drain(..old);
                snapshot.reloads.push(reload.clone());
            }
            Event::Idle => snapshot.doing = None,
            Event::Output {
                from: Source::Api,
                line,
            } if is_request(line) => inner.answered += 1,
            _ => {}
        }
        inner
            .subscribers
            .retain(|subscriber| subscriber.send(event.clone()).is_ok());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a line of the API's log is the one of a request, in either format.
fn is_request(line: &str) -> bool {
    line.contains(" request method=") || line.contains("\"message\":\"request\"")
}
