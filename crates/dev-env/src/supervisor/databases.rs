//! The jobs that start a database.

use super::serving::{Context, Database, Serving};
use crate::database::container::Prepared;
use crate::database::external::refuse_unknown;
use crate::database::location;
use crate::project::kept_ports;
use crate::report::events::Events;
use crate::{Environment, Error};
use local_postgres::ClusterConfig;
use local_postgres::server::Server;

/// A database that accepts sessions.
pub(super) struct StartedDatabase {
    pub(super) database: Database,
    /// `None` for an external database.
    pub(super) server: Option<Server>,
}

/// Starts the database of the settings, after generating the secrets that are missing. Returns the settings with the secrets.
pub(super) async fn start_first(
    context: Context,
    prepared: Prepared,
    mut environment: Environment,
) -> Result<(Environment, StartedDatabase), Error> {
    let checkout = environment.checkout.clone();
    let tool = environment.configuration.tool(&checkout)?;
    let events = &context.events;
    if let Some(external) = tool.external {
        context.make_secrets(&mut environment, true).await?;
        if environment.is_in_container() {
            prepared.prepare(&external, events).await?;
        } else {
            refuse_unknown(&checkout, &external)?;
            events.note(format!(
                "DATABASE_URL (from {}) names the database: none is started here",
                external.origin
            ));
        }
        let started = StartedDatabase {
            database: Database::External(Box::new(external)),
            server: None,
        };
        return Ok((environment, started));
    }
    let place = location::prepare(&checkout, events)?;
    let exists = place.exists;
    context.make_secrets(&mut environment, exists).await?;
    let tool = environment.configuration.tool(&checkout)?;
    let binaries = location::binaries(&tool, Some(&place), events).await?;
    let port = kept_ports::postgres(&checkout, tool.postgres_port, events)?;
    let cluster = location::describe(&environment, &tool, place, binaries, port, events)?;
    let server = location::start(&checkout, &cluster, exists, events).await?;
    Ok((environment, StartedDatabase::own(cluster, server)))
}

/// Starts the database that the services are to use; `exists` is false if it has to be created.
pub(super) async fn start_adopted(
    serving: Serving,
    exists: bool,
    events: Events,
) -> Result<StartedDatabase, Error> {
    match serving.database {
        Database::Own(cluster) => {
            let checkout = &serving.environment.checkout;
            let server = location::start(checkout, &cluster, exists, &events).await?;
            Ok(StartedDatabase::own(*cluster, server))
        }
        external @ Database::External(_) => Ok(StartedDatabase {
            database: external,
            server: None,
        }),
    }
}

/// Starts the database that has ended, with its settings, except for removed files.
pub(super) async fn start_again(
    serving: Serving,
    events: Events,
) -> Result<StartedDatabase, Error> {
    let mut serving = serving;
    if let Database::Own(cluster) = &mut serving.database {
        let checkout = &serving.environment.checkout;
        cluster.socket_dir = location::socket_folder(checkout, &cluster.owner);
        if !cluster.binaries.program("postgres").exists() {
            let tool = serving.environment.configuration.tool(checkout)?;
            let place = location::Place {
                owner: cluster.owner.clone(),
                data_dir: cluster.data_dir.clone(),
                exists: true,
            };
            cluster.binaries = location::binaries(&tool, Some(&place), &events).await?;
        }
    }
    start_adopted(serving, true, events).await
}

impl StartedDatabase {
    fn own(cluster: ClusterConfig, server: Server) -> Self {
        Self {
            database: Database::Own(Box::new(cluster)),
            server: Some(server),
        }
    }
}
