//! Splinters that scatter from the middle, some of them out of focus.

use std::f32::consts::TAU;

use rand::RngExt;

use tiny_skia::Path;

use super::Random;
use crate::canvas::{Canvas, Layer, Paint, Point, Ramp, Relief, Shadow};
use crate::color::Oklab;
use crate::shapes::{polar, polygon};

pub(super) fn paint(canvas: &mut Canvas, [violet, gray, steel]: [Oklab; 3], random: &mut Random) {
    let tilt = random.random_range(0.0..TAU);
    let (x, y) = polar((0.0, 0.0), tilt, 1.1);
    canvas.wash(&Paint::Linear {
        from: (x, y),
        to: (-x, -y),
        ramp: Ramp::even(&[
            steel.sink(0.42),
            violet.mute(0.35).sink(0.5),
            violet.mute(0.25).sink(0.62),
        ]),
    });
    canvas.glow((0.0, 0.0), 0.9, violet.lift(0.3), 0.55);
    let colors = [
        violet,
        violet.lift(0.45),
        gray,
        steel,
        violet.sink(0.15),
        steel.lift(0.3),
    ];
    let count = random.random_range(28..=36);
    // The golden angle keeps the splinters apart from each other, and the picture in balance.
    let golden = TAU * 0.381_966;
    for index in 0..count {
        let part = (index as f32 + 0.5) / count as f32;
        let angle = tilt + golden * index as f32 + random.random_range(-0.2..0.2);
        let distance = 0.1 + 0.64 * part.sqrt() * random.random_range(0.85..1.1);
        let size =
            (random.random_range(0.09..0.26) * (0.5 + 0.6 * part)).min((0.96 - distance) / 1.7);
        let center = polar((0.0, 0.0), angle, distance);
        let pointing = angle + random.random_range(-0.9..0.9);
        let path = splinter(center, size, pointing, random);
        let color = colors[index % colors.len()];
        let far = index % 4 == 3;
        let paint = Paint::Linear {
            from: polar(center, pointing, size),
            to: polar(center, pointing, -size),
            ramp: Ramp::even(&[color.lift(0.15), color, color.sink(0.3)]),
        };
        if far {
            canvas.draw(&Layer::new(&path, paint).soft(0.022).opacity(0.6));
        } else {
            let shadow = Shadow {
                offset: (0.01, 0.03),
                blur: 0.03,
                color: violet.mute(0.3).sink(0.72),
                opacity: 0.6,
            };
            let relief = Relief {
                width: 0.012,
                strength: 0.3,
            };
            canvas.draw(&Layer::new(&path, paint).shadow(shadow).relief(relief));
        }
    }
}

/// Returns an irregular triangle or quadrangle that is long in one direction.
fn splinter(center: Point, size: f32, pointing: f32, random: &mut Random) -> Path {
    let corners: &[f32] = if random.random_bool(0.6) {
        &[0.0, 2.4, 4.1]
    } else {
        &[0.0, 1.5, 2.9, 4.6]
    };
    let points: Vec<Point> = corners
        .iter()
        .map(|&corner| {
            let stretch = if corner == 0.0 {
                1.7
            } else {
                random.random_range(0.55..1.0)
            };
            polar(
                center,
                pointing + corner + random.random_range(-0.35..0.35),
                size * stretch,
            )
        })
        .collect();
    polygon(&points)
}
