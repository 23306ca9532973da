//! Misses and false alarms on sentences about suicide and self-harm, and on sentences that only sound like it.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use serde::Deserialize;
use story_analysis::{Language, support_for};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sentences {
    speaks: Vec<String>,
    does_not: Vec<String>,
}

fn sentences(language: Language) -> Sentences {
    let file = format!("tests/safety/{}.toml", language.code());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    toml::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn misses_and_false_alarms_do_not_exceed_the_measured_ones() {
    let (mut all, mut misses, mut false_alarms) = (0, Vec::new(), Vec::new());
    for language in Language::ALL {
        let sentences = sentences(language);
        all += sentences.speaks.len() + sentences.does_not.len();
        misses.extend(sentences.speaks);
        false_alarms.extend(sentences.does_not);
    }
    misses.retain(|sentence| support_for(sentence).is_none());
    false_alarms.retain(|sentence| support_for(sentence).is_some());
    println!("misses of {all} sentences: {misses:#?}, false alarms: {false_alarms:#?}");

    assert!(all >= 150);
    // "I stood on the bridge for an hour", in six languages: most people on a bridge look at the water.
    assert!(misses.len() <= 6, "{}", misses.len());
    assert!(false_alarms.len() <= 1, "{}", false_alarms.len());
}

#[test]
fn support_is_in_the_language_of_the_text_and_names_where_to_call() {
    let cases = [
        ("I want to kill myself and I mean it.", "988"),
        (
            "Ich will nicht mehr leben, es geht nicht mehr.",
            "0800 111 0 111",
        ),
        ("Je ne veux plus vivre, je suis à bout.", "3114"),
        ("Ya no quiero vivir, no puedo más con esto.", "024"),
        ("我真的不想活了,每天都很痛苦。", "12356"),
        ("もう死にたい、毎日がつらい。", "0120-279-338"),
    ];
    for (text, number) in cases {
        let support = support_for(text).unwrap();
        assert!(support.sentence.contains(number), "{}", support.sentence);
        assert!(
            support
                .resources
                .iter()
                .any(|it| it.contact.contains(number))
        );
    }
}

/// None of the stories about other subjects speaks of suicide.
#[test]
fn stories_about_other_subjects_raise_no_alarm() {
    for language in Language::ALL {
        let file = format!("tests/stories/{}.toml", language.code());
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let table: toml::Table = toml::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        for story in table["story"].as_array().unwrap() {
            let text = story["text"].as_str().unwrap();
            assert!(support_for(text).is_none(), "{text}");
        }
    }
}

#[test]
fn a_phrase_in_another_language_than_the_story_is_found() {
    let story =
        "今天上班的时候老板又骂我了,我一个人躲在厕所里。I want to die. 没有人知道我有多累。";
    let support = support_for(story).unwrap();
    assert!(support.sentence.contains("12356"));
}
