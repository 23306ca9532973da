//! What HTTP means here: error codes and their status, the envelope, extractors, a request's id and log line.

mod body;
mod clock;
pub mod email;
mod envelope;
mod error;
mod extract;
mod log_file;
mod log_format;
pub mod metrics;
pub mod openapi;
pub mod request;
pub mod rules;
pub mod telemetry;
pub mod time;
mod track;

pub use body::read_body;
pub use clock::Clock;
pub use envelope::{Data, Failure, Meta, Plain};
pub use error::{ApiError, ErrorCode};
pub use extract::{Id, Json, Query};
pub use track::track;
