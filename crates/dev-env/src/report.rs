//! Plain data that other processes see: events, status, snapshots, reloads.

pub mod events;
pub(crate) mod lan;
pub mod migrations;
pub mod reload;
pub(crate) mod snapshot;
pub mod status;
pub mod up;
