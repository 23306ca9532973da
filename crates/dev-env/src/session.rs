//! A while with the development database: the one that runs, or one that is started for the moment.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use emotionviz_settings::DatabaseUrl;
use secrecy::SecretString;

use crate::configuration::{External, Tool};
use crate::events::Events;
use crate::lock::Lock;
use crate::postgres::psql::{Psql, Way};
use crate::postgres::server::Server;
use crate::postgres::{Binaries, ClusterConfig};
use crate::process::{Configuration, capture, run};
use crate::{Environment, Error, database, service};

const SQL_BOUND: Duration = Duration::from_secs(600);
const DUMP_BOUND: Duration = Duration::from_secs(3600);

/// Where a session's database is.
pub(crate) enum Where {
    /// A supervisor runs it.
    Running { port: u16, place: database::Place },
    /// It is started for the moment.
    Moment { cluster: Box<ClusterConfig>, server: Box<Server>, lock: Lock },
    /// Somebody else runs it.
    External(Box<External>),
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
    pub(crate) fn new(environment: Environment, tool: Tool, at: Where, events: Events) -> Result<Self, Error> {
        let url = match &at {
            Where::Running { port, place } => {
                let password = tool.password.clone().ok_or_else(|| Error::PasswordLost { data_dir: place.data_dir.clone() })?;
                local_url(*port, &tool.user, password, &tool.database)
            }
            Where::Moment { cluster, .. } => owners_url(cluster),
            Where::External(external) => external.migration_url.clone(),
        };
        Ok(Self { environment, tool, url, at, events })
    }

    /// The owner's URL.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// The checkout and its settings.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Whether somebody else runs the database.
    pub fn is_external(&self) -> bool {
        matches!(self.at, Where::External(_))
    }

    /// Runs the service's `migrate` and returns what it printed on standard output and standard error, and whether it went well.
    ///
    /// # Errors
    /// The service does not compile, or does not run.
    pub async fn migrate(&self, args: &[&str], colour: bool) -> Result<(String, String, bool), Error> {
        let program = self.program(colour).await?;
        let output = service::migrate(&program, &self.url, args).await?;
        Ok((String::from_utf8_lossy(&output.stdout).into_owned(), output.stderr, output.status.success()))
    }

    /// psql, as somebody would type it.
    ///
    /// # Errors
    /// There is none on this machine.
    pub async fn psql(&self) -> Result<Configuration, Error> {
        let binaries = self.binaries().await?;
        Ok(self.client("psql", &binaries))
    }

    /// Runs SQL, and returns what it prints.
    ///
    /// # Errors
    /// A statement is refused; none after it runs.
    pub async fn sql(&self, sql: &str) -> Result<String, Error> {
        let psql = self.psql().await?.args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-f", "-"]);
        let output = capture(psql, sql.as_bytes(), SQL_BOUND).await?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned());
        }
        Err(crate::postgres::psql::PsqlError::Refused { message: output.stderr.trim().to_owned() }.into())
    }

    /// Writes a copy of the database as SQL that puts everything back, in one transaction, when psql reads it. A copy that fails
    /// leaves no file.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn dump(&self, to: &Path) -> Result<(), Error> {
        let binaries = self.binaries().await?;
        let folder = to.parent().unwrap_or(Path::new("."));
        crate::owner::make_parents(to)?;
        let file = || tempfile::Builder::new().prefix(".unfinished-").tempfile_in(folder).map_err(|e| Error::io("write", to, e));
        let (dumped, mut whole) = (file()?, file()?);
        let dump = self.client("pg_dump", &binaries).args(["--clean", "--if-exists", "-w", "-f"]).args([dumped.path()]);
        run(dump, DUMP_BOUND).await.map_err(|error| Error::Copy { reason: error.to_string() })?;
        write_in_transaction(dumped.as_file(), whole.as_file_mut()).map_err(|e| Error::io("write", to, e))?;
        whole.persist(to).map_err(|error| Error::io("write", to, error.error))?;
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    /// A server that was started for the moment does not stop.
    pub async fn end(self) -> Result<(), Error> {
        if let Where::Moment { server, lock, .. } = self.at {
            server.stop().await?;
            drop(lock);
        }
        Ok(())
    }

    async fn program(&self, colour: bool) -> Result<PathBuf, Error> {
        service::program(&self.environment, &self.tool, colour, &self.events).await
    }

    async fn binaries(&self) -> Result<Binaries, Error> {
        match &self.at {
            Where::Moment { cluster, .. } => Ok(cluster.binaries.clone()),
            Where::Running { place, .. } => database::binaries(&self.tool, Some(place), &self.events).await,
            Where::External(_) => database::binaries(&self.tool, None, &self.events).await,
        }
    }

    fn client(&self, program: &str, binaries: &Binaries) -> Configuration {
        let session = Psql {
            program: binaries.psql(),
            way: Way::Tcp { password: self.url.password.clone().unwrap_or_default() },
            port: self.url.port,
            user: self.url.user.clone(),
            database: self.url.database.clone(),
        };
        let mut client = session.client(program, binaries.program(program));
        if self.is_external() {
            client = client.env("PGHOST", &self.url.host).env("PGSSLMODE", self.url.ssl_mode.as_deref().unwrap_or("prefer"));
        }
        client
    }
}

/// The URL by which the owner of a server's database connects.
pub(crate) fn owners_url(cluster: &ClusterConfig) -> DatabaseUrl {
    url(cluster, &cluster.superuser, &cluster.password)
}

/// The URL by which a role connects to a server's database.
pub(crate) fn url(cluster: &ClusterConfig, user: &str, password: &SecretString) -> DatabaseUrl {
    local_url(cluster.port, user, password.clone(), &cluster.database)
}

pub(crate) fn local_url(port: u16, user: &str, password: SecretString, database: &str) -> DatabaseUrl {
    DatabaseUrl {
        user: user.to_owned(),
        password: Some(password),
        host: "127.0.0.1".to_owned(),
        port,
        database: database.to_owned(),
        ssl_mode: None,
    }
}

fn write_in_transaction(mut sql: &std::fs::File, to: &mut std::fs::File) -> std::io::Result<()> {
    to.write_all(b"\\set ON_ERROR_STOP on\nBEGIN;\n")?;
    std::io::copy(&mut sql, to)?;
    to.write_all(b"COMMIT;\n")?;
    to.sync_all()
}
