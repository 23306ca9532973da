#![doc = include_str!("../README.md")]
//!
//! # What a call promises
//!
//! * It ends by its deadline. If the caller drops it, its connection is closed and nothing goes on in the background.
//! * One attempt takes at most 45 s, and an attempt that timed out is not repeated: the provider bills a picture also if the client
//!   hangs up.
//! * An attempt is repeated after a random, growing delay if it failed fast: no connection, 408, 500, 502, 503, 504, and 429 if the
//!   provider's `RetryInfo` leaves enough time.
//! * An answer is asked for once more if it is cut, does not fit, or has no picture for a reason that may pass.
//! * After three calls in a row that failed, the circuit opens for a minute: calls fail at once. It also opens for an invalid key, a
//!   retired model, and a used-up quota, then until the time that the provider states. Then one call is let through as a probe.
//!
//! A [`Client`] is for one model, because quotas and retirements are per model.

#![warn(missing_docs, clippy::missing_errors_doc)]

mod breaker;
mod client;
mod error;
#[cfg(feature = "mock-server")]
pub mod mock;
mod observer;
mod protocol;

pub use client::{Client, Config};
pub use error::{Cause, ConfigError, Error, OpenCircuit};
pub use observer::{Attempt, Observer, Operation, Usage};
pub use protocol::{Picture, PictureFormat, Question, ThinkingLevel};
