//! The ports of this machine that the containers publish.

use std::ffi::OsString;

use emotionviz_settings::declared::{
    ADMINER_PORT, API_HOST, API_PORT, DEV_UP_OPTIONS, POSTGRES_PORT,
};

use super::containers::Containers;
use crate::project::configuration::{Port, Tool};
use crate::project::kept_ports;
use crate::report::events::Events;
use crate::report::lan;
use crate::report::up::UpOptions;
use crate::{Environment, Error};

/// Where the containers are published on this machine, as variables for Compose. A port that one of them has already stays.
pub(super) fn published(
    environment: &Environment,
    tool: &Tool,
    containers: &Containers,
    options: UpOptions,
    events: &Events,
) -> Result<Vec<(OsString, OsString)>, Error> {
    let checkout = &environment.checkout;
    let host = if options.lan {
        lan::ALL_ADDRESSES
    } else {
        tool.api_host
    };
    let has = |service: &str, wanted: Port| {
        let port = containers
            .running(service)
            .and_then(|container| container.port);
        port.filter(|port| !wanted.set || wanted.port == *port || wanted.port == 0)
    };
    let api = has("api", tool.api_port).map_or_else(
        || kept_ports::api(checkout, host, tool.api_port, events),
        Ok,
    )?;
    let postgres = has("db", tool.postgres_port).map_or_else(
        || kept_ports::postgres(checkout, tool.postgres_port, events),
        Ok,
    )?;
    let adminer = match has("adminer", tool.adminer_port) {
        Some(port) => port,
        None if options.tools => kept_ports::adminer(checkout, tool.adminer_port, events)?,
        None => tool.adminer_port.port,
    };
    let flags = [
        ("--no-migrate", !options.migrate),
        ("--no-reload", !options.reload),
    ];
    let mut flags: Vec<String> = flags
        .into_iter()
        .filter_map(|(flag, given)| given.then_some(flag.to_owned()))
        .collect();
    if let Some(address) = lan::address().filter(|_| host.is_unspecified()) {
        flags.push(format!("--lan-address={address}"));
        events.note(lan::pages_may_call(address));
    }
    let variables = [
        (API_HOST.info.name, host.to_string()),
        (API_PORT.info.name, api.to_string()),
        (POSTGRES_PORT.info.name, postgres.to_string()),
        (ADMINER_PORT.info.name, adminer.to_string()),
        (DEV_UP_OPTIONS.info.name, flags.join(" ")),
    ];
    Ok(variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect())
}
