//! The services themselves: started in order, watched, started again when they die, ended in reverse order.

use std::path::PathBuf;
use std::time::Duration;

use emotionviz_settings::declared::SERVICE_BINARY;
use tokio::sync::watch;
use tokio::time::Instant;

use super::again::Again;
use super::api;
use super::checkup::Checkup;
use super::reloading::Reloading;
use super::retiring::Retiring;
use crate::build::cargo;
use crate::build::watch::Watcher;
use crate::database::container::Prepared;
use crate::database::external::refuse_unknown;
use crate::database::location;
use crate::database::session;
use crate::project::configuration::{External, Place};
use crate::project::kept_ports;
use crate::report::events::{Address, Events};
use crate::report::lan;
use crate::report::status::State;
use crate::report::up::UpOptions;
use crate::service::command::{self, Probe};
use crate::service::listening::Listening;
use crate::service::program::Program;
use crate::supervisor::board::Board;
use crate::supervisor::leftovers;
use crate::{Environment, Error};
use local_postgres::ClusterConfig;
use local_postgres::server::Server;
use process::Process;

/// The API starts in milliseconds; a database that recovers from a crash may take this long.
pub(super) const READY_BOUND: Duration = Duration::from_secs(60);
pub(super) const PROBE_EVERY: Duration = Duration::from_millis(20);
/// Whatever takes longer is said.
const SLOW: Duration = Duration::from_secs(1);

/// What runs, and what is needed to run it again.
pub(super) struct Services {
    pub(super) environment: Environment,
    pub(super) options: UpOptions,
    pub(super) board: Board,
    pub(super) events: Events,
    pub(super) program: Option<Program>,
    pub(super) cluster: Option<ClusterConfig>,
    pub(super) server: Option<Server>,
    pub(super) server_again: Again,
    /// What the database beside this container is known to be prepared for.
    pub(super) prepared: Prepared,
    pub(super) listening: Option<Listening>,
    pub(super) place: Option<Place>,
    /// Whether the API can be ready; else migrations are left to somebody, and it is live.
    pub(super) schema_is_complete: bool,
    pub(super) api: Option<Process>,
    pub(super) api_ready: bool,
    pub(super) api_again: Again,
    /// Where a new process of the API says that it is ready.
    pub(super) ready_socket: watch::Receiver<PathBuf>,
    pub(super) retiring: Retiring,
    pub(super) reloading: Reloading,
    pub(super) checkup: Checkup,
}

impl Services {
    pub(super) fn new(
        environment: Environment,
        options: UpOptions,
        ready_socket: watch::Receiver<PathBuf>,
        board: Board,
        events: Events,
    ) -> Self {
        Self {
            environment,
            options,
            board,
            retiring: Retiring::new(events.clone()),
            events,
            listening: None,
            ready_socket,
            reloading: Reloading::default(),
            checkup: Checkup::default(),
            program: None,
            cluster: None,
            server: None,
            server_again: Again::default(),
            prepared: Prepared::default(),
            place: None,
            schema_is_complete: true,
            api: None,
            api_ready: false,
            api_again: Again::default(),
        }
    }

    pub(super) fn run_something(&self) -> bool {
        self.server.is_some() || self.api.is_some()
    }

    /// Starts everything, from the settings to an API that is ready.
    pub(super) async fn start(&mut self) -> Result<Vec<Address>, Error> {
        let tool = self
            .environment
            .configuration
            .tool(&self.environment.checkout)?;
        for name in leftovers::end(&self.environment.checkout).await? {
            self.events.note(format!(
                "ended {name}, which an earlier run had left behind"
            ));
        }
        let checkout = self.environment.checkout.clone();
        // A port that is taken is said before anything is built for minutes.
        let listening = Listening::open(
            &checkout,
            api::host(&tool, self.options),
            tool.api_port,
            &self.events,
        )?;
        let port = listening.port();
        self.listening = Some(listening);
        if self.options.reload {
            self.reloading
                .watch(&self.environment, &tool, &self.events)
                .await?;
        }
        // The database starts while cargo compiles.
        let (environment, events) = (self.environment.clone(), self.events.clone());
        let built = cargo::program(&environment, &tool, self.building(), &events);
        let (program, ()) = tokio::try_join!(built, self.start_database())?;
        let tool = self.environment.configuration.tool(&checkout)?;
        self.board
            .update(|snapshot| snapshot.program = Some(program.path().to_owned()));
        self.schema_is_complete = api::migrate(
            program.path(),
            &api::migration_url(self.cluster.as_ref(), &tool),
            self.options,
            &self.events,
        )
        .await?;
        self.program = Some(program);
        self.place = Some(api::place(self.cluster.as_ref(), &tool, self.options, port));
        self.start_api().await?;
        self.settle();
        let fast = cargo::fast(&checkout).and_then(|fast| fast.is_prepared());
        if let (Err(reason), true) = (fast, self.options.reload && tool.service_binary.is_none()) {
            self.events
                .note(format!("each edit is built by cargo: {reason}"));
        }
        Ok(self.addresses())
    }

    /// Ends everything, the API first.
    pub(super) async fn stop(&mut self) {
        self.stop_api().await;
        self.stop_database().await;
    }

    /// Makes the secrets that are missing and starts the database, unless somebody else runs it.
    async fn start_database(&mut self) -> Result<(), Error> {
        let checkout = self.environment.checkout.clone();
        let tool = self.environment.configuration.tool(&checkout)?;
        if let Some(external) = &tool.external {
            self.make_secrets(true).await?;
            self.cluster = None;
            if self.environment.is_in_container() {
                self.prepared.prepare(external, &self.events).await?;
            } else {
                refuse_unknown(&checkout, external)?;
                self.events.note(format!(
                    "DATABASE_URL (from {}) names the database: none is started here",
                    external.origin
                ));
            }
            self.show_external(external);
            return Ok(());
        }
        let place = location::prepare(&checkout, &self.events)?;
        let exists = place.exists;
        self.make_secrets(exists).await?;
        let tool = self.environment.configuration.tool(&checkout)?;
        let binaries = location::binaries(&tool, Some(&place), &self.events).await?;
        let port = kept_ports::postgres(&checkout, tool.postgres_port, &self.events)?;
        let cluster = location::describe(
            &self.environment,
            &tool,
            place,
            binaries,
            port,
            &self.events,
        )?;
        self.cluster = Some(cluster);
        self.run_server(exists).await
    }

    pub(super) fn show_external(&self, external: &External) {
        let url = external.url.masked();
        self.board.update(|snapshot| {
            (snapshot.db.state, snapshot.db.port, snapshot.db.url) =
                (State::External, None, Some(url))
        });
    }

    async fn make_secrets(&mut self, database_exists: bool) -> Result<(), Error> {
        let checkout = self.environment.checkout.clone();
        let made = self
            .environment
            .configuration
            .make_secrets(&checkout, database_exists)
            .await?;
        if !made.is_empty() {
            self.events.note(format!(
                "made {} and wrote them to {}",
                made.join(", "),
                checkout.env_file().display()
            ));
        }
        Ok(())
    }

    pub(super) async fn run_server(&mut self, exists: bool) -> Result<(), Error> {
        let Some(cluster) = &self.cluster else {
            return Ok(());
        };
        let server =
            location::start(&self.environment.checkout, cluster, exists, &self.events).await?;
        let (pid, url) = (server.pid(), session::owners_url(cluster).masked());
        self.board.update(|snapshot| {
            snapshot.bin_dir = Some(cluster.binaries.dir.clone());
            snapshot.db.started(pid);
            (snapshot.db.state, snapshot.db.reason) = (State::Running, None);
            snapshot.db.port = Some(cluster.port);
            snapshot.db.url = Some(url);
            snapshot.db.version = Some(cluster.binaries.version.clone());
        });
        self.server_again.started();
        self.server = Some(server);
        Ok(())
    }

    /// Starts the API; returns when it is ready, or live where migrations are left to somebody.
    pub(super) async fn start_api(&mut self) -> Result<(), Error> {
        let complete = self.schema_is_complete;
        self.events.phase("starting the API");
        self.spawn_api().await?;
        let (Some(place), Some(api)) = (&self.place, &mut self.api) else {
            return Ok(());
        };
        let probe = Probe::new(place.host, place.port);
        let slow = SlowProbe {
            since: Instant::now(),
            said: std::cell::RefCell::default(),
            events: &self.events,
        };
        let ready = api.until_ready(READY_BOUND, PROBE_EVERY, || async {
            let answer = if complete {
                probe.ready().await
            } else {
                probe.live().await
            };
            answer.inspect_err(|reason| slow.say(reason))
        });
        ready.await.map_err(|source| Error::Api { source })?;
        self.api_ready = true;
        self.describe_api(State::Running).await;
        Ok(())
    }

    /// What runs was seen to work.
    pub(super) fn settle(&mut self) {
        if let Some(program) = self.program.clone() {
            self.reloading
                .is_level(&self.environment.checkout, &program);
            self.keep(program);
        }
    }

    pub(super) async fn spawn_api(&mut self) -> Result<(), Error> {
        let (Some(program), Some(place), Some(listening)) =
            (&self.program, &self.place, &self.listening)
        else {
            return Ok(());
        };
        let mut api = Process::new(command::api(
            program,
            &self.environment,
            place,
            listening.sockets(),
            &self.events,
        ));
        api.start().await?;
        self.api = Some(api);
        self.api_ready = false;
        self.api_again.started();
        self.describe_api(State::Starting).await;
        Ok(())
    }

    /// Goes on with a program that was seen to work, from where the next build does not replace it.
    pub(super) fn keep(&mut self, program: Program) {
        let given = self
            .environment
            .configuration
            .values()
            .is_set(&SERVICE_BINARY.info);
        let kept = if given {
            Ok(program.clone())
        } else {
            program.clone().kept(self.environment.kept_program())
        };
        let program = kept.unwrap_or_else(|error| {
            self.events.warn(error.to_string());
            program
        });
        self.board
            .update(|snapshot| snapshot.program = Some(program.path().to_owned()));
        if let Ok(fast) = cargo::fast(&self.environment.checkout) {
            fast.sweep(&program);
        }
        self.program = Some(program);
    }

    /// Says how the API is.
    pub(super) async fn describe_api(&self, state: State) {
        let (Some(place), Some(api)) = (&self.place, &self.api) else {
            return;
        };
        let version = match state {
            State::Running => Probe::new(place.host, place.port).version().await,
            _ => None,
        };
        let watching = self.reloading.watcher.as_ref().map(Watcher::watching);
        self.board.update(|snapshot| {
            if snapshot.api.pid != api.pid() {
                snapshot.api.started(api.pid());
            }
            snapshot.api.state = state;
            snapshot.api.version = version.or(snapshot.api.version.take());
            (snapshot.api.port, snapshot.api.url) = (
                Some(place.port),
                Some(command::base_url(place.host, place.port)),
            );
            snapshot.watching = watching;
        });
    }

    pub(super) fn building(&self) -> cargo::Options {
        let toolchain_changed = self.reloading.toolchain_changed;
        cargo::Options {
            colour: self.options.colour,
            quiet: false,
            toolchain_changed,
        }
    }

    pub(super) fn addresses(&self) -> Vec<Address> {
        if self.environment.is_in_container() {
            // Compose publishes them elsewhere.
            self.events
                .note("the API answers with these sources; what is saved goes live");
            return Vec::new();
        }
        if let Some(address) = self.place.as_ref().and_then(|place| place.lan) {
            self.events.note(lan::pages_may_call(address));
        }
        let snapshot = self.board.snapshot();
        let mut addresses = Vec::new();
        if let (Some(url), Some(place)) = (snapshot.api.url, &self.place) {
            addresses.push(Address::new("API", url.clone()));
            addresses.push(Address::new("documentation", format!("{url}/docs")));
            if let Some(here) = lan::address().filter(|_| place.host.is_unspecified()) {
                addresses.push(Address::for_phones(command::base_url(here, place.port)));
            }
        }
        if let Some(url) = snapshot.db.url {
            addresses.push(Address::new("database", url));
        }
        addresses
    }

    /// Starts the API as it ran before; where it does not start, it is tried again.
    pub(super) async fn start_api_or_again(&mut self) {
        if let Err(error) = self.start_api().await {
            self.events.warn(error.to_string());
            self.stop_api().await;
            self.board
                .update(|snapshot| snapshot.api.ended(State::Failed));
            self.api_again.schedule();
        }
    }

    pub(super) async fn stop_api(&mut self) {
        self.reloading.cancel();
        self.api_again = Again::default();
        if let Some(mut api) = self.api.take()
            && let Err(error) = api.stop().await
        {
            self.events.warn(error.to_string());
        }
        self.retiring.stop().await;
        self.board
            .update(|snapshot| snapshot.api.ended(State::Stopped));
    }

    pub(super) async fn stop_database(&mut self) {
        self.server_again = Again::default();
        if let Some(server) = self.server.take()
            && let Err(error) = server.stop().await
        {
            self.events.warn(error.to_string());
        }
        self.board
            .update(|snapshot| snapshot.db.ended(State::Stopped));
    }
}

/// Says what an API waits for that takes its time.
struct SlowProbe<'a> {
    since: Instant,
    said: std::cell::RefCell<String>,
    events: &'a Events,
}

impl SlowProbe<'_> {
    fn say(&self, reason: &str) {
        if self.since.elapsed() > SLOW && *self.said.borrow() != reason {
            self.events.phase(format!("waiting for the API: {reason}"));
            reason.clone_into(&mut self.said.borrow_mut());
        }
    }
}
