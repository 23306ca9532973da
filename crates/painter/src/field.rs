//! Blurred shapes, at the lowest resolution that shows no difference.

use std::ops::Range;

use tiny_skia::{FillRule, Mask, Path, Transform};

/// Blurs of fewer pixels than this are made at full resolution, by one box filter.
const NARROW: f32 = 3.0;
/// Wider ones are two box filters of this radius in a row, close to a normal distribution.
const RADIUS: usize = 2;
/// The standard deviation of those two filters, antialiasing and interpolation, in samples.
const DEVIATION: f32 = 2.06;

/// A value below half a level of 255 changes no pixel.
pub(crate) const INVISIBLE: f32 = 0.002;

/// A smooth quantity over the canvas, in samples that are `step` pixels apart.
pub(crate) struct Field {
    left: f32,
    top: f32,
    step: f32,
    width: usize,
    height: usize,
    samples: Vec<f32>,
}

impl Field {
    /// Returns the coverage of a path, blurred with a standard deviation of `blur` pixels.
    ///
    /// The path is in coordinates of the picture, and `side` is the side of the canvas in pixels.
    pub(crate) fn blurred(path: &Path, side: usize, blur: f32) -> Self {
        let side = side as f32;
        let scale = side / 2.0;
        let (step, radius, passes) = if blur < NARROW {
            // A box of radius r has the variance r (r + 1) / 3.
            (1.0, ((3.0 * blur * blur + 0.25).sqrt() as usize).max(1), 1)
        } else {
            (blur / DEVIATION, RADIUS, 2)
        };
        let margin = 3.0 * blur + 2.0 * step;
        let bounds = path.bounds();
        let clip = |edge: f32| ((edge + 1.0) * scale).clamp(-margin, side + margin);
        // Whole numbers, so that the samples of a narrow blur are the pixels.
        let (left, top) = (
            (clip(bounds.left()) - margin).floor(),
            (clip(bounds.top()) - margin).floor(),
        );
        let (right, bottom) = (
            clip(bounds.right()) + margin,
            clip(bounds.bottom()) + margin,
        );
        let samples = |length: f32| (length / step).ceil().max(1.0) as u32;
        let (width, height) = (samples(right - left), samples(bottom - top));
        let mut mask = Mask::new(width, height).expect("a field is never empty");
        let transform = Transform::from_translate(1.0, 1.0)
            .post_scale(scale, scale)
            .post_translate(-left, -top)
            .post_scale(1.0 / step, 1.0 / step);
        mask.fill_path(path, FillRule::Winding, true, transform);
        let (width, height) = (width as usize, height as usize);
        let mut samples: Vec<f32> = mask
            .data()
            .iter()
            .map(|&sample| f32::from(sample) / 255.0)
            .collect();
        let mut copy = vec![0.0; samples.len()];
        for _ in 0..passes {
            blur_rows(&samples, &mut copy, width, radius);
            blur_columns(&copy, &mut samples, width, radius);
        }
        Self {
            left,
            top,
            step,
            width,
            height,
            samples,
        }
    }

    /// Returns the light on the rim of the blurred shape: positive on the upper side.
    pub(crate) fn relief(&self, width: f32, strength: f32) -> Self {
        let reach = width / self.step;
        let mut samples = Vec::with_capacity(self.samples.len());
        for row in 0..self.height {
            let (below, above) = (
                self.between(row as f32 + reach),
                self.between(row as f32 - reach),
            );
            samples.extend(
                below
                    .zip(above)
                    .map(|(below, above)| (below - above) * strength),
            );
        }
        Self { samples, ..*self }
    }

    /// Writes the values of a row of pixels, from the pixel `left` on. Returns which of them are not 0, as one range.
    pub(crate) fn row(&self, row: usize, left: usize, values: &mut [f32]) -> Range<usize> {
        if self.step == 1.0 {
            return self.row_of_pixels(row, left, values);
        }
        let y = (row as f32 + 0.5 - self.top) / self.step - 0.5;
        let line: Vec<f32> = self.between(y).collect();
        let Some(first) = line.iter().position(|value| value.abs() > INVISIBLE) else {
            return 0..0;
        };
        let last = line
            .iter()
            .rposition(|value| value.abs() > INVISIBLE)
            .unwrap_or(first);

        // The first and the last pixel that such a sample reaches.
        let pixel = |sample: f32| (sample + 0.5) * self.step + self.left - 0.5 - left as f32;
        let start = (pixel(first as f32 - 1.0).max(0.0) as usize).min(values.len());
        let end =
            (pixel(last as f32 + 1.0).max(0.0).ceil() as usize + 1).clamp(start, values.len());
        let origin = (left as f32 + 0.5 - self.left) / self.step - 0.5;
        let per_pixel = 1.0 / self.step;
        // One pixel after the other between the same two samples: no look-up and no division per pixel.
        let mut column = start;
        while column < end {
            let position = origin + column as f32 * per_pixel;
            let (before, part) = split(position, self.width);
            let next = line[(before + 1).min(self.width - 1)];
            let slope = (next - line[before]) * per_pixel;
            let here = line[before] + (next - line[before]) * part;
            let pixels = if before + 1 < self.width {
                ((1.0 - part) * self.step) as usize + 1
            } else {
                end
            };
            let stop = end.min(column.saturating_add(pixels));
            for (offset, value) in values[column..stop].iter_mut().enumerate() {
                *value = here + slope * offset as f32;
            }
            column = stop;
        }
        start..end
    }

    /// Does the same where samples are pixels.
    fn row_of_pixels(&self, row: usize, left: usize, values: &mut [f32]) -> Range<usize> {
        let row = row as isize - self.top as isize;
        let Some(line) = usize::try_from(row)
            .ok()
            .and_then(|row| self.samples.chunks_exact(self.width).nth(row))
        else {
            return 0..0;
        };
        let Some(first) = line.iter().position(|value| value.abs() > INVISIBLE) else {
            return 0..0;
        };
        let last = line
            .iter()
            .rposition(|value| value.abs() > INVISIBLE)
            .unwrap_or(first);
        let shift = self.left as isize - left as isize;
        let column =
            |sample: usize| (sample as isize + shift).clamp(0, values.len() as isize) as usize;
        let visible = column(first)..column(last + 1);
        if !visible.is_empty() {
            let start = (visible.start as isize - shift) as usize;
            values[visible.clone()].copy_from_slice(&line[start..][..visible.len()]);
        }
        visible
    }

    /// Returns the samples at a position between two rows.
    fn between(&self, position: f32) -> impl Iterator<Item = f32> {
        let (row, part) = split(position, self.height);
        let line = |row: usize| self.samples[row * self.width..][..self.width].iter();
        let pairs = line(row).zip(line((row + 1).min(self.height - 1)));
        pairs.map(move |(upper, lower)| upper + (lower - upper) * part)
    }
}

/// Splits a position into the sample before it and the part of the way to the next one.
#[inline]
fn split(position: f32, length: usize) -> (usize, f32) {
    let position = position.clamp(0.0, (length - 1) as f32);
    let index = position as usize;
    (index, position - index as f32)
}

fn blur_rows(samples: &[f32], blurred: &mut [f32], width: usize, radius: usize) {
    let weight = 1.0 / (2 * radius + 1) as f32;
    for (line, blurred) in samples
        .chunks_exact(width)
        .zip(blurred.chunks_exact_mut(width))
    {
        let last = width - 1;
        let mut sum: f32 = (0..=2 * radius)
            .map(|index| line[index.saturating_sub(radius).min(last)])
            .sum();
        for (index, value) in blurred.iter_mut().enumerate() {
            *value = sum * weight;
            sum += line[(index + radius + 1).min(last)] - line[index.saturating_sub(radius)];
        }
    }
}

fn blur_columns(samples: &[f32], blurred: &mut [f32], width: usize, radius: usize) {
    let weight = 1.0 / (2 * radius + 1) as f32;
    let last = samples.len() / width - 1;
    let line = |index: usize| &samples[index.min(last) * width..][..width];
    let mut sums = vec![0.0; width];
    for index in 0..=2 * radius {
        for (sum, value) in sums.iter_mut().zip(line(index.saturating_sub(radius))) {
            *sum += value;
        }
    }
    for (index, blurred) in blurred.chunks_exact_mut(width).enumerate() {
        let (added, removed) = (line(index + radius + 1), line(index.saturating_sub(radius)));
        let values = blurred.iter_mut().zip(&mut sums);
        for ((value, sum), (added, removed)) in values.zip(added.iter().zip(removed)) {
            *value = *sum * weight;
            *sum += added - removed;
        }
    }
}
