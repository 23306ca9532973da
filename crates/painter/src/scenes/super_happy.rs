//! A flower of light: petals that radiate and rise.

use std::f32::consts::{FRAC_PI_2, PI};

use rand::RngExt;

use super::Random;
use crate::canvas::{Canvas, Layer, Paint, Ramp, Relief, Shadow};
use crate::color::Oklab;
use crate::shapes::{circle, petal, polar};

pub(super) fn paint(canvas: &mut Canvas, [butter, apricot, pink]: [Oklab; 3], random: &mut Random) {
    let heart = (0.0, random.random_range(0.12..0.34));
    canvas.wash(&Paint::vertical(
        -1.0,
        1.0,
        &[pink.lift(0.6), butter.lift(0.55), butter.lift(0.05)],
    ));
    canvas.glow(heart, 1.5, butter.lift(0.6), 0.9);

    let shadow = Shadow {
        offset: (0.0, 0.02),
        blur: 0.05,
        color: apricot.sink(0.2).enrich(0.3),
        opacity: 0.3,
    };
    let relief = Relief {
        width: 0.03,
        strength: 0.34,
    };
    let crowned = random.random_bool(0.5);
    let rise = random.random_range(0.08..0.3);
    let narrow = random.random_range(0.6..0.8);
    let mut pairs = random.random_range(5..=7);
    let tiers = [
        (0.98, pink.enrich(0.3), apricot),
        (0.74, apricot.lift(0.12), apricot),
        (0.48, butter, apricot),
    ];
    for (reach, tip_color, base_color) in tiers {
        // With a crown, one more petal points straight up.
        let steps = pairs as f32 + if crowned { 0.5 } else { 0.0 };
        let width = narrow * reach * PI / (steps + 0.5);
        // From the bottom up, so that each petal covers the one below it.
        for pair in 0..=pairs {
            let from_top = if pair == pairs {
                0.0
            } else {
                PI * (steps - pair as f32 - if crowned { 0.0 } else { 0.5 }) / steps
            };
            let sides: &[f32] = match pair == pairs {
                true if crowned => &[0.0],
                true => &[],
                false => &[-1.0, 1.0],
            };
            for side in sides {
                let length = reach * (0.78 + 0.22 * from_top.cos());
                let (x, y) = polar(heart, side * from_top - FRAC_PI_2, length);
                let tip = (x, y - rise * reach * from_top.sin());
                let path = petal(heart, tip, width);
                let paint = Paint::Linear {
                    from: heart,
                    to: tip,
                    ramp: Ramp::even(&[base_color, tip_color, tip_color.lift(0.5)]),
                };
                canvas.draw(
                    &Layer::new(&path, paint)
                        .opacity(0.88)
                        .shadow(shadow)
                        .relief(relief),
                );
            }
        }
        pairs -= 1;
    }
    let radius = random.random_range(0.13..0.19);
    let sun = circle(heart, radius);
    canvas.glow(heart, 0.6, butter.lift(0.7), 0.7);
    let paint = Paint::radial(
        (heart.0, heart.1 - 0.04),
        radius * 1.2,
        &[butter.lift(0.9), butter.lift(0.65), butter.lift(0.2)],
    );
    let halo = Shadow {
        offset: (0.0, 0.0),
        blur: 0.07,
        color: butter.lift(0.75),
        opacity: 0.8,
    };
    canvas.draw(&Layer::new(&sun, paint).soft(0.004).shadow(halo));
}
