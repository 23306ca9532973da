//! `up` in the background: the tool starts itself in a session of its own and listens to it until it is ready.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdout, Command};

use crate::report::events::{Event, Events, Source};
use crate::report::up::{Up, UpOptions};
use crate::supervisor::protocol::{Message, Messages};
use crate::{Checkout, Error};
use process::shutdown::Shutdown;

/// At once, it ends within this.
const INSISTED_BOUND: Duration = Duration::from_secs(5);

/// Starts this program's `up` in the background, and returns when what it starts is ready.
///
/// # Errors
/// What it failed at, as in the foreground.
pub(crate) async fn start(
    checkout: &Checkout,
    options: UpOptions,
    events: &Events,
    stop: &Shutdown,
) -> Result<Up, Error> {
    let args = [
        ("--engine=native", true),
        ("up", true),
        ("--background", true),
        ("--lan", options.lan),
        ("--no-migrate", !options.migrate),
        ("--no-reload", !options.reload),
    ];
    let args = args
        .into_iter()
        .filter_map(|(arg, given)| given.then_some(arg));
    checkout.make_folders()?;
    let log = checkout.logs().join("dev.log");
    let io = |source| Error::io("start", &log, source);
    let stderr = process::log_file::open(&log).map_err(io)?;
    let mut command = std::process::Command::new(std::env::current_exe().map_err(io)?);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .current_dir(checkout.root());
    if options.colour {
        // What it tells is printed here, and its own files have none.
        command.env("CLICOLOR_FORCE", "1");
    }
    // SAFETY: setsid is async-signal-safe, and nothing else happens between fork and exec.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into));
    }
    let mut child = Command::from(command).spawn().map_err(io)?;
    let pid = child.id().unwrap_or_default();
    let stdout = child.stdout.take().expect("its standard output is a pipe");
    let mut messages = Messages::new(stdout);
    let ended = tokio::select! {
        ended = until_ready(&mut messages, events) => ended,
        () = stop.requested() => return end(child, messages, events, stop).await,
    };
    match ended {
        Some(Message::Ended(up)) => Ok(up),
        Some(Message::Failed(message)) => Err(Error::message(message)),
        Some(Message::Event(_)) => Ok(Up::Background { pid: Some(pid) }),
        Some(_) | None => Err(Error::hinted(
            "the environment ended without a word",
            format!("its last words may be in {}", log.display()),
        )),
    }
}

/// Passes events on until it is ready, has ended, or has failed.
async fn until_ready(messages: &mut Messages<ChildStdout>, events: &Events) -> Option<Message> {
    while let Ok(Some(message)) = messages.next().await {
        let Message::Event(event) = message else {
            return Some(message);
        };
        let is_ready = matches!(event, Event::Ready(_));
        events.tell(event.clone());
        if is_ready {
            return Some(Message::Event(event));
        }
    }
    None
}

/// Ends it before it is ready, and waits until nothing of it is left. A second wish is passed on, and it is killed when it does
/// not follow that one either.
async fn end(
    mut child: Child,
    mut messages: Messages<ChildStdout>,
    events: &Events,
    stop: &Shutdown,
) -> Result<Up, Error> {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .map(Pid::from_raw);
    let signal = |signal| {
        // It may have ended by itself.
        let _gone = pid.map(|pid| kill(pid, signal));
    };
    signal(Signal::SIGTERM);
    let ended = async {
        while until_ready(&mut messages, events).await.is_some() {}
        drop(child.wait().await);
    };
    tokio::pin!(ended);
    tokio::select! {
        () = &mut ended => return Ok(Up::Stopped),
        () = stop.requested_twice() => signal(Signal::SIGTERM),
    }
    if tokio::time::timeout(INSISTED_BOUND, &mut ended)
        .await
        .is_err()
    {
        signal(Signal::SIGKILL);
        ended.await;
    }
    Ok(Up::Stopped)
}

/// The background's side: tells the terminal what happens, until everything is ready.
pub struct Reporter;

impl Reporter {
    /// Events that go to the terminal which started this process.
    pub fn events() -> Events {
        Events::new(|event| {
            let ready = matches!(event, Event::Ready(_));
            // Logs of services have their own files.
            if !matches!(
                event,
                Event::Output {
                    from: Source::Api | Source::Db,
                    ..
                }
            ) {
                send(&Message::Event(event));
            }
            if ready {
                hang_up();
            }
        })
    }

    /// Tells how `up` ended.
    pub fn ended(outcome: &Result<Up, impl Display>) {
        send(&match outcome {
            Ok(up) => Message::Ended(up.clone()),
            Err(error) => Message::Failed(error.to_string()),
        });
    }
}

fn send(message: &Message) {
    // The terminal may be gone: the environment goes on.
    let _gone = std::io::stdout().write_all(message.line().as_bytes());
}

/// Standard output leads nowhere from now on, so that the other end sees its end.
fn hang_up() {
    if let Ok(null) = OpenOptions::new().write(true).open("/dev/null") {
        // Without it the pipe stays open, and whoever reads it has what it wants all the same.
        let _kept = nix::unistd::dup2_stdout(null);
    }
}
