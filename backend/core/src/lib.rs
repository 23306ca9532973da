//! What every feature needs: errors, the envelope, logs, passwords and tokens.

pub mod email;
mod envelope;
mod error;
mod extract;
mod hmac_sha256;
mod log_file;
mod log_format;
pub mod metrics;
pub mod openapi;
pub mod request;
pub mod rules;
pub mod security;
pub mod telemetry;
pub mod time;
pub mod token;
mod track;
pub mod websocket;

pub use envelope::{Data, Meta, Plain};
pub use error::{ApiError, ErrorCode};
pub use extract::{Id, Json, Query};
pub use track::track;
