//! Where the database is, who created it, its passwords, and sessions in it.

pub(crate) mod compare;
pub(crate) mod container;
pub mod data_home;
pub(crate) mod database_settings;
pub(crate) mod external;
pub mod location;
pub(crate) mod lock_holders;
pub(crate) mod maker;
pub(crate) mod owner_role;
pub(crate) mod passwords;
pub mod session;
pub mod throw_away;
pub(crate) mod writers;
