//! What every entry of the data files has in common.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::Path;

use story_analysis::{Language, themes};
use toml::Table;

/// What a reader sees of a theme.
struct Text {
    /// Where it is written, such as `en work`.
    place: String,
    language: Language,
    /// Only stressors have one.
    name: Option<String>,
    label: String,
    insight: String,
}

fn read(file: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data")
        .join(file);
    let text = fs::read_to_string(&path).unwrap();
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn of_language(language: Language, file: &str) -> Table {
    read(&format!("{}/{file}", language.code()))
}

fn texts() -> Vec<Text> {
    let mut texts = Vec::new();
    for language in Language::ALL {
        for file in ["stressors.toml", "patterns.toml"] {
            for (theme, entry) in of_language(language, file) {
                let field = |name: &str| Some(entry.get(name)?.as_str().unwrap().to_owned());
                texts.push(Text {
                    place: format!("{} {theme}", language.code()),
                    language,
                    name: field("name"),
                    label: field("label").unwrap(),
                    insight: field("insight").unwrap(),
                });
            }
        }
    }
    texts
}

fn has_blanks(language: Language) -> bool {
    !matches!(language, Language::Zh | Language::Ja)
}

/// Asserts that `label` is in Title Case and has `words` words, or is short where words have no blanks between them.
fn assert_label(text: &Text, label: &str, words: std::ops::RangeInclusive<usize>) {
    if has_blanks(text.language) {
        let count = label.split_whitespace().count();
        assert!(words.contains(&count), "{}: {label}", text.place);
        for word in label.split_whitespace() {
            assert!(
                word.starts_with(char::is_uppercase),
                "{}: {label}",
                text.place
            );
        }
    } else {
        assert!(
            (2..=12).contains(&label.chars().count()),
            "{}: {label}",
            text.place
        );
    }
}

#[test]
fn every_language_has_every_theme() {
    let expected: BTreeSet<&str> = themes().collect();
    for language in Language::ALL {
        let mut found = BTreeSet::new();
        for file in ["stressors.toml", "patterns.toml"] {
            for theme in of_language(language, file).keys() {
                assert!(found.insert(theme.clone()), "{theme} is in both files");
            }
        }
        assert_eq!(
            found.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            expected,
            "{language:?}"
        );
    }
}

#[test]
fn ids_are_in_kebab_case() {
    for theme in themes() {
        assert!(
            theme.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
            "{theme}"
        );
    }
}

#[test]
fn every_stressor_has_three_other_distinct_patterns() {
    let table = read("themes.toml");
    let known: HashSet<&str> = themes().collect();
    for stressor in table["stressor"].as_array().unwrap() {
        let patterns = stressor["patterns"].as_array().unwrap();
        let ids: BTreeSet<&str> = patterns.iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!(ids.len(), 3, "{stressor:?}");
        assert!(ids.iter().all(|id| known.contains(id)), "{stressor:?}");
    }
}

#[test]
fn names_have_at_most_five_words_and_labels_two_to_four() {
    for text in texts() {
        if let Some(name) = &text.name {
            assert_label(&text, name, 1..=5);
        }
        assert_label(&text, &text.label, 2..=4);
    }
}

#[test]
fn labels_differ_within_a_language() {
    let mut labels: BTreeMap<(&str, String), String> = BTreeMap::new();
    for text in texts() {
        for label in text.name.iter().chain([&text.label]) {
            let known = labels.insert((text.language.code(), label.clone()), text.place.clone());
            assert_eq!(known, None, "{}: {label}", text.place);
        }
    }
}

/// A third sentence is left for the support line.
#[test]
fn insights_have_one_or_two_sentences() {
    for text in texts() {
        let ends = text
            .insight
            .chars()
            .filter(|c| ".!?。！？".contains(*c))
            .count();
        assert!((1..=2).contains(&ends), "{}: {}", text.place, text.insight);
        assert!(text.insight.ends_with(['.', '。']), "{}", text.place);
        let length = text.insight.chars().count();
        assert!((30..=300).contains(&length), "{}: {length}", text.place);
    }
}

#[test]
fn insights_give_no_advice() {
    let advice = |language: Language| -> &[&str] {
        match language {
            Language::En => &[
                "should",
                "must",
                "try to",
                "need to",
                "have to",
                "ought to",
                "let yourself",
                "remember to",
                "allow yourself",
            ],
            Language::De => &[
                "solltest",
                "sollte",
                "muss ",
                "du musst",
                "versuch",
                "es hilft",
                "nimm dir",
                "erlaube",
                "denk daran",
                "am besten",
            ],
            Language::Fr => &[
                "devriez",
                "devrais",
                "il faut",
                "essaye",
                "essaie",
                "doit ",
                "dois ",
                "pensez à",
                "prenez",
            ],
            Language::Es => &[
                "deberías",
                "debes",
                "hay que",
                "intenta",
                "trata de",
                "tienes que",
                "recuerda que",
                "permítete",
            ],
            Language::Zh => &[
                "应该",
                "必须",
                "试着",
                "试试",
                "建议",
                "需要你",
                "请",
                "不妨",
                "要学会",
            ],
            Language::Ja => &[
                "してください",
                "しましょう",
                "べき",
                "てみて",
                "なければなりません",
                "ほうがいい",
                "てはいけ",
            ],
        }
    };
    for text in texts() {
        let insight = text.insight.to_lowercase();
        for word in advice(text.language) {
            assert!(!insight.contains(word), "{}: {word}", text.place);
        }
    }
}

#[test]
fn no_label_and_no_insight_names_a_bias() {
    let names = [
        "catastroph",
        "katastroph",
        "bias",
        "mind reading",
        "mind-reading",
        "all-or-nothing",
        "schwarz-weiß",
        "black-and-white",
        "overgeneral",
        "rumination",
        "grübel",
        "distortion",
        "verzerrung",
        "biais",
        "sesgo",
        "distorsion",
        "distorsión",
        "perfektionismus",
        "perfectionis",
        "perfeccionismo",
        "impostor",
        "imposter",
        "灾难化",
        "读心",
        "偏差",
        "偏误",
        "认知扭曲",
        "破局",
        "読心",
        "バイアス",
        "認知の歪み",
        "完璧主義",
        "完美主义",
        "非黑即白",
        "白黒思考",
        "过度概括",
        "personali",
        "negativity",
    ];
    for text in texts() {
        let visible = format!("{} {}", text.label, text.insight).to_lowercase();
        for name in names {
            assert!(!visible.contains(name), "{}: {name}", text.place);
        }
    }
}

/// A cue without letters would be found everywhere, and an asterisk within a cue nowhere.
#[test]
fn cues_have_letters_and_asterisks_only_at_their_ends() {
    for language in Language::ALL {
        for file in [
            "stressors.toml",
            "patterns.toml",
            "words.toml",
            "safety.toml",
        ] {
            for list in lists(&of_language(language, file).into()) {
                for cue in list
                    .split([',', '\n'])
                    .map(str::trim)
                    .filter(|cue| !cue.is_empty())
                {
                    let place = format!("{} {file}: {cue}", language.code());
                    let stem = cue.strip_prefix('*').unwrap_or(cue);
                    let stem = stem.strip_suffix('*').unwrap_or(stem);
                    assert!(stem.chars().any(char::is_alphanumeric), "{place}");
                    assert!(!stem.contains('*'), "{place}");
                    assert!(!stem.contains(['、', ',', ';', '.', '"']), "{place}");
                }
            }
        }
    }
}

/// Returns the lists of phrases in a data file: all texts that are not shown to users.
fn lists(value: &toml::Value) -> Vec<String> {
    const SHOWN: [&str; 4] = ["name", "label", "insight", "support"];
    match value {
        toml::Value::String(list) => vec![list.clone()],
        toml::Value::Table(table) => {
            let hidden = table
                .iter()
                .filter(|(key, _)| !SHOWN.contains(&key.as_str()));
            hidden.flat_map(|(_, value)| lists(value)).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn support_lines_have_an_official_source_and_the_sentence_names_the_first() {
    for language in Language::ALL {
        let support = &of_language(language, "safety.toml")["support"];
        let resources = support["resources"].as_array().unwrap();
        assert!(resources.len() >= 3, "{language:?}");
        for resource in resources {
            assert!(resource["source"].as_str().unwrap().starts_with("https://"));
            assert!(!resource["region"].as_str().unwrap().is_empty());
        }
        let sentence = support["sentence"].as_str().unwrap();
        let first = resources[0]["contact"].as_str().unwrap();
        let first = first.split(',').next().unwrap();
        assert!(sentence.contains(first), "{sentence}");
        let ends = sentence.chars().filter(|c| ".。".contains(*c)).count();
        assert_eq!(ends, 1, "{sentence}");
    }
}
