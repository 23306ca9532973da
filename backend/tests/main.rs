//! The service through HTTP: each test starts the real binary on a database of its own.

mod accounts;
mod adoption;
mod cors;
mod database;
mod documents;
mod entries;
mod envelope;
mod export;
mod health;
mod limits;
mod logs;
mod migrations;
mod passwords;
mod shutdown;
mod startup;
mod support;
