//! The themes of all languages, and what a phrase says about them.

use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A stressor or a thinking pattern, as its position in `data/themes.toml`, stressors first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Theme(u8);

impl Theme {
    pub(crate) fn new(position: usize) -> Self {
        Self(u8::try_from(position).expect("there are a few dozen themes"))
    }

    pub(crate) fn position(self) -> usize {
        self.0.into()
    }
}

/// What a phrase of the lexicon does to the scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Meaning {
    /// It points to a theme.
    Cue(Theme, Weight),
    /// It denies the cue that follows: "not the".
    DeniesNext,
    /// It denies the cue before it: "is not the problem".
    DeniesPrevious,
    /// It denies the cues before it in the sentence: "that isn't it".
    DeniesSentence,
    /// What follows in the sentence counts more, and what precedes it less: "but".
    Contrast,
    /// What follows in the sentence counts more: "deep down".
    Emphasis,
    /// It hides the cues within it: "break a leg".
    Idiom,
}

/// How strongly a cue points to its theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Weight {
    Strong,
    Medium,
    Weak,
}

impl Weight {
    pub(crate) fn value(self) -> f32 {
        match self {
            Self::Strong => 4.0,
            Self::Medium => 2.0,
            Self::Weak => 1.0,
        }
    }
}

/// The themes of all languages.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Themes {
    stressor: Vec<StressorTheme>,
    pattern: Vec<PatternTheme>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StressorTheme {
    id: String,
    patterns: Vec<String>,
    emoji: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternTheme {
    id: String,
}

/// Returns the themes of all languages.
pub(crate) fn themes() -> &'static Themes {
    static THEMES: LazyLock<Themes> = LazyLock::new(|| parse(include_str!("../data/themes.toml")));
    &THEMES
}

impl Themes {
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        let stressors = self.stressor.iter().map(|stressor| stressor.id.as_str());
        stressors.chain(self.pattern.iter().map(|pattern| pattern.id.as_str()))
    }

    /// Returns how many of the themes are stressors. They come first.
    pub(crate) fn stressors(&self) -> usize {
        self.stressor.len()
    }

    pub(crate) fn get(&self, id: &str) -> Theme {
        let position = self.ids().position(|known| known == id);
        Theme::new(position.expect("the shape tests compare the ids of all data files"))
    }

    /// Returns the stressors with the emoji that point to them.
    pub(crate) fn emoji(&self) -> impl Iterator<Item = (Theme, &str)> {
        let stressors = self.stressor.iter().enumerate();
        stressors.map(|(position, stressor)| (Theme::new(position), stressor.emoji.as_str()))
    }

    /// Returns the patterns that complete the factors of `stressor`.
    pub(crate) fn patterns(&self, stressor: Theme) -> impl Iterator<Item = Theme> {
        let ids = &self.stressor[stressor.position()].patterns;
        ids.iter().map(|id| self.get(id))
    }
}

/// Parses an embedded data file.
pub(crate) fn parse<T: DeserializeOwned>(file: &str) -> T {
    toml::from_str(file).expect("the shape tests parse every data file")
}
