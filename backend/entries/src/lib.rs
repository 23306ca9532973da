//! Journal entries and their emotions.

mod api;
mod decode;
mod emotions;
mod models;
mod schemas;
mod services;

pub use api::{State, router};
