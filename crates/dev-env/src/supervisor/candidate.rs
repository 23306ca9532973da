//! Processes of the API: the one that replaces another, and the one that starts where none runs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::preparation::{Next, Required};
use super::serving::{Context, Serving};
use crate::Error;
use crate::build::cargo;
use crate::report::reload::Builder;
use crate::service::command::{self, Probe};
use crate::service::program::Program;
use process::Process;
use process::ready_socket::ReadySocket;

/// The former process is ready, so a candidate that takes longer is given up.
const READY_BOUND: Duration = Duration::from_secs(15);
/// A candidate reports by itself why it is not ready.
const AT_ONCE: Duration = Duration::ZERO;

/// A process that accepts connections next to the one that did so far.
pub(super) struct Candidate {
    pub(super) process: Process,
    pub(super) serving: Serving,
    pub(super) compiled_in: Option<(Builder, Duration)>,
    pub(super) migrated_in: Option<Duration>,
    pub(super) started_in: Duration,
    /// When it accepted connections.
    pub(super) ready: Instant,
}

/// Starts a candidate, and returns when it accepts connections.
pub(super) async fn start(
    context: Context,
    next: Next,
    ready_socket: PathBuf,
) -> Result<Candidate, Error> {
    let events = &context.events;
    let mut serving = next.serving;
    if let Required::LikeTheRunningOne(place) = next.required {
        // If the running process is not ready, the new one does not have to be ready either.
        serving.schema_is_complete = match place {
            Some(place) => Probe::new(place.host, place.port).ready().await.is_ok(),
            None => false,
        };
    }
    events.phase("starting the API");
    let readiness = ReadySocket::listen(&ready_socket)
        .map_err(|source| Error::io("listen on", &ready_socket, source))?;
    let begun = Instant::now();
    let mut configuration = command::api(
        &serving.program,
        &serving.environment,
        &serving.place,
        serving.listening.sockets(),
        events,
    )
    .env("NOTIFY_SOCKET", readiness.path().as_os_str());
    if serving.schema_is_complete {
        configuration = configuration.args(["--when-ready"]);
    }
    let mut process = Process::new(configuration);
    process.start().await?;
    process
        .until_ready(READY_BOUND, AT_ONCE, || readiness.receive())
        .await
        .map_err(command::api_failed)?;
    Ok(Candidate {
        process,
        serving,
        compiled_in: next.compiled_in,
        migrated_in: next.migrated_in,
        started_in: begun.elapsed(),
        ready: Instant::now(),
    })
}

/// Starts a process where none runs. Builds the program first if its file is gone, and returns the program then.
pub(super) async fn spawn(
    context: Context,
    mut serving: Serving,
) -> Result<(Process, Option<Program>), Error> {
    let environment = &serving.environment;
    let mut built = None;
    if !serving.program.is_complete() {
        let tool = environment.configuration.tool(&environment.checkout)?;
        let options = context.building();
        serving.program = cargo::program(environment, &tool, options, &context.events).await?;
        built = Some(serving.program.clone());
    }
    let mut process = Process::new(command::api(
        &serving.program,
        environment,
        &serving.place,
        serving.listening.sockets(),
        &context.events,
    ));
    process.start().await?;
    Ok((process, built))
}
