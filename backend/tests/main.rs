//! The service through HTTP, each test on a database of its own: in this process where the router is enough, otherwise the real binary.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error should fail there and then; its helpers, too"
)]

mod accounts;
mod adoption;
mod cors;
mod database;
mod documents;
mod drawings;
mod entries;
mod envelope;
mod export;
mod handover;
mod health;
mod identity;
mod kept;
mod limits;
mod logs;
mod metrics;
mod migrations;
mod odd_rows;
mod passwords;
mod plans;
mod shutdown;
mod startup;
mod support;
