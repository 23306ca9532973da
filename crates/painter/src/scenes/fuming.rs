//! A vortex: blades that wind tightly inward around an ember.

use std::f32::consts::TAU;

use rand::RngExt;

use super::Random;
use crate::canvas::{Canvas, Layer, Paint, Shadow};
use crate::color::Oklab;
use crate::shapes::{blade, circle};

pub(super) fn paint(canvas: &mut Canvas, [rose, brick, ash]: [Oklab; 3], random: &mut Random) {
    let ground = brick.mute(0.6);
    canvas.wash(&Paint::radial(
        (0.0, 0.0),
        1.4,
        &[ground.sink(0.25), ground.sink(0.42), ground.sink(0.56)],
    ));
    let count = random.random_range(10..=15);
    let turn = random.random_range(3.4..5.2);
    let hand = if random.random_bool(0.5) { 1.0 } else { -1.0 };
    let start = random.random_range(0.0..TAU);
    let inner = 0.07;
    let shades = [
        brick.mute(0.2),
        rose.sink(0.1),
        brick.mute(0.35).sink(0.2),
        ash.mix(rose, 0.3),
    ];
    let width = TAU / count as f32;
    for index in 0..count {
        let color = shades[index % shades.len()];
        let outer = random.random_range(0.86..0.98);
        let path = blade(
            outer,
            inner,
            hand * (start + width * index as f32),
            hand * width,
            hand * turn,
        );
        let paint = Paint::radial(
            (0.0, 0.0),
            outer,
            &[rose, color.lift(0.05), color.sink(0.1), color.sink(0.22)],
        );
        let shadow = Shadow {
            offset: (0.0, 0.012),
            blur: 0.03,
            color: ground.sink(0.68),
            opacity: 0.75,
        };
        canvas.draw(&Layer::new(&path, paint).shadow(shadow));
    }
    canvas.glow((0.0, 0.0), 0.55, rose.lift(0.2), 0.7);
    let ember = circle((0.0, 0.0), 0.07);
    canvas.draw(&Layer::new(&ember, Paint::solid(rose.lift(0.55))).soft(0.01));
}
