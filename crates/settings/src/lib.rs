//! Every setting of the service and of its environment, each declared once.
//!
//! [`declared`] holds the declarations, from which `.env.example`, `cargo dev config explain` and the checks of the
//! Compose file follow. [`Values`] holds what was set and where. [`Service`] is the service's configuration in typed
//! form. Nothing in here touches a file or the network, nor the process environment,
//! but for one thing: a value in a file that refers to another variable (`$NAME`), see [`env_file::read`].

#![warn(missing_docs)]

mod database_url;
pub mod declared;
pub mod env_file;
mod example;
mod kinds;
mod origins;
mod service;
mod setting;
mod values;

pub use database_url::DatabaseUrl;
pub use example::env_example;
pub use kinds::{AppEnv, Engine, Kind, LogLevel, PictureSide, Proxies, Switch};
pub use origins::Origins;
pub use service::{Database, Http, Limits, Logging, Providers, Security, Service};
pub use setting::{Group, Info, Setting, Use};
pub use values::{Origin, Problem, Problems, Values};
