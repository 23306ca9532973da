//! Accounts: register, log in, export, delete.

mod api;
mod export;
mod models;
mod schemas;
mod services;

pub use api::{State, router};
