//! How an environment is started, what came of it, and its services.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::report::events::Address;

/// How services are started.
#[derive(Clone, Copy, Debug)]
pub struct UpOptions {
    /// Whether to apply migrations.
    pub migrate: bool,
    /// Whether what is changed is to go live by itself.
    pub reload: bool,
    /// Whether the API is to answer the local network too.
    pub lan: bool,
    /// The LAN address of the container's host, which cannot be determined in the container.
    pub lan_address: Option<IpAddr>,
    /// Whether Adminer is to run.
    pub tools: bool,
    /// Whether to return when everything is ready, and to leave it running.
    pub detach: bool,
    /// Whether messages of cargo are to have colours.
    pub colour: bool,
}

impl UpOptions {
    /// As `up` without any.
    pub(crate) fn plain() -> Self {
        Self {
            migrate: true,
            reload: true,
            lan: false,
            lan_address: None,
            tools: false,
            detach: false,
            colour: false,
        }
    }
}

/// How `up` ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Up {
    /// The services ran, and were ended as asked.
    Stopped,
    /// What ran before goes on; not all that was asked for may have been done.
    Interrupted,
    /// They run in the background.
    Background {
        /// The supervisor, where there is one.
        pid: Option<u32>,
    },
    /// They ran already.
    Already {
        /// The supervisor, where there is one.
        pid: Option<u32>,
        /// What it does, unless everything runs.
        doing: Option<String>,
        /// Where everything answers.
        addresses: Vec<Address>,
    },
}

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// The HTTP service.
    Api,
    /// PostgreSQL.
    Db,
}
