//! An HTTP load generator that costs next to nothing, and the yardsticks that its figures are held against.
//!
//! A benchmark's client shares the machine with what it measures, so this one is a single thread that writes prebuilt
//! bytes to kept-alive connections and parses no more of an answer than its end ([`Load`]). [`bare`] is the least that
//! an axum server can be, [`argon2`] the least that a login can cost. Nothing in here knows what is measured.

pub mod argon2;
pub mod bare;
mod load;
mod report;
mod request;
mod response;
mod websocket;

pub use load::{Load, LoadError};
pub use report::{Latency, Report};
pub use request::{Request, RequestError};
pub use websocket::Sockets;
