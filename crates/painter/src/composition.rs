//! Several moods in one picture: each in a round window, on a ground that they share.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

use rand::RngExt;

use crate::canvas::{Canvas, Layer, Paint, Point, Ramp, Relief, Shadow};
use crate::color::Oklab;
use crate::feeling::dominant_colors;
use crate::mood::{Category, Mood};
use crate::scenes::{self, Random};
use crate::shapes::{circle, polar};

pub(crate) fn paint(moods: &[Mood], canvas: &mut Canvas, random: &mut Random) {
    let colors: Vec<Oklab> = dominant_colors(moods)
        .into_iter()
        .map(Oklab::from)
        .collect();
    let bad = moods
        .iter()
        .filter(|mood| mood.category() == Category::Bad)
        .count();
    let dark = bad as f32 / moods.len() as f32;
    let ground: Vec<Oklab> = colors
        .iter()
        .map(|color| {
            color
                .mute(0.2 + 0.25 * dark)
                .lift(0.5 * (1.0 - dark))
                .sink(0.38 * dark)
        })
        .collect();
    let turn = random.random_range(-0.5..0.5);
    let (x, y) = polar((0.0, 0.0), -FRAC_PI_2 + turn, 1.1);
    canvas.wash(&Paint::Linear {
        from: (x, y),
        to: (-x, -y),
        ramp: Ramp::even(&ground),
    });
    canvas.glow((0.0, -0.1), 1.1, ground[0].lift(0.7), 0.5);

    let windows = windows(moods.len(), random);
    for (mood, (center, radius)) in moods.iter().zip(&windows) {
        let light = Oklab::from(mood.colors()[0]).with_nearest_hue(&colors);
        canvas.glow(
            *center,
            radius * 1.9,
            light.lift(0.2).sink(0.25 * dark),
            0.7,
        );
    }
    // The first mood is on top.
    for (mood, (center, radius)) in moods.iter().zip(windows).rev() {
        let side = (radius * canvas.side() as f32).ceil().max(1.0) as u32;
        let mut inside = Canvas::new(side);
        let own = mood
            .colors()
            .map(|color| Oklab::from(color).with_nearest_hue(&colors));
        scenes::paint(*mood, &mut inside, own, random);
        let path = circle(center, radius);
        let shadow = Shadow {
            offset: (0.0, radius * 0.12),
            blur: radius * 0.16,
            color: ground[0].sink(0.6),
            opacity: 0.45,
        };
        let relief = Relief {
            width: radius * 0.08,
            strength: 0.3,
        };
        let paint = Paint::Canvas {
            center,
            canvas: &inside,
        };
        canvas.draw(&Layer::new(&path, paint).shadow(shadow).relief(relief));
    }
}

/// Returns the circles of the windows, in the order of the moods.
fn windows(count: usize, random: &mut Random) -> Vec<(Point, f32)> {
    let ring = |count: usize, distance: f32, radius: f32, start: f32| -> Vec<(Point, f32)> {
        (0..count)
            .map(|index| {
                (
                    polar(
                        (0.0, 0.0),
                        start + TAU * index as f32 / count as f32,
                        distance,
                    ),
                    radius,
                )
            })
            .collect()
    };
    let start = random.random_range(-0.4..0.4) - FRAC_PI_2;
    match count {
        2 => {
            let axis = start + random.random_range(0.4..1.2);
            let large = random.random_range(0.53..0.61);
            vec![
                (polar((0.0, 0.0), axis + PI, 0.93 - large), large),
                (polar((0.0, 0.0), axis, large - 0.04), 1.0 - large),
            ]
        }
        3 => ring(3, 0.46, 0.43, start),
        4 => ring(4, 0.51, 0.39, start),
        5 => ring(5, 0.56, 0.36, start),
        _ => {
            let around = count - 1;
            let radius = (0.64 * (PI / around as f32).sin() * 1.06).min(0.3);
            let mut windows = vec![((0.0, 0.0), random.random_range(0.36..0.42))];
            windows.extend(ring(around, 0.64, radius, start));
            windows
        }
    }
}
