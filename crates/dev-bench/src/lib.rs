//! Benchmarks: what the service does in a second, against what a bare server, or PostgreSQL with fewer rows, or the hash of a
//! password alone does on the same machine in the same minutes; and how long the tool takes.
//!
//! Everything runs privately: release builds on a database of their own, which goes with its folder, and so do the servers.

mod alone;
mod client;
mod database;
mod error;
mod figures;
mod generator;
mod http;
mod machine;
mod memory;
mod programs;
mod reload;
mod server;
mod tool;

pub use error::BenchError;
pub use figures::{Figure, Target, Unit};
pub use http::http;
pub use reload::{checked_edits, random_edits, reload};
pub use tool::tool;
