//! Starting the containers, waiting until they are ready, following them, and starting them anew.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::command::does_not_run;
use super::containers::{Container, Containers};
use super::engine::{Docker, PATIENCE};
use super::logs::Told;
use super::project::{Project, STOP_BOUND};
use super::published::published;
use super::tool::tool_inside;
use crate::database::{maker, session};
use crate::project::configuration::Tool;
use crate::report::events::{Address, Event, Events, Source};
use crate::report::lan;
use crate::report::up::{Service, Up, UpOptions};
use crate::service::command::{self, Probe};
use crate::{Environment, Error, supervisor};
use process::capture;
use process::poll::{after, poll_until};
use process::shutdown::Shutdown;

/// The image is built in minutes, and pulled in some more.
const COMPOSE_BOUND: Duration = Duration::from_secs(3600);
/// Everything is compiled in there the first time.
const READY_BOUND: Duration = Duration::from_secs(2 * 3600);
const PROBE_EVERY: Duration = Duration::from_millis(20);
/// Asking Docker costs more than asking the API.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often ports are chosen: between the choice and the start another checkout may start, too.
const PORT_TRIES: usize = 3;
/// What runs in there builds first.
const RESTART_BOUND: Duration = Duration::from_secs(600);

impl Docker {
    pub(crate) async fn up(
        &self,
        options: UpOptions,
        events: &Events,
        stop: &Shutdown,
    ) -> Result<Up, Error> {
        // Settings that do not fit are said before anything is waited for.
        self.tool()?;
        let events = &supervisor::log_to_file(&self.environment, events.clone());
        let (host, project, containers) = self.look_on().await?;
        host.check(self.environment.checkout.root(), std::env::home_dir())?;
        project.check_settings(&self.environment.checkout).await?;
        if containers.run() {
            return already(self, project, containers, options, events, stop).await;
        }
        let turn = tokio::select! {
            biased;
            () = stop.requested() => return Ok(Up::Interrupted),
            turn = self.turn(COMPOSE_BOUND, events) => turn?,
        };
        // Whoever had the turn may have started them, and made settings.
        let docker = &Docker::new(self.environment.reread().await?);
        let containers = Containers::of(&project).await?;
        if containers.run() {
            drop(turn);
            return already(docker, project, containers, options, events, stop).await;
        }
        let mut started = Started {
            project,
            options,
            since: SystemTime::now(),
        };
        let ready = tokio::select! {
            biased;
            () = stop.requested() => None,
            ready = started.start(docker, containers, events) => Some(ready),
        };
        match ready {
            Some(Ok(addresses)) => events.tell(Event::Ready(addresses)),
            Some(Err(error)) => {
                // Nothing stays of what does not start.
                started.end(events, stop).await?;
                return Err(error);
            }
            None => {
                started.end(events, stop).await?;
                return Ok(Up::Stopped);
            }
        }
        drop(turn);
        if options.detach {
            return Ok(Up::Background { pid: None });
        }
        tokio::select! {
            biased;
            () = stop.requested() => started.end(events, stop).await?,
            // Somebody stopped them from another shell.
            ended = started.follow(events) => ended?,
        }
        Ok(Up::Stopped)
    }
}

/// What runs already, with what is asked for besides.
async fn already(
    engine: &Docker,
    project: Project,
    containers: Containers,
    options: UpOptions,
    events: &Events,
    stop: &Shutdown,
) -> Result<Up, Error> {
    let containers = tokio::select! {
        biased;
        () = stop.requested() => return Ok(Up::Interrupted),
        containers = add(engine, project, containers, options, events) => containers?,
    };
    let healthy = containers
        .running("api")
        .is_some_and(|api| api.health.as_deref() == Some("healthy"));
    let doing = (!healthy).then(|| "waiting for the API".to_owned());
    Ok(Up::Already {
        pid: None,
        doing,
        addresses: addresses(&containers, &engine.tool()?),
    })
}

/// Adds to what runs what is asked for and not there: Adminer, the local network. Everything else of it stays.
async fn add(
    engine: &Docker,
    project: Project,
    containers: Containers,
    asked: UpOptions,
    events: &Events,
) -> Result<Containers, Error> {
    if missing(asked, containers.options()).is_empty() {
        return Ok(containers);
    }
    let _turn = engine.turn(COMPOSE_BOUND, events).await?;
    // Whoever had the turn may have added it, or stopped everything.
    let containers = Containers::of(&project).await?;
    let has = containers.options();
    let services = missing(asked, has);
    if !containers.run() {
        return Err(Error::not_running());
    } else if services.is_empty() {
        return Ok(containers);
    }
    let options = UpOptions {
        tools: has.tools || asked.tools,
        lan: has.lan || asked.lan,
        ..has
    };
    let mut added = Started {
        project: project.clone(),
        options,
        since: SystemTime::now(),
    };
    let profiles = project.with_tools();
    let words = [
        &profiles[..],
        &["up", "--detach", "--no-deps"],
        &services[..],
    ]
    .concat();
    added
        .compose(
            containers,
            &words,
            &engine.environment,
            &engine.tool()?,
            events,
        )
        .await?;
    if services.contains(&"api") {
        events.phase("starting the API");
        return added.until_ready(events).await;
    }
    Containers::of(&added.project).await
}

/// The services that `asked` wants otherwise than they run.
fn missing(asked: UpOptions, has: UpOptions) -> Vec<&'static str> {
    let missing = [
        ("adminer", asked.tools && !has.tools),
        ("api", asked.lan && !has.lan),
    ];
    missing
        .into_iter()
        .filter_map(|(service, missing)| missing.then_some(service))
        .collect()
}

/// What this process starts.
struct Started {
    project: Project,
    options: UpOptions,
    since: SystemTime,
}

impl Started {
    async fn start(
        &mut self,
        engine: &Docker,
        containers: Containers,
        events: &Events,
    ) -> Result<Vec<Address>, Error> {
        let mut environment = engine.environment.clone();
        let checkout = environment.checkout.clone();
        let made = environment
            .configuration
            .make_secrets(&checkout, maker::exists(&maker::data_dir(&checkout)))
            .await?;
        if !made.is_empty() {
            events.note(format!(
                "made {} and wrote them to {}",
                made.join(", "),
                checkout.env_file().display()
            ));
        }
        if self.project.make_known(&checkout).await? {
            events.note(format!(
                "the containers are called {}, as {} says now",
                self.project.name,
                checkout.env_file().display()
            ));
        }
        let tool = Docker::new(environment.clone()).tool()?;
        let project = self.project.clone();
        let profiles = if self.options.tools {
            project.with_tools()
        } else {
            Vec::new()
        };
        self.compose(
            containers,
            &[&profiles[..], &["up", "--detach"]].concat(),
            &environment,
            &tool,
            events,
        )
        .await?;
        events.phase("starting the API");
        let containers = self.until_ready(events).await?;
        Ok(addresses(&containers, &tool))
    }

    /// Lets Compose start containers, on ports that they have or that are free.
    async fn compose(
        &mut self,
        mut containers: Containers,
        words: &[&str],
        environment: &Environment,
        tool: &Tool,
        events: &Events,
    ) -> Result<(), Error> {
        let mut tries_left = PORT_TRIES;
        loop {
            self.project.variables =
                published(environment, tool, &containers, self.options, events)?;
            events.phase("starting the containers");
            let listener = events.clone();
            tries_left -= 1;
            match self
                .project
                .tell(words, COMPOSE_BOUND, move |line| {
                    tell_of_compose(line, &listener)
                })
                .await
            {
                // Somebody else has taken it since it was found free.
                Err(Error::PortOfContainer { .. }) if tries_left > 0 => {
                    containers = Containers::of(&self.project).await?
                }
                ended => return ended,
            }
        }
    }

    /// Waits for the API, and shows meanwhile what the containers say.
    async fn until_ready(&self, events: &Events) -> Result<Containers, Error> {
        // Before it says something it is not there, and whoever asks already waits in a queue.
        let speaks = Arc::new(AtomicBool::new(false));
        let (listener, heard) = (events.clone(), Arc::clone(&speaks));
        let _told = Told::follow(&self.project, self.since, move |line| {
            heard.fetch_or(line.from == Source::Api, Ordering::Relaxed);
            listener.tell(Event::Output {
                from: line.from,
                line: line.text,
            });
        })
        .await?;
        let deadline = Instant::now() + READY_BOUND;
        let first = Containers::of(&self.project).await?;
        let mut containers = first.clone();
        loop {
            for service in ["setup", "db", "api"] {
                let restarts = |containers: &Containers| {
                    containers
                        .get(service)
                        .map_or(0, |container| container.restarts)
                };
                let failed = containers.get(service).is_some_and(Container::has_failed)
                    || restarts(&containers) > restarts(&first);
                if failed || Instant::now() >= deadline {
                    return Err(super::logs::ended(&self.project, service).await);
                }
            }
            let api = containers.running("api");
            let ready = poll_until(after(LOOK_EVERY), PROBE_EVERY, || async {
                let may_answer = speaks.load(Ordering::Relaxed)
                    || api.is_some_and(|api| api.health.as_deref() == Some("healthy"));
                let port = api.and_then(|api| api.port).filter(|_| may_answer)?;
                self.is_ready(port).await.then_some(())
            });
            if ready.await.is_some() {
                return Ok(containers);
            }
            containers = Containers::of(&self.project).await?;
        }
    }

    async fn is_ready(&self, port: u16) -> bool {
        let probe = Probe::new(IpAddr::from([127, 0, 0, 1]), port);
        if self.options.migrate {
            probe.ready().await.is_ok()
        } else {
            probe.live().await.is_ok()
        }
    }

    /// Shows what the containers say until they run no more.
    async fn follow(&self, events: &Events) -> Result<(), Error> {
        let mut since = SystemTime::now();
        loop {
            let listener = events.clone();
            let mut told = Told::follow(&self.project, since, move |line| {
                listener.tell(Event::Output {
                    from: line.from,
                    line: line.text,
                })
            })
            .await?;
            told.ended().await?;
            since = SystemTime::now();
            if !Containers::of(&self.project).await?.any_runs() {
                return Ok(());
            }
            // They were started again this moment.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Stops everything in order; at once when somebody insists.
    async fn end(&self, events: &Events, stop: &Shutdown) -> Result<(), Error> {
        events.phase("stopping");
        tokio::select! {
            stopped = self.project.end("stop") => stopped,
            () = stop.requested_twice() => {
                events.warn("ending everything at once");
                self.project.end("kill").await
            }
        }
    }
}

/// What Compose prints is of interest where it builds.
fn tell_of_compose(line: &str, events: &Events) {
    let said = line.trim_start();
    match said.split(' ').next() {
        Some("Container" | "Network" | "Volume") => {}
        Some(step) if step.starts_with('#') => {
            events.phase("building the image");
            events.tell(Event::Output {
                from: Source::Build,
                line: line.to_owned(),
            });
        }
        Some("") | None => {}
        Some(_) if said.contains("Pulling") || said.contains("Pulled") => {
            events.phase(format!("pulling images: {said}"))
        }
        Some(_) => events.tell(Event::Output {
            from: Source::Dev,
            line: line.to_owned(),
        }),
    }
}

/// Where everything answers.
pub(super) fn addresses(containers: &Containers, tool: &Tool) -> Vec<Address> {
    let here = IpAddr::from([127, 0, 0, 1]);
    let mut addresses = Vec::new();
    if let Some((api, port)) = containers
        .running("api")
        .and_then(|api| Some((api, api.port?)))
    {
        let url = command::base_url(here, port);
        addresses.push(Address::new("documentation", format!("{url}/docs")));
        addresses.insert(0, Address::new("API", url));
        addresses.extend(
            lan::address()
                .filter(|_| api.is_public)
                .map(|lan| Address::for_phones(command::base_url(lan, port))),
        );
    }
    if let Some(port) = containers.running("db").and_then(|db| db.port) {
        let url = session::local_url(
            port,
            &tool.user,
            tool.password.clone().unwrap_or_default(),
            &tool.database,
        );
        addresses.push(Address::new("database", url.masked()));
    }
    if let Some(port) = containers
        .running("adminer")
        .and_then(|adminer| adminer.port)
    {
        addresses.push(Address::new("Adminer", command::base_url(here, port)));
    }
    addresses
}

impl Docker {
    /// Lets the settings of now take effect: a container that they concern is made anew, another one starts again.
    pub(crate) async fn restart(
        &self,
        service: Option<Service>,
        events: &Events,
    ) -> Result<(), Error> {
        let tool = self.tool()?;
        let _turn = self.turn(PATIENCE, events).await?;
        let (mut project, before) = self.look().await?;
        if !before.any_runs() {
            return Err(Error::not_running());
        }
        let options = before.options();
        project.variables = published(&self.environment, &tool, &before, options, events)?;
        let services: &[&str] = match service {
            Some(Service::Api) => &["api"],
            Some(Service::Db) => &["db"],
            None => &["db", "api"],
        };
        for name in services {
            events.phase(format!("starting {name} anew"));
            // With what it depends on: --no-deps makes another container of it.
            project
                .run(&["up", "--detach", name], COMPOSE_BOUND)
                .await?;
            let after = Containers::of(&project).await?;
            let same = |containers: &Containers| {
                containers
                    .running(name)
                    .map(|container| (container.id.clone(), container.started))
            };
            if same(&before).is_none() || same(&before) != same(&after) {
                continue;
            }
            match (*name, after.running("api")) {
                // The supervisor in there does it without losing a request.
                ("api", Some(api)) => restart_inside(api).await?,
                _ => project
                    .run(&["restart", "--no-deps", name], STOP_BOUND)
                    .await
                    .map(drop)?,
            }
        }
        events.phase("waiting for the API");
        let ready = Started {
            project,
            options,
            since: SystemTime::now(),
        };
        let ready = tokio::time::timeout(RESTART_BOUND, ready.until_ready(events)).await;
        ready
            .map_err(|_| does_not_run("api", "it is not ready"))?
            .map(drop)
    }
}

async fn restart_inside(api: &Container) -> Result<(), Error> {
    let output = capture(tool_inside(&api.id, "restart api"), b"", RESTART_BOUND).await?;
    if output.status.success() {
        return Ok(());
    }
    let said = output.stderr.trim();
    Err(Error::message(
        said.rsplit_once("error: ").map_or(said, |(_, error)| error),
    ))
}
