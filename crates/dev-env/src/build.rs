//! cargo and the fast way to a newer program, for this workspace.

pub(crate) mod cargo;
pub(crate) mod fast;
pub(crate) mod freshness;
pub(crate) mod pid_file;
pub(crate) mod watch;
