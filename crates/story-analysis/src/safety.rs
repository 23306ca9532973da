//! Whether a text speaks of suicide or self-harm, and where to find help.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::cues::{Cues, is_near, phrases};
use crate::fold::fold;
use crate::language::Language;
use crate::themes::parse;

/// Where to find help, in one language.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Support {
    /// A few warm sentences to show above the resources.
    pub message: String,
    /// One sentence that names where to call, to be added to an insight.
    pub sentence: String,
    /// Support lines, the regions that speak the language first.
    pub resources: Vec<Resource>,
}

/// A support line or a directory of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// The name of the service.
    pub name: String,
    /// A telephone number or a web address.
    pub contact: String,
    /// Where the service can be reached, in the language of the support.
    pub region: String,
    /// The official page that the contact was taken from.
    pub source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Safety {
    /// Phrases that speak of suicide or self-harm.
    phrases: String,
    /// Phrases that contain one of these and mean something else.
    idioms: String,
    /// Words directly before a phrase that deny it.
    denies_next: String,
    /// Words directly after a phrase that deny it.
    denies_previous: String,
    support: Support,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Meaning {
    Speaks,
    DeniesNext,
    DeniesPrevious,
    Idiom,
}

/// A denial is directly next to the phrase: "I never really wanted to die", but not "I don't know if I want to die".
const DENIAL_REACH: usize = 1;

struct Lists {
    /// One for all languages, because a story may mix them.
    cues: Cues<Meaning>,
    /// In the order of [`Language::ALL`].
    support: [Support; Language::ALL.len()],
}

static LISTS: LazyLock<Lists> = LazyLock::new(|| {
    let lists: [Safety; Language::ALL.len()] = [
        parse(include_str!("../data/en/safety.toml")),
        parse(include_str!("../data/zh/safety.toml")),
        parse(include_str!("../data/es/safety.toml")),
        parse(include_str!("../data/fr/safety.toml")),
        parse(include_str!("../data/de/safety.toml")),
        parse(include_str!("../data/ja/safety.toml")),
    ];
    let meanings = lists.iter().flat_map(|list| {
        [
            (&list.phrases, Meaning::Speaks),
            (&list.idioms, Meaning::Idiom),
            (&list.denies_next, Meaning::DeniesNext),
            (&list.denies_previous, Meaning::DeniesPrevious),
        ]
    });
    let cues =
        meanings.flat_map(|(list, meaning)| phrases(list).map(move |phrase| (phrase, meaning)));
    Lists {
        cues: Cues::new(cues),
        support: lists.map(|list| list.support),
    }
});

/// Returns where to find help, in the language of `text`, if `text` speaks of suicide or self-harm.
///
/// A text that mentions the suicide of another person counts, because its writer may need help as well. A denial ("I don't want to
/// die") does not count, and neither does a figure of speech ("dying to see it").
pub fn support_for(text: &str) -> Option<&'static Support> {
    support(&fold(text), Language::of(text))
}

pub(crate) fn support(folded: &str, language: Language) -> Option<&'static Support> {
    speaks_of_suicide(folded).then(|| &LISTS.support[language as usize])
}

fn speaks_of_suicide(folded: &str) -> bool {
    let hits = LISTS.cues.find(folded);
    let is_near = |start: usize, end: usize| {
        // A phrase that shares words with a denial contains the negation that it needs: "don't want to live".
        let gap = folded.get(start..end);
        gap.is_some_and(|gap| is_near(gap, DENIAL_REACH))
    };
    hits.iter().enumerate().any(|(index, hit)| {
        let is_denied_before = || {
            let previous = index.checked_sub(1).and_then(|index| hits.get(index));
            previous.is_some_and(|denial| {
                denial.meanings.contains(&Meaning::DeniesNext) && is_near(denial.end, hit.start)
            })
        };
        let is_denied_after = || {
            let next = hits.get(index + 1);
            next.is_some_and(|denial| {
                denial.meanings.contains(&Meaning::DeniesPrevious) && is_near(hit.end, denial.start)
            })
        };
        hit.meanings.contains(&Meaning::Speaks) && !is_denied_before() && !is_denied_after()
    })
}
