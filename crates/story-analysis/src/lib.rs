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

mod analysis;
mod cues;
mod fold;
mod language;
mod lexicon;
mod safety;
mod score;
mod themes;
mod typos;

pub use analysis::{Analysis, Factor, Stressor, Valence};
pub use language::Language;
pub use safety::{Resource, Support, support_for};

use lexicon::Lexicon;

/// Returns the ids of all themes, stressors first.
pub fn themes() -> impl Iterator<Item = &'static str> {
    themes::themes().ids()
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
