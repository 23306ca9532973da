//! Fog over still water: flat layers that hardly differ.

use rand::RngExt;

use super::Random;
use crate::canvas::{Canvas, Layer, Paint, Relief};
use crate::color::Oklab;
use crate::shapes::{BEYOND, below, circle};

pub(super) fn paint(canvas: &mut Canvas, [haze, sand, taupe]: [Oklab; 3], random: &mut Random) {
    let horizon = random.random_range(-0.5..0.26);
    canvas.wash(&Paint::vertical(
        -1.0,
        horizon,
        &[
            haze.sink(0.22),
            haze.sink(0.12),
            haze.mix(sand, 0.5).sink(0.02),
        ],
    ));
    let radius = random.random_range(0.16..0.34);
    let height = (horizon - radius * random.random_range(0.1..1.3)).max(radius - 0.86);
    let sun = (0.0, height);
    let disc = circle(sun, radius);
    let pale = Paint::vertical(
        sun.1 - radius,
        sun.1 + radius,
        &[haze.lift(0.45), haze.sink(0.08)],
    );
    canvas.draw(&Layer::new(&disc, pale).soft(0.016).opacity(0.75));

    let count = random.random_range(3..=7);
    let colors = [
        haze.mix(taupe, 0.3),
        sand,
        haze.sink(0.08),
        taupe.mix(haze, 0.3),
        sand.sink(0.06),
    ];
    let first = random.random_range(0..colors.len());
    let darker = random.random_bool(0.5);
    let mut top = horizon;
    for layer in 0..count {
        let part = layer as f32 / (count - 1) as f32;
        let next = top + (0.76 - top) / (count - layer) as f32 * random.random_range(0.5..1.4);
        // The next layer covers what is below its edge.
        let bottom = if layer + 1 == count {
            BEYOND
        } else {
            next + 0.06
        };
        let tone = if darker { part } else { 1.0 - part };
        let color = colors[(first + layer) % colors.len()].sink(0.04 + 0.2 * tone);
        let path = below(|_| top, bottom);
        let paint = Paint::vertical(top, top + 0.5, &[color.lift(0.06), color, color.lift(0.08)]);
        let edge = Relief {
            width: 0.03,
            strength: 0.14,
        };
        canvas.draw(&Layer::new(&path, paint).soft(0.012).relief(edge));
        top = next;
    }
}
