//! Arcs that push outward in both directions, each with a circle at its head, and every circle larger than the last.

use std::f32::consts::{PI, TAU};

use rand::RngExt;
use tiny_skia::LineCap;

use super::Random;
use crate::canvas::{Canvas, Layer, Paint, Ramp, Relief, Shadow};
use crate::color::Oklab;
use crate::shapes::{arc, circle, polar};

pub(super) fn paint(canvas: &mut Canvas, [coral, peach, gold]: [Oklab; 3], random: &mut Random) {
    let start = random.random_range(0.0..TAU);
    let center = (0.0, 0.0);
    let gold = gold.mute(0.2).mix(peach, 0.25);
    let (x, y) = polar(center, start, 1.2);
    canvas.wash(&Paint::Linear {
        from: (x, y),
        to: (-x, -y),
        ramp: Ramp::even(&[peach.lift(0.55), peach, coral.mix(peach, 0.3)]),
    });
    canvas.glow(center, 1.1, peach.lift(0.8), 0.8);

    let deep = coral.sink(0.12).enrich(0.55);
    let colors = [coral, gold, deep, peach.lift(0.65)];
    let first = random.random_range(0..colors.len());
    let shadow = Shadow {
        offset: (0.0, 0.018),
        blur: 0.022,
        color: deep.sink(0.3),
        opacity: 0.4,
    };
    let relief = Relief {
        width: 0.02,
        strength: 0.25,
    };
    let rings = random.random_range(5..=6);
    let growth = random.random_range(1.30..1.42);
    let mut direction = if random.random_bool(0.5) { 1.0 } else { -1.0 };
    let mut radius = 0.78 / f32::powi(growth, rings - 1);
    let core = circle(center, radius * 0.55);
    canvas.draw(
        &Layer::new(&core, Paint::solid(deep))
            .shadow(shadow)
            .relief(relief),
    );
    let mut angle = start;
    for ring in 0..rings {
        let width = radius * random.random_range(0.2..0.25);
        let color = colors[(first + ring as usize) % colors.len()];
        let span = direction * random.random_range(3.4..5.0);
        let head = polar(center, angle + span, radius);
        let path = arc(center, radius, width, angle, angle + span, LineCap::Butt);
        let paint = Paint::Linear {
            from: polar(center, angle, radius),
            to: head,
            ramp: Ramp::even(&[color.lift(0.5), color, color]),
        };
        canvas.draw(&Layer::new(&path, paint).shadow(shadow).relief(relief));
        let ball = circle(head, width * 0.92);
        let paint = Paint::radial(
            (head.0 - width * 0.3, head.1 - width * 0.4),
            width * 1.5,
            &[color.lift(0.4), color, color.sink(0.06)],
        );
        canvas.draw(&Layer::new(&ball, paint).shadow(shadow).relief(relief));
        angle += span + PI + direction * random.random_range(-0.5..0.5);
        direction = -direction;
        radius *= growth;
    }
}
