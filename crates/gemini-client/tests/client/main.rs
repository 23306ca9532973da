//! The client against the mock server, over real HTTP.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails there.

mod answers;
mod bad_days;
mod circuit;
mod config;
mod deadlines;
mod retries;
mod secrecy;
mod support;
