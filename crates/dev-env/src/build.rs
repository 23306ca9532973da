//! cargo and fast-reload for this workspace.

pub mod cargo;
pub(crate) mod fast;
pub(crate) mod pid_file;
pub(crate) mod watch;
