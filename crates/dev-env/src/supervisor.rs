//! The process that starts the services, watches over them, and ends them in order.
//!
//! It is `cargo dev up` itself, in the foreground or detached. One task does everything in turn, so that a wish to stop
//! interrupts whatever goes on: what was started by then is ended, and what was under way is dropped, which ends it too.

mod again;
mod news;
mod services;

use std::future::pending;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::board::Board;
use crate::control::{Answer, Control, Restart, socket};
use crate::engine::{Service, Up, UpOptions};
use crate::events::{Address, Event, Events};
use crate::lock::Lock;
use crate::log_file::LogFile;
use crate::stop::Stop;
use crate::{Environment, Error, control};
use news::News;
use services::Services;

/// How long a short command of another shell is waited for.
const SHORT_WORK: Duration = Duration::from_secs(60);

/// Runs the services until somebody asks to stop.
///
/// # Errors
/// They cannot be started; nothing stays then.
pub(crate) async fn run(environment: &Environment, options: UpOptions, events: &Events, stop: &Stop) -> Result<Up, Error> {
    let checkout = &environment.checkout;
    let socket = socket(checkout, std::env::var_os("XDG_RUNTIME_DIR").as_deref())?;
    let _lock = loop {
        if let Some(lock) = take(environment, socket.clone(), events).await? {
            break lock;
        }
        // Without an answer it has just ended.
        if let Some((holder, snapshot)) = control::supervisor(checkout).await? {
            return Ok(Up::Already { pid: holder.pid, doing: snapshot.doing, addresses: snapshot.addresses });
        }
    };
    let board = Board::default();
    let events = log_to_file(environment, board.relay(events.clone()));
    let (restarts, asked) = mpsc::channel(8);
    let _control = Control::listen(&socket, board.clone(), stop.clone(), restarts)?;
    let mut services = Services::new(environment.clone(), options, board.clone(), events.clone());
    let outcome = watch(&mut services, &events, stop, asked).await;
    board.update(|snapshot| snapshot.doing = Some("stopping".to_owned()));
    if services.run_something() {
        events.phase("stopping");
    }
    tokio::select! {
        () = services.stop() => {}
        // Dropping the services, which follows, ends them at once.
        () = stop.insisted() => events.warn("ending everything at once"),
    }
    outcome.map(|()| Up::Stopped)
}

/// The lock; `None` when a supervisor has it. A short command's is waited for.
async fn take(environment: &Environment, socket: std::path::PathBuf, events: &Events) -> Result<Option<Lock>, Error> {
    let checkout = &environment.checkout;
    match Lock::take(checkout, "cargo dev up", Some(socket.clone())).await? {
        Ok(lock) => return Ok(Some(lock)),
        Err(holder) if holder.socket.is_some() => return Ok(None),
        Err(holder) => events.phase(format!("waiting for {} (pid {})", holder.what, holder.pid)),
    }
    drop(Lock::wait(checkout, "cargo dev up", SHORT_WORK).await?);
    Ok(Lock::take(checkout, "cargo dev up", Some(socket)).await?.ok())
}

/// Starts everything, then does what comes up, until somebody asks to stop.
async fn watch(services: &mut Services, events: &Events, stop: &Stop, mut asked: mpsc::Receiver<Restart>) -> Result<(), Error> {
    tokio::select! {
        biased;
        () = stop.asked() => return Ok(()),
        started = services.start() => events.tell(Event::Ready(started?)),
    }
    loop {
        let news = tokio::select! {
            biased;
            () = stop.asked() => return Ok(()),
            Some(restart) = asked.recv() => Happened::Asked(restart),
            news = services.news() => Happened::News(news),
        };
        tokio::select! {
            biased;
            () = stop.asked() => return Ok(()),
            () = handle(services, news) => events.tell(Event::Idle),
        }
    }
}

enum Happened {
    Asked(Restart),
    News(News),
}

async fn handle(services: &mut Services, happened: Happened) {
    match happened {
        Happened::News(news) => services.react(news).await,
        Happened::Asked(restart) => {
            let answer = match services.restart(restart.service).await {
                Ok(()) => Answer::Done,
                Err(error) => Answer::Failed(error.to_string()),
            };
            drop(restart.answers.send(answer));
        }
    }
}

/// What is worth knowing afterwards goes to data/logs/dev.log.
fn log_to_file(environment: &Environment, events: Events) -> Events {
    let file = LogFile::open(&environment.checkout.logs().join("dev.log"));
    Events::new(move |event| {
        match &event {
            Event::Phase(what) => file.stamped(what),
            Event::Note(text) => file.stamped(text),
            Event::Warning(text) => file.stamped(&format!("warning: {text}")),
            Event::Output { from: crate::events::Source::Build, line } => file.stamped(&format!("cargo: {line}")),
            Event::Ready(addresses) => file.stamped(&format!("ready: {}", urls(addresses))),
            Event::Progress { .. } | Event::Output { .. } | Event::Idle => {}
        }
        events.tell(event);
    })
}

fn urls(addresses: &[Address]) -> String {
    addresses.iter().map(|address| address.url.as_str()).collect::<Vec<_>>().join(" ")
}

/// Waits for ever where there is nothing to wait for.
async fn never<T>() -> T {
    pending().await
}

/// Whether a restart that was asked for concerns a service.
fn concerns(asked: Option<Service>, service: Service) -> bool {
    asked.is_none_or(|asked| asked == service)
}
