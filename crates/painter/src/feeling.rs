//! One or several moods in one picture.

use std::fmt::Write;

use rand::SeedableRng;

use crate::canvas::Canvas;
use crate::color::{Color, Oklab};
use crate::composition;
use crate::mood::Mood;
use crate::picture::Picture;
use crate::scenes::{self, Random};

/// The most colours that a picture is described with, and the most hues that it has.
pub(crate) const MOST_COLORS: usize = 4;
const FEWEST_COLORS: usize = 3;

/// The largest side of a picture, in pixels.
pub const LARGEST_SIDE: u32 = 2048;

/// Why a feeling cannot be painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeelingError {
    /// There is no mood.
    #[error("a feeling has at least one mood")]
    NoMood,
    /// The side is 0 or too large.
    #[error("the side is {0} pixels; it must be 1 to {LARGEST_SIDE}")]
    Side(u32),
}

/// Moods to paint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feeling {
    moods: Vec<Mood>,
    seed: u64,
    side: u32,
}

impl Feeling {
    /// Creates a feeling of moods, whose duplicates are ignored, to be painted `side` pixels wide and high.
    ///
    /// Equal seeds give equal pictures, and different seeds different ones.
    ///
    /// # Errors
    /// There is no mood, or the side is 0 or above [`LARGEST_SIDE`].
    pub fn new(moods: &[Mood], seed: u64, side: u32) -> Result<Self, FeelingError> {
        if side == 0 || side > LARGEST_SIDE {
            return Err(FeelingError::Side(side));
        }
        let moods = distinct(moods);
        if moods.is_empty() {
            return Err(FeelingError::NoMood);
        }
        Ok(Self { moods, seed, side })
    }

    /// Paints the picture.
    #[must_use]
    pub fn paint(&self) -> Picture {
        let mut random = Random::seed_from_u64(self.seed);
        let mut canvas = Canvas::new(self.side);
        match self.moods[..] {
            [mood] => scenes::paint(
                mood,
                &mut canvas,
                mood.colors().map(Oklab::from),
                &mut random,
            ),
            _ => composition::paint(&self.moods, &mut canvas, &mut random),
        }
        Picture::new(&canvas, self.seed)
    }

    /// Returns one English sentence that describes the picture.
    #[must_use]
    pub fn description(&self) -> String {
        let mut sentence = String::from("An abstract picture of ");
        for (index, mood) in self.moods.iter().enumerate() {
            let separator = match index {
                0 => "",
                _ if index + 1 == self.moods.len() => " and ",
                _ => ", ",
            };
            let _ = write!(
                sentence,
                "{separator}\"{}\" ({})",
                mood.name(),
                mood.forms()
            );
        }
        let colors: Vec<String> = dominant_colors(&self.moods)
            .iter()
            .map(Color::to_string)
            .collect();
        let _ = write!(sentence, " in {}.", colors.join(", "));
        sentence
    }
}

/// Returns the colours that stand for a feeling: the first colour of each mood in order, at most four, filled up to three with the moods'
/// second and third colours.
#[must_use]
pub fn dominant_colors(moods: &[Mood]) -> Vec<Color> {
    let moods = distinct(moods);
    let firsts = moods.iter().map(|mood| mood.colors()[0]).take(MOST_COLORS);
    let mut colors: Vec<Color> = firsts.collect();
    let others = moods
        .iter()
        .flat_map(|mood| mood.colors().into_iter().skip(1));
    colors.extend(others.take(FEWEST_COLORS.saturating_sub(colors.len())));
    colors
}

fn distinct(moods: &[Mood]) -> Vec<Mood> {
    let mut distinct = Vec::new();
    for mood in moods {
        if !distinct.contains(mood) {
            distinct.push(*mood);
        }
    }
    distinct
}
