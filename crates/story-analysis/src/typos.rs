//! Cues with one letter missing, or with two letters swapped.

use std::collections::{HashMap, HashSet};

use crate::cues::{Hit, pattern, phrases};
use crate::fold::fold;
use crate::themes::Meaning;

/// In shorter words, one slip is often another word.
const SHORTEST: usize = 6;

/// The likely misspellings of the cues that are one word of an alphabet.
///
/// Doubled letters and accents are not among them, because folding removes them.
#[derive(Default)]
pub(crate) struct Typos {
    /// Misspellings of whole words.
    words: HashMap<String, Vec<Meaning>>,
    /// Misspellings of stems, which any letters may follow.
    stems: HashMap<String, Vec<Meaning>>,
}

impl Typos {
    /// Builds the misspellings of `cues`, except for the words in the list `not_typos`.
    pub(crate) fn new(cues: &[(&str, Meaning)], not_typos: &str) -> Self {
        let words = cues.iter().map(|(cue, _)| *cue).chain(phrases(not_typos));
        let words: HashSet<String> = words.map(|word| pattern(word).trim().to_owned()).collect();
        let mut typos = Self::default();
        for (cue, meaning) in cues {
            let folded = fold(cue);
            let word = folded.trim();
            if word.len() < SHORTEST || !word.bytes().all(|b| b.is_ascii_lowercase()) {
                continue;
            }
            let table = if cue.ends_with('*') {
                &mut typos.stems
            } else {
                &mut typos.words
            };
            for slip in slips(word).filter(|slip| !words.contains(slip)) {
                let meanings = table.entry(slip).or_default();
                if !meanings.contains(meaning) {
                    meanings.push(*meaning);
                }
            }
        }
        typos
    }

    /// Returns the misspelt cues among the words of `folded` that no hit of `known` touches. Both are in the order of their position.
    pub(crate) fn find<'a>(
        &'a self,
        folded: &str,
        known: &[Hit<'_, Meaning>],
    ) -> Vec<Hit<'a, Meaning>> {
        let mut hits = Vec::new();
        let mut known = known.iter().peekable();
        let mut covered = 0;
        let mut start = 0;
        for word in folded.split(' ') {
            let end = start + word.len();
            while let Some(hit) = known.next_if(|hit| hit.start < end) {
                covered = covered.max(hit.end);
            }
            if covered <= start
                && let Some(meanings) = self.meanings(word)
            {
                hits.push(Hit {
                    start,
                    end,
                    meanings,
                });
            }
            start = end + 1;
        }
        hits
    }

    fn meanings(&self, word: &str) -> Option<&[Meaning]> {
        // No cue is that long.
        const LONGEST: usize = 24;
        if !(SHORTEST - 1..=LONGEST).contains(&word.len()) || !word.is_ascii() {
            return None;
        }
        let mut prefixes = (SHORTEST - 1..=word.len()).map(|end| &word[..end]);
        let meanings = self
            .words
            .get(word)
            .or_else(|| prefixes.find_map(|prefix| self.stems.get(prefix)));
        meanings.map(Vec::as_slice)
    }
}

/// Returns `word` with one letter missing or two neighbours swapped. The first letter is rarely wrong, and stays.
fn slips(word: &str) -> impl Iterator<Item = String> {
    let missing = (1..word.len()).map(|at| format!("{}{}", &word[..at], &word[at + 1..]));
    let swapped = (1..word.len() - 1).map(|at| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.swap(at, at + 1);
        letters.into_iter().collect()
    });
    missing.chain(swapped).filter(move |slip| slip != word)
}

#[cfg(test)]
mod tests {
    use super::Typos;
    use crate::themes::{Meaning, Theme, Weight};

    #[test]
    fn one_slip_in_a_long_word_is_found() {
        let cue = |theme| Meaning::Cue(Theme(theme), Weight::Medium);
        let typos = Typos::new(
            &[("present*", cue(0)), ("brother", cue(1)), ("boss", cue(2))],
            "bother",
        );
        let cases = [
            ("presnetation", Some(0)),
            ("prsentation", Some(0)),
            ("borther", Some(1)),
            ("brothers", None),
            ("bother", None),
            ("bos", None),
        ];
        for (word, theme) in cases {
            let expected = theme.map(|theme| vec![cue(theme)]);
            assert_eq!(
                typos.meanings(word).map(<[Meaning]>::to_vec),
                expected,
                "{word}"
            );
        }
    }
}
