//! What the pictures of feelings promise, measured on their pixels.

#![allow(clippy::unwrap_used)]

mod measures;

use std::collections::HashSet;

use measures::{Image, distance, features, ssim};
use painter::{Category, Color, Feeling, FeelingError, LARGEST_SIDE, Mood, dominant_colors};

const SIDE: u32 = 128;
const SEEDS: u64 = 50;

fn paint(moods: &[Mood], seed: u64, side: u32) -> Image {
    Image::new(&Feeling::new(moods, seed, side).unwrap().paint())
}

fn combinations() -> Vec<Vec<Mood>> {
    let pairs =
        (0..Mood::ALL.len()).map(|first| vec![Mood::ALL[first], Mood::ALL[(first + 4) % 11]]);
    let more = (3..=11).map(|count| Mood::ALL[..count].to_vec());
    let backwards = (3..=11).map(|count| Mood::ALL.into_iter().rev().take(count).collect());
    pairs.chain(more).chain(backwards).collect()
}

fn sets() -> Vec<Vec<Mood>> {
    Mood::ALL
        .map(|mood| vec![mood])
        .into_iter()
        .chain(combinations())
        .collect()
}

/// The features of all moods, `SEEDS` pictures of each.
fn samples(side: u32) -> Vec<(Mood, Vec<f32>)> {
    let pictures = Mood::ALL
        .into_iter()
        .flat_map(|mood| (0..SEEDS).map(move |seed| (mood, seed)));
    pictures
        .map(|(mood, seed)| (mood, features(&paint(&[mood], seed, side))))
        .collect()
}

/// The part of the pictures whose nearest neighbour is of the same mood.
fn recognised(samples: &[(Mood, Vec<f32>)]) -> f32 {
    let nearest = |own: usize| {
        let others = samples
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != own);
        let nearest = others.min_by(|(_, (_, one)), (_, (_, other))| {
            distance(one, &samples[own].1).total_cmp(&distance(other, &samples[own].1))
        });
        nearest.unwrap().1.0
    };
    let right = (0..samples.len())
        .filter(|&own| nearest(own) == samples[own].0)
        .count();
    right as f32 / samples.len() as f32
}

#[test]
fn a_mood_is_recognised_by_colour_and_edges() {
    let rate = recognised(&samples(SIDE));
    assert!(rate >= 0.95, "{rate}");
}

#[test]
fn a_mood_is_recognised_at_40_pixels() {
    let rate = recognised(&samples(40));
    assert!(rate >= 0.95, "{rate}");
}

#[test]
fn edges_of_high_arousal_are_sharper_than_those_of_calm() {
    let sharpness = |mood: Mood| {
        let pictures = (0..10).map(|seed| paint(&[mood], seed, 256).sharpness());
        pictures.sum::<f32>() / 10.0
    };
    let sharp = [
        Mood::Pumped,
        Mood::Fuming,
        Mood::MadAsHell,
        Mood::FreakedOut,
    ]
    .map(sharpness);
    let calm = [
        Mood::Cozy,
        Mood::Chill,
        Mood::Content,
        Mood::Blah,
        Mood::BoredStiff,
    ]
    .map(sharpness);
    let least = sharp.into_iter().fold(f32::MAX, f32::min);
    let most = calm.into_iter().fold(0.0, f32::max);
    assert!(least > 1.2 * most, "{least} {most}");
}

#[test]
fn a_picture_has_at_most_four_hues() {
    for moods in sets() {
        let hues = paint(&moods, 1, SIDE).hues();
        assert!(hues.len() <= 4, "{}: {hues:?}", names(&moods));
    }
}

#[test]
fn colours_are_muted() {
    for moods in sets() {
        let saturation = paint(&moods, 2, SIDE).mean_saturation();
        assert!(saturation <= 0.5, "{}: {saturation}", names(&moods));
    }
}

#[test]
fn the_hues_of_a_mood_are_those_of_its_colours() {
    for mood in Mood::ALL {
        for seed in 0..5 {
            let picture = paint(&[mood], seed, SIDE);
            let share = picture.share_near(&mood.colors());
            assert!(share >= 0.9, "{} {seed}: {share}", mood.id());
        }
    }
}

#[test]
fn good_moods_are_lighter_than_bad_ones() {
    let lightness = |mood: &Mood| paint(&[*mood], 3, SIDE).mean_lightness();
    let of = |category: Category| -> Vec<f32> {
        Mood::ALL
            .iter()
            .filter(|mood| mood.category() == category)
            .map(lightness)
            .collect()
    };
    let darkest_good = of(Category::Good).into_iter().fold(f32::MAX, f32::min);
    let lightest_bad = of(Category::Bad).into_iter().fold(0.0, f32::max);
    assert!(darkest_good > lightest_bad, "{darkest_good} {lightest_bad}");
}

#[test]
fn no_picture_has_black_or_alarming_red() {
    for moods in sets() {
        let picture = paint(&moods, 4, SIDE);
        assert!(picture.darkest() >= 0.05, "{}", names(&moods));
        assert_eq!(picture.alarming(), 0, "{}", names(&moods));
    }
}

#[test]
fn symmetrical_moods_mirror() {
    let symmetrical = [
        Mood::SuperHappy,
        Mood::Cozy,
        Mood::Content,
        Mood::MadAsHell,
        Mood::Blah,
        Mood::Down,
        Mood::BoredStiff,
    ];
    for mood in symmetrical {
        for seed in 0..5 {
            let error = paint(&[mood], seed, SIDE).mirror_error();
            assert!(error < 0.02, "{} {seed}: {error}", mood.id());
        }
    }
}

#[test]
fn other_pictures_are_balanced() {
    for moods in sets() {
        for seed in 0..5 {
            let weight = paint(&moods, seed, SIDE).off_balance();
            assert!(weight < 0.1, "{} {seed}: {weight}", names(&moods));
        }
    }
}

#[test]
fn different_seeds_give_different_pictures() {
    for moods in sets() {
        let pictures: Vec<Image> = (0..5).map(|seed| paint(&moods, seed, SIDE)).collect();
        let mut most = 0.0_f32;
        for (index, one) in pictures.iter().enumerate() {
            for other in &pictures[index + 1..] {
                most = most.max(ssim(one, other));
            }
        }
        assert!(most < 0.9, "{}: {most}", names(&moods));
    }
}

#[test]
fn nothing_that_matters_is_in_a_corner() {
    for moods in sets() {
        for seed in 0..5 {
            let detail = paint(&moods, seed, SIDE).detail_in_corners(0.11);
            assert!(detail < 0.05, "{} {seed}: {detail}", names(&moods));
        }
    }
}

#[test]
fn equal_seeds_give_equal_bytes() {
    for moods in [&Mood::ALL[..1], &Mood::ALL] {
        let png = |seed| Feeling::new(moods, seed, SIDE).unwrap().paint().png();
        assert_eq!(png(7), png(7));
        assert_ne!(png(7), png(8));
    }
}

#[test]
fn duplicates_are_ignored() {
    let once = Feeling::new(&[Mood::Cozy, Mood::Blah], 1, SIDE);
    let twice = Feeling::new(&[Mood::Cozy, Mood::Blah, Mood::Cozy, Mood::Blah], 1, SIDE);
    assert_eq!(once, twice);
    assert_eq!(
        dominant_colors(&[Mood::Down, Mood::Down]),
        Mood::Down.colors()
    );
}

#[test]
fn files_are_small() {
    for (side, limit) in [(512, 350_000), (1024, 900_000)] {
        for moods in Mood::ALL
            .map(|mood| vec![mood])
            .into_iter()
            .chain([Mood::ALL[..5].to_vec(), Mood::ALL.to_vec()])
        {
            let size = Feeling::new(&moods, 5, side).unwrap().paint().png().len();
            assert!(size <= limit, "{} at {side}: {size}", names(&moods));
        }
    }
}

#[test]
fn the_png_holds_the_pixels() {
    let picture = Feeling::new(&[Mood::Chill], 1, 40).unwrap().paint();
    let file = picture.png();
    let mut reader = png::Decoder::new(std::io::Cursor::new(&file))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(
        (info.width, info.height, info.color_type),
        (40, 40, png::ColorType::Rgb)
    );
    assert_eq!(pixels, picture.pixels());
}

#[test]
fn every_side_can_be_painted() {
    for side in [1, 2, 3, 17, 511, LARGEST_SIDE] {
        let picture = Feeling::new(&[Mood::Blah, Mood::Cozy], 1, side)
            .unwrap()
            .paint();
        assert_eq!(picture.pixels().len(), (side * side * 3) as usize);
    }
    assert_eq!(
        Feeling::new(&[Mood::Blah], 1, 0),
        Err(FeelingError::Side(0))
    );
    assert_eq!(
        Feeling::new(&[Mood::Blah], 1, LARGEST_SIDE + 1),
        Err(FeelingError::Side(LARGEST_SIDE + 1))
    );
    assert_eq!(Feeling::new(&[], 1, SIDE), Err(FeelingError::NoMood));
}

#[test]
fn dominant_colours_are_three_or_four() {
    let hex = |moods: &[Mood]| -> Vec<String> {
        dominant_colors(moods)
            .iter()
            .map(Color::to_string)
            .collect()
    };
    assert_eq!(hex(&[Mood::Chill]), ["#A8E6CF", "#9DC183", "#ADD8E6"]);
    assert_eq!(
        hex(&[Mood::Chill, Mood::Down]),
        ["#A8E6CF", "#A0B8D4", "#9DC183"]
    );
    assert_eq!(
        hex(&Mood::ALL),
        ["#FFE4A0", "#FFB5A0", "#D4B896", "#A8E6CF"]
    );
}

#[test]
fn a_description_is_one_sentence_with_moods_and_colours() {
    let feeling = Feeling::new(&[Mood::Cozy, Mood::Chill], 1, SIDE).unwrap();
    assert_eq!(
        feeling.description(),
        "An abstract picture of \"Cozy\" (nested rounded shapes) and \"Chill\" (slow horizontal waves) in #D4B896, #A8E6CF, #E2A68F."
    );
}

#[test]
fn identifiers_are_unique_and_found_again() {
    let ids: HashSet<&str> = Mood::ALL.iter().map(|mood| mood.id()).collect();
    assert_eq!(ids.len(), Mood::ALL.len());
    for mood in Mood::ALL {
        assert_eq!(Mood::from_id(mood.id()), Some(mood));
    }
    assert_eq!(Mood::from_id("happy"), None);
}

fn names(moods: &[Mood]) -> String {
    moods
        .iter()
        .map(|mood| mood.id())
        .collect::<Vec<_>>()
        .join(", ")
}
