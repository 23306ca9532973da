//! The process that starts the services, restarts them, applies changes, and stops them in order. It is `cargo dev up` itself, in the
//! foreground or detached.
//!
//! The rules are a state machine without I/O ([`machine`]). The [`event_loop`] passes it what happens and carries its actions out: it holds
//! the processes ([`hands`]) and polls the [`jobs`].

mod backoff;
mod candidate;
mod checkup;
pub(crate) mod control;
mod databases;
pub mod detached;
mod draining;
mod event_loop;
mod hands;
mod jobs;
pub(crate) mod leftovers;
mod machine;
mod mounted_lock;
mod password;
mod preparation;
mod presence;
mod protocol;
mod serving;
mod sources;
mod status_hub;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::project::lock::{Lock, SUPERVISOR};
use crate::report::events::{Address, Event, Events, Source};
use crate::report::snapshot::Stage;
use crate::report::up::{Up, UpOptions};
use crate::{Environment, Error};
use event_loop::EventLoop;
use presence::Presence;
use process::log_file::LogFile;
use process::shutdown::Shutdown;
use status_hub::StatusHub;

/// How long a short command of another shell is waited for.
const SHORT_WORK: Duration = Duration::from_secs(60);
/// The API's bound, PostgreSQL's, and some more.
const STOPPING: Duration = Duration::from_secs(90);

/// Runs the services until they are asked to stop.
///
/// # Errors
/// They cannot be started; nothing stays then.
pub(crate) async fn run(
    environment: &Environment,
    options: UpOptions,
    events: &Events,
    stop: &Shutdown,
) -> Result<Up, Error> {
    let checkout = &environment.checkout;
    let socket = presence::socket(checkout);
    let lock = tokio::select! {
        biased;
        () = stop.requested() => return Ok(Up::Stopped),
        lock = lock_or_supervisor(environment, &socket, events) => lock?,
    };
    let lock = match lock {
        Ok(lock) => lock,
        Err(already) => return Ok(already),
    };
    let hub = StatusHub::default();
    let events = log_to_file(environment, hub.relay(events.clone()));
    let (orders, asked) = mpsc::channel(8);
    let (presence, ready_socket) = Presence::begin(
        environment,
        lock,
        &socket,
        (hub.clone(), stop.clone(), orders),
        events.clone(),
    )?;
    let event_loop = EventLoop::new(
        environment.clone(),
        options,
        (hub, events),
        ready_socket,
        (stop.clone(), asked),
    );
    let outcome = event_loop.run().await;
    presence.end().await;
    outcome.map(|()| Up::Stopped)
}

/// The lock, or the supervisor that has it and goes on. One that ends is waited for.
async fn lock_or_supervisor(
    environment: &Environment,
    socket: &Path,
    events: &Events,
) -> Result<Result<Lock, Up>, Error> {
    let checkout = &environment.checkout;
    loop {
        if let Some(lock) = take(environment, socket.to_owned(), events).await? {
            return Ok(Ok(lock));
        }
        match control::supervisor(checkout).await? {
            Some((holder, snapshot)) if snapshot.stage == Stage::Stopping => {
                events.note(format!(
                    "the environment (pid {}) is stopping: it is started again when that is done",
                    holder.pid
                ));
                drop(Lock::wait(checkout, SUPERVISOR, STOPPING).await?);
            }
            Some((holder, snapshot)) => {
                return Ok(Err(Up::Already {
                    pid: Some(holder.pid),
                    doing: snapshot.doing,
                    addresses: snapshot.addresses,
                }));
            }
            // It has just ended.
            None => {}
        }
    }
}

/// The lock; `None` when a supervisor has it. A short command's is waited for.
async fn take(
    environment: &Environment,
    socket: PathBuf,
    events: &Events,
) -> Result<Option<Lock>, Error> {
    let checkout = &environment.checkout;
    match Lock::take(checkout, SUPERVISOR, Some(socket.clone())).await? {
        Ok(lock) => return Ok(Some(lock)),
        Err(holder) if holder.socket.is_some() => return Ok(None),
        Err(holder) => events.phase(format!("waiting for {} (pid {})", holder.what, holder.pid)),
    }
    drop(Lock::wait(checkout, SUPERVISOR, SHORT_WORK).await?);
    Ok(Lock::take(checkout, SUPERVISOR, Some(socket)).await?.ok())
}

/// What is worth knowing afterwards goes to data/logs/dev.log.
pub(crate) fn log_to_file(environment: &Environment, events: Events) -> Events {
    let file = LogFile::open(&environment.checkout.logs().join("dev.log"));
    Events::new(move |event| {
        match &event {
            Event::Phase(what) => file.stamped(what),
            Event::Note(text) => file.stamped(text),
            Event::Warning(text) => file.stamped(&format!("warning: {text}")),
            Event::Output {
                from: Source::Build,
                line,
            } => file.stamped(&format!("cargo: {line}")),
            Event::Ready(addresses) => file.stamped(&format!("ready: {}", urls(addresses))),
            Event::Reload(reload) => file.stamped(&reload.to_string()),
            Event::Progress { .. } | Event::Output { .. } | Event::BuildFailed | Event::Idle => {}
        }
        events.tell(event);
    })
}

fn urls(addresses: &[Address]) -> String {
    addresses
        .iter()
        .map(|address| address.url.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}
