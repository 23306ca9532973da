//! The process that starts the services, watches over them, and ends them in order.
//!
//! It is `cargo dev up` itself, in the foreground or detached. One task does everything in turn, so that a wish to stop
//! interrupts whatever goes on: what was started by then is ended, and what was under way is dropped, which ends it too.

mod again;
mod api;
mod attempt;
pub(crate) mod board;
mod checkup;
pub(crate) mod control;
pub mod detached;
mod handover;
pub(crate) mod leftovers;
mod news;
mod password;
mod presence;
mod reloading;
mod restart;
mod retiring;
mod services;

use std::future::pending;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::Checkout;
use crate::Environment;
use crate::Error;
use crate::project::lock::Lock;
use crate::project::lock::SUPERVISOR;
use crate::report::events::Address;
use crate::report::events::Event;
use crate::report::events::Events;
use crate::report::up::Service;
use crate::report::up::Up;
use crate::report::up::UpOptions;
use crate::supervisor::board::Board;
use crate::supervisor::board::Stage;
use crate::supervisor::control::Answer;
use crate::supervisor::control::Order;
use crate::supervisor::control::Work;
use news::News;
use presence::Presence;
use process::log_file::LogFile;
use process::shutdown::Shutdown;
use services::Services;

/// How long a short command of another shell is waited for.
const SHORT_WORK: Duration = Duration::from_secs(60);
/// The API's bound, PostgreSQL's, and some more.
const STOPPING: Duration = Duration::from_secs(90);

/// What it does while nothing runs, since the sources do not compile.
pub(crate) const WAITS_TO_BE_MENDED: &str = "waiting for sources that compile";

/// Runs the services until somebody asks to stop.
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
    let board = Board::default();
    let events = log_to_file(environment, board.relay(events.clone()));
    let (orders, asked) = mpsc::channel(8);
    let (presence, ready_socket) = Presence::begin(
        environment,
        lock,
        &socket,
        (board.clone(), stop.clone(), orders),
        events.clone(),
    )?;
    let mut services = Services::new(
        environment.clone(),
        options,
        ready_socket,
        board.clone(),
        events.clone(),
    );
    let outcome = watch(&mut services, &events, stop, asked).await;
    board.update(|snapshot| {
        (snapshot.stage, snapshot.doing) = (Stage::Stopping, Some("stopping".to_owned()))
    });
    if services.run_something() {
        events.phase("stopping");
    }
    tokio::select! {
        () = services.stop() => {}
        // Dropping the services, which follows, ends them at once.
        () = stop.requested_twice() => events.warn("ending everything at once"),
    }
    drop(services);
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
    socket: std::path::PathBuf,
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

/// Starts everything, then does what comes up, until somebody asks to stop.
async fn watch(
    services: &mut Services,
    events: &Events,
    stop: &Shutdown,
    mut asked: mpsc::Receiver<Order>,
) -> Result<(), Error> {
    let lock = MountedLock::of(&services.environment);
    tokio::select! {
        biased;
        () = stop.requested() => return Ok(()),
        started = start(services, &lock, events) => events.tell(Event::Ready(started?)),
    }
    services
        .board
        .update(|snapshot| snapshot.stage = Stage::Running);
    loop {
        let happened = tokio::select! {
            biased;
            () = stop.requested() => return Ok(()),
            Some(order) = asked.recv() => Happened::Asked(order),
            news = services.news() => Happened::News(news),
        };
        match happened {
            Happened::News(News::Attempted(attempted))
                if attempted
                    .as_ref()
                    .as_ref()
                    .is_err_and(|error| lock.is_refused(error)) =>
            {
                return Err(Error::LockReplaced);
            }
            // Between the file and the database nothing may come.
            Happened::Asked(Order {
                work: Work::ChangePassword(password),
                answers,
            }) => {
                let changed = services.change_password(password).await;
                if changed.is_ok() {
                    tokio::select! {
                        biased;
                        () = stop.requested() => {}
                        () = services.take_passwords_over() => {}
                    }
                }
                answer(&answers, changed.map(Answer::Written));
            }
            Happened::Asked(Order {
                work: Work::Restart(service),
                answers,
            }) => {
                let restarted = tokio::select! {
                    biased;
                    () = stop.requested() => return Ok(()),
                    restarted = services.restart(service) => restarted,
                };
                answer(&answers, restarted.map(|()| Answer::Done));
            }
            Happened::News(news) => tokio::select! {
                biased;
                () = stop.requested() => return Ok(()),
                () = services.react(news) => {}
            },
        }
        if services.reloading.attempt.is_none() {
            events.tell(Event::Idle);
        }
    }
}

/// Starts everything. In the container sources that do not compile are waited for to be mended, where somebody looks at them: it would
/// only be started again.
async fn start(
    services: &mut Services,
    lock: &MountedLock,
    events: &Events,
) -> Result<Vec<Address>, Error> {
    loop {
        match services.start().await {
            Err(error) if lock.is_refused(&error) => return Err(Error::LockReplaced),
            Err(error @ Error::Build { .. })
                if services.environment.is_in_container() && services.options.reload =>
            {
                events.warn(format!("{error}\nit is built again when they change"));
                events.phase(WAITS_TO_BE_MENDED);
                services.next_save().await;
            }
            started => return started,
        }
    }
}

/// Cargo.lock where it is mounted by itself, so that cargo may write it: in a container.
struct MountedLock(Option<Checkout>);

impl MountedLock {
    fn of(environment: &Environment) -> Self {
        let checkout = Some(&environment.checkout)
            .filter(|checkout| environment.is_in_container() && lock_is_mounted(checkout));
        Self(checkout.cloned())
    }

    /// Whether that is why a build failed: it was replaced, and what is there now can only be read.
    fn is_refused(&self, error: &Error) -> bool {
        // EACCES and EROFS, as Rust's standard library says them.
        let is_refusal = |said: &str| {
            said.contains("Cargo.lock")
                && ["os error 13", "os error 30"]
                    .iter()
                    .any(|code| said.contains(code))
        };
        let refused = matches!(error, Error::Build { said } if is_refusal(said));
        refused
            && self
                .0
                .as_ref()
                .is_some_and(|checkout| !lock_is_mounted(checkout))
    }
}

/// Returns whether Cargo.lock is a mount of its own, which can be written. The kernel removes the mount when the file is replaced outside
/// the container, for example by git (proc(5), mountinfo: the fifth field is the mount point).
fn lock_is_mounted(checkout: &Checkout) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let lock = checkout.root().join("Cargo.lock");
    mounts.lines().any(|line| {
        line.split(' ')
            .nth(4)
            .is_some_and(|place| Path::new(place) == lock)
    })
}

enum Happened {
    Asked(Order),
    News(News),
}

fn answer(answers: &mpsc::UnboundedSender<Answer>, outcome: Result<Answer, Error>) {
    // Whoever asked may be gone.
    let _gone = answers.send(outcome.unwrap_or_else(|error| Answer::Failed(error.to_string())));
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
                from: crate::report::events::Source::Build,
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

/// Waits for ever where there is nothing to wait for.
async fn never<T>() -> T {
    pending().await
}

/// Whether a restart that was asked for concerns a service.
fn concerns(asked: Option<Service>, service: Service) -> bool {
    asked.is_none_or(|asked| asked == service)
}
