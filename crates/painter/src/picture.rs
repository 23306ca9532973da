//! The finished picture: 8 bits a channel, with grain, and as PNG.

use png::{BitDepth, ColorType, DeflateCompression, Encoder, Filter};

use crate::canvas::Canvas;

/// How strong the grain is, in levels of 255. It hides the steps between levels.
const GRAIN: f32 = 0.7;
/// How much of a pixel's grain continues in the next one. The grain is softer then, as on film, and the filter `Sub` takes most of it out,
/// which makes files a tenth smaller.
const CONTINUED: f32 = 0.75;

/// Up to this side a picture is compressed in a quarter of the time, to files that are a quarter larger.
const FAST_SIDE: u32 = 640;

/// A square picture in sRGB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    side: u32,
    pixels: Vec<u8>,
}

impl Picture {
    pub(crate) fn new(canvas: &Canvas, seed: u64) -> Self {
        let side = canvas.side();
        let mut pixels = vec![0; side * side * 3];
        let mut noise = seed;
        let mut grain = 0.0;
        for (bytes, pixel) in pixels
            .as_chunks_mut::<3>()
            .0
            .iter_mut()
            .zip(canvas.pixels())
        {
            grain = CONTINUED * grain + GRAIN * triangular(&mut noise);
            for (byte, channel) in bytes.iter_mut().zip(pixel) {
                // Rounded by the cast, which saturates.
                *byte = (channel * 255.0 + grain + 0.5) as u8;
            }
        }
        Self {
            side: side as u32,
            pixels,
        }
    }

    /// Returns the side in pixels.
    #[must_use]
    pub fn side(&self) -> u32 {
        self.side
    }

    /// Returns the pixels row by row, three bytes each: red, green, blue.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Returns the picture as PNG.
    #[must_use]
    pub fn png(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, self.side, self.side);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_deflate_compression(if self.side <= FAST_SIDE {
            DeflateCompression::FdeflateUltraFast
        } else {
            DeflateCompression::Level(2)
        });
        encoder.set_filter(Filter::Sub);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&self.pixels))
            .expect("a picture fits its header, and memory takes all writes");
        file
    }
}

/// Returns the next value of triangular noise, -1 to 1: the sum of two uniform numbers, by SplitMix64.
fn triangular(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let (first, second) = ((mixed >> 48) as f32, (mixed >> 32 & 0xFFFF) as f32);
    (first + second) / 65_536.0 - 1.0
}
