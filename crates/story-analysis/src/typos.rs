//! Cues with one letter missing, or with two letters swapped.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::cues::{Hit, pattern, phrases};
use crate::fold::fold;
use crate::themes::Meaning;

/// In shorter words, one slip is often another word.
const SHORTEST: usize = 7;

/// The likely misspellings of the cues that are one word of an alphabet.
///
/// Doubled letters and accents are not among them, because folding removes them.
/// The tables hold hashes, because the misspellings themselves take megabytes. If two cues share one, the first counts.
#[derive(Default)]
pub(crate) struct Typos {
    /// Misspellings of whole words.
    words: HashMap<u64, Meaning>,
    /// Misspellings of stems, which any letters may follow.
    stems: HashMap<u64, Meaning>,
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
                table.entry(hash(&slip)).or_insert(*meaning);
            }
        }
        typos.words.shrink_to_fit();
        typos.stems.shrink_to_fit();
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
                && let Some(meaning) = self.meaning(word)
            {
                hits.push(Hit {
                    start,
                    end,
                    meanings: std::slice::from_ref(meaning),
                });
            }
            start = end + 1;
        }
        hits
    }

    fn meaning(&self, word: &str) -> Option<&Meaning> {
        // No cue is that long.
        const LONGEST: usize = 24;
        if !(SHORTEST - 1..=LONGEST).contains(&word.len()) || !word.is_ascii() {
            return None;
        }
        let mut prefixes = (SHORTEST - 1..=word.len()).map(|end| &word[..end]);
        self.words
            .get(&hash(word))
            .or_else(|| prefixes.find_map(|prefix| self.stems.get(&hash(prefix))))
    }
}

fn hash(word: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    word.hash(&mut hasher);
    hasher.finish()
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
        let cue = |theme| Meaning::Cue(Theme::new(theme), Weight::Medium);
        let typos = Typos::new(
            &[
                ("present*", cue(0)),
                ("brother", cue(1)),
                ("father", cue(2)),
            ],
            "bother",
        );
        let cases = [
            ("presnetation", Some(0)),
            ("prsentation", Some(0)),
            ("borther", Some(1)),
            ("fathr", None),
            ("brothers", None),
            ("bother", None),
        ];
        for (word, theme) in cases {
            assert_eq!(typos.meaning(word), theme.map(cue).as_ref(), "{word}");
        }
    }
}
