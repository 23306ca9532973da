//! One process of the API follows on another: it starts beside it, and takes its place when it accepts connections.

use std::path::Path;
use std::time::{Duration, Instant};

use super::services::Services;
use crate::project::configuration::Place;
use crate::report::events::Events;
use crate::service::command;
use crate::service::listening::Listening;
use crate::service::program::Program;
use crate::{Environment, Error};
use process::ready_socket::ReadySocket;
use process::{Process, StopSignal};

/// A service that takes longer to be ready stays where it is: what ran before is ready.
const READY_BOUND: Duration = Duration::from_secs(15);
/// A service that is not ready says why as often as it looks.
const AT_ONCE: Duration = Duration::ZERO;

/// What is to start.
pub(super) struct Successor<'a> {
    pub(super) program: &'a Program,
    pub(super) environment: &'a Environment,
    pub(super) place: &'a Place,
    pub(super) listening: &'a Listening,
    /// Whether it has to be ready, and not only to answer.
    pub(super) ready: bool,
    /// Where it says so.
    pub(super) ready_socket: &'a Path,
}

impl Successor<'_> {
    /// Starts it. When this returns it accepts connections, and has done so since the time that is returned.
    pub(super) async fn start(self, events: &Events) -> Result<(Process, Duration), Error> {
        events.phase("starting the API");
        let words = ReadySocket::listen(self.ready_socket)
            .map_err(|source| Error::io("listen on", self.ready_socket, source))?;
        let begun = Instant::now();
        let mut configuration = command::api(
            self.program,
            self.environment,
            self.place,
            self.listening.sockets(),
            events,
        )
        .env("NOTIFY_SOCKET", words.path().as_os_str());
        if self.ready {
            configuration = configuration.args(["--when-ready"]);
        }
        let mut process = Process::new(configuration);
        process.start().await?;
        process
            .until_ready(READY_BOUND, AT_ONCE, || words.receive())
            .await
            .map_err(|source| Error::Api { source })?;
        Ok((process, begun.elapsed()))
    }
}

impl Services {
    /// Starts the API as the settings say now, in place of the one that runs, which goes on where that fails.
    pub(super) async fn replace_api(&mut self) -> Result<(), Error> {
        let (Some(program), Some(place), Some(listening)) =
            (&self.program, &self.place, &self.listening)
        else {
            return Ok(());
        };
        let ready_socket = self.ready_socket.borrow().clone();
        let successor = Successor {
            program,
            environment: &self.environment,
            place,
            listening,
            ready: self.schema_is_complete,
            ready_socket: &ready_socket,
        };
        let (process, _) = successor.start(&self.events).await?;
        self.succeed(process);
        Ok(())
    }

    /// A process that accepts connections takes the place of the one that did so far.
    pub(super) fn succeed(&mut self, process: Process) {
        if let Some(before) = self.api.replace(process) {
            // One that never served has nobody to take leave of, and may not listen for signals yet.
            self.retiring.add(
                before,
                if self.api_ready {
                    StopSignal::Quit
                } else {
                    StopSignal::Terminate
                },
            );
        }
        self.api_ready = true;
        self.api_again.started();
    }
}
