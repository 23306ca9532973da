//! In which language a text is written.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use whatlang::{Detector, Lang};

use crate::cues::phrases;
use crate::fold::{fold, is_han, is_kana};
use crate::themes::parse;

/// A language that analyses are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// English
    En,
    /// Chinese, written with simplified characters
    Zh,
    /// Spanish
    Es,
    /// French
    Fr,
    /// German
    De,
    /// Japanese
    Ja,
}

/// Shorter sentences, such as "OK.", say little about their language.
const SHORTEST_SENTENCE: usize = 10;

/// A Chinese character carries about as much as this many letters of an alphabet.
const LETTERS_PER_HAN: usize = 3;

impl Language {
    /// All languages, in the order of their discriminants.
    pub const ALL: [Self; 6] = [Self::En, Self::Zh, Self::Es, Self::Fr, Self::De, Self::Ja];

    /// Returns the code of ISO 639-1, such as `en`.
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
            Self::Es => "es",
            Self::Fr => "fr",
            Self::De => "de",
            Self::Ja => "ja",
        }
    }

    /// Returns the language of most sentences of `text`, or English if there is none.
    pub fn of(text: &str) -> Self {
        let detector = Detector::with_allowlist(vec![Lang::Eng, Lang::Spa, Lang::Fra, Lang::Deu]);
        let ends = ['.', '!', '?', '。', '！', '？', '…', '\n'];
        let mut sentences = [0_u32; Self::ALL.len()];
        for sentence in text.split(ends) {
            if let Some(language) = of_sentence(sentence, SHORTEST_SENTENCE, &detector) {
                sentences[language as usize] += 1;
            }
        }
        // Without one, no sentence is long enough, or two languages are equally frequent.
        only_most_frequent(&sentences)
            .or_else(|| of_sentence(text, 1, &detector))
            .unwrap_or(Self::En)
    }
}

fn of_sentence(sentence: &str, shortest: usize, detector: &Detector) -> Option<Language> {
    let (mut han, mut kana, mut alphabet) = (0, 0, 0);
    for c in sentence.chars() {
        if is_kana(c) {
            kana += 1;
        } else if is_han(c) {
            han += 1;
        } else if c.is_alphabetic() {
            alphabet += 1;
        }
    }
    let asian = (han + kana) * LETTERS_PER_HAN;
    if asian.max(alphabet) < shortest {
        return None;
    }
    if asian >= alphabet {
        return Some(if kana > 0 { Language::Ja } else { Language::Zh });
    }
    if let Some(language) = of_small_words(sentence) {
        return Some(language);
    }
    match detector.detect_lang(sentence)? {
        Lang::Spa => Some(Language::Es),
        Lang::Fra => Some(Language::Fr),
        Lang::Deu => Some(Language::De),
        _ => Some(Language::En),
    }
}

/// Returns the language to which most small words of `sentence` belong, if there is only one.
///
/// It finds the language of a short sentence with slang and typing errors, where the trigrams of `whatlang` mislead.
fn of_small_words(sentence: &str) -> Option<Language> {
    let mut counts = [0_u32; Language::ALL.len()];
    for word in fold(sentence).split_whitespace() {
        for language in SMALL_WORDS.get(word).into_iter().flatten() {
            counts[*language as usize] += 1;
        }
    }
    only_most_frequent(&counts)
}

/// Returns the language with the highest count, unless another language has the same.
fn only_most_frequent(counts: &[u32; Language::ALL.len()]) -> Option<Language> {
    let most = counts.iter().max()?;
    let mut most_frequent = Language::ALL
        .into_iter()
        .filter(|language| counts[*language as usize] == *most);
    most_frequent
        .next()
        .filter(|_| most_frequent.next().is_none())
}

/// The languages of each small word.
static SMALL_WORDS: LazyLock<HashMap<String, Vec<Language>>> = LazyLock::new(|| {
    let lists: SmallWords = parse(include_str!("../data/small_words.toml"));
    let mut languages: HashMap<String, Vec<Language>> = HashMap::new();
    for (list, language) in [
        (&lists.en, Language::En),
        (&lists.es, Language::Es),
        (&lists.fr, Language::Fr),
        (&lists.de, Language::De),
    ] {
        for word in phrases(list) {
            let folded = fold(word).trim().to_owned();
            let known = languages.entry(folded).or_default();
            if !known.contains(&language) {
                known.push(language);
            }
        }
    }
    languages
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SmallWords {
    en: String,
    de: String,
    fr: String,
    es: String,
}
