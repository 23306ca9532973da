//! Stories: a stressor in the middle, its factors around it, and a line to each.

mod icon;
mod label;
mod language;

use tiny_skia::{LineCap, Path, PathBuilder, Stroke, Transform};

use self::label::{LARGEST, Label, Region, Typesetter};
use crate::canvas::{Canvas, Layer, Paint, Point, Ramp, Relief, Shadow};
use crate::color::Oklab;
use crate::feeling::LARGEST_SIDE;
use crate::mood::Mood;
use crate::palette::dominant_colors;
use crate::picture::Picture;
use crate::shapes::{circle, superellipse};

pub use self::icon::Icon;
pub use self::language::Language;

/// Layouts are made in these units and then scaled, so that a picture looks the same in every size.
const UNITS: f32 = 512.0;

/// The radius of the circle that an app makes tappable around a factor, as a part of the side.
const FACTOR_RADIUS: f32 = 0.09;
const STRESSOR_RADIUS: f32 = 0.1;
const STRESSOR_CENTER: Point = (0.5, 0.5);
const FACTOR_CENTERS: [Point; 4] = [(0.22, 0.22), (0.78, 0.22), (0.22, 0.78), (0.78, 0.78)];

/// A stressor or a factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// What is drawn.
    pub icon: Icon,
    /// What is written below it.
    pub label: String,
}

/// Why a story cannot be painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoryError {
    /// There is no mood, whose colours the picture would have.
    #[error("a story has at least one mood")]
    NoMood,
    /// There are fewer than three factors or more than four.
    #[error("a story has three or four factors, not {0}")]
    Factors(usize),
    /// The side is 0 or too large.
    #[error("the side is {0} pixels; it must be 1 to {LARGEST_SIDE}")]
    Side(u32),
}

/// A story to paint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    moods: Vec<Mood>,
    stressor: Topic,
    factors: Vec<Topic>,
    language: Language,
    side: u32,
}

/// A rectangle in parts of the picture's side: 0 is the left or upper edge, 1 the right or lower one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// The left edge.
    pub left: f32,
    /// The upper edge.
    pub top: f32,
    /// The right edge.
    pub right: f32,
    /// The lower edge.
    pub bottom: f32,
}

impl Story {
    /// Creates a story in the colours of moods, with labels in a language, to be painted `side` pixels wide and high.
    ///
    /// # Errors
    /// There is no mood, there are not three or four factors, or the side is 0 or above [`LARGEST_SIDE`].
    pub fn new(
        moods: &[Mood],
        stressor: Topic,
        factors: Vec<Topic>,
        language: Language,
        side: u32,
    ) -> Result<Self, StoryError> {
        if moods.is_empty() {
            return Err(StoryError::NoMood);
        }
        if !(3..=4).contains(&factors.len()) {
            return Err(StoryError::Factors(factors.len()));
        }
        if side == 0 || side > LARGEST_SIDE {
            return Err(StoryError::Side(side));
        }
        Ok(Self {
            moods: moods.to_vec(),
            stressor,
            factors,
            language,
            side,
        })
    }

    /// Returns where the labels stand: first the stressor's, then those of the factors. A label without a drawable character has no area.
    #[must_use]
    pub fn label_areas(&self) -> Vec<Option<Area>> {
        self.labels()
            .iter()
            .map(|label| label.as_ref().map(Placed::area))
            .collect()
    }

    /// Paints the picture. Equal stories give equal pictures.
    #[must_use]
    pub fn paint(&self) -> Picture {
        let colors: Vec<Oklab> = dominant_colors(&self.moods)
            .into_iter()
            .map(Oklab::from)
            .collect();
        let ink = colors[0].toned(0.36);
        let mut canvas = self.ground(&colors);
        for (center, _) in FACTOR_CENTERS.iter().zip(&self.factors) {
            let path = line(to_canvas(STRESSOR_CENTER), to_canvas(*center));
            canvas.draw(&Layer::new(&path, Paint::solid(ink.lift(0.55))));
        }
        let center = to_canvas(STRESSOR_CENTER);
        disc(
            &mut canvas,
            center,
            STRESSOR_RADIUS,
            colors[0].toned(0.6),
            ink,
        );
        let white = colors[0].lift(0.95);
        canvas.draw(&Layer::new(
            &self.stressor.icon.path(center, 1.42 * STRESSOR_RADIUS),
            Paint::solid(white),
        ));
        for (index, (center, factor)) in FACTOR_CENTERS.iter().zip(&self.factors).enumerate() {
            let center = to_canvas(*center);
            disc(
                &mut canvas,
                center,
                FACTOR_RADIUS,
                colors[index % colors.len()].toned(0.86),
                ink,
            );
            canvas.draw(&Layer::new(
                &factor.icon.path(center, 1.42 * FACTOR_RADIUS),
                Paint::solid(ink),
            ));
        }
        // A line that passes behind words fades into the ground there.
        let ground = self.ground(&colors);
        for placed in self.labels().iter().flatten() {
            let area = placed.area();
            let (left, top) = to_canvas((area.left, area.top));
            let (right, bottom) = to_canvas((area.right, area.bottom));
            let middle = ((left + right) / 2.0, (top + bottom) / 2.0);
            let plate = superellipse(
                middle,
                (right - left) / 2.0 + 0.03,
                (bottom - top) / 2.0,
                6.0,
            );
            let paint = Paint::Canvas {
                center: (0.0, 0.0),
                canvas: &ground,
            };
            canvas.draw(&Layer::new(&plate, paint).soft(0.012));
            let scale = Transform::from_scale(2.0 / UNITS, 2.0 / UNITS).post_translate(-1.0, -1.0);
            if let Some(outline) = placed.label.outline.clone().transform(scale) {
                canvas.draw(&Layer::new(&outline, Paint::solid(ink.sink(0.12))));
            }
        }
        Picture::new(&canvas, u64::from(self.side))
    }

    fn ground(&self, colors: &[Oklab]) -> Canvas {
        let mut canvas = Canvas::new(self.side);
        canvas.wash(&Paint::vertical(
            -1.0,
            1.0,
            &[
                colors[0].toned(0.9).lift(0.72),
                colors[1].toned(0.9).lift(0.6),
            ],
        ));
        canvas.glow((0.0, 0.0), 1.2, colors[0].lift(0.97), 0.85);
        canvas
    }

    fn labels(&self) -> Vec<Option<Placed>> {
        let mut typesetter = Typesetter::new(self.language);
        let stressor = [(
            self.stressor.label.as_str(),
            region(STRESSOR_CENTER, STRESSOR_RADIUS, 0.135),
        )];
        let factors: Vec<(&str, Region)> = FACTOR_CENTERS
            .iter()
            .zip(&self.factors)
            .map(|(center, factor)| {
                // Below the lower icons there is less room.
                let height = if center.1 < 0.5 { 0.135 } else { 0.099 };
                (
                    factor.label.as_str(),
                    region(*center, FACTOR_RADIUS, height),
                )
            })
            .collect();
        let [largest_stressor, largest_factor] = LARGEST;
        let labels = [
            typesetter.set(&stressor, largest_stressor),
            typesetter.set(&factors, largest_factor),
        ];
        let regions = stressor.iter().chain(&factors).map(|(_, region)| *region);
        let place =
            |(label, region): (Option<Label>, Region)| label.map(|label| Placed { label, region });
        labels
            .into_iter()
            .flatten()
            .zip(regions)
            .map(place)
            .collect()
    }
}

struct Placed {
    label: Label,
    region: Region,
}

impl Placed {
    fn area(&self) -> Area {
        let bounds = self.label.outline.bounds();
        Area {
            left: bounds.left() / UNITS,
            top: self.region.top.min(bounds.top()) / UNITS,
            right: bounds.right() / UNITS,
            bottom: (self.region.top + self.label.height).max(bounds.bottom()) / UNITS,
        }
    }
}

/// Returns where the label of an icon may stand: below its circle, clear of round corners and of the other circles.
fn region(center: Point, radius: f32, height: f32) -> Region {
    Region {
        middle: center.0 * UNITS,
        top: (center.1 + radius + 0.012) * UNITS,
        width: 0.34 * UNITS,
        height: height * UNITS,
    }
}

fn to_canvas((x, y): Point) -> Point {
    (2.0 * x - 1.0, 2.0 * y - 1.0)
}

fn line(from: Point, to: Point) -> Path {
    let mut path = PathBuilder::new();
    path.move_to(from.0, from.1);
    path.line_to(to.0, to.1);
    let stroke = Stroke {
        width: 0.011,
        line_cap: LineCap::Round,
        ..Stroke::default()
    };
    path.finish()
        .and_then(|path| path.stroke(&stroke, 1024.0))
        .expect("the centres differ")
}

/// Draws the disc under an icon. Its radius is a part of the side; the shadow stays within it.
fn disc(canvas: &mut Canvas, center: Point, radius: f32, color: Oklab, ink: Oklab) {
    let radius = 2.0 * radius * 0.93;
    let path = circle(center, radius);
    let paint = Paint::Linear {
        from: (center.0, center.1 - radius),
        to: (center.0, center.1 + radius),
        ramp: Ramp::even(&[color.lift(0.2), color]),
    };
    let shadow = Shadow {
        offset: (0.0, 0.012),
        blur: 0.02,
        color: ink,
        opacity: 0.22,
    };
    let relief = Relief {
        width: 0.016,
        strength: 0.25,
    };
    canvas.draw(&Layer::new(&path, paint).shadow(shadow).relief(relief));
}
