//! The connection pool, the schema, and data that several features share.

mod emotions;
mod error;
pub mod migrate;
pub mod pool;
pub mod schema;
mod time;

pub use emotions::{EMOTIONS, Emotion, JOURNAL_EMOTIONS};
pub use error::{Error, Result};
pub use pool::Pool;
pub use time::Time;
