//! What the supervisor says of itself: kept up to date by it, read by whoever asks over the control socket.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::report::events::{Address, Event, Events, Source};
use crate::report::reload::{Reload, Watching};
use crate::report::status::State;
use crate::supervisor::control::Answer;

/// Where the supervisor is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// Not everything has run yet.
    #[default]
    Starting,
    /// Everything was started.
    Running,
    /// It ends.
    Stopping,
}

/// The supervisor's state at a moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Where it is in its life.
    pub stage: Stage,
    /// What it does, unless everything runs.
    pub doing: Option<String>,
    /// The HTTP service.
    pub api: Running,
    /// The database.
    pub db: Running,
    /// The service's program, once it is known.
    pub program: Option<PathBuf>,
    /// PostgreSQL's programs, once they are known.
    pub bin_dir: Option<PathBuf>,
    /// Where everything answers, once it does.
    pub addresses: Vec<Address>,
    /// How changed files are noticed; `None` where they are not.
    pub watching: Option<Watching>,
    /// The last reloads, oldest first.
    pub reloads: Vec<Reload>,
}

/// As many reloads are remembered.
const REMEMBERED: usize = 20;

/// A service at a moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Running {
    pub state: State,
    pub pid: Option<u32>,
    pub port: Option<u16>,
    pub url: Option<String>,
    pub since: Option<SystemTime>,
    pub version: Option<String>,
    /// The reason why it does not run, if known.
    pub reason: Option<String>,
    pub restarts: u32,
}

impl Running {
    /// It was started.
    pub(crate) fn started(&mut self, pid: Option<u32>) {
        (self.state, self.pid, self.since) = (State::Starting, pid, Some(SystemTime::now()));
    }

    /// It ended.
    pub(crate) fn ended(&mut self, state: State) {
        (self.state, self.pid, self.since) = (state, None, None);
    }
}

/// The snapshot and those who listen.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    snapshot: Snapshot,
    listeners: Vec<mpsc::UnboundedSender<Answer>>,
    answered: u64,
}

impl Board {
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.lock().snapshot.clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.lock().snapshot);
    }

    /// How many requests the API has answered so far: those that have a line in its log, which probes have not.
    pub(crate) fn answered(&self) -> u64 {
        self.lock().answered
    }

    /// Also tells `listener` whatever happens, until it hangs up.
    pub(crate) fn listen(&self, listener: mpsc::UnboundedSender<Answer>) {
        self.lock().listeners.push(listener);
    }

    /// Events that go to `events`, and to those who listen here.
    pub(crate) fn relay(&self, events: Events) -> Events {
        let board = self.clone();
        Events::new(move |event| {
            if matches!(&event, Event::Output { from: Source::Api, line } if is_request(line)) {
                board.lock().answered += 1;
            }
            board.update(|snapshot| match &event {
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
                _ => {}
            });
            board
                .lock()
                .listeners
                .retain(|listener| listener.send(Answer::Event(event.clone())).is_ok());
            events.tell(event);
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a line of the API's log is the one of a request, in either form.
fn is_request(line: &str) -> bool {
    line.contains(" request method=") || line.contains("\"message\":\"request\"")
}
