//! Tests with a real PostgreSQL.

#![allow(clippy::unwrap_used)]

#[path = "postgres/scratch.rs"]
mod scratch;

#[path = "postgres/bad_days.rs"]
mod bad_days;
#[path = "postgres/first_run.rs"]
mod first_run;
#[path = "postgres/killed.rs"]
mod killed;
#[path = "postgres/programs.rs"]
mod programs;
#[path = "postgres/settings.rs"]
mod settings;
