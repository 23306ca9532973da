//! `cargo dev` as somebody types it: the real binary, real processes, a real PostgreSQL, in scratch checkouts that are gone afterwards.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

mod backup;
mod compose_file;
mod data_directory;
mod database;
mod engine;
mod full_disk;
mod help;
mod interrupted;
mod killed;
mod lifecycle;
mod line_ends;
mod migrations;
mod password;
mod places;
mod ports;
mod reload;
mod reload_bad_days;
mod reload_builds;
mod reload_features;
mod reload_migrations;
mod reload_random;
mod restart;
mod settings;
mod support;
mod taken_away;
mod tidy;
mod tools;
mod unread;
