//! What runs in the development container: the service, built from the mounted sources and run again when they change.
//!
//! Compose starts the database beside it; this waits for that, makes the API's role, builds, applies migrations, and runs the API
//! where Compose publishes it. Everything that is written stands in volumes: the sources are mounted to be read.

mod database;
mod settings;
mod sources;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use emotionviz_settings::declared::{self, APP_ENV, MIGRATION_DATABASE_URL};
use emotionviz_settings::{AppEnv, DatabaseUrl};
use nix::unistd::Uid;
use secrecy::ExposeSecret;

use crate::configuration::{Place, Variables};
use crate::events::Events;
use crate::owner::Owner;
use crate::process::{Configuration, Process, describe, on_terminal};
use crate::program::Program;
use crate::service::{self, Building, Probe};
use crate::stop::Stop;
use crate::{Environment, Error, listening, sha256};
use settings::Settings;
use sources::Sources;

/// Where the API listens, whatever `API_HOST` and `API_PORT` say: those are of the machine, and Compose publishes this one there.
const LISTEN: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8000);
const READY_BOUND: Duration = Duration::from_secs(60);
const PROBE_EVERY: Duration = Duration::from_millis(20);
/// An API that ended is started again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Builds and runs the service until somebody asks to stop; builds and starts it again whenever its sources or settings change.
///
/// # Errors
/// It cannot be started the first time, or the container has to be started again.
pub async fn up(folder: &Path, variables: Variables, colour: bool, events: &Events, stop: &Stop) -> Result<(), Error> {
    let mut development =
        Development { folder: folder.to_owned(), variables, colour, events: events.clone(), wanted: None, socket: None, api: None };
    let mut sources = Sources::look(folder);
    tokio::select! {
        started = development.begin() => started?,
        () = stop.asked() => return Ok(()),
    }
    loop {
        tokio::select! {
            () = stop.asked() => break,
            changed = sources.changed() => {
                events.note(format!("{} changed", changed.join(", ")));
                if sources::lock_was_replaced() {
                    development.stop().await;
                    return Err(Error::LockReplaced);
                }
                tokio::select! {
                    () = development.reload() => {}
                    () = stop.asked() => break,
                }
            }
            () = development.ended() => {}
        }
    }
    events.phase("stopping");
    development.stop().await;
    Ok(())
}

/// Runs a program with what the database's owner needs in its environment: for `emotionviz migrate`, psql.
///
/// # Errors
/// The settings do not fit, or the program does not run.
pub async fn run(folder: &Path, variables: &Variables, program: OsString, args: Vec<OsString>) -> Result<ExitStatus, Error> {
    let settings = Settings::read(folder, variables)?;
    let mut command = unset(program, args);
    command.env.extend(database::owner(&settings).variables().into_iter().map(|(name, value)| (name, Some(value))));
    let command = command
        .env(APP_ENV.info.name, AppEnv::Development.as_str())
        .env(MIGRATION_DATABASE_URL.info.name, settings.owner.to_secret().expose_secret());
    Ok(on_terminal(command).await?)
}

/// Runs tests: on databases of their own, beside the development database.
///
/// # Errors
/// The settings do not fit, the database does not answer, or the program does not run.
pub async fn test(folder: &Path, variables: &Variables, program: OsString, args: Vec<OsString>) -> Result<ExitStatus, Error> {
    let url = database::for_tests(&Settings::read(folder, variables)?).await?;
    Ok(on_terminal(unset(program, args).env("TEST_DATABASE_URL", url.to_secret().expose_secret())).await?)
}

/// A program without the settings of the container: it is told what it needs.
fn unset(program: OsString, args: Vec<OsString>) -> Configuration {
    let mut command = Configuration::new(program.to_string_lossy(), &program).args(args);
    command.env = declared::ALL.iter().map(|info| (info.name.into(), None)).collect();
    command
}

/// The service under development.
struct Development {
    folder: PathBuf,
    variables: Variables,
    colour: bool,
    events: Events,
    /// What the API was started from.
    wanted: Option<Wanted>,
    /// Where the API answers, from its first start on: what arrives between two of its processes waits here.
    socket: Option<Arc<TcpListener>>,
    api: Option<Process>,
}

/// What an API is started from.
struct Wanted {
    environment: Environment,
    database: DatabaseUrl,
    program: Program,
    /// Settings that differ have another one.
    fingerprint: String,
}

impl Development {
    /// The first start.
    async fn begin(&mut self) -> Result<(), Error> {
        let settings = Settings::read(&self.folder, &self.variables)?;
        settings.misplaced.iter().for_each(|note| self.events.warn(note));
        self.wanted = Some(self.prepare(settings).await?);
        self.start_api().await
    }

    /// Starts the API anew when its program or its settings are others now. Until those are known to be good the old one serves.
    async fn reload(&mut self) {
        let prepared = match Settings::read(&self.folder, &self.variables) {
            Ok(settings) => self.prepare(settings).await,
            Err(error) => Err(error),
        };
        let wanted = match prepared {
            Ok(wanted) => wanted,
            Err(error) => return self.events.warn(format!("{error}\nwhat ran goes on; the next change is tried again")),
        };
        if self.wanted.as_ref().is_some_and(|now| now.program.is(&wanted.program) && now.fingerprint == wanted.fingerprint) {
            return self.events.note("nothing of it concerns the API, which goes on");
        }
        self.stop().await;
        self.wanted = Some(wanted);
        if let Err(error) = self.start_api().await {
            self.events.warn(error.to_string());
        }
    }

    /// Brings everything up to date that the API needs: its role, its program, the schema.
    async fn prepare(&self, settings: Settings) -> Result<Wanted, Error> {
        let building = Building { colour: self.colour, ..Building::default() };
        // The database starts at the same time.
        let (database, program) = tokio::join!(
            database::prepare(&settings, &self.events),
            service::program(&settings.environment, &settings.tool, building, &self.events),
        );
        database?;
        let program = program?;
        self.events.phase("applying migrations");
        let said = service::migrate_or_fail(&program, &settings.owner, &["up", "--auto"]).await?;
        said.lines().filter(|line| !line.starts_with("the schema is up to date")).for_each(|line| self.events.note(line));
        Ok(Wanted {
            fingerprint: fingerprint(&settings.environment, &settings.api),
            environment: settings.environment,
            database: settings.api,
            program: Program::at(program)?,
        })
    }

    async fn start_api(&mut self) -> Result<(), Error> {
        let Some(wanted) = &self.wanted else { return Ok(()) };
        let place = Place { host: LISTEN.0, port: LISTEN.1, database: wanted.database.clone() };
        let socket = match &self.socket {
            Some(socket) => socket,
            None => self.socket.insert(Arc::new(listening::listen(LISTEN.into())?)),
        };
        let mut configuration = service::api(&wanted.program, &wanted.environment, &place, Arc::clone(socket), &self.events);
        // Nobody outside the container could use it, and nothing in it outlives this process.
        configuration.pid_file = None;
        if Uid::effective().is_root() {
            configuration.run_as = Some(Owner { uid: 1000, gid: 1000, name: "api".to_owned() });
            // A root user's checkout may be closed to that one.
            configuration.current_dir = None;
        }
        self.events.phase("starting the API");
        let api = self.api.insert(Process::new(configuration));
        api.start().await?;
        let probe = Probe::new(place.host, place.port);
        api.until_ready(READY_BOUND, PROBE_EVERY, || probe.live()).await.map_err(|source| Error::Api { source })?;
        self.events.note("the API answers with these sources; edit them, and it will be built again");
        Ok(())
    }

    /// Waits for an API that ends by itself, and starts it again. Cancel safe: what is cancelled is done the next time.
    async fn ended(&mut self) {
        let Some(api) = &mut self.api else { return std::future::pending().await };
        let ended = api.exited().await;
        tokio::time::sleep(AGAIN).await;
        match ended {
            Ok(status) => self.events.warn(format!("the API ended: {}; it is started again", describe(status))),
            Err(error) => self.events.warn(error.to_string()),
        }
        if let Err(error) = self.start_api().await {
            self.events.warn(error.to_string());
        }
    }

    async fn stop(&mut self) {
        if let Some(mut api) = self.api.take()
            && let Err(error) = api.stop().await
        {
            self.events.warn(error.to_string());
        }
    }
}

/// What the API's settings are, to be compared: a hash, since they hold secrets.
fn fingerprint(environment: &Environment, database: &DatabaseUrl) -> String {
    let place = Place { host: LISTEN.0, port: LISTEN.1, database: database.clone() };
    let settings = environment.configuration.for_service(&place, &environment.configuration.log_dir(&environment.checkout));
    let text: String = settings.iter().map(|(name, value)| format!("{name}={}\0", value.expose_secret())).collect();
    sha256::of(text)
}
