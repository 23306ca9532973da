//! The docker engine: the services of docker-compose.yml, driven by `docker compose`.

use std::time::Duration;

use emotionviz_settings::{DatabaseUrl, Problems};

use super::access::DockerAccess;
use super::command::does_not_run;
use super::compose_settings::ComposeSettings;
use super::containers::Containers;
use super::host::Host;
use super::inside::{Inside, Moment};
use super::logs;
use super::project::Project;
use super::published::published;
use crate::database::session::{Session, local_url};
use crate::database::{location, maker};
use crate::project::configuration::{Tool, database_host};
use crate::project::{kept_ports, lock};
use crate::report::events::Events;
use crate::report::up::UpOptions;
use crate::{Environment, Error};
use process::FileLock;

/// Locked by the session that has started the database and will stop it.
const ON_DEMAND: &str = "on-demand.lock";
const COMMAND: &str = "command that starts or stops the containers";
/// Another command of this engine is waited for this long.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The docker engine of a checkout.
#[derive(Clone, Debug)]
pub struct Docker {
    pub(super) environment: Environment,
}

impl Docker {
    /// The engine of `environment`.
    pub fn new(environment: Environment) -> Self {
        Self { environment }
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Refuses settings that prevent a start.
    pub(crate) fn check_settings(&self) -> Result<(), Error> {
        self.tool()?;
        Ok(ComposeSettings::read(&self.environment).refuse(&self.environment.checkout)?)
    }

    /// The settings, and for what nobody sets the values that docker-compose.yml has.
    pub(super) fn tool(&self) -> Result<Tool, Error> {
        let mut configuration = self.environment.configuration.clone();
        configuration.set_examples();
        let tool = configuration.tool(&self.environment.checkout)?;
        let local = database_host::of_this_machine(configuration.values());
        if !local.is_empty() {
            return Err(Problems(local).into());
        }
        match tool.external {
            None => Ok(tool),
            Some(_) => Err(Error::hinted(
                "the docker engine does not support an external database (DATABASE_URL, MIGRATION_DATABASE_URL)",
                "leave those settings out, or type cargo dev --engine native …",
            )),
        }
    }

    /// The project and its containers.
    pub(super) async fn look(&self) -> Result<(Project, Containers), Error> {
        self.look_on()
            .await
            .map(|(_, project, containers)| (project, containers))
    }

    /// Also returns the Docker host of the containers.
    pub(super) async fn look_on(&self) -> Result<(Host, Project, Containers), Error> {
        // It says what is the matter where Docker does not answer; asked at the same time, it costs nothing.
        let project = async {
            let project = Project::of(&self.environment).await?;
            let containers = Containers::of(&project).await?;
            Ok::<_, Error>((project, containers))
        };
        let (host, project) = tokio::join!(Host::ask(), project);
        let (host, (project, containers)) = (host?, project?);
        Ok((host, project, containers))
    }

    /// One command of this engine at a time starts and stops containers. The lock is the system's, and ends with this process.
    pub(super) async fn turn(
        &self,
        patience: Duration,
        events: &Events,
    ) -> Result<FileLock, Error> {
        lock::wait_for(&self.environment.checkout, "compose.lock", patience, events)
            .await?
            .ok_or_else(|| Error::at_work(COMMAND))
    }

    async fn end(&self, verb: &str, events: &Events) -> Result<bool, Error> {
        let (project, containers) = self.look().await?;
        if containers.is_empty() {
            return Ok(false);
        }
        let ran = containers.any_runs();
        let _turn = self.turn(PATIENCE, events).await?;
        events.phase("stopping");
        project.end(verb).await?;
        Ok(ran)
    }

    /// A session on the database, which is started for the moment where it does not run. With `new` it is made where there is none.
    pub(crate) async fn session_on(&self, new: bool, events: &Events) -> Result<Session, Error> {
        let tool = self.tool()?;
        let data_dir = maker::data_dir(&self.environment.checkout);
        if !new && !maker::exists(&data_dir) {
            return Err(location::no_database(&data_dir));
        }
        let lasting = lock::file_shared(&self.environment.checkout, ON_DEMAND)?;
        let (project, containers) = self.look().await?;
        // Another session stops the database that it has started.
        let inside = lasting
            .as_ref()
            .and_then(|_| Inside::of(&project, &containers, &tool));
        drop(lasting);
        let (inside, moment) = match inside {
            Some(inside) => (inside, None),
            None => self.started_for_the_moment(project, &tool, events).await?,
        };
        let url = local_url(
            inside.port,
            &tool.user,
            tool.password.clone().unwrap_or_default(),
            &tool.database,
        );
        let access = DockerAccess {
            checkout: self.environment.checkout.clone(),
            inside,
            moment,
            events: events.clone(),
        };
        Ok(Session::new(
            self.environment.clone(),
            tool,
            url,
            Box::new(access),
            events.clone(),
        ))
    }

    /// The database, started for the moment, unless the command that was waited for has started it.
    async fn started_for_the_moment(
        &self,
        mut project: Project,
        tool: &Tool,
        events: &Events,
    ) -> Result<(Inside, Option<Moment>), Error> {
        project.check_settings(&self.environment.checkout).await?;
        let turn = self.turn(PATIENCE, events).await?;
        let containers = Containers::of(&project).await?;
        // With the turn it is not a database of another session.
        if let Some(inside) = Inside::of(&project, &containers, tool) {
            return Ok((inside, None));
        }
        events.note("the environment does not run: the database is started for the moment");
        project.variables = published(
            &self.environment,
            tool,
            &containers,
            UpOptions::plain(),
            events,
        )?;
        // Commands hold it for as long as they look.
        let alone = lock::wait_for(&self.environment.checkout, ON_DEMAND, PATIENCE, events);
        let alone = alone.await?.ok_or_else(|| Error::at_work(COMMAND))?;
        let moment = Moment::start(&project, containers.is_empty(), [turn, alone], events).await?;
        let Some(inside) = Inside::of(&project, &Containers::of(&project).await?, tool) else {
            moment.end().await?;
            return Err(does_not_run("db", "it has ended"));
        };
        Ok((inside, Some(moment)))
    }
}

impl Docker {
    pub(crate) async fn stop(&self, events: &Events) -> Result<bool, Error> {
        self.end("stop", events).await
    }

    pub(crate) async fn down(&self, events: &Events) -> Result<bool, Error> {
        if let Ok((project, _)) = self.look().await {
            logs::keep(&self.environment, &project).await;
        }
        self.end("down", events).await
    }

    pub(crate) async fn session(
        &self,
        _what: &'static str,
        events: &Events,
    ) -> Result<Session, Error> {
        self.session_on(false, events).await
    }

    pub(crate) async fn url(&self) -> Result<(DatabaseUrl, bool), Error> {
        let tool = self.tool()?;
        let (_, containers) = self.look().await?;
        let running = containers.running("db").and_then(|db| db.port);
        let port = running.unwrap_or_else(|| {
            kept_ports::last_postgres(&self.environment.checkout, tool.postgres_port)
        });
        Ok((
            local_url(
                port,
                &tool.user,
                tool.password.unwrap_or_default(),
                &tool.database,
            ),
            running.is_some(),
        ))
    }
}
