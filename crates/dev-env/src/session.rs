//! A while with the development database: the one that runs, or one that is started for the moment.

use std::path::Path;
use std::time::Duration;

use emotionviz_settings::DatabaseUrl;
use secrecy::{ExposeSecret, SecretString};

use crate::configuration::{External, Tool};
use crate::docker::{Inside, Moment};
use crate::events::Events;
use crate::lock::Lock;
use crate::postgres::psql::{self, Psql, Way};
use crate::postgres::server::Server;
use crate::postgres::{Binaries, ClusterConfig, roles};
use crate::process::{Configuration, Output};
use crate::program::Program;
use crate::{Environment, Error, build, database, native, service, writers};

const SQL_BOUND: Duration = Duration::from_secs(600);

/// Where a session's database is.
pub(crate) enum Where {
    /// A supervisor runs it.
    Running { port: u16, place: database::Place },
    /// It is started for the moment.
    Moment {
        cluster: Box<ClusterConfig>,
        server: Box<Server>,
        lock: Lock,
    },
    /// Somebody else runs it.
    External(Box<External>),
    /// In a container, started for the moment or not.
    Docker {
        inside: Inside,
        moment: Option<Moment>,
    },
}

/// The database, as its owner sees it. End it: a server that was started for the moment is then stopped in order.
pub struct Session {
    environment: Environment,
    tool: Tool,
    /// The owner's URL.
    url: DatabaseUrl,
    at: Where,
    events: Events,
}

impl Session {
    pub(crate) fn new(
        environment: Environment,
        tool: Tool,
        at: Where,
        events: Events,
    ) -> Result<Self, Error> {
        let url = match &at {
            Where::Running { port, place } => {
                let password = tool.password.clone().ok_or_else(|| Error::PasswordLost {
                    data_dir: place.data_dir.clone(),
                })?;
                local_url(*port, &tool.user, password, &tool.database)
            }
            Where::Moment { cluster, .. } => owners_url(cluster),
            Where::External(external) => external.migration_url.clone(),
            Where::Docker { inside, .. } => local_url(
                inside.port,
                &tool.user,
                tool.password.clone().unwrap_or_default(),
                &tool.database,
            ),
        };
        Ok(Self {
            environment,
            tool,
            url,
            at,
            events,
        })
    }

    /// The owner's URL.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// The checkout and its settings.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The receiver of progress events.
    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// Whether somebody else runs the database.
    pub fn is_external(&self) -> bool {
        matches!(self.at, Where::External(_))
    }

    /// Returns the service's `migrate` with these arguments, built from the current sources.
    ///
    /// # Errors
    /// The service does not compile.
    pub(crate) async fn current_migrator(
        &self,
        args: &[&str],
        colour: bool,
    ) -> Result<Migrator<'_>, Error> {
        if let Where::Docker { inside, .. } = &self.at {
            inside
                .wait_for_files(&self.environment.checkout, &self.url, args, &self.events)
                .await?;
            return Ok(Migrator {
                session: self,
                program: None,
                login: None,
            });
        }
        let building = build::Options {
            colour,
            ..Default::default()
        };
        let program = build::program(&self.environment, &self.tool, building, &self.events).await?;
        Ok(Migrator {
            session: self,
            program: Some(program),
            login: None,
        })
    }

    /// psql, as somebody would type it.
    ///
    /// # Errors
    /// There is none on this machine.
    pub async fn psql(&self) -> Result<Configuration, Error> {
        match &self.at {
            Where::Docker { inside, .. } => Ok(inside.client("psql", &self.url.database, true)),
            _ => self.client_in("psql", &self.url.database).await,
        }
    }

    /// Runs SQL, and returns what it prints.
    ///
    /// # Errors
    /// A statement is refused; none after it runs.
    pub async fn sql(&self, sql: &str) -> Result<String, Error> {
        self.sql_in(&self.url.database, sql).await
    }

    /// A client program of the database's own PostgreSQL, in another database of the same server.
    ///
    /// # Errors
    /// There is none on this machine.
    pub(crate) async fn client_in(
        &self,
        program: &str,
        database: &str,
    ) -> Result<Configuration, Error> {
        if let Where::Docker { inside, .. } = &self.at {
            return Ok(inside.client(program, database, false));
        }
        let binaries = self.binaries().await?;
        Ok(self.client(program, &binaries).env("PGDATABASE", database))
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
        if let Where::Docker { inside, .. } = &self.at {
            return Ok(inside
                .client("sh", database, false)
                .args(["-c", script, "psql"]));
        }
        let mut psql = self.client_in("psql", database).await?;
        let program = std::mem::replace(&mut psql.program, "sh".into());
        Ok(psql.args(["-c", script]).args([program]))
    }

    /// Runs SQL in another database of the same server, and returns what it prints.
    ///
    /// # Errors
    /// A statement is refused; none after it runs.
    pub(crate) async fn sql_in(&self, database: &str, sql: &str) -> Result<String, Error> {
        Ok(psql::run(
            self.client_in("psql", database).await?,
            sql.as_bytes(),
            SQL_BOUND,
        )
        .await?)
    }

    /// Runs SQL as the role of the service, and returns what it prints. Code on tables, which may have come with a restored file, runs with the
    /// same rights. In an external database, the role is the owner.
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
                .args(["--username", roles::API_ROLE])
        };
        Ok(psql::run(psql, sql.as_bytes(), SQL_BOUND).await?)
    }

    /// Returns the service's `migrate` for other databases of the same server, from the newest build.
    ///
    /// # Errors
    /// The service does not compile, and there is no earlier build.
    pub(crate) async fn migrator(&self, colour: bool) -> Result<Migrator<'_>, Error> {
        if matches!(self.at, Where::Docker { .. }) {
            return Ok(Migrator {
                session: self,
                program: None,
                login: None,
            });
        }
        let building = build::Options {
            colour,
            ..Default::default()
        };
        let program =
            build::newest_program(&self.environment, &self.tool, building, &self.events).await?;
        Ok(Migrator {
            session: self,
            program: Some(program),
            login: None,
        })
    }

    /// Returns the folder of PostgreSQL's programs in the settings.
    pub(crate) fn bin_dir(&self) -> Option<&Path> {
        self.tool.bin_dir.as_deref()
    }

    /// Returns whether client programs run in a container, without access to files of this machine.
    pub(crate) fn is_in_container(&self) -> bool {
        matches!(self.at, Where::Docker { .. })
    }

    /// Refuses what only a database of the tool's own can have done to it.
    ///
    /// # Errors
    /// Somebody else runs it.
    pub(crate) fn refuse_external(&self, what: &'static str) -> Result<(), Error> {
        native::refuse_external(&self.tool, what)
    }

    /// Whether the running services, or the server started here, already allowed writes at their start.
    pub(crate) fn is_of_services(&self) -> bool {
        !matches!(
            self.at,
            Where::External(_)
                | Where::Docker {
                    moment: Some(_),
                    ..
                }
        )
    }

    /// Returns whether this session started the database, and stops it.
    pub(crate) fn is_on_demand(&self) -> bool {
        matches!(
            self.at,
            Where::Moment { .. }
                | Where::Docker {
                    moment: Some(_),
                    ..
                }
        )
    }

    /// Allows writes again that a lost command stopped.
    ///
    /// # Errors
    /// The database does not answer.
    pub(crate) async fn let_writers_in(&self) -> Result<(), Error> {
        let run = async |database: &str, sql: &str| self.sql_in(database, sql).await;
        writers::let_in_left(&self.url.database, run, &self.events).await
    }

    /// Ends it.
    ///
    /// # Errors
    /// A server that was started for the moment does not stop.
    pub async fn end(self) -> Result<(), Error> {
        match self.at {
            Where::Moment { server, lock, .. } => {
                server.stop().await?;
                drop(lock);
            }
            Where::Docker {
                moment: Some(moment),
                ..
            } => moment.end().await?,
            Where::Running { .. } | Where::External(_) | Where::Docker { moment: None, .. } => {}
        }
        Ok(())
    }

    async fn binaries(&self) -> Result<Binaries, Error> {
        match &self.at {
            Where::Moment { cluster, .. } => Ok(cluster.binaries.clone()),
            Where::Running { place, .. } => {
                database::binaries(&self.tool, Some(place), &self.events).await
            }
            Where::External(_) | Where::Docker { .. } => {
                database::binaries(&self.tool, None, &self.events).await
            }
        }
    }

    fn client(&self, program: &str, binaries: &Binaries) -> Configuration {
        let session = Psql {
            program: binaries.psql(),
            way: Way::Tcp {
                password: self.url.password.clone().unwrap_or_default(),
            },
            port: self.url.port,
            user: self.url.user.clone(),
            database: self.url.database.clone(),
        };
        let mut client = session
            .client(program, binaries.program(program))
            .env("PGAPPNAME", application_name());
        if self.is_external() {
            client = client.env("PGHOST", &self.url.host).env(
                "PGSSLMODE",
                self.url.ssl_mode.as_deref().unwrap_or("prefer"),
            );
        }
        client
    }
}

/// The application name of this command's sessions.
pub(crate) fn application_name() -> String {
    format!("cargo dev (pid {})", std::process::id())
}

/// The service's `migrate` for any database of a session's server.
pub(crate) struct Migrator<'a> {
    session: &'a Session,
    /// `None` in a container, which has its own program.
    program: Option<Program>,
    /// Another role than the owner, and its password.
    login: Option<(String, SecretString)>,
}

impl Migrator<'_> {
    /// Connects as this role.
    pub(crate) fn with_login(self, name: &str, password: &SecretString) -> Self {
        Self {
            login: Some((name.to_owned(), password.clone())),
            ..self
        }
    }

    /// Runs the program, and returns its output, also on failure.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(crate) async fn run(&self, database: &str, args: &[&str]) -> Result<Output, Error> {
        let mut url = DatabaseUrl {
            database: database.to_owned(),
            ..self.session.url.clone()
        };
        if let Some((user, password)) = &self.login {
            (url.user, url.password) = (user.clone(), Some(password.clone()));
        }
        let (checkout, events) = (&self.session.environment.checkout, &self.session.events);
        match (&self.session.at, &self.program) {
            (_, Some(program)) => service::migrate(program.path(), &url, args).await,
            (Where::Docker { inside, .. }, None) => {
                match inside.wait_for_files(checkout, &url, args, events).await {
                    // The settings of the build must suffice.
                    Ok(()) | Err(Error::OldProgram { .. }) => inside.migrate(&url, args).await,
                    Err(error) => Err(error),
                }
            }
            _ => unreachable!("only a container has its own program"),
        }
    }
}

/// The URL by which the owner of a server's database connects.
pub(crate) fn owners_url(cluster: &ClusterConfig) -> DatabaseUrl {
    local_url(
        cluster.port,
        &cluster.superuser,
        cluster.password.clone(),
        &cluster.database,
    )
}

/// The URL by which the API connects to a server's database: through its socket, since the loopback interface
/// makes a list of entries an eighth slower.
pub(crate) fn api_url(cluster: &ClusterConfig) -> DatabaseUrl {
    let url = local_url(
        cluster.port,
        roles::API_ROLE,
        cluster.api_password.clone(),
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

pub(crate) fn local_url(
    port: u16,
    user: &str,
    password: SecretString,
    database: &str,
) -> DatabaseUrl {
    DatabaseUrl {
        user: user.to_owned(),
        password: Some(password),
        host: "127.0.0.1".to_owned(),
        port,
        database: database.to_owned(),
        ssl_mode: None,
    }
}
