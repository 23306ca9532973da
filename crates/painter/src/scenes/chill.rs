//! A calm sea in mist: slow waves, and a pale sun that half sets.

use std::f32::consts::TAU;

use rand::RngExt;

use super::Random;
use crate::canvas::{Canvas, Layer, Paint, Relief, Shadow};
use crate::color::Oklab;
use crate::shapes::{BEYOND, below, circle};

pub(super) fn paint(canvas: &mut Canvas, [mint, sage, sky]: [Oklab; 3], random: &mut Random) {
    canvas.wash(&Paint::vertical(
        -1.0,
        0.4,
        &[sky.lift(0.1), sky.lift(0.5), mint.lift(0.75)],
    ));
    let sun = (
        random.random_range(-0.34..0.34),
        random.random_range(-0.34..-0.2),
    );
    canvas.glow(sun, 1.0, mint.lift(0.95), 0.85);
    let disc = circle(sun, random.random_range(0.2..0.29));
    let paint = Paint::vertical(
        sun.1 - 0.25,
        sun.1 + 0.25,
        &[mint.lift(0.97), mint.lift(0.7)],
    );
    canvas.draw(&Layer::new(&disc, paint).soft(0.006).opacity(0.9));

    let horizon = random.random_range(-0.3..0.0);
    let count = random.random_range(4..=6);
    let waves = [
        sky.mix(mint, 0.4).lift(0.25),
        mint.lift(0.2),
        mint.mix(sky, 0.25).sink(0.04),
        mint.mix(sage, 0.4).sink(0.05),
        sage.lift(0.08),
        sage.sink(0.12),
    ];
    for wave in 0..count {
        let part = wave as f32 / (count - 1) as f32;
        let color = waves[waves.len() - count + wave];
        let base = horizon + (0.66 - horizon) * part.powf(1.1);
        let height = random.random_range(0.05..0.09) * (0.7 + 0.9 * part);
        let length = random.random_range(1.7..3.2);
        let (phase, other) = (random.random_range(0.0..TAU), random.random_range(0.0..TAU));
        // The next wave covers what is below its crest.
        let bottom = if wave + 1 == count {
            BEYOND
        } else {
            base + 0.55
        };
        let path = below(
            |x| {
                base + height
                    * ((x * TAU / length + phase).sin()
                        + 0.35 * (x * TAU / (length * 0.53) + other).sin())
            },
            bottom,
        );
        let paint = Paint::vertical(base - height, base + 0.42, &[color, color.lift(0.35)]);
        let mist = Shadow {
            offset: (0.0, -0.03),
            blur: 0.06,
            color: mint.lift(0.8),
            opacity: 0.45,
        };
        let crest = Relief {
            width: 0.03,
            strength: 0.35,
        };
        canvas.draw(
            &Layer::new(&path, paint)
                .soft(0.005)
                .shadow(mist)
                .relief(crest),
        );
    }
}
