//! Curves that sag under a weight, and a pale moon that sinks into them.

use rand::RngExt;

use super::Random;
use crate::canvas::{Canvas, Layer, Paint, Relief, Shadow};
use crate::color::Oklab;
use crate::shapes::{BEYOND, below, circle};

pub(super) fn paint(canvas: &mut Canvas, [mist, dusk, slate]: [Oklab; 3], random: &mut Random) {
    canvas.wash(&Paint::vertical(
        -1.0,
        0.5,
        &[dusk.sink(0.3), mist.sink(0.14), mist.lift(0.12)],
    ));
    let count = random.random_range(4..=7);
    let top = random.random_range(-0.68..-0.2);
    let width = random.random_range(0.36..0.7);
    let sag = random.random_range(0.34..0.62);
    let moon_layer = random.random_range(0..=2);
    for layer in 0..count {
        let part = layer as f32 / (count - 1) as f32;
        let base = top + (0.4 - top) * part;
        let depth = sag * (1.0 - 0.5 * part);
        if layer == moon_layer {
            let moon = (0.0, base + depth * random.random_range(0.5..0.75));
            canvas.glow(moon, 0.7, mist.lift(0.6), 0.5);
            let radius = random.random_range(0.14..0.21);
            let disc = circle(moon, radius);
            let paint = Paint::vertical(
                moon.1 - radius,
                moon.1 + radius,
                &[mist.lift(0.7), mist.lift(0.15)],
            );
            canvas.draw(&Layer::new(&disc, paint).soft(0.008));
        }
        // The next curve covers what is below it.
        let bottom = if layer + 1 == count {
            BEYOND
        } else {
            base + depth + 0.3
        };
        let path = below(|x| base + depth * (-(x / width).powi(2)).exp(), bottom);
        let color = mist
            .mix(dusk, (2.0 * part).min(1.0))
            .mix(slate, part)
            .sink(0.06 + 0.34 * part);
        let paint = Paint::vertical(base, base + 0.9, &[color.lift(0.1), color.sink(0.1)]);
        let shadow = Shadow {
            offset: (0.0, -0.02),
            blur: 0.05,
            color: slate.sink(0.5),
            opacity: 0.35,
        };
        let rim = Relief {
            width: 0.025,
            strength: 0.3,
        };
        canvas.draw(
            &Layer::new(&path, paint)
                .soft(0.005)
                .shadow(shadow)
                .relief(rim),
        );
    }
}
