//! How strongly a story points to each theme.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::analysis::Valence;
use crate::cues::{Hit, is_near};
use crate::fold::SENTENCE_END;
use crate::lexicon::Lexicon;
use crate::themes::{Meaning, Theme, Weight, themes};

/// A denial reaches over this many words: "not because of the stupid exam".
const DENIAL_REACH: usize = 3;
/// What remains of a theme that the writer denies somewhere: "It is not the exam".
const DENIED: f32 = 0.4;
/// A cue after a contrast or an emphasis counts this many times.
const EMPHASISED: f32 = 2.0;
/// A cue before a contrast counts this many times.
const BEFORE_CONTRAST: f32 = 0.5;
/// A cue after a denial counts this many times: the writer has said what it is not, and goes on to say what it is.
const AFTER_DENIAL: f32 = 1.5;
/// A misspelt cue may be another word.
const MISSPELT: f32 = 0.5;
/// A stressor with a lower score is a coincidence.
const LOWEST_STRESSOR: f32 = 2.0;
/// A thinking pattern with a lower score is a coincidence.
const LOWEST_PATTERN: f32 = 3.0;
/// A second stressor is a factor if its score is at least this, and this share of the central one's.
const LOWEST_SECOND: f32 = 4.0;
const LOWEST_SECOND_SHARE: f32 = 0.4;

const FEWEST_FACTORS: usize = 3;
const MOST_FACTORS: usize = 4;

/// The score of each theme.
pub(crate) struct Scores(Vec<f32>);

impl Scores {
    pub(crate) fn of(folded: &str, lexicon: &Lexicon) -> Self {
        let found = lexicon.cues.find(folded);
        let misspelt = lexicon.typos.find(folded, &found);
        let mut hits: Vec<(Hit<'_, Meaning>, f32)> =
            found.into_iter().map(|hit| (hit, 1.0)).collect();
        hits.extend(misspelt.into_iter().map(|hit| (hit, MISSPELT)));
        hits.sort_unstable_by_key(|(hit, _)| (hit.start, Reverse(hit.end)));

        let following = Following::of_all(folded, &hits);
        let mut tally = Tally::default();
        let mut denial_end = None;
        let mut emphasised_sentence = None;
        for ((hit, factor), following) in hits.iter().zip(following) {
            let gap = |end: usize| folded.get(end..hit.start).unwrap_or_default();
            let is_denied =
                following.denies || denial_end.is_some_and(|end| is_near(gap(end), DENIAL_REACH));
            for meaning in hit.meanings {
                match *meaning {
                    Meaning::Cue(theme, weight) if is_denied => tally.deny(theme, weight),
                    Meaning::Cue(theme, weight) => {
                        let mut score = weight.value() * factor;
                        if emphasised_sentence == Some(following.sentence) {
                            score *= EMPHASISED;
                        } else if following.contrasts {
                            score *= BEFORE_CONTRAST;
                        }
                        if tally.has_denial() {
                            score *= AFTER_DENIAL;
                        }
                        tally.add(theme, &folded[hit.start..hit.end], score);
                    }
                    Meaning::DeniesNext => denial_end = Some(hit.end),
                    Meaning::Contrast | Meaning::Emphasis => {
                        emphasised_sentence = Some(following.sentence);
                    }
                    Meaning::DeniesPrevious | Meaning::DeniesSentence | Meaning::Idiom => {}
                }
            }
        }
        Self(tally.scores())
    }

    /// Returns the stressor with the highest score.
    ///
    /// Words of joy and words of distress weigh against each other, because an ironic or a brave story has both.
    pub(crate) fn central_stressor(&self, valence: Valence) -> Theme {
        let (joy, general) = (themes().get("joy"), themes().get("general"));
        let share_of_joy = match valence {
            Valence::Good => 1.5,
            Valence::Mixed => 0.6,
            Valence::Bad => 0.25,
        };
        let score = |theme: Theme| {
            if theme == joy {
                self.0[joy.position()] * share_of_joy - self.0[general.position()]
            } else {
                self.0[theme.position()]
            }
        };
        let fallback = if valence == Valence::Good {
            joy
        } else {
            general
        };
        (0..themes().stressors())
            .map(Theme::new)
            .filter(|theme| *theme != general && score(*theme) >= LOWEST_STRESSOR)
            // The first of equal ones.
            .min_by(|left, right| score(*right).total_cmp(&score(*left)))
            .unwrap_or(fallback)
    }

    /// Returns three or four distinct themes: the root of `stressor`, what else the story shows, and what often goes with `stressor`.
    pub(crate) fn factors(&self, stressor: Theme) -> Vec<Theme> {
        let (joy, general) = (themes().get("joy"), themes().get("general"));
        let lowest_second = (self.0[stressor.position()] * LOWEST_SECOND_SHARE).max(LOWEST_SECOND);
        let is_shown = |theme: &Theme| {
            if theme.position() >= themes().stressors() {
                return self.0[theme.position()] >= LOWEST_PATTERN;
            }
            let is_second = ![stressor, joy, general].contains(theme) && stressor != joy;
            is_second && self.0[theme.position()] >= lowest_second
        };
        let mut shown: Vec<Theme> = (0..self.0.len()).map(Theme::new).filter(is_shown).collect();
        shown.sort_by(|left, right| self.0[right.position()].total_cmp(&self.0[left.position()]));

        let mut factors = vec![stressor];
        factors.extend(shown.into_iter().take(MOST_FACTORS - 1));
        for pattern in themes().patterns(stressor) {
            if factors.len() < FEWEST_FACTORS && !factors.contains(&pattern) {
                factors.push(pattern);
            }
        }
        factors
    }
}

/// What follows a hit in its sentence.
struct Following {
    /// The number of the sentence.
    sentence: usize,
    /// A denial: "is not the problem" close to the hit, or "that isn't it" later.
    denies: bool,
    /// A contrast: "but".
    contrasts: bool,
}

impl Following {
    fn of_all(folded: &str, hits: &[(Hit<'_, Meaning>, f32)]) -> Vec<Self> {
        let ends_of = |text: &str| text.matches(SENTENCE_END).count();
        let mut all = Vec::with_capacity(hits.len());
        let (mut sentence, mut start) = (0, 0);
        for (hit, _) in hits {
            sentence += ends_of(&folded[start..hit.start]);
            start = hit.start;
            all.push(Self {
                sentence,
                denies: false,
                contrasts: false,
            });
        }

        let mut denial_start = None;
        let mut denied_sentence = None;
        let mut contrasted_sentence = None;
        for ((hit, _), following) in hits.iter().zip(&mut all).rev() {
            let gap = denial_start.and_then(|start| folded.get(hit.end..start));
            following.denies = gap.is_some_and(|gap| is_near(gap, DENIAL_REACH))
                || denied_sentence == Some(following.sentence);
            following.contrasts = contrasted_sentence == Some(following.sentence);
            for meaning in hit.meanings {
                match meaning {
                    Meaning::DeniesPrevious => denial_start = Some(hit.start),
                    Meaning::DeniesSentence => denied_sentence = Some(following.sentence),
                    Meaning::Contrast => contrasted_sentence = Some(following.sentence),
                    _ => {}
                }
            }
        }
        all
    }
}

#[derive(Default)]
struct Tally<'a> {
    /// The score of each phrase of a theme, and how often it was seen.
    phrases: HashMap<(Theme, &'a str), (f32, u32)>,
    denied: Vec<Theme>,
}

impl<'a> Tally<'a> {
    /// Adds a cue. Repetition says less each time: the n-th occurrence of a phrase adds its share of 1/n.
    fn add(&mut self, theme: Theme, phrase: &'a str, weight: f32) {
        let (score, times) = self.phrases.entry((theme, phrase)).or_default();
        *times += 1;
        #[expect(clippy::cast_precision_loss, reason = "a story has few words")]
        let share = weight / *times as f32;
        *score += share;
    }

    /// Notes that the writer denies `theme`. A weak cue is not enough to deny one.
    fn deny(&mut self, theme: Theme, weight: Weight) {
        if weight != Weight::Weak && !self.denied.contains(&theme) {
            self.denied.push(theme);
        }
    }

    fn has_denial(&self) -> bool {
        !self.denied.is_empty()
    }

    fn scores(&self) -> Vec<f32> {
        let mut scores = vec![0.0; themes().ids().count()];
        let mut phrases: Vec<_> = self.phrases.iter().collect();
        // Sums of floating-point numbers depend on their order.
        phrases.sort_unstable_by_key(|(phrase, _)| **phrase);
        for ((theme, _), (score, _)) in phrases {
            scores[theme.position()] += score;
        }
        for theme in &self.denied {
            scores[theme.position()] *= DENIED;
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use crate::{Valence, analyze};

    fn theme(story: &str) -> &'static str {
        analyze(story, Valence::Mixed).stressor.theme
    }

    #[test]
    fn what_the_writer_denies_is_not_the_stressor() {
        let cases = [
            ("before", "It is not the exam. It is my father."),
            ("after", "The exam is not the problem. It is my father."),
            (
                "sentence",
                "The exam is hard, but that isn't it. It is my father.",
            ),
            ("contrast", "The teacher is strict, but my father is worse."),
        ];
        for (name, story) in cases {
            assert_eq!(theme(story), "family", "{name}");
        }
        assert_eq!(theme("It is the exam, and my father is no help."), "study");
    }

    #[test]
    fn a_misspelt_cue_counts() {
        assert_eq!(theme("I lie here with insomina and count."), "sleep");
    }

    #[test]
    fn an_idiom_hides_its_words() {
        assert_eq!(
            theme("We were killing time, and the battery died."),
            "general"
        );
        assert_eq!(theme("My uncle died."), "loss");
    }

    #[test]
    fn words_of_distress_outweigh_words_of_joy() {
        assert_eq!(theme("So happy and grateful, what a day!"), "joy");
        assert_ne!(
            theme("I smile, so happy, and then I cry and cry, it hurts, I am exhausted."),
            "joy"
        );
    }

    #[test]
    fn a_second_stressor_is_a_factor() {
        let story = "Overtime, deadlines, a crushing workload, a toxic workplace. And insomnia, and nightmares.";
        let analysis = analyze(story, Valence::Bad);
        assert_eq!(analysis.stressor.theme, "work");
        assert!(analysis.factors.iter().any(|it| it.theme == "sleep"));
    }
}
