#![doc = include_str!("../README.md")]
#![warn(missing_docs, clippy::missing_errors_doc)]

mod canvas;
mod color;
mod composition;
mod feeling;
mod field;
mod mood;
mod palette;
mod picture;
mod random;
mod scenes;
mod shapes;
pub mod story;

pub use color::Color;
pub use feeling::{Feeling, FeelingError, LARGEST_SIDE};
pub use mood::{Category, Mood};
pub use palette::dominant_colors;
pub use picture::Picture;
