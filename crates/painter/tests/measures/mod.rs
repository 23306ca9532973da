//! Measures of pictures: colour in OKLCh, edges on luma.

#![allow(dead_code, reason = "each test uses a part of the measures")]

use std::ops::Range;

use painter::{Color, Picture};

/// A picture as lightness, chroma and hue, with luma beside them.
pub(crate) struct Image {
    side: usize,
    rgb: Vec<[f32; 3]>,
    luma: Vec<f32>,
    lch: Vec<[f32; 3]>,
}

/// Below this chroma a pixel counts as grey.
const GREY: f32 = 0.025;

impl Image {
    pub(crate) fn new(picture: &Picture) -> Self {
        let rgb: Vec<[f32; 3]> = picture
            .pixels()
            .as_chunks::<3>()
            .0
            .iter()
            .map(|pixel| pixel.map(|channel| f32::from(channel) / 255.0))
            .collect();
        Self {
            side: picture.side() as usize,
            luma: rgb
                .iter()
                .map(|[red, green, blue]| 0.299 * red + 0.587 * green + 0.114 * blue)
                .collect(),
            lch: rgb.iter().map(|pixel| lch(*pixel)).collect(),
            rgb,
        }
    }

    /// The mean lightness, 0 to 1.
    pub(crate) fn mean_lightness(&self) -> f32 {
        mean(self.lch.iter().map(|pixel| pixel[0]))
    }

    /// The mean saturation as in HSV, 0 to 1.
    pub(crate) fn mean_saturation(&self) -> f32 {
        mean(self.rgb.iter().map(|pixel| saturation(*pixel)))
    }

    /// The luma of the darkest pixel.
    pub(crate) fn darkest(&self) -> f32 {
        self.luma.iter().copied().fold(1.0, f32::min)
    }

    /// How many pixels have the red of a warning sign: saturated, bright and between orange and pink.
    pub(crate) fn alarming(&self) -> usize {
        let alarming = |pixel: &[f32; 3]| {
            let [red, green, blue] = *pixel;
            red > 0.75 && green < 0.35 * red && blue < 0.35 * red
        };
        self.rgb.iter().filter(|pixel| alarming(pixel)).count()
    }

    /// The mean strength of the strongest hundredth of all edges.
    pub(crate) fn sharpness(&self) -> f32 {
        let mut edges: Vec<f32> = self
            .edges()
            .into_iter()
            .map(|(across, down)| across.hypot(down))
            .collect();
        edges.sort_by(|one, other| other.total_cmp(one));
        mean(edges[..edges.len() / 50].iter().copied())
    }

    /// The hues of the picture in degrees: peaks of a smoothed histogram, weighted with chroma, that are at least 30 degrees apart.
    pub(crate) fn hues(&self) -> Vec<usize> {
        const BINS: usize = 72;
        let mut bins = [0.0_f32; BINS];
        for [_, chroma, hue] in self.lch.iter().filter(|pixel| pixel[1] > GREY) {
            bins[(hue / 360.0 * BINS as f32) as usize % BINS] += chroma;
        }
        let total: f32 = bins.iter().sum();
        let smooth = |bin: usize| -> f32 {
            [1.0, 2.0, 3.0, 2.0, 1.0]
                .iter()
                .zip(0..)
                .map(|(weight, offset)| weight / 9.0 * bins[(bin + BINS + offset - 2) % BINS])
                .sum()
        };
        let smoothed: Vec<f32> = (0..BINS).map(smooth).collect();
        let mut order: Vec<usize> = (0..BINS)
            .filter(|&bin| smoothed[bin] > 0.01 * total)
            .collect();
        order.sort_by(|&one, &other| smoothed[other].total_cmp(&smoothed[one]));
        let mut peaks: Vec<usize> = Vec::new();
        for bin in order {
            let apart = |peak: &usize| {
                let gap = bin.abs_diff(*peak);
                gap.min(BINS - gap) >= 6
            };
            if peaks.iter().all(apart) {
                peaks.push(bin);
            }
        }
        peaks.iter().map(|bin| bin * 360 / BINS).collect()
    }

    /// The part of the coloured pixels whose hue is within 35 degrees of one of these colours.
    pub(crate) fn share_near(&self, colors: &[Color]) -> f32 {
        let hues: Vec<f32> = colors
            .iter()
            .map(|color| {
                lch([color.red, color.green, color.blue].map(|channel| f32::from(channel) / 255.0))
            })
            .filter(|color| color[1] > 0.01)
            .map(|color| color[2])
            .collect();
        let coloured: Vec<f32> = self
            .lch
            .iter()
            .filter(|pixel| pixel[1] > GREY)
            .map(|pixel| pixel[2])
            .collect();
        let near = |hue: &&f32| {
            hues.iter().any(|own| {
                let gap = (**hue - own).abs();
                gap.min(360.0 - gap) <= 35.0
            })
        };
        coloured.iter().filter(near).count() as f32 / coloured.len().max(1) as f32
    }

    /// The mean difference between the picture and its mirror image, 0 to 1.
    pub(crate) fn mirror_error(&self) -> f32 {
        let side = self.side;
        mean(
            (0..side * side)
                .flat_map(|index| {
                    let mirrored = index / side * side + side - 1 - index % side;
                    (0..3).map(move |channel| (index, mirrored, channel))
                })
                .map(|(index, mirrored, channel)| {
                    (self.rgb[index][channel] - self.rgb[mirrored][channel]).abs()
                }),
        )
    }

    /// How far the centre of all edges is to the left or right of the middle, as a part of the width.
    pub(crate) fn off_balance(&self) -> f32 {
        let edges = self
            .edges()
            .into_iter()
            .map(|(across, down)| across.hypot(down));
        let (mut weight, mut moment) = (0.0, 0.0);
        for (index, edge) in edges.enumerate() {
            let x = (index % (self.side - 2)) as f32 + 1.5;
            weight += edge;
            moment += edge * (x / self.side as f32 - 0.5);
        }
        (moment / weight).abs()
    }

    /// The strongest edge in the four corner squares with this part of the width.
    pub(crate) fn detail_in_corners(&self, part: f32) -> f32 {
        let near = [0.0..part, 1.0 - part..1.0];
        let corners = near
            .iter()
            .flat_map(|rows| near.iter().map(move |columns| (columns, rows)));
        corners
            .map(|(columns, rows)| self.detail_in(columns.clone(), rows.clone()))
            .fold(0.0, f32::max)
    }

    /// The strongest edge in a rectangle, given in parts of the side.
    pub(crate) fn detail_in(&self, columns: Range<f32>, rows: Range<f32>) -> f32 {
        let inner = self.side - 2;
        let position = |index: usize| (index as f32 + 1.5) / self.side as f32;
        self.edges()
            .into_iter()
            .enumerate()
            .filter(|(index, _)| {
                columns.contains(&position(index % inner))
                    && rows.contains(&position(index / inner))
            })
            .map(|(_, (across, down))| across.hypot(down))
            .fold(0.0, f32::max)
    }

    /// How many pixels from a point, in a direction, the strongest step of luma is.
    pub(crate) fn strongest_edge(
        &self,
        (x, y): (f32, f32),
        (dx, dy): (f32, f32),
        reach: Range<usize>,
    ) -> usize {
        let luma = |distance: f32| {
            self.luma[(y + dy * distance) as usize * self.side + (x + dx * distance) as usize]
        };
        let step =
            |distance: &usize| (luma(*distance as f32 + 1.0) - luma(*distance as f32 - 1.0)).abs();
        reach
            .max_by(|one, other| step(one).total_cmp(&step(other)))
            .unwrap()
    }

    /// The gradient of luma (Sobel's operator, per pixel) for all pixels that have neighbours on all sides.
    fn edges(&self) -> Vec<(f32, f32)> {
        let side = self.side;
        let luma = |column: usize, row: usize| self.luma[row * side + column];
        let mut edges = Vec::with_capacity((side - 2) * (side - 2));
        for row in 1..side - 1 {
            for column in 1..side - 1 {
                let sum = |at: [(usize, usize); 3]| {
                    luma(at[0].0, at[0].1) + 2.0 * luma(at[1].0, at[1].1) + luma(at[2].0, at[2].1)
                };
                let [west, here, east] = [column - 1, column, column + 1];
                let [north, level, south] = [row - 1, row, row + 1];
                let across = sum([(east, north), (east, level), (east, south)])
                    - sum([(west, north), (west, level), (west, south)]);
                let down = sum([(west, south), (here, south), (east, south)])
                    - sum([(west, north), (here, north), (east, north)]);
                edges.push((across / 8.0, down / 8.0));
            }
        }
        edges
    }
}

/// The colour and edge features of a picture: a histogram of hue by chroma, lightness, and edges by direction and strength.
pub(crate) fn features(image: &Image) -> Vec<f32> {
    const HUES: usize = 12;
    const DIRECTIONS: usize = 4;
    let pixels = image.lch.len() as f32;
    let mut features = vec![0.0; HUES];
    for [_, chroma, hue] in &image.lch {
        features[(hue / 360.0 * HUES as f32) as usize % HUES] += chroma / pixels * 4.0;
    }
    let lightness = image.mean_lightness();
    features.push(lightness);
    features.push(mean(image.lch.iter().map(|pixel| (pixel[0] - lightness).abs())) * 2.0);
    let mut edges = vec![0.0; DIRECTIONS];
    for (across, down) in image.edges() {
        let direction = (down.atan2(across).rem_euclid(std::f32::consts::PI) / std::f32::consts::PI
            * DIRECTIONS as f32) as usize;
        edges[direction % DIRECTIONS] += across.hypot(down) / pixels * 4.0;
    }
    features.extend(edges);
    features
}

pub(crate) fn distance(one: &[f32], other: &[f32]) -> f32 {
    one.iter()
        .zip(other)
        .map(|(one, other)| (one - other).powi(2))
        .sum()
}

/// The structural similarity of luma (Wang et al., 2004), in windows of 8 by 8 pixels that overlap by half.
pub(crate) fn ssim(one: &Image, other: &Image) -> f32 {
    const WINDOW: usize = 8;
    let side = one.side;
    let starts = || (0..=side - WINDOW).step_by(WINDOW / 2);
    let windows = starts().flat_map(|row| starts().map(move |column| (row, column)));
    mean(windows.map(|(row, column)| {
        let pixels = (0..WINDOW * WINDOW)
            .map(|index| (row + index / WINDOW) * side + column + index % WINDOW);
        let (first, second): (Vec<f32>, Vec<f32>) = pixels
            .map(|index| (one.luma[index], other.luma[index]))
            .unzip();
        let (mean_first, mean_second) = (mean(first.iter().copied()), mean(second.iter().copied()));
        let variance =
            |values: &[f32], center: f32| mean(values.iter().map(|value| (value - center).powi(2)));
        let covariance = mean(
            first
                .iter()
                .zip(&second)
                .map(|(first, second)| (first - mean_first) * (second - mean_second)),
        );
        let (c1, c2) = (0.01_f32.powi(2), 0.03_f32.powi(2));
        (2.0 * mean_first * mean_second + c1) * (2.0 * covariance + c2)
            / ((mean_first.powi(2) + mean_second.powi(2) + c1)
                * (variance(&first, mean_first) + variance(&second, mean_second) + c2))
    }))
}

fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

fn saturation(pixel: [f32; 3]) -> f32 {
    let most = pixel.into_iter().fold(0.0, f32::max);
    let least = pixel.into_iter().fold(1.0, f32::min);
    if most == 0.0 {
        0.0
    } else {
        (most - least) / most
    }
}

/// Lightness, chroma and hue in degrees, by Oklab (Björn Ottosson, 2020).
fn lch(pixel: [f32; 3]) -> [f32; 3] {
    let [red, green, blue] = pixel.map(|channel| {
        if channel <= 0.04045 {
            channel / 12.92
        } else {
            ((channel + 0.055) / 1.055).powf(2.4)
        }
    });
    let long = (0.412_221_46 * red + 0.536_332_55 * green + 0.051_445_995 * blue).cbrt();
    let medium = (0.211_903_5 * red + 0.680_699_5 * green + 0.107_396_96 * blue).cbrt();
    let short = (0.088_302_46 * red + 0.281_718_85 * green + 0.629_978_7 * blue).cbrt();
    let a = 1.977_998_5 * long - 2.428_592_2 * medium + 0.450_593_7 * short;
    let b = 0.025_904_037 * long + 0.782_771_77 * medium - 0.808_675_77 * short;
    let lightness = 0.210_454_26 * long + 0.793_617_8 * medium - 0.004_072_047 * short;
    [
        lightness,
        a.hypot(b),
        b.atan2(a).to_degrees().rem_euclid(360.0),
    ]
}
