//! The development environment as a library: engines, PostgreSQL, processes, logs; no terminal in it.
//!
//! The modules are layers, and a layer uses only those above it in this list.

pub mod build;
pub mod database;
pub mod engines;
pub mod project;
pub mod report;
pub mod service;
pub mod supervisor;
pub mod verbs;

pub use project::checkout::Checkout;
pub use project::environment::{Environment, Variable};
pub use project::error::Error;
