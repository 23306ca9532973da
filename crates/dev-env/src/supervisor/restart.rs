//! New settings and a new program for services that run.

use super::services::Services;
use super::{api, concerns};
use crate::build::cargo;
use crate::database::external::refuse_unknown;
use crate::database::location;
use crate::database::session;
use crate::project::configuration::{External, Place, Tool};
use crate::project::kept_ports;
use crate::report::events::Event;
use crate::report::status::State;
use crate::report::up::Service;
use crate::service::listening::Listening;
use crate::service::program::Program;
use crate::{Environment, Error};
use local_postgres::{ClusterConfig, roles, roles::RolesError};

/// All that the services are started with.
struct Settings {
    environment: Environment,
    program: Option<Program>,
    listening: Option<Listening>,
    cluster: Option<ClusterConfig>,
    place: Option<Place>,
    schema_is_complete: bool,
}

/// What is to be done.
struct Plan {
    settings: Settings,
    external: Option<External>,
    database_exists: bool,
    restarts_database: bool,
    /// Whether migrations are applied when the database has been started.
    migrates_later: bool,
}

impl Services {
    /// Reads the settings again, then starts one service anew, or both. What runs goes on until the new settings and the new
    /// program are known to be good, and goes on with the old ones where those fail all the same. Where the database goes on, the
    /// API is replaced without a moment in which nobody answers.
    pub(super) async fn restart(&mut self, service: Option<Service>) -> Result<(), Error> {
        self.reloading.cancel();
        let behind = (!concerns(service, Service::Api)).then(|| self.reloading.behind());
        let restarted = self.start_anew(service).await;
        if let Some(behind) = behind {
            self.reloading.stays_behind(behind);
        }
        self.try_again();
        restarted
    }

    async fn start_anew(&mut self, service: Option<Service>) -> Result<(), Error> {
        let plan = match self.plan(service).await {
            Ok(plan) => plan,
            Err(error) => {
                self.keep_api_password().await;
                return Err(error);
            }
        };
        let Plan {
            settings,
            external,
            database_exists,
            restarts_database,
            migrates_later,
        } = plan;
        let old = self.adopt(settings);
        let start_database = restarts_database.then_some(database_exists);
        if let Err(error) = self
            .switch(start_database, migrates_later, external.as_ref())
            .await
        {
            self.go_back(old, restarts_database).await;
            return Err(error);
        }
        self.settle();
        let tool = self
            .environment
            .configuration
            .tool(&self.environment.checkout)?;
        self.reloading
            .watch_again(&self.environment, &tool, &self.events)
            .await?;
        self.describe_api(State::Running).await;
        self.events.tell(Event::Ready(self.addresses()));
        Ok(())
    }

    /// Finds out whatever can be found out while everything runs.
    async fn plan(&mut self, service: Option<Service>) -> Result<Plan, Error> {
        let mut environment = self.environment.reread().await?;
        let checkout = environment.checkout.clone();
        let external = environment.configuration.tool(&checkout)?.external;
        let place = match &external {
            Some(_) => None,
            None => Some(location::prepare(&checkout, &self.events)?),
        };
        let database_exists = place.as_ref().is_none_or(|place| place.exists);
        let made = environment
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
        let tool = environment.configuration.tool(&checkout)?;
        let listening = self.next_listening(&tool)?;
        let moves = external.is_some() != self.cluster.is_none();
        let lies_down = self.cluster.is_some() && self.server.is_none();
        let restarts_database = concerns(service, Service::Db) || moves || lies_down;
        let cluster = match place {
            Some(place) => Some(
                self.next_cluster(&environment, &tool, place, restarts_database)
                    .await?,
            ),
            None => None,
        };
        let program = match &self.program {
            Some(program) if !concerns(service, Service::Api) => program.clone(),
            _ => cargo::program(&environment, &tool, self.building(), &self.events).await?,
        };
        match &external {
            Some(external) if environment.is_in_container() => {
                self.prepared.prepare(external, &self.events).await?
            }
            Some(external) => refuse_unknown(&checkout, external)?,
            None => {}
        }
        let running = match self.verified(cluster.as_ref()).await {
            // A restart can repair a server that accepts no session. The schema is checked afterwards.
            Err(Error::Roles(error))
                if restarts_database && matches!(*error, RolesError::Psql(_)) =>
            {
                self.events.note(format!(
                    "the database does not answer; restarting it: {error}"
                ));
                None
            }
            verified => verified?,
        };
        let url = match (&external, &running) {
            (Some(external), _) => Some(external.migration_url.clone()),
            (None, running) => running.as_ref().map(session::owners_url),
        };
        let schema_is_complete = match &url {
            Some(url) => api::migrate(program.path(), url, self.options, &self.events).await?,
            None => self.schema_is_complete,
        };
        let place = Some(api::place(
            cluster.as_ref(),
            &tool,
            self.options,
            listening.port(),
        ));
        let (program, listening) = (Some(program), Some(listening));
        let settings = Settings {
            environment,
            program,
            listening,
            cluster,
            place,
            schema_is_complete,
        };
        Ok(Plan {
            settings,
            external,
            database_exists,
            restarts_database,
            migrates_later: url.is_none(),
        })
    }

    /// The socket that the API has, where the settings still say so: it is this API that has it.
    fn next_listening(&self, tool: &Tool) -> Result<Listening, Error> {
        let (checkout, host) = (&self.environment.checkout, api::host(tool, self.options));
        match self.listening.clone() {
            Some(listening) => listening.or_open(checkout, host, tool.api_port, &self.events),
            None => Listening::open(checkout, host, tool.api_port, &self.events),
        }
    }

    async fn next_cluster(
        &self,
        environment: &Environment,
        tool: &Tool,
        place: location::Place,
        restarts: bool,
    ) -> Result<ClusterConfig, Error> {
        let binaries = location::binaries(tool, Some(&place), &self.events).await?;
        let port = match &self.cluster {
            Some(old)
                if !restarts
                    || kept_ports::is_postgres_still(
                        &environment.checkout,
                        tool.postgres_port,
                        old.port,
                    ) =>
            {
                old.port
            }
            _ => kept_ports::postgres(&environment.checkout, tool.postgres_port, &self.events)?,
        };
        let cluster = location::describe(environment, tool, place, binaries, port, &self.events)?;
        Ok(match &self.cluster {
            // It goes on as it was started.
            Some(old) if !restarts => ClusterConfig {
                binaries: old.binaries.clone(),
                ..cluster
            },
            _ => cluster,
        })
    }

    /// The new settings for the server as it runs, when they fit it; `None` when none runs.
    async fn verified(&self, next: Option<&ClusterConfig>) -> Result<Option<ClusterConfig>, Error> {
        let (Some(old), Some(next), Some(_)) = (&self.cluster, next, &self.server) else {
            return Ok(None);
        };
        let running = ClusterConfig {
            port: old.port,
            socket_dir: old.socket_dir.clone(),
            binaries: old.binaries.clone(),
            ..next.clone()
        };
        roles::verify(&running).await?;
        Ok(Some(running))
    }

    /// Verifying gives the API's role the new password: where the old API goes on, it needs the old one.
    async fn keep_api_password(&self) {
        if self.environment.is_in_container() {
            self.prepared
                .keep_role(&self.environment, &self.events)
                .await;
        } else if let (Some(cluster), Some(_)) = (&self.cluster, &self.server)
            && let Err(error) = roles::verify(cluster).await
        {
            self.events.warn(error.to_string());
        }
    }

    /// `start_database`: whether there is one already, where it is started anew.
    async fn switch(
        &mut self,
        start_database: Option<bool>,
        migrates: bool,
        external: Option<&External>,
    ) -> Result<(), Error> {
        if start_database.is_none() && !migrates {
            return self.replace_api().await;
        }
        self.stop_api().await;
        if let Some(exists) = start_database {
            self.stop_database().await;
            match external {
                Some(external) => self.show_external(external),
                None => self.run_server(exists).await?,
            }
        }
        if let Some(program) = self.program.as_ref().filter(|_| migrates) {
            let tool = self
                .environment
                .configuration
                .tool(&self.environment.checkout)?;
            let url = api::migration_url(self.cluster.as_ref(), &tool);
            self.schema_is_complete =
                api::migrate(program.path(), &url, self.options, &self.events).await?;
        }
        self.start_api().await
    }

    /// Starts what ran as it ran.
    async fn go_back(&mut self, old: Settings, restarts_database: bool) {
        self.events
            .note("that failed: everything goes on with the old settings");
        if restarts_database {
            self.stop_api().await;
            self.stop_database().await;
        }
        drop(self.adopt(old));
        if restarts_database && self.cluster.is_some() {
            if let Err(error) = self.run_server(true).await {
                self.events.warn(error.to_string());
                self.server_again.schedule();
            }
        } else {
            self.keep_api_password().await;
        }
        if let Ok(Tool {
            external: Some(external),
            ..
        }) = self
            .environment
            .configuration
            .tool(&self.environment.checkout)
        {
            self.show_external(&external);
        }
        if self.api.is_none() {
            self.start_api_or_again().await;
        }
    }

    /// Takes new settings, and returns the ones it had.
    fn adopt(&mut self, settings: Settings) -> Settings {
        let program = settings
            .program
            .as_ref()
            .map(|program| program.path().to_owned());
        self.board.update(|snapshot| snapshot.program = program);
        Settings {
            environment: std::mem::replace(&mut self.environment, settings.environment),
            program: std::mem::replace(&mut self.program, settings.program),
            listening: std::mem::replace(&mut self.listening, settings.listening),
            cluster: std::mem::replace(&mut self.cluster, settings.cluster),
            place: std::mem::replace(&mut self.place, settings.place),
            schema_is_complete: std::mem::replace(
                &mut self.schema_is_complete,
                settings.schema_is_complete,
            ),
        }
    }
}
