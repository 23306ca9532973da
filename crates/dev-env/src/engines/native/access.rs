//! How the native engine reaches a database server.

use emotionviz_settings::DatabaseUrl;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use local_postgres::psql::{Connection, Psql};
use local_postgres::server::Server;
use local_postgres::{Binaries, ClusterConfig};
use process::{Configuration, Output};
use tokio::sync::OnceCell;

use crate::build::cargo;
use crate::database::location::{self, Place};
use crate::database::session::{Build, DatabaseAccess, Migrate, RunBy, application_name};
use crate::project::configuration::Tool;
use crate::project::lock::Lock;
use crate::report::events::Events;
use crate::service::command;
use crate::service::program::Program;
use crate::{Environment, Error};

/// A database server that client programs of this machine reach.
pub(super) struct NativeAccess {
    pub(super) environment: Environment,
    pub(super) tool: Tool,
    pub(super) server: RunningServer,
    /// PostgreSQL's programs, once they were searched.
    pub(super) found: OnceCell<Binaries>,
    pub(super) events: Events,
}

/// Who runs the server.
pub(super) enum RunningServer {
    /// A supervisor.
    Supervised(Place),
    /// The session.
    OnDemand {
        cluster: Box<ClusterConfig>,
        server: Box<Server>,
        lock: Lock,
    },
    /// Another program, or a user: the settings name it.
    External,
}

impl NativeAccess {
    async fn binaries(&self) -> Result<&Binaries, Error> {
        let place = match &self.server {
            RunningServer::OnDemand { cluster, .. } => return Ok(&cluster.binaries),
            RunningServer::Supervised(place) => Some(place),
            RunningServer::External => None,
        };
        // A search starts several processes.
        let search = || location::binaries(&self.tool, place, &self.events);
        self.found.get_or_try_init(search).await
    }

    async fn client_of(&self, program: &str, url: &DatabaseUrl) -> Result<Configuration, Error> {
        let binaries = self.binaries().await?;
        let session = Psql {
            program: binaries.psql(),
            connection: Connection::Tcp {
                password: url.password.clone().unwrap_or_default(),
            },
            port: url.port,
            user: url.user.clone(),
            database: url.database.clone(),
        };
        let client = session
            .client(program, binaries.program(program))
            .env("PGAPPNAME", application_name());
        Ok(match &self.server {
            RunningServer::External => client
                .env("PGHOST", &url.host)
                .env("PGSSLMODE", url.ssl_mode.as_deref().unwrap_or("prefer")),
            _ => client,
        })
    }
}

impl DatabaseAccess for NativeAccess {
    fn run_by(&self) -> RunBy {
        match self.server {
            RunningServer::Supervised(_) => RunBy::Services,
            RunningServer::OnDemand { .. } => RunBy::Session,
            RunningServer::External => RunBy::Other,
        }
    }

    fn is_in_container(&self) -> bool {
        false
    }

    fn client<'a>(
        &'a self,
        program: &'a str,
        url: &'a DatabaseUrl,
        _interactive: bool,
    ) -> LocalBoxFuture<'a, Result<Configuration, Error>> {
        self.client_of(program, url).boxed_local()
    }

    fn script<'a>(
        &'a self,
        script: &'a str,
        url: &'a DatabaseUrl,
    ) -> LocalBoxFuture<'a, Result<Configuration, Error>> {
        async move {
            let mut psql = self.client_of("psql", url).await?;
            let program = std::mem::replace(&mut psql.program, "sh".into());
            Ok(psql.args(["-c", script]).args([program]))
        }
        .boxed_local()
    }

    fn migrate<'a>(
        &'a self,
        build: Build<'a>,
        _url: &'a DatabaseUrl,
        colour: bool,
    ) -> LocalBoxFuture<'a, Result<Box<dyn Migrate + 'a>, Error>> {
        async move {
            let (environment, tool, events) = (&self.environment, &self.tool, &self.events);
            let options = cargo::Options {
                colour,
                ..Default::default()
            };
            let program = match build {
                Build::Current(_) => cargo::program(environment, tool, options, events).await?,
                Build::Newest => cargo::newest_program(environment, tool, options, events).await?,
            };
            Ok(Box::new(program) as Box<dyn Migrate>)
        }
        .boxed_local()
    }

    fn end(self: Box<Self>) -> LocalBoxFuture<'static, Result<(), Error>> {
        async move {
            if let RunningServer::OnDemand { server, lock, .. } = self.server {
                server.stop().await?;
                drop(lock);
            }
            Ok(())
        }
        .boxed_local()
    }
}

impl Migrate for Program {
    fn run<'a>(
        &'a self,
        url: &'a DatabaseUrl,
        args: &'a [&'a str],
    ) -> LocalBoxFuture<'a, Result<Output, Error>> {
        command::migrate(self.path(), url, args).boxed_local()
    }
}
