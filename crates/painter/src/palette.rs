//! The colours of a feeling.

use crate::color::Color;
use crate::mood::Mood;

/// The most colours that a picture is described with, and the most hues that it has.
pub(crate) const MOST_COLORS: usize = 4;
const FEWEST_COLORS: usize = 3;

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

/// Returns each mood once, in the order of its first mention.
pub(crate) fn distinct(moods: &[Mood]) -> Vec<Mood> {
    let mut distinct = Vec::new();
    for mood in moods {
        if !distinct.contains(mood) {
            distinct.push(*mood);
        }
    }
    distinct
}
