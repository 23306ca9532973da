//! docker-compose.yml and the images on a real engine, typed as the README has it, in scratch checkouts that are gone afterwards.
//!
//! The tests run with `cargo dev test --all` only. The image and what was compiled are shared: the volumes `emotionviz-test-cargo` and
//! `emotionviz-test-target` stay, as `target/` does.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as expected"
)]

mod browser;
mod commands;
mod data;
mod development;
mod engine;
mod engine_switch;
mod health;
mod production;
mod settings;
mod start;
mod support;
