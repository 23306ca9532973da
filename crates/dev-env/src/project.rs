//! The checkout, its settings, ports, logs and locks.

pub(crate) mod checkout;
pub mod config_report;
pub mod configuration;
pub(crate) mod env_files;
pub(crate) mod environment;
pub mod error;
pub(crate) mod hints;
pub(crate) mod kept_ports;
pub mod lock;
pub mod logs;
pub(crate) mod names;
pub mod ports;
pub(crate) mod settings_file;
