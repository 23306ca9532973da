//! A few stones in rows on sand, with long shadows: an afternoon that does not end.

use rand::RngExt;

use super::Random;
use crate::canvas::{Canvas, Layer, Paint, Relief, Shadow};
use crate::color::Oklab;
use crate::shapes::superellipse;

pub(super) fn paint(canvas: &mut Canvas, [stone, olive, sand]: [Oklab; 3], random: &mut Random) {
    let light = sand.mix(stone, 0.35).sink(0.04);
    let shade = sand.mix(stone, 0.1).sink(0.16);
    let ground = if random.random_bool(0.5) {
        [light, shade]
    } else {
        [shade, light]
    };
    canvas.wash(&Paint::vertical(-1.0, 1.0, &ground));
    canvas.glow(
        (0.0, random.random_range(-0.8..0.8)),
        1.3,
        olive.lift(0.15),
        0.4,
    );

    let columns = random.random_range(3..=5_usize);
    let rows = random.random_range(columns.max(4) - 1..=5.min(columns + 1));
    // Every second row may have a stone less, and stands in the gaps of its neighbours.
    let staggered = random.random_bool(0.5);
    let (width, height) = (
        random.random_range(0.86..1.16),
        random.random_range(0.86..1.16),
    );
    let radius = random.random_range(0.26..0.36) * 1.4 / columns.max(rows) as f32;
    let flat = random.random_range(0.6..1.0);
    let exponent = random.random_range(2.0..3.6);
    let shadow = Shadow {
        offset: (0.0, radius * random.random_range(0.5..1.1)),
        blur: radius * 0.42,
        color: sand.sink(0.5),
        opacity: 0.6,
    };
    let relief = Relief {
        width: radius * 0.3,
        strength: 0.2,
    };
    for row in 0..rows {
        let y = height * (row as f32 / (rows - 1) as f32 - 0.5);
        let short = usize::from(staggered && row % 2 == 1);
        for column in 0..columns - short {
            let position = column as f32 + 0.5 * short as f32;
            let center = (width * (position / (columns - 1) as f32 - 0.5), y);
            let path = superellipse(center, radius, radius * flat, exponent);
            let color = stone.lift(0.15).mix(olive, 0.3 * row as f32 / rows as f32);
            let paint =
                Paint::vertical(y - radius, y + radius, &[color.lift(0.2), color.sink(0.1)]);
            canvas.draw(
                &Layer::new(&path, paint)
                    .soft(0.014)
                    .shadow(shadow)
                    .relief(relief),
            );
        }
    }
}
