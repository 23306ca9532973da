//! The connection pool and the schema.

mod error;
pub mod migrate;
pub mod pool;
pub mod schema;
mod time;

pub use error::{Error, Result};
pub use pool::Pool;
pub use time::Time;

/// The ids of the emotions that a journal entry may name: what adoption counts against. What they are called and look like is
/// the entries' own.
pub const JOURNAL_EMOTIONS: [&str; 10] = [
    "joy",
    "sadness",
    "anger",
    "fear",
    "disgust",
    "surprise",
    "anxiety",
    "contentment",
    "frustration",
    "excitement",
];
