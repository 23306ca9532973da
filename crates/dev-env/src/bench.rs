//! Benchmarks of the service: what it does in a second, against what a bare server, or PostgreSQL with fewer rows, or the
//! hash of a password alone does on the same machine in the same minutes.
//!
//! Everything runs privately: a release build on a database of its own, which goes with its folder, and so do the servers.

mod client;
mod database;
mod error;
mod figures;
mod generator;
mod http;
mod memory;
mod programs;
mod server;

pub use error::BenchError;
pub use figures::{Figure, Target, Unit};
pub use http::http;
