//! The verbs, one file each.

pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod container;
pub(crate) mod db;
pub(crate) mod down;
pub(crate) mod engine;
pub(crate) mod logs;
pub(crate) mod migrate;
pub(crate) mod restart;
pub(crate) mod restore;
pub(crate) mod status;
pub(crate) mod stop;
mod stop_all;
pub(crate) mod test;
pub(crate) mod up;
