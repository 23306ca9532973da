//! An HTTP load generator and the baselines that its figures are compared with.
//!
//! The client of a benchmark shares the machine with the server, so [`Load`] is a single thread that sends one request
//! again and again on kept-alive connections.
//! [`bare`] is the smallest axum server, [`argon2`] the lowest cost of a login.
//! The crate knows nothing about the server that it measures.

pub mod argon2;
pub mod bare;
mod load;
mod report;
mod request;
mod websocket;

pub use load::{Load, LoadError};
pub use report::{Latency, Report};
pub use request::{Request, RequestError};
pub use websocket::Sockets;
