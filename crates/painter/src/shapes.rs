//! Paths, in coordinates of the picture.

use std::f32::consts::TAU;

use tiny_skia::{LineCap, Path, PathBuilder, Stroke};

use crate::canvas::Point;

/// How far shapes that run off the picture go beyond its edge.
pub(crate) const BEYOND: f32 = 1.3;

pub(crate) fn polar(center: Point, angle: f32, radius: f32) -> Point {
    let (sin, cos) = angle.sin_cos();
    (center.0 + radius * cos, center.1 + radius * sin)
}

pub(crate) fn circle(center: Point, radius: f32) -> Path {
    PathBuilder::from_circle(center.0, center.1, radius).expect("a radius is positive")
}

/// Returns a closed path with corners at these points.
pub(crate) fn polygon(points: &[Point]) -> Path {
    let mut path = PathBuilder::new();
    let (first, rest) = points.split_first().expect("a polygon has points");
    path.move_to(first.0, first.1);
    for point in rest {
        path.line_to(point.0, point.1);
    }
    path.close();
    path.finish().expect("a polygon has lines")
}

/// Returns what lies between a curve from the left edge to the right edge, and the level `bottom`.
pub(crate) fn below(curve: impl Fn(f32) -> f32, bottom: f32) -> Path {
    const STEPS: usize = 96;
    let mut points: Vec<Point> = (0..=STEPS)
        .map(|step| {
            let x = BEYOND * (2.0 * step as f32 / STEPS as f32 - 1.0);
            (x, curve(x))
        })
        .collect();
    points.push((BEYOND, bottom));
    points.push((-BEYOND, bottom));
    polygon(&points)
}

/// Returns a rectangle with round corners: an ellipse for an exponent of 2, squarer for larger ones.
pub(crate) fn superellipse(
    center: Point,
    half_width: f32,
    half_height: f32,
    exponent: f32,
) -> Path {
    const STEPS: usize = 160;
    let bulge = |part: f32| part.signum() * part.abs().powf(2.0 / exponent);
    let points: Vec<Point> = (0..STEPS)
        .map(|step| {
            let (sin, cos) = (TAU * step as f32 / STEPS as f32).sin_cos();
            (
                center.0 + half_width * bulge(cos),
                center.1 + half_height * bulge(sin),
            )
        })
        .collect();
    polygon(&points)
}

/// Returns a petal from its base to a round tip.
pub(crate) fn petal(base: Point, tip: Point, width: f32) -> Path {
    let along = (tip.0 - base.0, tip.1 - base.1);
    let length = along.0.hypot(along.1);
    let across = (-along.1 / length * width, along.0 / length * width);
    let at = |part: f32, side: f32| {
        (
            base.0 + along.0 * part + across.0 * side,
            base.1 + along.1 * part + across.1 * side,
        )
    };
    let mut path = PathBuilder::new();
    path.move_to(base.0, base.1);
    for side in [1.0, -1.0] {
        let (near, far) = (at(0.35, 0.9 * side), at(1.02, 1.05 * side));
        if side > 0.0 {
            path.cubic_to(near.0, near.1, far.0, far.1, tip.0, tip.1);
        } else {
            path.cubic_to(far.0, far.1, near.0, near.1, base.0, base.1);
        }
    }
    path.close();
    path.finish().expect("a petal has curves")
}

/// Returns a part of a ring with flat or round ends.
pub(crate) fn arc(
    center: Point,
    radius: f32,
    width: f32,
    from: f32,
    to: f32,
    cap: LineCap,
) -> Path {
    let steps = (((to - from).abs() / TAU * 120.0).ceil() as usize).max(2);
    let mut path = PathBuilder::new();
    for step in 0..=steps {
        let angle = from + (to - from) * step as f32 / steps as f32;
        let (x, y) = polar(center, angle, radius);
        if step == 0 {
            path.move_to(x, y);
        } else {
            path.line_to(x, y);
        }
    }
    let stroke = Stroke {
        width,
        line_cap: cap,
        ..Stroke::default()
    };
    // The scale is that of the largest picture: flat to a fraction of a pixel.
    path.finish()
        .and_then(|path| path.stroke(&stroke, 1024.0))
        .expect("an arc has a length and a width")
}

/// Returns the blade between two spirals around the centre. They start `width` radians apart near radius `outer`, where the blade has a
/// point, and almost meet at radius `inner`, `turn` radians further.
pub(crate) fn blade(outer: f32, inner: f32, start: f32, width: f32, turn: f32) -> Path {
    const STEPS: usize = 64;
    /// How far the second spiral is ahead of the first one.
    const AHEAD: f32 = 0.05;
    let spiral =
        |part: f32, angle: f32| polar((0.0, 0.0), angle, outer * (inner / outer).powf(part));
    let parts = (0..=STEPS).map(|step| step as f32 / STEPS as f32);
    let first = parts.clone().map(|part| spiral(part, start + turn * part));
    let second = parts.rev().map(|part| {
        let angle = start - width * (1.0 - 0.25 * part) + turn * part;
        spiral(AHEAD + (1.0 - AHEAD) * part, angle)
    });
    polygon(&first.chain(second).collect::<Vec<Point>>())
}
