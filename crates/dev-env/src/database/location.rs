//! The development database of the native engine: its place, its programs, starting it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::database::data_home::{DataHome, LinkState, data_home};
use crate::database::writers::left;
use crate::project::configuration::Tool;
use crate::project::names::{self, API_ROLE, APPLICATION};
use crate::report::events::{Event, Events, Source};
use crate::{Checkout, Environment, Error};
use local_postgres::cluster;
use local_postgres::data_dir::{self, DataDir};
use local_postgres::find::{self, Search};
use local_postgres::server::Server;
use local_postgres::{
    AppRole, Binaries, ClusterConfig, Durability, fetch, init_scripts, roles, server_user,
};
use process::LineSink;
use process::log_file::LogFile;
use process::user::User;

/// The time limit for allowing writes again, which terminates sessions and needs a lock for an instant.
const LET_IN_BOUND: Duration = Duration::from_secs(60);

/// The major version of the database's image in the Compose file. Both engines use the same version if they can.
pub(crate) const COMPOSE_MAJOR: u32 = 15;

/// Returns the folder of downloaded versions of PostgreSQL.
fn cache_dir() -> PathBuf {
    fetch::cache_dir(APPLICATION)
}

/// Where the database is, and whether there is one.
#[derive(Debug)]
pub struct Place {
    pub owner: User,
    pub data_dir: PathBuf,
    pub exists: bool,
}

/// Finds the data directory. Changes nothing.
///
/// # Errors
/// The folder cannot be used, or has other content.
pub fn place(checkout: &Checkout, events: &Events) -> Result<Place, Error> {
    let owner = server_user(checkout.root())?;
    let home = data_home(checkout.root(), &owner)?;
    inspect(home, owner, events)
}

/// Finds the data directory, and creates its folders and the link to it if it is outside the checkout. Reports its changes. The caller
/// must hold the checkout's lock.
///
/// # Errors
/// The folder cannot be used, or has other content.
pub fn prepare(checkout: &Checkout, events: &Events) -> Result<Place, Error> {
    let owner = server_user(checkout.root())?;
    let home = data_home(checkout.root(), &owner)?;
    home.prepare(checkout.root())?;
    if let Some(of) = &home.copied_from {
        events.note(format!(
            "this checkout is a copy of {}: data/postgres was a link to the database of that checkout, and this checkout now has its own database",
            of.display()
        ));
    }
    let at_home = home.data_dir.display();
    match home.elsewhere.as_ref().map(|elsewhere| &elsewhere.state) {
        Some(LinkState::Blocked(folder)) => events.note(format!(
            "the database is stored in {at_home} (data/postgres is a link to it), because its user {} cannot access {}",
            owner.name,
            folder.display()
        )),
        Some(LinkState::Missing) => {
            events.note(format!(
                "the link data/postgres was missing; it was created again, to the database of this checkout in {at_home}\n\
                 hint: to start with an empty database: cargo dev down && mv '{at_home}' '{at_home}.old'"
            ));
        }
        Some(LinkState::Kept) | None => {}
    }
    // The reported changes were made.
    inspect(
        DataHome {
            copied_from: None,
            ..home
        },
        owner,
        events,
    )
}

fn inspect(home: DataHome, owner: User, events: &Events) -> Result<Place, Error> {
    if home.copied_from.is_some() {
        // The link still leads to the database of another checkout.
        return Ok(Place {
            owner,
            exists: home.is_lost(),
            data_dir: home.data_dir,
        });
    }
    let exists = match data_dir::state(&home.data_dir, &owner)? {
        DataDir::Absent => false,
        DataDir::HalfInitialised { .. } => {
            events.note(
                "an earlier start was interrupted while it made the database: it is made anew",
            );
            false
        }
        DataDir::Ready { .. } => true,
        refused @ (DataDir::ForeignOwner { .. } | DataDir::Foreign { .. }) => {
            return Err(refused.refuse(&home.data_dir, &owner).into());
        }
    };
    Ok(Place {
        owner,
        data_dir: home.data_dir,
        exists,
    })
}

/// PostgreSQL's programs, for a database that exists or a new one.
///
/// # Errors
/// There are none, or only those of another major.
pub async fn binaries(
    tool: &Tool,
    place: Option<&Place>,
    events: &Events,
) -> Result<Binaries, Error> {
    let owner = match place {
        Some(place) => place.owner.clone(),
        None => User::current()?,
    };
    let needed_major = place
        .filter(|place| place.exists)
        .and_then(|place| data_dir::major_of(&place.data_dir));
    let search = Search {
        explicit: tool.bin_dir.clone(),
        needed_major,
        preferred_major: COMPOSE_MAJOR,
        ..Search::new(cache_dir(), owner)
    };
    Ok(find::find(
        &search,
        Arc::new(Download {
            events: events.clone(),
            version: fetch::VERSION,
        }),
    )
    .await?)
}

/// Returns a downloadable client program of at least this major version, or `None` after reporting each source that failed.
pub async fn downloaded_client(name: &str, needed: u32, events: &Events) -> Option<PathBuf> {
    if needed > fetch::NEWEST_MAJOR {
        return None;
    }
    find::downloaded_client(
        name,
        &cache_dir(),
        Arc::new(Download {
            events: events.clone(),
            version: fetch::NEWEST,
        }),
    )
    .await
    .ok()
}

/// Returns the error of a database whose password is set nowhere.
pub(crate) fn password_lost(data_dir: &Path) -> Error {
    Error::hinted(
        format!(
            "POSTGRES_PASSWORD is set nowhere, and the database in {} has one already",
            data_dir.display()
        ),
        "put it back into .env, or give the database a new one: cargo dev db password",
    )
}

/// Returns the error of a checkout without a database.
pub(crate) fn no_database(data_dir: &Path) -> Error {
    Error::hinted(
        format!("there is no database in {} yet", data_dir.display()),
        "make one: cargo dev up",
    )
}

/// The whole description of the server.
///
/// # Errors
/// The database has a password that nobody knows.
pub fn describe(
    environment: &Environment,
    tool: &Tool,
    place: Place,
    binaries: Binaries,
    port: u16,
    events: &Events,
) -> Result<ClusterConfig, Error> {
    let checkout = &environment.checkout;
    let Some(password) = tool.password.clone() else {
        return Err(password_lost(&place.data_dir));
    };
    // The API's role belongs to the tool: without a password of its own nobody connects as it.
    let api_password = tool
        .api_password
        .clone()
        .unwrap_or_else(|| SecretString::from(crate::project::configuration::generate()));
    let scripts = checkout.init_scripts();
    Ok(ClusterConfig {
        socket_dir: socket_folder(checkout, &place.owner),
        pid_file: pid_file(checkout),
        binaries,
        data_dir: place.data_dir,
        port,
        superuser: tool.user.clone(),
        password,
        app_role: AppRole {
            name: API_ROLE.to_owned(),
            password: api_password,
        },
        database: tool.database.clone(),
        init_scripts: scripts.is_dir().then_some(scripts),
        owner: place.owner,
        durability: Durability::Durable,
        sink: Some(sink(checkout, events)),
    })
}

/// The folder of the server's socket.
pub fn socket_folder(checkout: &Checkout, owner: &User) -> PathBuf {
    names::socket_folder(
        checkout.hash(),
        std::env::var_os("XDG_RUNTIME_DIR").as_deref(),
        owner,
    )
}

/// The file that the server holds locked.
pub fn pid_file(checkout: &Checkout) -> PathBuf {
    checkout.run().join("postgres.pid")
}

/// Starts the server, after making the database where there is none, and sees to it that the settings fit it.
///
/// # Errors
/// It does not start, or the settings do not fit.
pub async fn start(
    checkout: &Checkout,
    cluster: &ClusterConfig,
    exists: bool,
    events: &Events,
) -> Result<Server, Error> {
    if !exists {
        events.phase(format!(
            "making a database with PostgreSQL {}",
            cluster.binaries.version
        ));
        for ignored in cluster
            .init_scripts
            .iter()
            .flat_map(|folder| init_scripts::ignored(folder))
        {
            events.note(format!("{} is not run: an init script is a file *.sh, *.sql, *.sql.gz, *.sql.xz or *.sql.zst", ignored.display()));
        }
        // What initdb says is of interest when it fails, and then it is in the error.
        let sink = Some(sink(checkout, &Events::silent()));
        cluster::initialise(&ClusterConfig {
            sink,
            ..cluster.clone()
        })
        .await?;
    }
    events.phase(format!(
        "starting PostgreSQL {} ({})",
        cluster.binaries.version,
        origin(cluster.binaries.source)
    ));
    let server = Server::start(cluster).await?;
    if exists {
        let run = async |database: &str, sql: &str| {
            cluster
                .psql()
                .in_database(database)
                .run(sql, LET_IN_BOUND)
                .await
        };
        // The code below explains settings that do not match the database.
        let _refused = left::let_in_left(&cluster.database, run, events).await;
    }
    roles::verify(cluster).await?;
    Ok(server)
}

fn origin(source: find::Source) -> &'static str {
    match source {
        find::Source::Explicit => "of POSTGRES_BIN_DIR",
        find::Source::Installed => "installed",
        find::Source::Cache | find::Source::Download => "downloaded",
    }
}

/// The server's log goes to its file, and to whoever looks on.
fn sink(checkout: &Checkout, events: &Events) -> LineSink {
    let file = LogFile::open(&checkout.logs().join("postgres.log"));
    let events = events.clone();
    Arc::new(move |_, line| {
        file.line(line);
        events.tell(Event::Output {
            from: Source::Db,
            line: line.to_owned(),
        });
    })
}

/// Tells how a download goes.
struct Download {
    events: Events,
    version: &'static str,
}

impl fetch::Progress for Download {
    fn waits(&self, holder: &str) {
        self.events
            .phase(format!("waiting for the download of {holder}"));
    }

    fn source(&self, name: &str) {
        self.events.phase(format!(
            "downloading PostgreSQL {} from {name}",
            self.version
        ));
    }

    fn bytes(&self, done: u64, total: u64) {
        let what = format!("PostgreSQL {}", self.version);
        self.events.tell(Event::Progress {
            what,
            done,
            total: Some(total).filter(|total| *total > 0),
        });
    }

    fn failed(&self, name: &str, reason: &str) {
        self.events.note(format!("{name}: {reason}"));
    }
}
