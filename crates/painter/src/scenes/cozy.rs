//! A lamp in a niche: rounded hollows, one inside the other.

use rand::RngExt;

use super::Random;
use crate::canvas::{Canvas, Layer, Paint, Relief, Shadow};
use crate::color::Oklab;
use crate::shapes::superellipse;

pub(super) fn paint(canvas: &mut Canvas, [camel, clay, cream]: [Oklab; 3], random: &mut Random) {
    let cream = cream.mix(clay, 0.06);
    let exponent = random.random_range(2.1..5.0);
    let drop = random.random_range(0.02..0.36);
    let tall = random.random_range(0.84..1.08);
    let count = random.random_range(4..=6);
    canvas.wash(&Paint::vertical(
        -1.0,
        1.0,
        &[camel.lift(0.42), camel.lift(0.12)],
    ));
    canvas.glow((0.0, -0.4), 1.3, cream, 0.4);

    let walls = [
        camel.lift(0.05),
        clay.mix(camel, 0.45),
        clay,
        clay.mix(cream, 0.3),
        clay.mix(cream, 0.55),
        cream.mix(clay, 0.2),
    ];
    let step = walls.len() - count;
    for ring in 0..count {
        let part = ring as f32 / count as f32;
        let half = 0.82 * (1.0 - part).powf(0.92) + 0.05;
        let color = walls[ring + step * ring / count];
        let center = (0.0, drop * part);
        let path = superellipse(center, half, half * tall, exponent);
        let paint = Paint::vertical(
            center.1 - half * tall,
            center.1 + half * tall,
            &[color.sink(0.07), color, color.lift(0.3)],
        );
        let hollow = Relief {
            width: 0.05,
            strength: -0.34,
        };
        let lip = Shadow {
            offset: (0.0, 0.012),
            blur: 0.012,
            color: cream,
            opacity: 0.55,
        };
        canvas.draw(
            &Layer::new(&path, paint)
                .soft(0.011)
                .shadow(lip)
                .relief(hollow),
        );
    }
    let heart = (0.0, drop * 0.9);
    canvas.glow(heart, 0.85, cream, 0.55);
    let flame = superellipse((0.0, drop * 0.94), 0.11, 0.11 * tall, 2.3);
    let light = Shadow {
        offset: (0.0, 0.0),
        blur: 0.09,
        color: cream,
        opacity: 0.9,
    };
    canvas.draw(
        &Layer::new(&flame, Paint::solid(cream.lift(0.5)))
            .soft(0.012)
            .shadow(light),
    );
}
