//! A heavy core: a dark, faceted rock that drives spikes out on all sides.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

use rand::RngExt;
use tiny_skia::Path;

use super::Random;
use crate::canvas::{Canvas, Layer, Paint, Point, Ramp, Relief, Shadow};
use crate::color::Oklab;
use crate::shapes::{polar, polygon};

pub(super) fn paint(canvas: &mut Canvas, [plum, wine, slate]: [Oklab; 3], random: &mut Random) {
    canvas.wash(&Paint::vertical(
        -1.0,
        1.0,
        &[
            slate.lift(0.1),
            slate.mix(plum, 0.25).sink(0.08),
            slate.mix(wine, 0.3).sink(0.2),
        ],
    ));
    canvas.glow((0.0, 0.0), 1.2, plum.lift(0.2), 0.8);
    let shells = random.random_range(3..=5);
    let notch = random.random_range(0.42..0.62);
    for shell in 0..shells {
        let part = shell as f32 / (shells - 1) as f32;
        let reach = 0.97 - 0.38 * part;
        let spikes = random.random_range(9..=16);
        let color = plum.mix(wine, part * 0.7).sink(0.05 + 0.22 * part);
        let path = star(spikes, reach, notch + 0.2 * part, random);
        let paint = Paint::radial(
            (0.0, 0.0),
            reach,
            &[color.sink(0.4), color.sink(0.05), color.lift(0.3)],
        );
        let gap = Shadow {
            offset: (0.0, 0.01),
            blur: 0.025,
            color: wine.mix(slate, 0.5).sink(0.6),
            opacity: 0.8,
        };
        let relief = Relief {
            width: 0.01,
            strength: 0.4,
        };
        canvas.draw(&Layer::new(&path, paint).shadow(gap).relief(relief));
    }
    canvas.glow((0.0, 0.0), 0.75, plum.lift(0.25).enrich(0.2), 0.35);
    rock(canvas, wine.mix(slate, 0.35), plum, random);
}

/// Draws the core: facets around an apex, lit from above.
fn rock(canvas: &mut Canvas, dark: Oklab, glint: Oklab, random: &mut Random) {
    let facets = random.random_range(4..=6);
    let apex = (0.0, random.random_range(-0.14..-0.02));
    let corners: Vec<Point> = (0..=facets)
        .map(|corner| {
            let angle = -FRAC_PI_2 + PI * corner as f32 / facets as f32;
            polar((0.0, 0.0), angle, random.random_range(0.36..0.46))
        })
        .collect();
    let mirrored = corners[1..facets].iter().rev().map(|&(x, y)| (-x, y));
    let outline: Vec<Point> = corners.iter().copied().chain(mirrored).collect();
    let weight = Shadow {
        offset: (0.0, 0.05),
        blur: 0.07,
        color: dark.sink(0.75),
        opacity: 0.9,
    };
    canvas.draw(&Layer::new(&polygon(&outline), Paint::solid(dark.sink(0.3))).shadow(weight));
    for (index, pair) in corners.windows(2).enumerate() {
        let lit = 1.0 - (index as f32 + 0.5) / facets as f32;
        let color = dark
            .mix(glint, 0.55 * lit * lit)
            .sink(0.04 + 0.2 * (1.0 - lit) + random.random_range(0.0..0.12));
        for side in [1.0, -1.0] {
            let [first, second] = [pair[0], pair[1]].map(|(x, y)| (side * x, y));
            let path = polygon(&[apex, first, second]);
            let paint = Paint::Linear {
                from: apex,
                to: ((first.0 + second.0) / 2.0, (first.1 + second.1) / 2.0),
                ramp: Ramp::even(&[color.lift(0.1), color, color.sink(0.2)]),
            };
            canvas.draw(&Layer::new(&path, paint));
        }
    }
}

/// Returns a star with spikes of different length, symmetrical about the vertical axis.
fn star(spikes: usize, reach: f32, notch: f32, random: &mut Random) -> Path {
    let lengths: Vec<f32> = (0..=spikes)
        .map(|_| random.random_range(0.72..1.0))
        .collect();
    let points: Vec<Point> = (0..2 * spikes)
        .map(|corner| {
            let angle = -FRAC_PI_2 + TAU * corner as f32 / (2 * spikes) as f32;
            let mirrored = corner.min(2 * spikes - corner);
            let radius = if corner % 2 == 0 {
                reach * lengths[mirrored / 2]
            } else {
                reach * notch
            };
            polar((0.0, 0.0), angle, radius)
        })
        .collect();
    polygon(&points)
}
