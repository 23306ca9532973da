//! The native engine: PostgreSQL and the API as processes of this machine, watched by `cargo dev up` itself.

mod access;
mod password;

use std::time::{Duration, SystemTime};

use emotionviz_settings::DatabaseUrl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::database::location;
use crate::database::session::{Session, local_url, owners_url};
use crate::project::configuration::Tool;
use crate::project::kept_ports;
use crate::project::lock::{self, Holder, Lock};
use crate::project::logs::{self, Entry, Follower, Query};
use crate::report::events::Events;
use crate::report::snapshot::{ServiceSnapshot, Snapshot, Stage};
use crate::report::status::{Health, Schema, SchemaState, ServiceStatus, State, Status};
use crate::report::up::{Service, Up, UpOptions};
use crate::service::command::Probe;
use crate::service::migrations;
use crate::supervisor::{self, control, detached, leftovers};
use crate::{Environment, Error};
use local_postgres::socket_dir;
use process::poll::{after, poll_until};
use process::shutdown::Shutdown;
use tokio::sync::OnceCell;

use access::{NativeAccess, RunningServer};

/// The API's bound, PostgreSQL's, and some more.
const STOP_BOUND: Duration = Duration::from_secs(60);
/// A supervisor that was sent SIGTERM and does not end by then is killed.
const TERMINATE_BOUND: Duration = Duration::from_secs(20);
const ENDING_BOUND: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);
/// `status` is to answer at once, whatever hangs.
const SCHEMA_BOUND: Duration = Duration::from_secs(2);
/// A short command of another shell.
const SHORT_WORK: Duration = Duration::from_secs(60);

/// The native engine of a checkout.
#[derive(Clone, Debug)]
pub struct Native {
    environment: Environment,
}

impl Native {
    /// The engine of `environment`.
    pub fn new(environment: Environment) -> Self {
        Self { environment }
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Refuses settings that prevent a start.
    pub(crate) fn check_settings(&self) -> Result<(), Error> {
        self.tool().map(drop)
    }

    fn tool(&self) -> Result<Tool, Error> {
        self.environment
            .configuration
            .tool(&self.environment.checkout)
    }

    /// A session on the database, which is started for the moment where it does not run. With `new` it is made where there is none.
    pub(crate) async fn session_on(
        &self,
        what: &'static str,
        new: bool,
        events: &Events,
    ) -> Result<Session, Error> {
        let checkout = &self.environment.checkout;
        let tool = self.tool()?;
        if let Some(external) = tool.external.clone() {
            let url = external.migration_url;
            return Ok(self.session_with(tool, url, RunningServer::External, events));
        }
        let place = if new {
            location::place(checkout, events)?
        } else {
            self.existing(events)?
        };
        let lock = match self.port_or_lock(what).await? {
            Ok(port) => {
                let password = tool
                    .password
                    .clone()
                    .ok_or_else(|| location::password_lost(&place.data_dir))?;
                let url = local_url(port, &tool.user, password, &tool.database);
                return Ok(self.session_with(tool, url, RunningServer::Supervised(place), events));
            }
            Err(lock) => lock,
        };
        // The command that held the lock may have created or moved the database, or generated its password.
        let environment = self.environment.reread().await?;
        let tool = environment.configuration.tool(checkout)?;
        let place = if new {
            location::prepare(checkout, events)?
        } else {
            self.existing(events)?
        };
        let exists = place.exists;
        let binaries = location::binaries(&tool, Some(&place), events).await?;
        // Nobody else is to find it: any port.
        let cluster = location::describe(
            &environment,
            &tool,
            place,
            binaries,
            crate::project::ports::free_port()?,
            events,
        )?;
        if exists {
            events.note("the environment does not run: the database is started for the moment");
        }
        let server = location::start(checkout, &cluster, exists, events).await?;
        let url = owners_url(&cluster);
        let server = RunningServer::OnDemand {
            cluster: Box::new(cluster),
            server: Box::new(server),
            lock,
        };
        Ok(Self::new(environment).session_with(tool, url, server, events))
    }

    fn session_with(
        &self,
        tool: Tool,
        url: DatabaseUrl,
        server: RunningServer,
        events: &Events,
    ) -> Session {
        let access = NativeAccess {
            environment: self.environment.clone(),
            tool: tool.clone(),
            server,
            found: OnceCell::new(),
            events: events.clone(),
        };
        Session::new(
            self.environment.clone(),
            tool,
            url,
            Box::new(access),
            events.clone(),
        )
    }

    /// Returns the port of the running database, or the lock. A supervisor that starts or stops, and a short command, are waited for.
    async fn port_or_lock(&self, what: &'static str) -> Result<Result<u16, Lock>, Error> {
        let port = |_: &Holder, snapshot: &Snapshot| {
            let port = snapshot.db.port;
            port.filter(|_| snapshot.stage != Stage::Stopping)
        };
        control::supervisor_or_lock(&self.environment.checkout, what, SHORT_WORK, port).await
    }

    fn existing(&self, events: &Events) -> Result<location::Place, Error> {
        let place = location::place(&self.environment.checkout, events)?;
        if place.exists {
            Ok(place)
        } else {
            Err(location::no_database(&place.data_dir))
        }
    }

    async fn end_supervisor(&self, holder: &Holder, events: &Events) -> Result<(), Error> {
        let checkout = &self.environment.checkout;
        let gone = async |bound| {
            poll_until(after(bound), POLL, || async {
                let now = lock::holder(checkout).await;
                now.is_none_or(|now| now.pid != holder.pid).then_some(())
            })
            .await
            .is_some()
        };
        // One that does not hear may be ending this moment.
        let bound = if control::stop(holder).await.is_ok() {
            STOP_BOUND
        } else {
            ENDING_BOUND
        };
        if gone(bound).await {
            return Ok(());
        }
        let pid = Pid::from_raw(i32::try_from(holder.pid).unwrap_or(i32::MAX));
        events.warn(format!(
            "the environment (pid {}) does not answer: it is ended by a signal",
            holder.pid
        ));
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            // Gone meanwhile, which is what is wanted.
            let _gone = kill(pid, signal);
            if gone(TERMINATE_BOUND).await {
                return Ok(());
            }
        }
        Err(control::silent(holder, "it does not end, SIGKILL included"))
    }

    async fn end_leftovers(&self) -> Result<bool, Error> {
        let checkout = &self.environment.checkout;
        if !checkout.run().is_dir() {
            return Ok(false);
        }
        // Whoever holds the lock looks after what runs; it may have been started this moment.
        let Ok(_lock) = Lock::take(checkout, "cargo dev down", None).await? else {
            return Ok(false);
        };
        let ended = leftovers::end(checkout).await?;
        // What was killed could not remove the folders of its sockets.
        if let Some(folder) = checkout
            .control_socket(std::env::var_os("XDG_RUNTIME_DIR").as_deref())
            .parent()
        {
            control::remove(folder);
        }
        socket_dir::remove(&location::socket_folder(
            checkout,
            &local_postgres::server_user(checkout.root())?,
        ));
        Ok(!ended.is_empty())
    }

    /// The schema, or the reason why it is unknown.
    async fn schema(&self, snapshot: &Snapshot) -> (Schema, Option<String>) {
        let code = migrations::files(&self.environment.checkout).unwrap_or_default();
        let url = self.tool().ok().and_then(|tool| match tool.external {
            Some(external) => Some(external.migration_url),
            None => Some(crate::database::session::local_url(
                snapshot.db.port?,
                &tool.user,
                tool.password?,
                &tool.database,
            )),
        });
        let (Some(program), Some(url)) = (&snapshot.program, url) else {
            return (Schema::compare(&code, None), None);
        };
        let (applied, refused) =
            match tokio::time::timeout(SCHEMA_BOUND, migrations::applied(program, &url)).await {
                Ok(Ok(applied)) => (Some(applied), None),
                Ok(Err(error)) => (None, Some(error.to_string())),
                Err(_) => (
                    None,
                    Some(format!("no answer within {} s", SCHEMA_BOUND.as_secs())),
                ),
            };
        (Schema::compare(&code, applied.as_ref()), refused)
    }
}

impl Native {
    pub(crate) async fn up(
        &self,
        options: UpOptions,
        events: &Events,
        stop: &Shutdown,
    ) -> Result<Up, Error> {
        if options.tools {
            events.warn("Adminer needs Docker, and this engine runs without it\nlook into the database: cargo dev db shell");
        }
        if options.detach {
            return detached::start(&self.environment.checkout, options, events, stop).await;
        }
        supervisor::run(&self.environment, options, events, stop).await
    }

    pub(crate) async fn down(&self, events: &Events) -> Result<bool, Error> {
        // Without containers there is nothing that `stop` leaves.
        self.stop(events).await
    }

    pub(crate) async fn stop(&self, events: &Events) -> Result<bool, Error> {
        match lock::holder(&self.environment.checkout).await {
            Some(holder) if holder.socket.is_some() => {
                events.phase("stopping");
                self.end_supervisor(&holder, events).await?;
                self.end_leftovers().await.map(|_| true)
            }
            Some(_) => {
                drop(Lock::wait(&self.environment.checkout, "cargo dev down", SHORT_WORK).await?);
                Ok(false)
            }
            None => self.end_leftovers().await,
        }
    }

    pub(crate) async fn restart(
        &self,
        service: Option<Service>,
        events: &Events,
    ) -> Result<(), Error> {
        let (holder, _) = control::supervisor(&self.environment.checkout)
            .await?
            .ok_or_else(Error::not_running)?;
        control::restart(&holder, service, events).await
    }

    pub(crate) async fn status(&self) -> Result<Status, Error> {
        let checkout = &self.environment.checkout;
        let (holder, snapshot) = control::supervisor(checkout).await?.unzip();
        let snapshot = snapshot.unwrap_or_default();
        let ((health, reason), (schema, refused)) =
            tokio::join!(api_health(&snapshot.api), self.schema(&snapshot));
        let mut api = describe("api", &snapshot.api);
        (api.health, api.reason) = (health, reason);
        let mut db = describe("db", &snapshot.db);
        db.health = match snapshot.db.state {
            State::Stopped => None,
            // The schema was read from it just now.
            _ if schema.state != SchemaState::Unknown => Some(Health::Healthy),
            State::Running | State::External if snapshot.program.is_none() => None,
            _ => Some(Health::Unhealthy),
        };
        if db.health == Some(Health::Unhealthy) {
            db.reason = snapshot.db.reason.or(refused);
        }
        Ok(Status {
            engine: "native",
            checkout: checkout.root().display().to_string(),
            pid: holder.map(|holder| holder.pid),
            doing: snapshot.doing,
            services: vec![api, db],
            schema,
            watching: snapshot.watching,
            reloads: snapshot.reloads,
        })
    }

    pub(crate) async fn session(
        &self,
        what: &'static str,
        events: &Events,
    ) -> Result<Session, Error> {
        self.session_on(what, false, events).await
    }

    pub(crate) async fn url(&self) -> Result<(DatabaseUrl, bool), Error> {
        let tool = self.tool()?;
        if let Some(external) = tool.external {
            return Ok((external.migration_url, true));
        }
        let checkout = &self.environment.checkout;
        let running = control::supervisor(checkout)
            .await?
            .and_then(|(_, snapshot)| snapshot.db.port);
        let port =
            running.unwrap_or_else(|| kept_ports::last_postgres(checkout, tool.postgres_port));
        let password = tool
            .password
            .ok_or_else(|| location::password_lost(&checkout.root().join("data/postgres")))?;
        Ok((
            crate::database::session::local_url(port, &tool.user, password, &tool.database),
            running.is_some(),
        ))
    }

    pub(crate) async fn logs(&self, query: &Query) -> Result<Vec<Entry>, Error> {
        logs::read(&self.environment, query)
    }

    pub(crate) async fn follow(&self, query: Query) -> Result<Follower, Error> {
        Ok(Follower::of_files(&self.environment, query))
    }
}

async fn api_health(api: &ServiceSnapshot) -> (Option<Health>, Option<String>) {
    let address = api.url.as_deref().and_then(|url| {
        url.strip_prefix("http://")?
            .parse::<std::net::SocketAddr>()
            .ok()
    });
    match (api.pid, address) {
        (Some(_), Some(address)) => match Probe::new(address.ip(), address.port()).ready().await {
            Ok(()) => (Some(Health::Healthy), None),
            Err(reason) => (Some(Health::Unhealthy), Some(reason)),
        },
        _ => (None, None),
    }
}

fn describe(name: &'static str, running: &ServiceSnapshot) -> ServiceStatus {
    ServiceStatus {
        name,
        state: running.state,
        health: None,
        reason: None,
        pid: running.pid,
        container: None,
        port: running.port,
        url: running.url.clone(),
        uptime_seconds: running
            .since
            .and_then(|since| SystemTime::now().duration_since(since).ok())
            .map(|up| up.as_secs()),
        version: running.version.clone(),
        restarts: running.restarts,
    }
}
