//! `cargo dev` as somebody types it: the real binary, real processes, a real PostgreSQL, in scratch checkouts that are gone afterwards.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as expected"
)]

mod at_once;
mod backup;
mod compose_file;
mod data_directory;
mod database;
mod engine;
mod external;
mod full_disk;
mod help;
mod interrupted;
mod killed;
mod layers;
mod lifecycle;
mod line_ends;
mod lock_holders;
mod migrations;
mod odd_settings_files;
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
mod restore;
mod restore_formats;
mod settings;
mod support;
mod taken_away;
mod tidy;
mod tools;
mod unread;
mod writers;
