//! What the data files say, parsed once per language.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::analysis::{Factor, Stressor};
use crate::cues::{Cues, phrases};
use crate::language::Language;
use crate::themes::{Meaning, Theme, Weight, parse, themes};
use crate::typos::Typos;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StressorText {
    name: String,
    label: String,
    insight: String,
    cues: CueLists,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternText {
    label: String,
    insight: String,
    cues: CueLists,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct CueLists {
    strong: String,
    medium: String,
    weak: String,
}

/// The negations, contrasts, emphases and idioms of a language.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    denies_next: String,
    denies_previous: String,
    denies_sentence: String,
    contrast: String,
    emphasis: String,
    idioms: String,
    /// Words that are one slip away from a cue, and mean something else.
    not_typos: String,
}

/// The texts and the cues of one language.
pub(crate) struct Lexicon {
    stressors: BTreeMap<String, StressorText>,
    patterns: BTreeMap<String, PatternText>,
    pub(crate) cues: Cues<Meaning>,
    pub(crate) typos: Typos,
}

struct Source {
    stressors: &'static str,
    patterns: &'static str,
    words: &'static str,
}

macro_rules! source {
    ($folder:literal) => {
        Source {
            stressors: include_str!(concat!("../data/", $folder, "/stressors.toml")),
            patterns: include_str!(concat!("../data/", $folder, "/patterns.toml")),
            words: include_str!(concat!("../data/", $folder, "/words.toml")),
        }
    };
}

static LEXICONS: [LazyLock<Lexicon>; Language::ALL.len()] = [
    LazyLock::new(|| Lexicon::parse(&source!("en"))),
    LazyLock::new(|| Lexicon::parse(&source!("zh"))),
    LazyLock::new(|| Lexicon::parse(&source!("es"))),
    LazyLock::new(|| Lexicon::parse(&source!("fr"))),
    LazyLock::new(|| Lexicon::parse(&source!("de"))),
    LazyLock::new(|| Lexicon::parse(&source!("ja"))),
];

impl Lexicon {
    pub(crate) fn of(language: Language) -> &'static Self {
        &LEXICONS[language as usize]
    }

    fn parse(source: &Source) -> Self {
        let stressors: BTreeMap<String, StressorText> = parse(source.stressors);
        let patterns: BTreeMap<String, PatternText> = parse(source.patterns);
        let words: Words = parse(source.words);

        let themes = themes();
        let stressor_cues = stressors.iter().map(|(id, text)| (id, &text.cues));
        let pattern_cues = patterns.iter().map(|(id, text)| (id, &text.cues));
        let mut meanings: Vec<(&str, Meaning)> = Vec::new();
        for (id, cues) in stressor_cues.chain(pattern_cues) {
            let theme = themes.get(id);
            for (list, weight) in [
                (&cues.strong, Weight::Strong),
                (&cues.medium, Weight::Medium),
                (&cues.weak, Weight::Weak),
            ] {
                meanings.extend(phrases(list).map(|cue| (cue, Meaning::Cue(theme, weight))));
            }
        }
        let typos = Typos::new(&meanings, &words.not_typos);
        for (theme, emoji) in themes.emoji() {
            let meaning = Meaning::Cue(theme, Weight::Medium);
            meanings.extend(phrases(emoji).map(|emoji| (emoji, meaning)));
        }
        for (list, meaning) in [
            (&words.denies_next, Meaning::DeniesNext),
            (&words.denies_previous, Meaning::DeniesPrevious),
            (&words.denies_sentence, Meaning::DeniesSentence),
            (&words.contrast, Meaning::Contrast),
            (&words.emphasis, Meaning::Emphasis),
            (&words.idioms, Meaning::Idiom),
        ] {
            meanings.extend(phrases(list).map(|phrase| (phrase, meaning)));
        }
        Self {
            cues: Cues::new(meanings),
            typos,
            stressors,
            patterns,
        }
    }

    pub(crate) fn stressor(&'static self, stressor: Theme) -> Stressor {
        let (id, text) = self.stressor_text(stressor);
        Stressor {
            theme: id,
            name: &text.name,
        }
    }

    pub(crate) fn factor(&'static self, theme: Theme) -> Factor {
        if theme.position() < themes().stressors() {
            let (theme, text) = self.stressor_text(theme);
            return Factor {
                theme,
                label: &text.label,
                insight: &text.insight,
            };
        }
        let (theme, text) = entry(&self.patterns, theme);
        Factor {
            theme,
            label: &text.label,
            insight: &text.insight,
        }
    }

    fn stressor_text(&self, stressor: Theme) -> (&str, &StressorText) {
        entry(&self.stressors, stressor)
    }
}

fn entry<T>(texts: &BTreeMap<String, T>, theme: Theme) -> (&str, &T) {
    let id = themes().ids().nth(theme.position());
    let entry = id.and_then(|id| texts.get_key_value(id));
    let (id, text) = entry.expect("the shape tests find every theme in every language");
    (id, text)
}
