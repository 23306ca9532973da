//! In which language a text is written.

use whatlang::{Detector, Lang};

use crate::fold::{is_han, is_kana};

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
        let mut sentences = [0; Self::ALL.len()];
        for sentence in text.split(ends) {
            if let Some(language) = of_sentence(sentence, SHORTEST_SENTENCE, &detector) {
                sentences[language as usize] += 1;
            }
        }
        let most = sentences.iter().max().copied().unwrap_or_default();
        let mut most_frequent = Self::ALL
            .into_iter()
            .filter(|language| sentences[*language as usize] == most);
        match (most_frequent.next(), most_frequent.next()) {
            (Some(language), None) => language,
            // No sentence is long enough, or two languages are equally frequent.
            _ => of_sentence(text, 1, &detector).unwrap_or(Self::En),
        }
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
    match detector.detect_lang(sentence)? {
        Lang::Spa => Some(Language::Es),
        Lang::Fra => Some(Language::Fr),
        Lang::Deu => Some(Language::De),
        _ => Some(Language::En),
    }
}
