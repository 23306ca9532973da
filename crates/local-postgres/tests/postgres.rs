//! The private PostgreSQL, tried on a real one.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails there.

#[path = "postgres/place.rs"]
mod place;

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
