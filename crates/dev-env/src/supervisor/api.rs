//! What a process of the API needs: addresses, and a schema.

use std::net::IpAddr;
use std::path::Path;

use emotionviz_settings::DatabaseUrl;

use crate::Error;
use crate::database::session;
use crate::project::configuration::{Place, Tool};
use crate::report::events::Events;
use crate::report::lan;
use crate::report::up::UpOptions;
use crate::service::command;
use crate::service::migrations;
use local_postgres::ClusterConfig;

/// The address that it listens on.
pub(super) fn host(tool: &Tool, options: UpOptions) -> IpAddr {
    if options.lan {
        lan::ALL_ADDRESSES
    } else {
        tool.api_host
    }
}

/// Its addresses; `cluster` is the database that runs here, if one does.
pub(super) fn place(
    cluster: Option<&ClusterConfig>,
    tool: &Tool,
    options: UpOptions,
    port: u16,
) -> Place {
    let database = match (cluster, &tool.external) {
        (Some(cluster), _) => session::api_url(cluster),
        (None, Some(external)) => external.url.clone(),
        (None, None) => unreachable!("without a database of its own the API has somebody else's"),
    };
    let lan = options
        .lan_address
        .or_else(|| options.lan.then(lan::address).flatten());
    Place {
        host: host(tool, options),
        port,
        database,
        lan,
    }
}

/// Where migrations connect.
pub(super) fn migration_url(cluster: Option<&ClusterConfig>, tool: &Tool) -> DatabaseUrl {
    match (cluster, &tool.external) {
        (Some(cluster), _) => session::owners_url(cluster),
        (None, Some(external)) => external.migration_url.clone(),
        (None, None) => unreachable!("without a database of its own the API has somebody else's"),
    }
}

/// Applies what is pending. Whether the schema is complete afterwards.
pub(super) async fn migrate(
    program: &Path,
    url: &DatabaseUrl,
    options: UpOptions,
    events: &Events,
) -> Result<bool, Error> {
    if !options.migrate {
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
