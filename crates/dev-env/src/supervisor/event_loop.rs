//! The event loop: it gathers what happens, passes it to the [machine](super::machine), and carries the actions out.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::Signal;
use tokio::sync::{mpsc, watch};

use super::candidate;
use super::checkup::Checkup;
use super::control::{Order, Work};
use super::databases::{self, StartedDatabase};
use super::draining::Draining;
use super::hands::{Api, Assembly, Hands, Settings, ms};
use super::jobs::{Apply, Jobs, Key};
use super::machine::{
    self, Action, DatabaseStart, Done, Event, Job, Machine, OrderId, Preparation, Prepared, Started,
};
use super::mounted_lock::MountedLock;
use super::preparation::{DatabaseUpdate, Next, Restart, Save};
use super::protocol::Message;
use super::serving::{Context, Database};
use super::sources::SourceWatch;
use super::status_hub::StatusHub;
use super::{leftovers, password};
use crate::build::cargo;
use crate::report::events::{Event as Report, Events};
use crate::report::reload::{Outcome, Reload};
use crate::report::snapshot::Stage;
use crate::report::status::State;
use crate::report::up::UpOptions;
use crate::service::command::Probe;
use crate::service::listening::Listening;
use crate::{Environment, Error};
use local_postgres::server::Server;
use process::ProcessError;
use process::shutdown::Shutdown;

/// The API starts in milliseconds; a database that recovers from a crash may take this long.
const READY_BOUND: Duration = Duration::from_secs(60);
/// While a command waits for the API.
const PROBE_OFTEN: Duration = Duration::from_millis(20);
const PROBE_SELDOM: Duration = Duration::from_millis(100);
/// What takes longer is reported.
const SLOW: Duration = Duration::from_secs(1);

/// See the [module](self).
pub(super) struct EventLoop {
    machine: Machine,
    hands: Hands,
    jobs: Jobs,
    checkup: Checkup,
    stop: Shutdown,
    asked: mpsc::Receiver<Order>,
    orders: BTreeMap<OrderId, Order>,
    last_order: u64,
    /// The API was replaced, and answers at another address that was not reported yet.
    has_moved: bool,
}

/// Something that happened.
enum Happened {
    Event(Event),
    /// A job ended.
    Ended(Apply),
    Saved(super::sources::Saved),
    Ordered(Order),
    CheckDue,
}

impl EventLoop {
    pub(super) fn new(
        environment: Environment,
        options: UpOptions,
        (hub, events): (StatusHub, Events),
        ready_socket: watch::Receiver<PathBuf>,
        (stop, asked): (Shutdown, mpsc::Receiver<Order>),
    ) -> Self {
        let (machine, actions) = Machine::new(environment.is_in_container() && options.reload);
        let hands = Hands {
            hub,
            prepared: crate::database::container::Prepared::default(),
            ready_socket,
            mounted_lock: MountedLock::new(&environment),
            settings: Settings::Assembling(Box::new(Assembly {
                environment,
                listening: None,
                database: None,
                program: None,
            })),
            former: None,
            next: None,
            database_exists: true,
            candidate: None,
            server: None,
            api: None,
            draining: Draining::new(events.clone()),
            sources: None,
            next_sources: None,
            answered: 0,
            reload: None,
            context: Context {
                options,
                events,
                toolchain_changed: false,
            },
        };
        let mut this = Self {
            machine,
            hands,
            jobs: Jobs::default(),
            checkup: Checkup::default(),
            stop,
            asked,
            orders: BTreeMap::new(),
            last_order: 0,
            has_moved: false,
        };
        for action in actions {
            this.carry_out(action);
        }
        this
    }

    /// Runs the services until they are to stop, or cannot be started. Nothing runs afterwards.
    ///
    /// # Errors
    /// They cannot be started.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        loop {
            let happened = self.next().await;
            let Some(event) = self.event(happened) else {
                continue;
            };
            for action in self.machine.on_event(event, Instant::now()) {
                if let Action::End(result) = action {
                    return result;
                }
                self.carry_out(action);
            }
            self.publish();
            if self.machine.is_idle() {
                self.hands.context.events.tell(Report::Idle);
            }
        }
    }

    /// Waits for something to happen.
    async fn next(&mut self) -> Happened {
        let is_stopping = self.machine.is_stopping();
        let due = self.machine.next_due();
        let hands = &mut self.hands;
        let time = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => pending().await,
            }
        };
        let saved = async {
            match &mut hands.sources {
                Some(sources) => sources.saved().await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.requested(), if !is_stopping => Happened::Event(Event::StopAsked),
            () = self.stop.requested_twice(), if is_stopping => Happened::Event(Event::StopInsisted),
            Some(order) = self.asked.recv() => Happened::Ordered(order),
            apply = self.jobs.next() => Happened::Ended(apply),
            error = database_exit(&mut hands.server) => Happened::Event(Event::DatabaseExited(error)),
            error = api_exit(&mut hands.api) => Happened::Event(Event::ApiExited(error)),
            saved = saved => Happened::Saved(saved),
            () = time => Happened::Event(Event::TimePassed),
            () = self.checkup.due() => Happened::CheckDue,
        }
    }

    /// Returns what it means for the machine.
    fn event(&mut self, happened: Happened) -> Option<Event> {
        match happened {
            Happened::Event(event) => {
                match event {
                    Event::ApiExited(_) => {
                        self.jobs.cancel(Key::Readiness);
                        self.hands.api = None;
                    }
                    Event::DatabaseExited(_) => self.hands.server = None,
                    _ => {}
                }
                Some(event)
            }
            Happened::Ended(apply) => {
                let event = apply(&mut self.hands);
                if let Some(Event::ApiStarted(Ok(())) | Event::ApiNotReady(_)) = event {
                    self.wait_for_readiness();
                }
                event
            }
            Happened::Saved(saved) => {
                self.hands.context.toolchain_changed |= saved.new.iter().any(|file| {
                    file.file_stem()
                        .is_some_and(|name| name == "rust-toolchain")
                });
                Some(Event::Saved {
                    files: saved.files,
                    new: saved.new,
                })
            }
            Happened::Ordered(order) => {
                self.last_order += 1;
                let id = OrderId(self.last_order);
                let what = match order.work {
                    Work::Restart(service) => machine::Order::Restart(service),
                    Work::ChangePassword(_) => machine::Order::ChangePassword,
                };
                self.orders.insert(id, order);
                Some(Event::Ordered(id, what))
            }
            Happened::CheckDue if self.machine.is_running() => {
                self.checkup.check(&self.hands, &mut self.jobs)
            }
            Happened::CheckDue => {
                self.checkup = Checkup::default();
                None
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        let hands = &mut self.hands;
        let events = hands.context.events.clone();
        match action {
            Action::Start(job) => self.start(job),
            Action::Cancel(kind) => self.jobs.cancel(Key::Machine(kind)),
            Action::CancelAll => self.jobs.cancel_all(),
            Action::AdoptSettings => {
                if let Some(next) = hands.next.take() {
                    hands.database_exists = next.database_exists;
                    hands.next_sources = next.sources;
                    hands.former = Some(std::mem::replace(hands.serving_mut(), next.serving));
                }
            }
            Action::RestoreSettings => {
                if let Some(former) = hands.former.take() {
                    hands.database_exists = true;
                    hands.next_sources = None;
                    *hands.serving_mut() = former;
                }
            }
            Action::Commit => {
                self.jobs.cancel(Key::Readiness);
                self.has_moved = hands.commit();
                self.find_version();
            }
            Action::Drain => {
                self.jobs.cancel(Key::Readiness);
                hands.drain();
            }
            Action::Settle => {
                hands.former = None;
                hands.settle();
                self.prime();
            }
            Action::SignalStale => {
                let configuration = &hands.environment().configuration;
                if let Some(api) = &hands.api
                    && configuration.in_development().unwrap_or(false)
                {
                    api.process.send(Signal::SIGUSR1);
                }
            }
            Action::CheckSessionSoon => self.checkup.ask_soon(),
            Action::Report {
                changed,
                since,
                result,
            } => {
                self.publish();
                self.report(&changed, since, result);
            }
            Action::Announce => {
                self.publish();
                self.has_moved = false;
                self.hands.announce();
            }
            Action::Answer(id, result) => {
                self.publish();
                self.answer(id, result);
            }
            Action::Note(text) => events.note(text),
            Action::Warn(text) => events.warn(text),
            Action::Phase(text) => events.phase(text),
            Action::Unexpected(event) => {
                events.warn(format!("the supervisor did not expect this: {event}"));
            }
            Action::End(_) => {}
        }
    }

    fn start(&mut self, job: Job) {
        let key = Key::Machine(job.kind());
        let hands = &mut self.hands;
        let context = hands.context.clone();
        match job {
            Job::Open => {
                let environment = hands.environment().clone();
                // Its sockets would be in the way of the next ones.
                hands.settings = Settings::Assembling(Box::new(Assembly {
                    environment: environment.clone(),
                    listening: None,
                    database: None,
                    program: None,
                }));
                let opening = open(context, environment);
                self.jobs.start(key, opening, |hands, opened| {
                    Some(Event::Opened(opened.map(|(listening, sources)| {
                        hands.sources = sources;
                        if let Settings::Assembling(assembly) = &mut hands.settings {
                            assembly.listening = Some(listening);
                        }
                    })))
                });
            }
            Job::Build => {
                let building = build(context, hands.environment().clone());
                self.jobs.start(key, building, |hands, built| {
                    let built = built.map_err(|error| hands.mounted_lock.explain(error));
                    Some(Event::Built(built.and_then(|program| {
                        hands.hub.update(|snapshot| {
                            snapshot.program = Some(program.path().to_owned());
                        });
                        if let Settings::Assembling(assembly) = &mut hands.settings {
                            assembly.program = Some(program);
                        }
                        hands.assemble()
                    })))
                });
            }
            Job::StartDatabase(which) => self.start_database(key, which),
            Job::StopDatabase => {
                self.jobs.cancel(Key::Session);
                let server = hands.server.take();
                let stopping = async move {
                    if let Some(server) = server
                        && let Err(error) = server.stop_broken().await
                    {
                        context.events.warn(error.to_string());
                    }
                };
                self.jobs
                    .start(key, stopping, |_, ()| Some(Event::DatabaseStopped));
            }
            Job::Migrate => {
                let serving = hands.serving().clone();
                let migrating = async move {
                    let url = serving.database.migration_url();
                    context.migrate(serving.program.path(), &url).await
                };
                self.jobs.start(key, migrating, |hands, migrated| {
                    Some(Event::Migrated(migrated.map(|complete| {
                        hands.serving_mut().schema_is_complete = complete;
                    })))
                });
            }
            Job::StartApi => {
                if self.machine.is_starting() {
                    context.events.phase("starting the API");
                }
                let spawning = candidate::spawn(context, hands.serving().clone());
                self.jobs.start(key, spawning, |hands, spawned| {
                    Some(Event::ApiStarted(spawned.map(|(process, program)| {
                        if let Some(program) = program {
                            hands.keep(program);
                        }
                        hands.api = Some(Api::new(process, hands.serving(), false));
                        hands.show_place();
                    })))
                });
            }
            Job::Prepare(preparation) => self.prepare(key, preparation),
            Job::UpdateDatabase => {
                let update = self.database_update();
                let Some(next) = self.hands.next.take() else {
                    return;
                };
                self.jobs
                    .start(key, update.update(next), |hands, (next, updated)| {
                        hands.next = Some(next);
                        Some(Event::DatabaseUpdated(updated))
                    });
            }
            Job::SetPasswords(order) => {
                self.jobs.cancel(Key::Prime);
                let password = self.orders.get(&order).and_then(|order| match &order.work {
                    Work::ChangePassword(password) => Some(password.clone()),
                    Work::Restart(_) => None,
                });
                let setting = password::set(self.hands.serving().clone(), password);
                self.jobs.start(key, setting, |hands, set| {
                    Some(Event::PasswordsSet(set.map(|(file, passwords)| {
                        passwords.use_in(hands.serving_mut());
                        file
                    })))
                });
            }
            Job::StartCandidate => {
                let present = hands.serving().clone();
                let next = hands
                    .next
                    .take()
                    .unwrap_or_else(|| Next::unchanged(present));
                let ready_socket = hands.ready_socket.borrow().clone();
                let starting = candidate::start(context, next, ready_socket);
                self.jobs.start(key, starting, |hands, started| {
                    Some(Event::CandidateStarted(started.map(|candidate| {
                        hands.candidate = Some(candidate);
                    })))
                });
            }
            Job::RollBack => {
                hands.next = None;
                let environment = hands.environment().clone();
                let rolling_back = self.database_update().roll_back(environment);
                self.jobs
                    .start(key, rolling_back, |_, ()| Some(Event::RolledBack));
            }
            Job::StopServices => self.stop_services(key),
        }
    }

    fn database_update(&self) -> DatabaseUpdate {
        DatabaseUpdate {
            context: self.hands.context.clone(),
            prepared: self.hands.prepared.clone(),
            running: self.hands.running_cluster().cloned(),
        }
    }

    fn start_database(&mut self, key: Key, which: DatabaseStart) {
        let hands = &self.hands;
        let context = hands.context.clone();
        match which {
            DatabaseStart::First => {
                let (prepared, environment) = (hands.prepared.clone(), hands.environment().clone());
                let starting = databases::start_first(context, prepared, environment);
                self.jobs.start(key, starting, |hands, started| {
                    let started = started.and_then(|(environment, started)| {
                        if let Settings::Assembling(assembly) = &mut hands.settings {
                            assembly.environment = environment;
                            assembly.database = Some(started.database.clone());
                        }
                        hands.assemble()?;
                        Ok(take_server(hands, started))
                    });
                    Some(Event::DatabaseStarted(started))
                });
            }
            DatabaseStart::Again => {
                let starting = databases::start_again(hands.serving().clone(), context.events);
                self.jobs.start(key, starting, database_started);
            }
            DatabaseStart::Adopted => {
                let (serving, exists) = (hands.serving().clone(), hands.database_exists);
                let starting = databases::start_adopted(serving, exists, context.events);
                self.jobs.start(key, starting, database_started);
            }
        }
    }

    fn prepare(&mut self, key: Key, preparation: Preparation) {
        self.jobs.cancel(Key::Prime);
        let hands = &mut self.hands;
        (hands.next, hands.next_sources) = (None, None);
        hands.answered = hands.hub.answered();
        let (context, present) = (hands.context.clone(), hands.serving().clone());
        match preparation {
            Preparation::Save {
                changed,
                forced,
                builder,
            } => {
                let sources = hands.sources.as_ref();
                let is_settings =
                    |file: &PathBuf| sources.is_some_and(|sources| sources.is_settings(file));
                let save = Save {
                    context,
                    prepared: hands.prepared.clone(),
                    present,
                    is_ready: hands.api.as_ref().is_some_and(|api| api.is_ready),
                    only_settings: changed.iter().all(is_settings),
                    changed,
                    forced,
                    builder,
                };
                self.jobs.start(key, save.prepare(), |hands, prepared| {
                    Some(Event::Prepared(take_next(hands, prepared)))
                });
            }
            Preparation::Restart(service) => {
                let restart = Restart {
                    context,
                    present,
                    service,
                    database_runs: hands.server.is_some(),
                    watched: hands
                        .sources
                        .as_ref()
                        .map(|sources| sources.program().map(ToOwned::to_owned)),
                };
                self.jobs.start(key, restart.prepare(), |hands, prepared| {
                    let prepared = prepared.map(|(prepared, next)| (prepared, Some(next)));
                    Some(Event::Prepared(take_next(hands, prepared)))
                });
            }
        }
    }

    /// Stops the API, the draining processes, then the database.
    fn stop_services(&mut self, key: Key) {
        self.jobs.cancel(Key::Session);
        self.jobs.cancel(Key::Prime);
        self.jobs.cancel(Key::Version);
        self.jobs.cancel(Key::Readiness);
        let hands = &mut self.hands;
        let events = hands.context.events.clone();
        let (api, server) = (hands.api.take(), hands.server.take());
        let draining = std::mem::replace(&mut hands.draining, Draining::new(events.clone()));
        if self.machine.is_stopping() {
            if api.is_some() || server.is_some() {
                events.phase("stopping");
            }
            hands
                .hub
                .update(|snapshot| snapshot.doing = Some("stopping".to_owned()));
        }
        let stopping = async move {
            if let Some(mut api) = api
                && let Err(error) = api.process.stop().await
            {
                events.warn(error.to_string());
            }
            draining.stop().await;
            if let Some(server) = server
                && let Err(error) = server.stop().await
            {
                events.warn(error.to_string());
            }
        };
        self.jobs
            .start(key, stopping, |_, ()| Some(Event::ServicesStopped));
    }

    /// Lets the compiler read the sources that an edit does not change.
    fn prime(&mut self) {
        let checkout = self.hands.environment().checkout.clone();
        if self.hands.sources.is_some()
            && let Ok(fast) = cargo::fast(&checkout)
        {
            self.jobs.start(Key::Prime, fast.prime(), |_, ()| None);
        }
    }

    /// Asks the API whether it is ready, as long as it is not.
    fn wait_for_readiness(&mut self) {
        let Some(api) = &self.hands.api else {
            return;
        };
        let (probe, needs_schema) = (api.probe.clone(), api.needs_schema);
        let (is_starting, events) = (
            self.machine.is_starting(),
            self.hands.context.events.clone(),
        );
        let waiting = readiness(probe, needs_schema, is_starting, events);
        self.jobs
            .start(Key::Readiness, waiting, |hands, readiness| {
                let api = hands.api.as_mut()?;
                Some(match readiness {
                    Ok(version) => {
                        api.is_ready = true;
                        show_version(&hands.hub, version);
                        Event::ApiReady
                    }
                    Err(last) => Event::ApiNotReady(ProcessError::NotReady {
                        name: "the API".to_owned(),
                        waited: READY_BOUND,
                        last,
                        tail: api.process.tail(),
                    }),
                })
            });
    }

    /// Asks the API that has just replaced another one for its version.
    fn find_version(&mut self) {
        let Some(probe) = self.hands.api.as_ref().map(|api| api.probe.clone()) else {
            return;
        };
        let asking = async move { probe.version().await };
        self.jobs.start(Key::Version, asking, |hands, version| {
            show_version(&hands.hub, version);
            None
        });
    }

    fn report(&mut self, changed: &BTreeSet<PathBuf>, since: Instant, result: Result<(), Error>) {
        let hands = &mut self.hands;
        let outcome = match (result, hands.reload.take()) {
            (Ok(()), Some((mut times, ready))) => {
                times.total_ms = ms(ready.duration_since(since));
                times.switch_ms = ms(ready.elapsed());
                times.requests = hands.hub.answered().saturating_sub(hands.answered);
                Outcome::Live(times)
            }
            // A commit precedes each success.
            (Ok(()), None) => return,
            (Err(Error::Build { said }), _) => Outcome::Failed {
                reason: "it does not compile".to_owned(),
                compiler: said,
            },
            (Err(other), _) => Outcome::Failed {
                reason: other.to_string(),
                compiler: String::new(),
            },
        };
        let root = hands.environment().checkout.root();
        let relative = |file: &PathBuf| {
            let file = file.strip_prefix(root).unwrap_or(file);
            file.display().to_string()
        };
        let reload = Reload {
            at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            changed: changed.iter().map(relative).collect(),
            outcome,
        };
        let events = hands.context.events.clone();
        events.tell(Report::Idle);
        events.tell(Report::Reload(reload));
        if std::mem::take(&mut self.has_moved) {
            self.hands.announce();
        }
    }

    fn answer(&mut self, id: OrderId, result: Result<Done, Error>) {
        let Some(order) = self.orders.remove(&id) else {
            return;
        };
        let message = match result {
            Ok(Done::Restarted) => Message::Done,
            Ok(Done::PasswordsWritten(file)) => Message::Written(file),
            Err(error) => Message::Failed(error.to_string()),
        };
        // The command may have ended.
        let _ended = order.answer.send(message);
    }

    /// Makes `status` report the present state.
    fn publish(&self) {
        let (machine, hands) = (&self.machine, &self.hands);
        let (api_restarts, db_restarts) = machine.restarts();
        let (db_state, reason) = machine.database_state();
        let is_external = matches!(hands.database(), Some(Database::External(_)));
        hands.hub.update(|snapshot| {
            snapshot.stage = if machine.is_stopping() {
                Stage::Stopping
            } else if machine.is_running() {
                Stage::Running
            } else {
                Stage::Starting
            };
            snapshot.watching = hands.sources.as_ref().map(SourceWatch::watching);
            let api = &mut snapshot.api;
            api.set(
                machine.api_state(),
                hands.api.as_ref().and_then(|api| api.process.pid()),
            );
            api.restarts = api_restarts;
            let db = &mut snapshot.db;
            let state = match db_state {
                State::Running if is_external => State::External,
                other => other,
            };
            db.set(state, hands.server.as_ref().and_then(Server::pid));
            (db.restarts, db.reason) = (db_restarts, reason.map(str::to_owned));
        });
    }
}

/// Ends what an earlier run has left, opens the listening sockets, and watches the sources.
async fn open(
    context: Context,
    environment: Environment,
) -> Result<(Listening, Option<SourceWatch>), Error> {
    let (checkout, events) = (&environment.checkout, &context.events);
    let tool = environment.configuration.tool(checkout)?;
    for name in leftovers::end(checkout).await? {
        events.note(format!(
            "ended {name}, which an earlier run had left behind"
        ));
    }
    // A port that is taken is reported before a build of several minutes.
    let listening = Listening::open(checkout, context.host(&tool), tool.api_port, events)?;
    let sources = if context.options.reload {
        Some(SourceWatch::start(&environment, &tool, events).await?)
    } else {
        None
    };
    Ok((listening, sources))
}

async fn build(
    context: Context,
    environment: Environment,
) -> Result<crate::service::program::Program, Error> {
    let tool = environment.configuration.tool(&environment.checkout)?;
    let program = cargo::program(&environment, &tool, context.building(), &context.events).await?;
    let fast = cargo::fast(&environment.checkout).and_then(|fast| fast.is_prepared());
    if let (Err(reason), true, None) = (fast, context.options.reload, &tool.service_binary) {
        context
            .events
            .note(format!("each edit is built by cargo: {reason}"));
    }
    Ok(program)
}

fn take_next(
    hands: &mut Hands,
    prepared: Result<(Prepared, Option<Next>), Error>,
) -> Result<Prepared, Error> {
    let (prepared, mut next) = prepared.map_err(|error| hands.mounted_lock.explain(error))?;
    hands.next_sources = next.as_mut().and_then(|next| next.sources.take());
    hands.next = next;
    Ok(prepared)
}

fn database_started(hands: &mut Hands, started: Result<StartedDatabase, Error>) -> Option<Event> {
    let started = started.map(|started| take_server(hands, started));
    Some(Event::DatabaseStarted(started))
}

fn take_server(hands: &mut Hands, started: StartedDatabase) -> Started {
    let mut moved = false;
    if let Settings::Serving(serving) = &mut hands.settings {
        let url = started.database.api_url();
        moved = url.host != serving.place.database.host;
        serving.place.database = url;
        serving.database = started.database;
    }
    hands.show_database();
    match started.server {
        Some(server) => {
            hands.server = Some(server);
            Started::Own { moved }
        }
        None => Started::External,
    }
}

fn show_version(hub: &StatusHub, version: Option<String>) {
    hub.update(|snapshot| snapshot.api.version = version.or(snapshot.api.version.take()));
}

/// Waits for the end of the server. Cancel safe.
async fn database_exit(server: &mut Option<Server>) -> Error {
    match server {
        Some(server) => server.died().await.into(),
        None => pending().await,
    }
}

/// Waits until the API is ready and returns its version, or the reason why it is not ready.
async fn readiness(
    probe: Probe,
    needs_schema: bool,
    is_starting: bool,
    events: Events,
) -> Result<Option<String>, String> {
    let begun = tokio::time::Instant::now();
    let every = if is_starting {
        PROBE_OFTEN
    } else {
        PROBE_SELDOM
    };
    let mut last = "it did not answer in time".to_owned();
    let ready = async {
        loop {
            let answer = if needs_schema {
                probe.ready().await
            } else {
                probe.live().await
            };
            let Err(reason) = answer else {
                return probe.version().await;
            };
            if is_starting && begun.elapsed() > SLOW && last != reason {
                events.phase(format!("waiting for the API: {reason}"));
                last = reason;
            }
            tokio::time::sleep(every).await;
        }
    };
    let version = tokio::time::timeout(READY_BOUND, ready).await;
    version.map_err(|_| last)
}

/// Waits for the end of the API. Cancel safe.
async fn api_exit(api: &mut Option<Api>) -> ProcessError {
    let Some(api) = api else {
        return pending().await;
    };
    match api.process.exited().await {
        Ok(status) => ProcessError::Exited {
            name: "the API".to_owned(),
            status,
            tail: api.process.tail(),
        },
        Err(error) => error,
    }
}
