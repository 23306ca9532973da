//! The canvas: layers with soft edges, shadows and relief on floating-point pixels.
//!
//! tiny-skia turns a path into coverage. Colour is mixed here, in floats, because stacked translucent layers of 8 bits show bands.
//! Coordinates are those of the picture: the centre is (0, 0), the edges are at -1 and 1, y points down.

use std::ops::Range;

use tiny_skia::{FillRule, Mask, Path, Rect, Transform};

use crate::color::Oklab;
use crate::field::{Field, INVISIBLE};

pub(crate) type Point = (f32, f32);

const RAMP_STEPS: usize = 256;

/// Colours with opacity along a line, as a table.
pub(crate) struct Ramp(Box<[[f32; 4]; RAMP_STEPS]>);

impl Ramp {
    /// Returns a ramp through opaque colours at equal distances.
    pub(crate) fn even(colors: &[Oklab]) -> Self {
        let last = (colors.len() - 1) as f32;
        Self::new(|t| {
            let position = t * last;
            let index = (position as usize).min(colors.len().saturating_sub(2));
            let next = colors[(index + 1).min(colors.len() - 1)];
            (colors[index].mix(next, position - index as f32), 1.0)
        })
    }

    /// Returns one colour whose opacity falls from `opacity` to nothing, like light around a lamp.
    pub(crate) fn glow(color: Oklab, opacity: f32) -> Self {
        Self::new(|t| (color, opacity * (1.0 - t * t).powi(2)))
    }

    fn new(color: impl Fn(f32) -> (Oklab, f32)) -> Self {
        Self(Box::new(std::array::from_fn(|step| {
            let (color, opacity) = color(step as f32 / (RAMP_STEPS - 1) as f32);
            let [red, green, blue] = color.to_srgb();
            [red, green, blue, opacity]
        })))
    }

    #[inline]
    fn at(&self, t: f32) -> [f32; 4] {
        // A cast saturates: what is before or after the ramp has its first or last colour.
        self.0[usize::from((t * (RAMP_STEPS - 1) as f32 + 0.5) as u8)]
    }
}

impl From<Oklab> for Ramp {
    fn from(color: Oklab) -> Self {
        Self::even(&[color])
    }
}

/// Where the colours of a layer come from.
pub(crate) enum Paint<'a> {
    Linear {
        from: Point,
        to: Point,
        ramp: Ramp,
    },
    Radial {
        center: Point,
        radius: f32,
        ramp: Ramp,
    },
    /// Another canvas, pixel for pixel, around `center`.
    Canvas {
        center: Point,
        canvas: &'a Canvas,
    },
}

impl Paint<'_> {
    pub(crate) fn vertical(from: f32, to: f32, colors: &[Oklab]) -> Self {
        Self::Linear {
            from: (0.0, from),
            to: (0.0, to),
            ramp: Ramp::even(colors),
        }
    }

    pub(crate) fn radial(center: Point, radius: f32, colors: &[Oklab]) -> Self {
        Self::Radial {
            center,
            radius,
            ramp: Ramp::even(colors),
        }
    }

    pub(crate) fn solid(color: Oklab) -> Self {
        Self::vertical(0.0, 1.0, &[color])
    }
}

/// A blurred copy of the shape under the shape: a shadow, or with a light colour a glow.
#[derive(Clone, Copy)]
pub(crate) struct Shadow {
    pub(crate) offset: Point,
    pub(crate) blur: f32,
    pub(crate) color: Oklab,
    pub(crate) opacity: f32,
}

/// Light from above on the rim of the shape. Negative strength makes a hollow of it.
#[derive(Clone, Copy)]
pub(crate) struct Relief {
    pub(crate) width: f32,
    pub(crate) strength: f32,
}

/// A shape to draw.
pub(crate) struct Layer<'a> {
    path: &'a Path,
    paint: Paint<'a>,
    opacity: f32,
    softness: f32,
    shadow: Option<Shadow>,
    relief: Option<Relief>,
}

impl<'a> Layer<'a> {
    pub(crate) fn new(path: &'a Path, paint: Paint<'a>) -> Self {
        Self {
            path,
            paint,
            opacity: 1.0,
            softness: 0.0,
            shadow: None,
            relief: None,
        }
    }

    pub(crate) fn opacity(self, opacity: f32) -> Self {
        Self { opacity, ..self }
    }

    /// Blurs the edge, with this standard deviation.
    pub(crate) fn soft(self, softness: f32) -> Self {
        Self { softness, ..self }
    }

    pub(crate) fn shadow(self, shadow: Shadow) -> Self {
        Self {
            shadow: Some(shadow),
            ..self
        }
    }

    pub(crate) fn relief(self, relief: Relief) -> Self {
        Self {
            relief: Some(relief),
            ..self
        }
    }
}

/// A square of pixels in encoded sRGB, each channel 0 to 1. The fourth channel pads a pixel to one vector register.
pub(crate) struct Canvas {
    side: usize,
    pixels: Vec<[f32; 4]>,
    mask: Mask,
}

impl Canvas {
    pub(crate) fn new(side: u32) -> Self {
        let mask = Mask::new(side, side).expect("a side is never 0");
        let side = side as usize;
        Self {
            side,
            pixels: vec![[1.0; 4]; side * side],
            mask,
        }
    }

    /// Paints the whole canvas.
    pub(crate) fn wash(&mut self, paint: &Paint) {
        let brush = Brush::new(paint, self.side);
        let mut colors = vec![[0.0; 4]; self.side];
        for row in 0..self.side {
            let visible = brush.visible(row, self.side);
            let colors = &mut colors[visible.clone()];
            brush.row(row, visible.start, colors);
            let pixels = &mut self.pixels[row * self.side..][visible];
            for (pixel, color) in pixels.iter_mut().zip(&*colors) {
                blend(pixel, *color, color[3]);
            }
        }
    }

    /// Adds light of this colour around a point.
    pub(crate) fn glow(&mut self, center: Point, radius: f32, color: Oklab, opacity: f32) {
        let ramp = Ramp::glow(color, opacity);
        self.wash(&Paint::Radial {
            center,
            radius,
            ramp,
        });
    }

    /// Draws a layer over what is there.
    pub(crate) fn draw(&mut self, layer: &Layer) {
        if let Some(shadow) = &layer.shadow {
            self.draw_shadow(layer.path, shadow);
        }
        let blur = layer.softness * self.scale();
        // Less than a third of a pixel is what antialiasing does anyway.
        let edge = (blur > 0.33).then(|| Field::blurred(layer.path, self.side, blur));
        if edge.is_none() {
            self.mask.clear();
            self.mask
                .fill_path(layer.path, FillRule::Winding, true, self.transform());
        }
        let relief = layer.relief.map(|relief| {
            let width = relief.width * self.scale();
            Field::blurred(layer.path, self.side, width).relief(width, relief.strength)
        });
        let brush = Brush::new(&layer.paint, self.side);
        let bounds = layer.path.bounds();
        let area = self.area_around(bounds, 3.0 * blur + 1.0);
        let mut edges = vec![0.0; area.right - area.left];
        let mut lights = vec![0.0; area.right - area.left];
        let mut colors = vec![[0.0; 4]; area.right - area.left];
        for row in area.top..area.bottom {
            let visible = match &edge {
                Some(edge) => edge.row(row, area.left, &mut edges),
                None => {
                    let coverage = &self.mask.data()[row * self.side..][area.left..area.right];
                    coverage_row(coverage, &mut edges)
                }
            };
            if visible.is_empty() {
                continue;
            }
            let lights = &mut lights[visible.clone()];
            if let Some(relief) = &relief {
                lights.fill(0.0);
                relief.row(row, area.left + visible.start, lights);
            }
            let colors = &mut colors[visible.clone()];
            brush.row(row, area.left + visible.start, colors);
            let pixels = &mut area.pixels(self, row)[visible.clone()];
            let edges = &edges[visible];
            if relief.is_some() {
                let rim = colors.iter_mut().zip(&*lights);
                for (color, &relief) in rim.filter(|(_, relief)| relief.abs() > INVISIBLE) {
                    *color = light(*color, relief);
                }
            }
            for ((pixel, &edge), color) in pixels.iter_mut().zip(edges).zip(&*colors) {
                blend(pixel, *color, edge * color[3] * layer.opacity);
            }
        }
    }

    fn draw_shadow(&mut self, path: &Path, shadow: &Shadow) {
        let blur = shadow.blur * self.scale();
        let transform = Transform::from_translate(shadow.offset.0, shadow.offset.1);
        let Some(path) = path.clone().transform(transform) else {
            return;
        };
        let field = Field::blurred(&path, self.side, blur);
        let area = self.area_around(path.bounds(), 3.0 * blur + 1.0);
        let [red, green, blue] = shadow.color.to_srgb();
        let color = [red, green, blue, 1.0];
        let mut opacities = vec![0.0; area.right - area.left];
        for row in area.top..area.bottom {
            let visible = field.row(row, area.left, &mut opacities);
            let pixels = &mut area.pixels(self, row)[visible.clone()];
            for (pixel, &opacity) in pixels.iter_mut().zip(&opacities[visible]) {
                blend(pixel, color, opacity * shadow.opacity);
            }
        }
    }

    /// Returns the pixels row by row: red, green and blue, 0 to 1, and padding.
    pub(crate) fn pixels(&self) -> &[[f32; 4]] {
        &self.pixels
    }

    pub(crate) fn side(&self) -> usize {
        self.side
    }

    fn scale(&self) -> f32 {
        self.side as f32 / 2.0
    }

    fn to_pixels(&self, coordinate: f32) -> f32 {
        (coordinate + 1.0) * self.scale()
    }

    fn transform(&self) -> Transform {
        Transform::from_translate(1.0, 1.0).post_scale(self.scale(), self.scale())
    }

    /// Returns the pixels that are up to `margin` pixels from these bounds.
    fn area_around(&self, bounds: Rect, margin: f32) -> Area {
        // A cast saturates at 0.
        let clip = |edge: f32| (edge as usize).min(self.side);
        let start = |edge: f32| clip((self.to_pixels(edge) - margin).floor());
        let end = |edge: f32| clip((self.to_pixels(edge) + margin).ceil());
        let (left, top) = (start(bounds.left()), start(bounds.top()));
        Area {
            left,
            top,
            right: end(bounds.right()).max(left),
            bottom: end(bounds.bottom()).max(top),
        }
    }
}

/// A rectangle of pixels.
#[derive(Clone, Copy)]
struct Area {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Area {
    fn pixels<'c>(&self, canvas: &'c mut Canvas, row: usize) -> &'c mut [[f32; 4]] {
        &mut canvas.pixels[row * canvas.side..][self.left..self.right]
    }
}

/// Writes coverage as 0 to 1. Returns which pixels are covered at all, as one range.
fn coverage_row(coverage: &[u8], edges: &mut [f32]) -> Range<usize> {
    let Some(start) = coverage.iter().position(|&coverage| coverage > 0) else {
        return 0..0;
    };
    let last = coverage.iter().rposition(|&coverage| coverage > 0);
    let visible = start..last.unwrap_or(start) + 1;
    for (edge, &coverage) in edges[visible.clone()]
        .iter_mut()
        .zip(&coverage[visible.clone()])
    {
        *edge = f32::from(coverage) / 255.0;
    }
    visible
}

/// A paint, ready for pixels of one canvas.
struct Brush<'a> {
    paint: &'a Paint<'a>,
    /// The size of a pixel.
    step: f32,
    /// For a linear paint: the position on the ramp is `origin + x * slope.0 + y * slope.1`.
    origin: f32,
    slope: Point,
}

impl<'a> Brush<'a> {
    fn new(paint: &'a Paint, side: usize) -> Self {
        let step = 2.0 / side as f32;
        let (origin, slope) = match paint {
            Paint::Linear { from, to, .. } => {
                let along = (to.0 - from.0, to.1 - from.1);
                let length = along.0 * along.0 + along.1 * along.1;
                let slope = (along.0 / length, along.1 / length);
                (-(from.0 * slope.0 + from.1 * slope.1), slope)
            }
            Paint::Radial { .. } | Paint::Canvas { .. } => (0.0, (0.0, 0.0)),
        };
        Self {
            paint,
            step,
            origin,
            slope,
        }
    }

    /// Returns the pixels of a row that the paint reaches.
    fn visible(&self, row: usize, side: usize) -> Range<usize> {
        match self.paint {
            Paint::Radial {
                center,
                radius,
                ramp,
            } if ramp.at(1.0)[3] == 0.0 => {
                let y = (row as f32 + 0.5) * self.step - 1.0 - center.1;
                let half = (radius * radius - y * y).max(0.0).sqrt();
                // A cast saturates at 0.
                let column = |x: f32| (((x + 1.0) / self.step) as usize).min(side);
                column(center.0 - half)..column(center.0 + half)
            }
            _ => 0..side,
        }
    }

    /// Writes the colours of a row of pixels, from the pixel `left` on.
    fn row(&self, row: usize, left: usize, colors: &mut [[f32; 4]]) {
        let y = (row as f32 + 0.5) * self.step - 1.0;
        let xs = (left..).map(|column| (column as f32 + 0.5) * self.step - 1.0);
        let colors = xs.zip(colors);
        match self.paint {
            Paint::Linear { ramp, .. } if self.slope.0 == 0.0 => {
                let color = ramp.at(self.origin + y * self.slope.1);
                colors.for_each(|(_, pixel)| *pixel = color);
            }
            Paint::Linear { ramp, .. } => {
                let start = self.origin + y * self.slope.1;
                colors.for_each(|(x, color)| *color = ramp.at(start + x * self.slope.0));
            }
            Paint::Radial {
                center,
                radius,
                ramp,
            } => {
                let (y, scale) = (y - center.1, 1.0 / radius);
                for (x, color) in colors {
                    let x = x - center.0;
                    *color = ramp.at((x * x + y * y).sqrt() * scale);
                }
            }
            Paint::Canvas { center, canvas } => {
                let middle = canvas.side as f32 / 2.0;
                // A cast saturates: beyond the canvas, its edge goes on.
                let index =
                    |offset: f32| ((offset / self.step + middle) as usize).min(canvas.side - 1);
                let line = &canvas.pixels[index(y - center.1) * canvas.side..][..canvas.side];
                for (x, color) in colors {
                    *color = line[index(x - center.0)];
                }
            }
        }
    }
}

#[inline]
fn blend(pixel: &mut [f32; 4], color: [f32; 4], opacity: f32) {
    for (channel, color) in pixel.iter_mut().zip(color) {
        *channel += (color - *channel) * opacity;
    }
}

/// Returns the colour in light (towards a warm white) or in shadow (darker, of the same hue).
#[inline]
fn light(color: [f32; 4], amount: f32) -> [f32; 4] {
    const LIGHT: [f32; 3] = [1.0, 0.985, 0.955];
    // Yellow in plain shadow turns olive: red falls least.
    const SHADE: [f32; 3] = [0.88, 1.0, 1.04];
    let (brighter, darker) = (amount.max(0.0), amount.min(0.0));
    let mut lit = color;
    for channel in 0..3 {
        let brighter = color[channel] + (LIGHT[channel] - color[channel]) * brighter;
        lit[channel] = brighter * (1.0 + SHADE[channel] * darker);
    }
    lit
}
