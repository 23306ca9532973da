//! What an analysis consists of.

use crate::language::Language;
use crate::safety::Support;

/// How the writer feels, as far as the caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Valence {
    /// The writer feels well.
    Good,
    /// The writer feels bad.
    Bad,
    /// Both, or unknown.
    Mixed,
}

/// What a story is about, in the language of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// The most frequent language of the story.
    pub language: Language,
    /// The central stressor.
    pub stressor: Stressor,
    /// Three or four distinct factors, the most important one first.
    pub factors: Vec<Factor>,
    /// Where to find help, if the story speaks of suicide or self-harm.
    pub support: Option<&'static Support>,
}

/// The central stressor of a story: a general category, never the event itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stressor {
    /// The stable id of the theme, such as `self-image`.
    pub theme: &'static str,
    /// At most five words in Title Case, such as "Fragile Sense of Worth".
    pub name: &'static str,
}

/// Something that feeds the stressor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factor {
    /// The stable id of the theme, such as `mind-reading`.
    pub theme: &'static str,
    /// Two to four words in Title Case, or a short phrase in Chinese and Japanese.
    pub label: &'static str,
    /// One or two sentences: the root of the factor, and how it misleads the mind.
    pub insight: &'static str,
}
