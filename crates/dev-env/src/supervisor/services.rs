//! The services themselves: started in order, watched, started again when they die, ended in reverse order.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::again::Again;
use super::concerns;
use crate::board::Board;
use crate::configuration::{Place, Tool};
use crate::engine::{Service, UpOptions};
use crate::events::{Address, Event, Events, Source};
use crate::postgres::server::Server;
use crate::postgres::{ClusterConfig, roles};
use crate::process::{PidFile, Process, StopSignal};
use crate::service::{self, Probe};
use crate::status::State;
use crate::{Environment, Error, database, kept_ports, lan, migrations, session};

const LEFTOVER_BOUND: Duration = Duration::from_secs(15);
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
    pub(super) program: Option<PathBuf>,
    pub(super) cluster: Option<ClusterConfig>,
    pub(super) server: Option<Server>,
    pub(super) server_again: Again,
    pub(super) place: Option<Place>,
    pub(super) api: Option<Process>,
    pub(super) api_ready: bool,
    pub(super) api_again: Again,
}

impl Services {
    pub(super) fn new(environment: Environment, options: UpOptions, board: Board, events: Events) -> Self {
        Self {
            environment,
            options,
            board,
            events,
            program: None,
            cluster: None,
            server: None,
            server_again: Again::default(),
            place: None,
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
        let tool = self.environment.configuration.tool(&self.environment.checkout)?;
        self.end_leftovers().await?;
        // A port that is taken is said before anything is built for minutes.
        let api_port = kept_ports::api(&self.environment.checkout, tool.api_port, &self.events)?;
        // The database starts while cargo compiles.
        let (environment, events, colour) = (self.environment.clone(), self.events.clone(), self.options.colour);
        let build = service::program(&environment, &tool, colour, &events);
        let (program, ()) = tokio::try_join!(build, self.start_database())?;
        self.board.update(|snapshot| snapshot.program = Some(program.clone()));
        self.program = Some(program);
        self.start_api(api_port).await?;
        Ok(self.addresses())
    }

    /// Reads the settings again, then starts one service anew, or both. What runs goes on until the new settings and the new
    /// program are known to be good.
    pub(super) async fn restart(&mut self, service: Option<Service>) -> Result<(), Error> {
        let environment = self.environment.reread()?;
        let tool = environment.configuration.tool(&environment.checkout)?;
        if concerns(service, Service::Api) {
            let program = service::program(&environment, &tool, self.options.colour, &self.events).await?;
            self.board.update(|snapshot| snapshot.program = Some(program.clone()));
            self.program = Some(program);
        }
        self.environment = environment;
        let moves = tool.external.is_some() != self.cluster.is_none();
        if concerns(service, Service::Db) || moves {
            self.stop_api().await;
            self.stop_database().await;
            if let Err(error) = self.start_database().await {
                self.server_again.schedule();
                return Err(error);
            }
        }
        if let (Some(cluster), Some(password)) = (&mut self.cluster, tool.password) {
            // They may be what was changed.
            cluster.password = password;
            cluster.api_password = tool.api_password.unwrap_or_else(|| cluster.api_password.clone());
            roles::verify(cluster).await?;
        }
        self.stop_api().await;
        let port = kept_ports::api(&self.environment.checkout, tool.api_port, &self.events)?;
        if let Err(error) = self.start_api(port).await {
            self.stop_api().await;
            self.api_again.schedule();
            return Err(error);
        }
        self.events.tell(Event::Ready(self.addresses()));
        Ok(())
    }

    /// Ends everything, the API first.
    pub(super) async fn stop(&mut self) {
        self.stop_api().await;
        self.stop_database().await;
    }

    async fn end_leftovers(&self) -> Result<(), Error> {
        let leftovers = [
            ("the API", service::pid_file(&self.environment), StopSignal::Terminate),
            ("PostgreSQL", database::pid_file(&self.environment.checkout), StopSignal::Interrupt),
        ];
        for (name, path, signal) in leftovers {
            if PidFile::end_leftover(&path, signal, LEFTOVER_BOUND).await? {
                self.events.note(format!("ended {name}, which an earlier run had left behind"));
            }
        }
        Ok(())
    }

    /// Makes the secrets that are missing and starts the database, unless somebody else runs it.
    async fn start_database(&mut self) -> Result<(), Error> {
        let checkout = self.environment.checkout.clone();
        let tool = self.environment.configuration.tool(&checkout)?;
        if let Some(external) = &tool.external {
            self.make_secrets(true)?;
            self.events.note(format!("DATABASE_URL (from {}) names the database: none is started here", external.origin));
            let url = external.url.masked();
            self.cluster = None;
            self.board.update(|snapshot| (snapshot.db.state, snapshot.db.url) = (State::External, Some(url)));
            return Ok(());
        }
        let place = database::place(&checkout, &self.events)?;
        let exists = place.exists;
        self.make_secrets(exists)?;
        let tool = self.environment.configuration.tool(&checkout)?;
        let binaries = database::binaries(&tool, Some(&place), &self.events).await?;
        let port = kept_ports::postgres(&checkout, tool.postgres_port, &self.events)?;
        let cluster = database::describe(&self.environment, &tool, place, binaries, port, &self.events)?;
        self.cluster = Some(cluster);
        self.run_server(exists).await
    }

    fn make_secrets(&mut self, database_exists: bool) -> Result<(), Error> {
        let checkout = self.environment.checkout.clone();
        let made = self.environment.configuration.make_secrets(&checkout, database_exists)?;
        if !made.is_empty() {
            self.events.note(format!("made {} and wrote them to {}", made.join(", "), checkout.env_file().display()));
        }
        Ok(())
    }

    pub(super) async fn run_server(&mut self, exists: bool) -> Result<(), Error> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        let server = database::start(&self.environment.checkout, cluster, exists, &self.events).await?;
        let (pid, url) = (server.pid(), session::owners_url(cluster).masked());
        self.board.update(|snapshot| {
            snapshot.bin_dir = Some(cluster.binaries.dir.clone());
            snapshot.db.started(pid);
            snapshot.db.state = State::Running;
            snapshot.db.port = Some(cluster.port);
            snapshot.db.url = Some(url);
            snapshot.db.version = Some(cluster.binaries.version.clone());
        });
        self.server_again.started();
        self.server = Some(server);
        Ok(())
    }

    /// Applies migrations and starts the API; returns when it is ready, or live where migrations are left to somebody.
    async fn start_api(&mut self, port: u16) -> Result<(), Error> {
        let complete = self.migrate().await?;
        let tool = self.environment.configuration.tool(&self.environment.checkout)?;
        self.place = Some(self.place_of_api(&tool, port));
        self.events.phase("starting the API");
        self.spawn_api().await?;
        let (Some(place), Some(api)) = (&self.place, &mut self.api) else { return Ok(()) };
        let probe = Probe::new(place.host, place.port);
        let slow = SlowProbe { since: Instant::now(), said: std::cell::RefCell::default(), events: &self.events };
        let ready = api.until_ready(READY_BOUND, PROBE_EVERY, || async {
            let answer = if complete { probe.ready().await } else { probe.live().await };
            answer.inspect_err(|reason| slow.say(reason))
        });
        ready.await.map_err(|source| Error::Api { source })?;
        self.api_ready = true;
        let version = probe.version().await;
        self.board.update(|snapshot| (snapshot.api.state, snapshot.api.version) = (State::Running, version));
        Ok(())
    }

    /// Whether the schema is complete afterwards.
    async fn migrate(&self) -> Result<bool, Error> {
        let Some(program) = &self.program else { return Ok(true) };
        if !self.options.migrate {
            self.events.note("migrations are left to you: cargo dev migrate up");
            return Ok(false);
        }
        let url = self.migration_url()?;
        self.events.phase("applying migrations");
        let said = service::migrate_or_fail(program, &url, &["up", "--auto"]).await?;
        for line in said.lines().filter(|line| line.starts_with("applied") || line.starts_with("adopted") || line.starts_with("  ")) {
            self.events.note(line);
        }
        let applied = migrations::applied(program, &url).await?;
        if applied.paused && applied.pending() > 0 {
            self.events.warn("the schema is behind the code: automatic migration is paused since `migrate down`\nbring it up to date: cargo dev migrate up");
            return Ok(false);
        }
        Ok(true)
    }

    pub(super) async fn spawn_api(&mut self) -> Result<(), Error> {
        let (Some(program), Some(place)) = (&self.program, &self.place) else { return Ok(()) };
        let events = self.events.clone();
        let sink = Arc::new(move |_, line: &str| events.tell(Event::Output { from: Source::Api, line: line.to_owned() }));
        let mut api = Process::new(service::api(program, &self.environment, place, sink));
        api.start().await?;
        let (pid, port, url) = (api.pid(), place.port, service::base_url(place.host, place.port));
        self.board.update(|snapshot| {
            snapshot.api.started(pid);
            (snapshot.api.port, snapshot.api.url) = (Some(port), Some(url));
        });
        self.api = Some(api);
        self.api_ready = false;
        self.api_again.started();
        Ok(())
    }

    fn place_of_api(&self, tool: &Tool, port: u16) -> Place {
        let database = match (&self.cluster, &tool.external) {
            (Some(cluster), _) => session::url(cluster, roles::API_ROLE, &cluster.api_password),
            (None, Some(external)) => external.url.clone(),
            (None, None) => unreachable!("without a database of its own the API has somebody else's"),
        };
        let host = if self.options.lan { lan::ALL_ADDRESSES } else { tool.api_host };
        Place { host, port, database }
    }

    fn migration_url(&self) -> Result<emotionviz_settings::DatabaseUrl, Error> {
        if let Some(cluster) = &self.cluster {
            return Ok(session::owners_url(cluster));
        }
        let tool = self.environment.configuration.tool(&self.environment.checkout)?;
        Ok(tool.external.expect("without a database of its own the API has somebody else's").migration_url)
    }

    fn addresses(&self) -> Vec<Address> {
        let snapshot = self.board.snapshot();
        let address = |name: &str, url: String| Address { name: name.to_owned(), url };
        let mut addresses = Vec::new();
        if let (Some(url), Some(place)) = (snapshot.api.url, &self.place) {
            addresses.push(address("API", url.clone()));
            addresses.push(address("documentation", format!("{url}/docs")));
            if let Some(here) = lan::address().filter(|_| place.host.is_unspecified()) {
                addresses.push(address("API in the local network", service::base_url(here, place.port)));
            }
        }
        if let Some(url) = snapshot.db.url {
            addresses.push(address("database", url));
        }
        addresses
    }

    async fn stop_api(&mut self) {
        self.api_again = Again::default();
        if let Some(mut api) = self.api.take()
            && let Err(error) = api.stop().await
        {
            self.events.warn(error.to_string());
        }
        self.board.update(|snapshot| snapshot.api.ended(State::Stopped));
    }

    async fn stop_database(&mut self) {
        self.server_again = Again::default();
        if let Some(server) = self.server.take()
            && let Err(error) = server.stop().await
        {
            self.events.warn(error.to_string());
        }
        self.board.update(|snapshot| snapshot.db.ended(State::Stopped));
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
