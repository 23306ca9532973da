//! The ports that were chosen for a checkout because the defaults were taken, kept so that they stay.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::project::configuration::Port;
use crate::project::ports::{self, PortError};
use crate::report::events::Events;
use crate::{Checkout, Error};
use process::files;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    api: Option<u16>,
    postgres: Option<u16>,
    adminer: Option<u16>,
}

/// A port for the API, which listens at `host`.
///
/// # Errors
/// Somebody set it, and it is taken.
pub(crate) fn api(
    checkout: &Checkout,
    host: IpAddr,
    wanted: Port,
    events: &Events,
) -> Result<u16, Error> {
    choose(
        checkout,
        "API_PORT",
        host,
        wanted,
        |kept| &mut kept.api,
        events,
    )
}

/// A port for the database.
///
/// # Errors
/// Somebody set it, and it is taken.
pub(crate) fn postgres(checkout: &Checkout, wanted: Port, events: &Events) -> Result<u16, Error> {
    choose(
        checkout,
        "POSTGRES_PORT",
        Ipv4Addr::LOCALHOST.into(),
        wanted,
        |kept| &mut kept.postgres,
        events,
    )
}

/// A port for Adminer.
///
/// # Errors
/// Somebody set it, and it is taken.
pub(crate) fn adminer(checkout: &Checkout, wanted: Port, events: &Events) -> Result<u16, Error> {
    choose(
        checkout,
        "ADMINER_PORT",
        Ipv4Addr::LOCALHOST.into(),
        wanted,
        |kept| &mut kept.adminer,
        events,
    )
}

/// Whether what listens on `port` has it by these settings, and goes on with it.
pub(crate) fn is_api_still(checkout: &Checkout, wanted: Port, port: u16) -> bool {
    is_still(wanted, port, read(checkout).api)
}

/// The same for the database.
pub(crate) fn is_postgres_still(checkout: &Checkout, wanted: Port, port: u16) -> bool {
    is_still(wanted, port, read(checkout).postgres)
}

fn is_still(wanted: Port, port: u16, kept: Option<u16>) -> bool {
    wanted.port == port || wanted.port == 0 || !wanted.set && kept == Some(port)
}

/// The database's port at its next start, if that one is free then.
pub(crate) fn last_postgres(checkout: &Checkout, wanted: Port) -> u16 {
    read(checkout)
        .postgres
        .filter(|_| !wanted.set)
        .unwrap_or(wanted.port)
}

fn choose(
    checkout: &Checkout,
    setting: &'static str,
    host: IpAddr,
    wanted: Port,
    of: fn(&mut Kept) -> &mut Option<u16>,
    events: &Events,
) -> Result<u16, Error> {
    if wanted.port == 0 {
        return Ok(process::ports::free_port_at(host)
            .map_err(|error| PortError::no_free_port(host, error))?);
    }
    let mut kept = read(checkout);
    let choice = ports::choose(setting, host, wanted.port, wanted.set, *of(&mut kept))?;
    if let Some((default, holder)) = choice.instead_of {
        events.note(format!(
            "port {default} ({setting}) is taken by {}: {} is used instead, and kept for this checkout",
            process::ports::name_holder(holder.as_ref()),
            choice.port
        ));
        *of(&mut kept) = Some(choice.port);
        write(checkout, kept)?;
    }
    Ok(choice.port)
}

fn path(checkout: &Checkout) -> PathBuf {
    checkout.run().join("ports.json")
}

/// Nothing, when the file is not there or damaged: the folder is safe to delete.
fn read(checkout: &Checkout) -> Kept {
    std::fs::read(path(checkout))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

fn write(checkout: &Checkout, kept: Kept) -> Result<(), Error> {
    let path = path(checkout);
    let text = serde_json::to_vec(&kept).expect("numbers are JSON");
    files::write_atomically(&path, &text, files::READABLE)
        .map_err(|source| Error::io("write", &path, source))
}
