//! What the pictures of stories promise, measured on their layout and on their pixels.

#![allow(clippy::unwrap_used)]

mod measures;

use std::collections::HashSet;

use measures::Image;
use painter::story::{Area, Icon, Language, Story, StoryError, Topic};
use painter::{LARGEST_SIDE, Mood};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

const MOODS: [Mood; 2] = [Mood::Down, Mood::Fuming];
const FACTOR_RADIUS: f32 = 0.09;
const CENTERS: [(f32, f32); 5] = [
    (0.5, 0.5),
    (0.22, 0.22),
    (0.78, 0.22),
    (0.22, 0.78),
    (0.78, 0.78),
];

fn topic(label: &str) -> Topic {
    Topic {
        icon: Icon::Cloud,
        label: label.to_owned(),
    }
}

/// A story whose first label is the stressor's.
fn story(labels: &[&str], language: Language, side: u32) -> Story {
    let factors = labels[1..].iter().map(|label| topic(label)).collect();
    Story::new(&MOODS, topic(labels[0]), factors, language, side).unwrap()
}

const ENGLISH: [&str; 5] = [
    "Public Performance Anxiety",
    "Harsh Self Image",
    "Time Running Out",
    "Fear Of Judgement",
    "Impossible Standards",
];

#[test]
fn generated_labels_touch_neither_each_other_nor_a_circle_nor_a_corner() {
    let words: [(Language, &str, &[&str]); 6] = [
        (
            Language::English,
            " ",
            &[
                "Fear",
                "Of",
                "Responsibility",
                "Work",
                "Uncharacteristically",
                "Self",
                "Image",
                "Loss",
                "I",
                "Overgeneralisation",
            ],
        ),
        (
            Language::Spanish,
            " ",
            &[
                "Miedo",
                "Al",
                "Responsabilidades",
                "Presión",
                "De",
                "Insatisfacción",
                "Año",
                "Electroencefalografista",
                "Y",
            ],
        ),
        (
            Language::French,
            " ",
            &[
                "Peur",
                "De",
                "L’Abandon",
                "Responsabilité",
                "Être",
                "Anticonstitutionnellement",
                "À",
                "Ça",
                "Dévalorisation",
            ],
        ),
        (
            Language::German,
            " ",
            &[
                "Angst",
                "Vor",
                "Zukunftsunsicherheit",
                "Verlassenheitsgefühl",
                "Ich",
                "Donaudampfschifffahrtsgesellschaft",
                "Über",
            ],
        ),
        (
            Language::Chinese,
            "",
            &[
                "压力",
                "未来",
                "的",
                "不确定感",
                "家庭期望",
                "工作",
                "长期睡眠不足",
                "AI",
                "2026",
                "，",
            ],
        ),
        (
            Language::Japanese,
            "",
            &[
                "不安",
                "の",
                "プレッシャー",
                "完璧主義",
                "時間が",
                "コミュニケーション",
                "足りない",
                "SNS",
                "、",
            ],
        ),
    ];
    for (language, separator, words) in words {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(language as u64);
        for _ in 0..125 {
            let label = |most: usize, random: &mut Xoshiro256PlusPlus| {
                let count = random.random_range(1..=most);
                let words: Vec<&str> = (0..count)
                    .map(|_| words[random.random_range(0..words.len())])
                    .collect();
                words.join(separator)
            };
            let labels: Vec<String> = [5, 4, 4, 4, 4]
                .iter()
                .map(|most| label(*most, &mut random))
                .collect();
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let areas: Vec<Area> = story(&labels, language, 512)
                .label_areas()
                .into_iter()
                .map(Option::unwrap)
                .collect();
            for (index, area) in areas.iter().enumerate() {
                assert!(
                    area.bottom - area.top >= 19.0 / 512.0,
                    "{labels:?}: {area:?} is low"
                );
                assert!(
                    is_clear_of_corners(area),
                    "{labels:?}: {area:?} is in a corner"
                );
                for (center, radius) in CENTERS.iter().zip([
                    0.1,
                    FACTOR_RADIUS,
                    FACTOR_RADIUS,
                    FACTOR_RADIUS,
                    FACTOR_RADIUS,
                ]) {
                    assert!(
                        distance(area, *center) > radius,
                        "{labels:?}: {area:?} touches the circle at {center:?}"
                    );
                }
                for other in &areas[index + 1..] {
                    assert!(
                        !overlap(area, other),
                        "{labels:?}: {area:?} {other:?} overlap"
                    );
                }
                let center = CENTERS[index];
                assert!(
                    area.top > center.1 && ((area.left + area.right) / 2.0 - center.0).abs() < 0.02,
                    "{labels:?}: {area:?} is not below {center:?}"
                );
            }
        }
    }
}

fn overlap(one: &Area, other: &Area) -> bool {
    one.left < other.right
        && other.left < one.right
        && one.top < other.bottom
        && other.top < one.bottom
}

/// The distance from a point to the nearest point of an area.
fn distance(area: &Area, (x, y): (f32, f32)) -> f32 {
    (x - x.clamp(area.left, area.right)).hypot(y - y.clamp(area.top, area.bottom))
}

/// Whether an area is inside the picture after its corners are clipped with a radius of 11 % of the width.
fn is_clear_of_corners(area: &Area) -> bool {
    const RADIUS: f32 = 0.11;
    let corners = [
        (area.left, area.top),
        (area.right, area.top),
        (area.left, area.bottom),
        (area.right, area.bottom),
    ];
    corners.iter().all(|&(x, y)| {
        let inside = |position: f32| position - position.clamp(RADIUS, 1.0 - RADIUS);
        (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y) && inside(x).hypot(inside(y)) <= RADIUS
    })
}

#[test]
fn the_discs_are_at_their_places_to_the_pixel() {
    for side in [512, 1024] {
        let image = Image::new(&story(&ENGLISH, Language::English, side).paint());
        for (x, y) in &CENTERS[1..] {
            let (x, y) = (x * side as f32, y * side as f32);
            let reach = (0.075 * side as f32) as usize..(0.095 * side as f32) as usize;
            let edge = |dx: f32, dy: f32| image.strongest_edge((x, y), (dx, dy), reach.clone());
            let (left, right) = (edge(-1.0, 0.0), edge(1.0, 0.0));
            assert!(left.abs_diff(right) <= 1, "{side} {x} {y}: {left} {right}");
            assert!(
                right as f32 <= FACTOR_RADIUS * side as f32,
                "{side} {x} {y}: {right}"
            );
            let up = edge(0.0, -1.0);
            assert!(up.abs_diff(left) <= 1, "{side} {x} {y}: {up} {left}");
        }
    }
}

#[test]
fn three_factors_leave_the_last_corner_empty() {
    let three = story(&ENGLISH[..4], Language::English, 256);
    assert_eq!(three.label_areas().len(), 4);
    let detail = |story: &Story| Image::new(&story.paint()).detail_in(0.69..0.97, 0.69..0.97);
    assert!(detail(&three) < 0.02, "{}", detail(&three));
    assert!(detail(&story(&ENGLISH, Language::English, 256)) > 0.1);
}

#[test]
fn characters_without_a_glyph_are_left_out() {
    let with = |label: &str| story(&[label, "A", "B", "C"], Language::English, 128);
    for nothing in ["", " ", "🙂", "한국어", "\u{0}\u{7}\n", "\u{E000}", "👨‍👩‍👧‍👦"]
    {
        assert_eq!(with(nothing).label_areas()[0], None, "{nothing:?}");
    }
    assert_eq!(with("Angst 🙂").paint(), with("Angst").paint());
    assert_eq!(with("  An\u{202E}gst\n한 ").paint(), with("Angst").paint());
}

#[test]
fn japanese_readers_see_japanese_forms() {
    let label = ["直", "骨", "海", "角"];
    let [chinese, japanese] = [Language::Chinese, Language::Japanese]
        .map(|language| story(&label, language, 256).paint());
    assert_ne!(chinese, japanese);
    let latin = ["A", "B", "C", "D"];
    let [chinese, japanese] = [Language::Chinese, Language::Japanese]
        .map(|language| story(&latin, language, 256).paint());
    assert_eq!(chinese, japanese);
}

#[test]
fn a_label_that_cannot_fit_ends_with_an_ellipsis() {
    let long = "Endless ".repeat(40);
    let longer = "Endless ".repeat(60);
    let paint = |label: &str| story(&[label, label, label, label], Language::English, 128).paint();
    assert_eq!(paint(&long), paint(&longer));
    assert_ne!(paint(&long), paint("Endless Endless"));
    for character in ["ä", "字", "W", "👨‍👩‍👧‍👦 a"] {
        assert_eq!(
            paint(&character.repeat(200)),
            paint(&character.repeat(5000)),
            "{character}"
        );
    }
}

#[test]
fn the_ground_is_light_and_the_words_are_dark() {
    for mood in Mood::ALL {
        let factors = ENGLISH[1..].iter().map(|label| topic(label)).collect();
        let story =
            Story::new(&[mood], topic(ENGLISH[0]), factors, Language::English, 256).unwrap();
        let image = Image::new(&story.paint());
        assert!(
            image.mean_lightness() > 0.85,
            "{}: {}",
            mood.id(),
            image.mean_lightness()
        );
        assert!(image.darkest() < 0.35, "{}: {}", mood.id(), image.darkest());
        assert!(
            image.mean_saturation() < 0.25,
            "{}: {}",
            mood.id(),
            image.mean_saturation()
        );
    }
}

#[test]
fn files_are_small_and_equal_stories_give_equal_bytes() {
    for (side, limit) in [(512, 350_000), (1024, 900_000)] {
        let file = story(&ENGLISH, Language::English, side).paint().png();
        assert!(file.len() <= limit, "{side}: {}", file.len());
        assert_eq!(file, story(&ENGLISH, Language::English, side).paint().png());
    }
}

#[test]
fn invalid_stories_are_refused() {
    let new = |moods: &[Mood], factors: usize, side| {
        Story::new(
            moods,
            topic("A"),
            vec![topic("B"); factors],
            Language::French,
            side,
        )
        .err()
    };
    assert_eq!(new(&[], 3, 512), Some(StoryError::NoMood));
    assert_eq!(new(&MOODS, 2, 512), Some(StoryError::Factors(2)));
    assert_eq!(new(&MOODS, 5, 512), Some(StoryError::Factors(5)));
    assert_eq!(new(&MOODS, 3, 0), Some(StoryError::Side(0)));
    assert_eq!(
        new(&MOODS, 3, LARGEST_SIDE + 1),
        Some(StoryError::Side(LARGEST_SIDE + 1))
    );
    assert_eq!(new(&MOODS, 3, 1), None);
}

#[test]
fn identifiers_of_icons_and_codes_of_languages_are_found_again() {
    let ids: HashSet<&str> = Icon::ALL.iter().map(|icon| icon.id()).collect();
    assert!(ids.len() >= 60, "{}", ids.len());
    assert_eq!(ids.len(), Icon::ALL.len());
    for icon in Icon::ALL {
        assert_eq!(Icon::from_id(icon.id()), Some(*icon));
    }
    for language in Language::ALL {
        assert_eq!(Language::from_code(language.code()), Some(language));
    }
    assert_eq!(Icon::from_id("face"), None);
    assert_eq!(Language::from_code("xx"), None);
}

#[test]
fn every_icon_can_be_painted_and_looks_different() {
    let pictures: HashSet<Vec<u8>> = Icon::ALL
        .iter()
        .map(|icon| {
            let stressor = Topic {
                icon: *icon,
                label: String::new(),
            };
            let story =
                Story::new(&MOODS, stressor, vec![topic(""); 3], Language::English, 96).unwrap();
            story.paint().pixels().to_vec()
        })
        .collect();
    assert_eq!(pictures.len(), Icon::ALL.len());
}
