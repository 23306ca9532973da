//! Closed circles around one centre, like a set of bowls seen from above.

use rand::RngExt;

use super::Random;
use crate::canvas::{Canvas, Layer, Paint, Relief, Shadow};
use crate::color::Oklab;
use crate::shapes::circle;

pub(super) fn paint(canvas: &mut Canvas, [lavender, rose, pearl]: [Oklab; 3], random: &mut Random) {
    canvas.wash(&Paint::vertical(
        -1.0,
        1.0,
        &[lavender.lift(0.5), lavender.lift(0.15)],
    ));
    canvas.glow((0.0, -0.5), 1.4, pearl.lift(0.9), 0.5);
    let shadow = Shadow {
        offset: (0.0, 0.04),
        blur: 0.06,
        color: lavender.sink(0.4),
        opacity: 0.38,
    };
    let count = random.random_range(5..=7);
    let colors = [
        lavender,
        rose.lift(0.2),
        lavender.lift(0.4),
        pearl.lift(0.2),
        lavender.sink(0.05),
        rose,
    ];
    let first = random.random_range(0..6);
    let mut radius = random.random_range(0.72..0.84);
    let inner = random.random_range(0.16..0.24);
    let shrink = f32::powf(inner / radius, 1.0 / (count - 1) as f32);
    for ring in 0..count {
        let color = colors[(first + ring) % colors.len()];
        let raised = (ring + first) % 2 == 0 || ring == 0;
        let path = circle((0.0, 0.0), radius);
        let paint = if raised {
            Paint::vertical(
                -radius,
                radius,
                &[color.lift(0.22), color, color.sink(0.03)],
            )
        } else {
            Paint::vertical(-radius, radius, &[color.sink(0.1), color, color.lift(0.3)])
        };
        let relief = Relief {
            width: 0.03,
            strength: if raised { 0.26 } else { -0.22 },
        };
        let layer = Layer::new(&path, paint).soft(0.005).relief(relief);
        canvas.draw(&if raised { layer.shadow(shadow) } else { layer });
        radius *= shrink * random.random_range(0.9..1.1);
    }
    canvas.glow((0.0, -0.1), 0.5, pearl.lift(0.95), 0.4);
}
