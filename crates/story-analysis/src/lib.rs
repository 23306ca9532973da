#![doc = include_str!("../README.md")]
//!
//! # What an analysis promises
//!
//! * Every text gets one, in time linear in its length: also emoji, a single word, or a language that is not supported.
//! * It is a function of the text and the valence alone.
//! * It quotes nothing of the text: every label and every insight comes from the data files.
//!
//! # The data files
//!
//! `data/themes.toml` lists the themes: stressors and thinking patterns.
//! `data/<language>/stressors.toml` and `patterns.toml` hold what is written and which words point to each theme (its cues).
//! `words.toml` holds the denials, contrasts and idioms of the language, and `safety.toml` the phrases about suicide and the support lines.
//! `data/small_words.toml` tells the languages of one alphabet apart, and `data/traditional.txt` pairs traditional Chinese characters with
//! simplified ones.
//!
//! A cue is a word or several words in sequence, separated from the next by a comma or a new line.
//! An asterisk at its end or start stands for any letters: `present*` matches "presenting", and `*prüfung` "Abschlussprüfung".
//! Case, accents, doubled letters and apostrophes do not matter.
//! Where one cue contains another, only the longer one counts, so the idiom "break a leg" hides the cue "leg".

#![warn(missing_docs)]

mod cues;
mod fold;
mod language;
mod lexicon;
mod safety;
mod score;
mod typos;

pub use language::Language;
pub use safety::{Resource, Support, support_for};

use lexicon::Lexicon;

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

/// Returns the ids of all themes, stressors first.
pub fn themes() -> impl Iterator<Item = &'static str> {
    lexicon::themes().ids()
}

/// Returns the analysis of `story`.
pub fn analyze(story: &str, valence: Valence) -> Analysis {
    let folded = fold::fold(story);
    let language = Language::of(story);
    let lexicon = Lexicon::of(language);
    let scores = score::Scores::of(&folded, lexicon);
    let stressor = scores.central_stressor(valence);
    Analysis {
        language,
        stressor: lexicon.stressor(stressor),
        factors: scores
            .factors(stressor)
            .into_iter()
            .map(|theme| lexicon.factor(theme))
            .collect(),
        support: safety::support(&folded, language),
    }
}
