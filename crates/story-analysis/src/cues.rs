//! Finding many phrases in one pass.

use std::collections::HashMap;
use std::hash::Hash;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use crate::fold::{CLAUSE_END, SENTENCE_END, fold};

/// Splits a list of a data file into its phrases.
pub(crate) fn phrases(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', '\n'])
        .map(str::trim)
        .filter(|phrase| !phrase.is_empty())
}

/// Returns what a phrase of a data file looks like in folded text. An asterisk at its start or end leaves the word open there.
pub(crate) fn pattern(phrase: &str) -> String {
    let folded = fold(phrase);
    let mut pattern = folded.as_str();
    if phrase.starts_with('*') {
        pattern = pattern.trim_start();
    }
    if phrase.ends_with('*') {
        pattern = pattern.trim_end();
    }
    pattern.to_owned()
}

/// Phrases, and what each of them means.
pub(crate) struct Cues<M> {
    automaton: AhoCorasick,
    meanings: Vec<Vec<M>>,
}

/// A phrase in a folded text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit<'a, M> {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) meanings: &'a [M],
}

impl<M: Copy + Eq + Hash> Cues<M> {
    /// Builds the automaton for `phrases`. A phrase may have several meanings.
    pub(crate) fn new<'a>(phrases: impl IntoIterator<Item = (&'a str, M)>) -> Self {
        let mut meanings: HashMap<String, Vec<M>> = HashMap::new();
        for (phrase, meaning) in phrases {
            let known = meanings.entry(pattern(phrase)).or_default();
            if !known.contains(&meaning) {
                known.push(meaning);
            }
        }
        let (patterns, meanings): (Vec<String>, Vec<Vec<M>>) = meanings.into_iter().unzip();
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(patterns)
            .expect("the data files are far below the automaton's limit of 2^31 states");
        Self {
            automaton,
            meanings,
        }
    }

    /// Returns the hits in `folded` that are not part of a longer one, by position.
    pub(crate) fn find(&self, folded: &str) -> Vec<Hit<'_, M>> {
        let mut hits: Vec<Hit<'_, M>> = self
            .automaton
            .find_overlapping_iter(folded)
            .map(|found| Hit {
                start: found.start(),
                end: found.end(),
                meanings: &self.meanings[found.pattern()],
            })
            .collect();
        hits.sort_unstable_by_key(|hit| (hit.start, std::cmp::Reverse(hit.end)));
        let mut covered = 0;
        hits.retain(|hit| {
            let is_longest = hit.end > covered;
            covered = covered.max(hit.end);
            is_longest
        });
        hits
    }
}

/// Returns whether `gap`, the folded text between two phrases, is at most `reach` words long and within a clause.
/// In Chinese and Japanese, a character counts as a word.
pub(crate) fn is_near(gap: &str, reach: usize) -> bool {
    // Longer than any words that are near, and short enough to be counted for each of many phrases.
    const LONGEST: usize = 64;
    let words = |part: &str| {
        if part.is_ascii() {
            1
        } else {
            part.chars().count()
        }
    };
    gap.len() <= LONGEST
        && !gap.contains([CLAUSE_END, SENTENCE_END])
        && gap.split_whitespace().map(words).sum::<usize>() <= reach
}
