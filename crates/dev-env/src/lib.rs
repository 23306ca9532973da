//! The development environment as a library: engines, PostgreSQL, processes, logs; no terminal in it.

pub mod bench;
mod board;
mod checkout;
pub mod checks;
pub mod config_report;
pub mod configuration;
mod control;
mod database;
pub mod detached;
pub mod engine;
mod env_files;
mod environment;
mod error;
pub mod events;
mod kept_ports;
mod lan;
mod lock;
mod log_file;
pub mod logs;
pub mod migrations;
pub mod native;
pub mod owner;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod schema;
pub mod seed;
mod service;
pub mod session;
pub mod status;
pub mod stop;
mod supervisor;
pub mod testing;

pub use checkout::Checkout;
pub use environment::{Environment, Variable};
pub use error::Error;
