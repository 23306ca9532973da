//! What the services run with: settings, database, addresses, program.

use std::net::IpAddr;
use std::path::Path;

use emotionviz_settings::DatabaseUrl;

use crate::build::cargo;
use crate::database::session;
use crate::project::configuration::{External, Place, Tool};
use crate::report::events::Events;
use crate::report::lan;
use crate::report::up::UpOptions;
use crate::service::listening::Listening;
use crate::service::program::Program;
use crate::service::{command, migrations};
use crate::{Environment, Error};
use local_postgres::ClusterConfig;

/// Everything that a process of the API needs.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) environment: Environment,
    pub(super) database: Database,
    pub(super) listening: Listening,
    pub(super) place: Place,
    pub(super) program: Program,
    /// Whether the API can be ready. Otherwise migrations are left to the user, and it is only live.
    pub(super) schema_is_complete: bool,
}

/// The database of the services.
#[derive(Clone)]
pub(super) enum Database {
    /// A server that this supervisor runs.
    Own(Box<ClusterConfig>),
    External(Box<External>),
}

impl Database {
    /// Returns the URL that the API connects to.
    pub(super) fn api_url(&self) -> DatabaseUrl {
        match self {
            Self::Own(cluster) => session::api_url(cluster),
            Self::External(external) => external.url.clone(),
        }
    }

    /// Returns the owner's URL, which migrations connect to.
    pub(super) fn migration_url(&self) -> DatabaseUrl {
        match self {
            Self::Own(cluster) => session::owners_url(cluster),
            Self::External(external) => external.migration_url.clone(),
        }
    }

    pub(super) fn own(&self) -> Option<&ClusterConfig> {
        match self {
            Self::Own(cluster) => Some(cluster),
            Self::External(_) => None,
        }
    }
}

/// What the jobs report to and run with.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) options: UpOptions,
    pub(super) events: Events,
    /// Another toolchain is asked for than at the start.
    pub(super) toolchain_changed: bool,
}

impl Context {
    /// Returns the address that the API listens on.
    pub(super) fn host(&self, tool: &Tool) -> IpAddr {
        if self.options.lan {
            lan::ALL_ADDRESSES
        } else {
            tool.api_host
        }
    }

    /// Returns the addresses of the API.
    pub(super) fn place(&self, database: &Database, tool: &Tool, port: u16) -> Place {
        let lan = self
            .options
            .lan_address
            .or_else(|| self.options.lan.then(lan::address).flatten());
        Place {
            host: self.host(tool),
            port,
            database: database.api_url(),
            lan,
        }
    }

    pub(super) fn building(&self) -> cargo::Options {
        cargo::Options {
            colour: self.options.colour,
            quiet: false,
            toolchain_changed: self.toolchain_changed,
        }
    }

    /// Applies the pending migrations. Returns whether the schema is complete afterwards.
    pub(super) async fn migrate(&self, program: &Path, url: &DatabaseUrl) -> Result<bool, Error> {
        let events = &self.events;
        if !self.options.migrate {
            events.note("migrations are left to you: cargo dev migrate up");
            return Ok(false);
        }
        events.phase("applying migrations");
        let said = command::migrate_or_fail(program, url, &["up", "--auto"]).await?;
        let is_news = |line: &&str| {
            ["applied", "adopted", "  "]
                .iter()
                .any(|start| line.starts_with(start))
                || line.contains(" is empty: ")
        };
        for line in said.lines().filter(is_news) {
            events.note(line);
        }
        let applied = migrations::applied(program, url).await?;
        if applied.paused && applied.pending() > 0 {
            events.warn(
                "the schema is behind the code: automatic migration is paused since `migrate down`\nbring it up to date: cargo dev migrate up",
            );
            return Ok(false);
        }
        Ok(true)
    }

    /// Reports secrets that were generated.
    pub(super) async fn make_secrets(
        &self,
        environment: &mut Environment,
        database_exists: bool,
    ) -> Result<(), Error> {
        let checkout = environment.checkout.clone();
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
        Ok(())
    }
}
