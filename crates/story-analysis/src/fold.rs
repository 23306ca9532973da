//! The form in which texts and cues are compared.

use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_normalization::char::{compose, decompose_compatible};

/// Ends a clause in folded text.
pub(crate) const CLAUSE_END: char = ',';
/// Ends a sentence in folded text.
pub(crate) const SENTENCE_END: char = '.';

/// Returns `text` without what may differ between two spellings of a word.
///
/// * Letters are lower case, without accents and ligatures, half or full width alike. "ue" before a consonant is "u", as "ü" is.
/// * A letter of the Latin alphabet that is repeated stands once: "sooo" is "so", and "embarassed" is "embarrassed".
/// * Traditional Chinese characters are simplified, as far as `data/traditional.txt` knows them.
/// * A word of an alphabet has a blank before and after it: `" my  exam "`. Chinese and Japanese have no blanks.
/// * Punctuation that ends a clause or a sentence is [`CLAUSE_END`] or [`SENTENCE_END`]. Other punctuation is dropped.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = Folded::default();
    for c in text.chars() {
        decompose_compatible(c, |part| {
            for letter in part.to_lowercase() {
                folded.push(letter);
            }
        });
    }
    folded.end_word();
    folded.text
}

#[derive(Default)]
struct Folded {
    text: String,
    /// The word that is being read, of an alphabet.
    word: String,
}

impl Folded {
    fn push(&mut self, c: char) {
        match c {
            'a'..='z' => self.push_letter(c),
            'ß' => self.push_letter('s'),
            'œ' => ['o', 'e'].into_iter().for_each(|c| self.push_letter(c)),
            'æ' => ['a', 'e'].into_iter().for_each(|c| self.push_letter(c)),
            '\'' | '’' | '‘' | '`' | '´' => self.push_apostrophe(),
            // Accents, which decomposition has separated from their letters.
            '\u{300}'..='\u{36f}' => {}
            // The voicing marks of kana, which decomposition has separated as well.
            '\u{3099}' | '\u{309a}' => {
                let kana = self.text.pop();
                let voiced = kana.and_then(|kana| compose(kana, c)).or(kana);
                self.text.extend(voiced);
            }
            // Joiners, variation selectors and soft hyphens are invisible.
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' => {}
            ',' | ';' | ':' | '、' | '(' | ')' | '–' | '—' => self.push_end(CLAUSE_END),
            '.' | '!' | '?' | '。' | '…' | '\n' => self.push_end(SENTENCE_END),
            _ if is_han_or_kana(c) => {
                self.end_word();
                self.text.push(simplified(c));
            }
            _ if c.is_alphanumeric() => self.word.push(c),
            // Quotation marks, brackets and blanks.
            _ if c.is_ascii() || c.is_whitespace() => self.end_word(),
            '\u{a1}'..='\u{bf}' | '\u{2010}'..='\u{2027}' | '\u{3001}'..='\u{3030}' => {
                self.end_word()
            }
            // Emoji and everything else that may carry a meaning.
            _ => {
                self.end_word();
                self.text.push(c);
            }
        }
    }

    fn push_letter(&mut self, c: char) {
        let ends_with_umlaut = ["ae", "oe", "ue"].iter().any(|it| self.word.ends_with(it));
        // "Pruefung" and "Traeume", but not "que" and "queue".
        let is_vowel = "aeiou".contains(c);
        if ends_with_umlaut && (!is_vowel || (c == 'u' && self.word.ends_with("ae"))) {
            self.word.pop();
        }
        if !self.word.ends_with(c) {
            self.word.push(c);
        }
    }

    /// English joins ("don't" is "dont"), French separates ("l'examen" is two words).
    fn push_apostrophe(&mut self) {
        const ELIDED: [&str; 12] = [
            "c", "d", "j", "l", "m", "n", "s", "t", "qu", "jusqu", "lorsqu", "puisqu",
        ];
        if ELIDED.contains(&self.word.as_str()) {
            self.end_word();
        }
    }

    fn push_end(&mut self, end: char) {
        self.end_word();
        self.text.push(end);
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.text.push(' ');
            self.text.push_str(&self.word);
            self.text.push(' ');
            self.word.clear();
        }
    }
}

/// Returns whether Japanese or Chinese is written with `c`.
pub(crate) fn is_han_or_kana(c: char) -> bool {
    is_han(c) || is_kana(c)
}

/// Returns whether `c` is a Chinese character, also as Japanese uses it.
pub(crate) fn is_han(c: char) -> bool {
    matches!(c, '々' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Returns whether `c` is written in Japanese alone.
pub(crate) fn is_kana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | 'ー' | '\u{ff66}'..='\u{ff9d}')
}

fn simplified(c: char) -> char {
    static PAIRS: LazyLock<HashMap<char, char>> = LazyLock::new(|| {
        let pairs = include_str!("../data/traditional.txt").split_whitespace();
        pairs
            .filter_map(|pair| {
                let mut chars = pair.chars();
                Some((chars.next()?, chars.next()?))
            })
            .collect()
    });
    PAIRS.get(&c).copied().unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn spellings_of_a_word_fold_to_the_same_text() {
        let cases = [
            ("sooo STRESSED", "so stresed"),
            ("examén", "examen"),
            ("Prüfung", "Pruefung"),
            ("Träume", "Traeume"),
            ("Don’t", "dont"),
            ("cœur", "coeur"),
            ("embarassed", "embarrassed"),
            ("ＥＸＡＭ", "exam"),
            ("ﾊﾟﾜﾊﾗ", "パワハラ"),
            ("壓力", "压力"),
            ("all-nighter", "all nighter"),
        ];
        for (left, right) in cases {
            assert_eq!(fold(left), fold(right), "{left}");
        }
    }

    #[test]
    fn words_stand_between_blanks_and_clauses_end() {
        assert_eq!(
            fold("L'examen, vite! 考试很难。"),
            " l  examen , vite .考试很难."
        );
    }

    #[test]
    fn kana_keep_their_voicing_marks() {
        assert_ne!(fold("が"), fold("か"));
    }
}
