//! Every text gets a valid analysis, and soon.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use story_analysis::{Analysis, Language, Valence, analyze};

fn assert_valid(analysis: &Analysis) {
    assert!(!analysis.stressor.name.is_empty());
    assert!((3..=4).contains(&analysis.factors.len()));
    let themes: HashSet<_> = analysis.factors.iter().map(|it| it.theme).collect();
    let labels: HashSet<_> = analysis.factors.iter().map(|it| it.label).collect();
    assert_eq!(themes.len(), analysis.factors.len());
    assert_eq!(labels.len(), analysis.factors.len());
}

/// Words of the lexicon between arbitrary characters find more paths through the code than the characters alone.
fn text() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "not the ",
        "exam",
        "exma ",
        "is not the problem",
        "but ",
        "上司",
        "じゃなく",
        "不是",
        "考试",
        "prüfung",
        "l'",
        "’",
        "want to die",
        "don't ",
        "\u{300}\u{301}",
        "👨‍👩‍👧",
        "\u{202e}",
        ".",
        ",",
        "\0",
    ]);
    let part = prop_oneof![known.prop_map(str::to_owned), any::<String>()];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_has_a_valid_analysis(text in text()) {
        for valence in [Valence::Good, Valence::Bad, Valence::Mixed] {
            assert_valid(&analyze(&text, valence));
        }
    }

    #[test]
    fn the_same_text_has_the_same_analysis(text in text()) {
        prop_assert_eq!(analyze(&text, Valence::Mixed), analyze(&text, Valence::Mixed));
    }
}

#[test]
fn texts_that_say_little_have_an_analysis() {
    let cases = [
        (
            "emoji",
            "😀😀😀😀😀😀😀😀😀😀".repeat(5),
            Language::En,
            "joy",
        ),
        ("one word", "boring ".repeat(50), Language::En, "emptiness"),
        (
            "an unknown word",
            "lorem ".repeat(20),
            Language::En,
            "general",
        ),
        (
            "Korean",
            "나는 오늘 아무 일도 하지 않았다. ".repeat(5),
            Language::En,
            "general",
        ),
        (
            "Arabic",
            "لا أعرف ماذا أفعل اليوم. ".repeat(5),
            Language::En,
            "general",
        ),
        ("nothing", String::new(), Language::En, "general"),
    ];
    for (name, text, language, theme) in cases {
        let analysis = analyze(&text, Valence::Mixed);
        assert_valid(&analysis);
        if name != "an unknown word" {
            assert_eq!(analysis.language, language, "{name}");
        }
        assert_eq!(analysis.stressor.theme, theme, "{name}");
    }
}

#[test]
fn a_valence_decides_where_the_text_does_not() {
    let theme = |valence| analyze("🙂🙃", valence).stressor.theme;
    assert_eq!(theme(Valence::Good), "joy");
    assert_eq!(theme(Valence::Bad), "general");
}

/// A debug build takes about ten times as long as a release build. A quadratic step would take minutes.
#[test]
fn the_time_grows_linearly_with_the_text() {
    let cases = [
        ("family emoji", "👨‍👩‍👧‍👦".repeat(5000)),
        ("one word", "exam ".repeat(50_000)),
        ("one letter", "a".repeat(250_000)),
        ("denials", "not the ".repeat(30_000)),
        ("emphasis", "but ".repeat(60_000)),
        ("characters", "考".repeat(80_000)),
        ("accents", format!("a{}", "\u{301}".repeat(120_000))),
        ("short sentences", "I am so. ".repeat(25_000)),
    ];
    for (name, text) in cases {
        let start = Instant::now();
        assert_valid(&analyze(&text, Valence::Mixed));
        let elapsed = start.elapsed();
        println!("{name}: {elapsed:?}");
        assert!(elapsed < Duration::from_secs(10), "{name}: {elapsed:?}");
    }
}
