//! A session with the development database, as its owner.

use std::path::Path;
use std::time::Duration;

use emotionviz_settings::DatabaseUrl;
use futures_util::future::LocalBoxFuture;
use local_postgres::{ClusterConfig, psql};
use process::{Configuration, Output};
use secrecy::{ExposeSecret, SecretString};

use crate::database::writers::left;
use crate::project::configuration::Tool;
use crate::project::names::API_ROLE;
use crate::report::events::Events;
use crate::{Environment, Error};

const SQL_BOUND: Duration = Duration::from_secs(600);

/// Who runs the database of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunBy {
    /// The running services. They allowed writes at their start.
    Services,
    /// The session, which stops it.
    Session,
    /// Another program, or a user.
    Other,
}

/// Which build of the service's `migrate` a command needs.
pub(crate) enum Build<'a> {
    /// The newest one that exists.
    Newest,
    /// One of the current sources, to run with these arguments on the session's database.
    Current(&'a [&'a str]),
}

/// How an engine reaches a database server.
pub(crate) trait DatabaseAccess {
    /// Returns who runs the server.
    fn run_by(&self) -> RunBy;

    /// Returns whether client programs run in a container, without access to files of this machine.
    fn is_in_container(&self) -> bool;

    /// Returns a client program of the server's own PostgreSQL that connects to `url`. A user can type into it if it is `interactive`.
    fn client<'a>(
        &'a self,
        program: &'a str,
        url: &'a DatabaseUrl,
        interactive: bool,
    ) -> LocalBoxFuture<'a, Result<Configuration, Error>>;

    /// Returns a shell script that runs next to the server, with psql, connecting to `url`, as `$0`.
    fn script<'a>(
        &'a self,
        script: &'a str,
        url: &'a DatabaseUrl,
    ) -> LocalBoxFuture<'a, Result<Configuration, Error>>;

    /// Returns the service's `migrate`.
    fn migrate<'a>(
        &'a self,
        build: Build<'a>,
        url: &'a DatabaseUrl,
        colour: bool,
    ) -> LocalBoxFuture<'a, Result<Box<dyn Migrate + 'a>, Error>>;

    /// Stops a server that was started for the session.
    fn end(self: Box<Self>) -> LocalBoxFuture<'static, Result<(), Error>>;
}

/// A program `emotionviz migrate`.
pub(crate) trait Migrate {
    /// Runs the program, and returns its output, also on failure.
    fn run<'a>(
        &'a self,
        url: &'a DatabaseUrl,
        args: &'a [&'a str],
    ) -> LocalBoxFuture<'a, Result<Output, Error>>;
}

/// The database, as its owner sees it. End it: a server that was started on demand is then stopped in order.
pub struct Session {
    environment: Environment,
    tool: Tool,
    /// The owner's URL.
    url: DatabaseUrl,
    access: Box<dyn DatabaseAccess>,
    events: Events,
}

impl Session {
    pub(crate) fn new(
        environment: Environment,
        tool: Tool,
        url: DatabaseUrl,
        access: Box<dyn DatabaseAccess>,
        events: Events,
    ) -> Self {
        Self {
            environment,
            tool,
            url,
            access,
            events,
        }
    }

    /// Returns the owner's URL.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Returns the checkout and its settings.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Returns the receiver of progress events.
    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// Returns whether the settings name the database.
    pub fn is_external(&self) -> bool {
        self.tool.external.is_some()
    }

    /// Returns the service's `migrate` with these arguments, built from the current sources.
    ///
    /// # Errors
    /// The service does not compile.
    pub(crate) async fn current_migrator<'a>(
        &'a self,
        args: &'a [&'a str],
        colour: bool,
    ) -> Result<Migrator<'a>, Error> {
        self.build_migrator(Build::Current(args), colour).await
    }

    /// Returns the service's `migrate` for other databases of the same server, from the newest build.
    ///
    /// # Errors
    /// The service does not compile, and there is no earlier build.
    pub(crate) async fn migrator(&self, colour: bool) -> Result<Migrator<'_>, Error> {
        self.build_migrator(Build::Newest, colour).await
    }

    async fn build_migrator<'a>(
        &'a self,
        build: Build<'a>,
        colour: bool,
    ) -> Result<Migrator<'a>, Error> {
        Ok(Migrator {
            program: self.access.migrate(build, &self.url, colour).await?,
            url: self.url.clone(),
        })
    }

    /// Returns psql, as a user types it.
    ///
    /// # Errors
    /// There is none on this machine.
    pub async fn psql(&self) -> Result<Configuration, Error> {
        self.access.client("psql", &self.url, true).await
    }

    /// Returns a client program of the database's own PostgreSQL, in another database of the same server.
    ///
    /// # Errors
    /// There is none on this machine.
    pub(crate) async fn client_in(
        &self,
        program: &str,
        database: &str,
    ) -> Result<Configuration, Error> {
        self.access
            .client(program, &self.url_of(database), false)
            .await
    }

    /// Returns a shell script that runs next to the server, with psql in this database as `$0`.
    ///
    /// # Errors
    /// This machine has no psql.
    pub(crate) async fn script_in(
        &self,
        database: &str,
        script: &str,
    ) -> Result<Configuration, Error> {
        self.access.script(script, &self.url_of(database)).await
    }

    /// Runs SQL, and returns its output.
    ///
    /// # Errors
    /// A statement is refused; none after it runs.
    pub async fn sql(&self, sql: &str) -> Result<String, Error> {
        self.sql_in(&self.url.database, sql).await
    }

    /// Runs SQL in another database of the same server, and returns its output.
    ///
    /// # Errors
    /// A statement is refused; none after it runs.
    pub(crate) async fn sql_in(&self, database: &str, sql: &str) -> Result<String, Error> {
        let psql = self.client_in("psql", database).await?;
        Ok(psql::run(psql, sql.as_bytes(), SQL_BOUND).await?)
    }

    /// Runs SQL as the role of the service, and returns its output.
    ///
    /// Code on tables, which may have come with a restored file, runs with the same rights.
    /// In an external database, the role is the owner.
    ///
    /// # Errors
    /// A statement is refused; none after it runs.
    pub(crate) async fn sql_as_service(&self, sql: &str) -> Result<String, Error> {
        let psql = self.client_in("psql", &self.url.database).await?;
        let psql = if self.is_external() {
            psql
        } else {
            let password = self.tool.api_password.clone().unwrap_or_default();
            psql.env("PGPASSWORD", password.expose_secret())
                .args(["--username", API_ROLE])
        };
        Ok(psql::run(psql, sql.as_bytes(), SQL_BOUND).await?)
    }

    fn url_of(&self, database: &str) -> DatabaseUrl {
        DatabaseUrl {
            database: database.to_owned(),
            ..self.url.clone()
        }
    }

    /// Returns the folder of PostgreSQL's programs in the settings.
    pub(crate) fn bin_dir(&self) -> Option<&Path> {
        self.tool.bin_dir.as_deref()
    }

    /// Returns whether client programs run in a container, without access to files of this machine.
    pub(crate) fn is_in_container(&self) -> bool {
        self.access.is_in_container()
    }

    /// Refuses work that is only for a database that `cargo dev` runs.
    ///
    /// # Errors
    /// The settings name the database.
    pub(crate) fn refuse_external(&self, what: &'static str) -> Result<(), Error> {
        self.tool.refuse_external(what)
    }

    /// Returns who runs the database.
    pub(crate) fn run_by(&self) -> RunBy {
        self.access.run_by()
    }

    /// Allows writes again that a lost command stopped.
    ///
    /// # Errors
    /// The database does not answer.
    pub(crate) async fn let_writers_in(&self) -> Result<(), Error> {
        let run = async |database: &str, sql: &str| self.sql_in(database, sql).await;
        left::let_in_left(&self.url.database, run, &self.events).await
    }

    /// Ends the session.
    ///
    /// # Errors
    /// A server that was started on demand does not stop.
    pub async fn end(self) -> Result<(), Error> {
        self.access.end().await
    }
}

/// The service's `migrate` for any database of a session's server.
pub(crate) struct Migrator<'a> {
    program: Box<dyn Migrate + 'a>,
    url: DatabaseUrl,
}

impl Migrator<'_> {
    /// Connects as this role.
    pub(crate) fn with_login(mut self, name: &str, password: &SecretString) -> Self {
        (self.url.user, self.url.password) = (name.to_owned(), Some(password.clone()));
        self
    }

    /// Runs the program, and returns its output, also on failure.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(crate) async fn run(&self, database: &str, args: &[&str]) -> Result<Output, Error> {
        let url = DatabaseUrl {
            database: database.to_owned(),
            ..self.url.clone()
        };
        self.program.run(&url, args).await
    }
}

/// The application name of this command's sessions.
pub(crate) fn application_name() -> String {
    format!("cargo dev (pid {})", std::process::id())
}

/// The URL by which the owner of a server's database connects.
pub fn owners_url(cluster: &ClusterConfig) -> DatabaseUrl {
    local_url(
        cluster.port,
        &cluster.superuser,
        cluster.password.clone(),
        &cluster.database,
    )
}

/// The URL by which the API connects to a server's database: through its socket, since the loopback interface
/// makes a list of entries an eighth slower.
pub fn api_url(cluster: &ClusterConfig) -> DatabaseUrl {
    let url = local_url(
        cluster.port,
        &cluster.app_role.name,
        cluster.app_role.password.clone(),
        &cluster.database,
    );
    let folder = cluster
        .socket_dir
        .to_str()
        .expect("the folder was chosen to have a name in UTF-8");
    DatabaseUrl {
        host: folder.to_owned(),
        ..url
    }
}

pub fn local_url(port: u16, user: &str, password: SecretString, database: &str) -> DatabaseUrl {
    DatabaseUrl {
        user: user.to_owned(),
        password: Some(password),
        host: "127.0.0.1".to_owned(),
        port,
        database: database.to_owned(),
        ssl_mode: None,
    }
}
