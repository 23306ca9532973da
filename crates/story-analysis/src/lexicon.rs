//! What the data files say, parsed once per language.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cues::{Cues, phrases};
use crate::typos::Typos;
use crate::{Factor, Language, Stressor};

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

    /// Returns the patterns that complete the factors of `stressor`.
    pub(crate) fn patterns(&self, stressor: Theme) -> impl Iterator<Item = Theme> {
        let ids = &self.stressor[stressor.position()].patterns;
        ids.iter().map(|id| self.get(id))
    }
}

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
        for stressor in &themes.stressor {
            let meaning = Meaning::Cue(themes.get(&stressor.id), Weight::Medium);
            meanings.extend(phrases(&stressor.emoji).map(|emoji| (emoji, meaning)));
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

/// Parses an embedded data file.
pub(crate) fn parse<T: DeserializeOwned>(file: &str) -> T {
    toml::from_str(file).expect("the shape tests parse every data file")
}
