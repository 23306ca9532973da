//! Writes a sheet of pictures: every mood with several seeds, small sizes, and several moods in one picture.
//!
//! `cargo run -p painter --example contact-sheet [FILE]`; the default is `target/contact-sheet.png`.

use std::error::Error;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::PathBuf;

use painter::{Feeling, Mood};

const GAP: usize = 12;
const TILE: u32 = 256;

/// An RGB image on a white ground.
struct Sheet {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Sheet {
    fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![250; width * height * 3],
        }
    }

    fn put(
        &mut self,
        moods: &[Mood],
        seed: u64,
        side: u32,
        left: usize,
        top: usize,
    ) -> Result<(), Box<dyn Error>> {
        let picture = Feeling::new(moods, seed, side)?.paint();
        let side = side as usize;
        for (row, line) in picture.pixels().chunks_exact(side * 3).enumerate() {
            let start = ((top + row) * self.width + left) * 3;
            self.pixels[start..start + side * 3].copy_from_slice(line);
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("target/contact-sheet.png"), PathBuf::from);
    let step = TILE as usize + GAP;
    let combinations: [&[Mood]; 10] = [
        &[Mood::Cozy, Mood::Chill],
        &[Mood::SuperHappy, Mood::Down],
        &[Mood::Fuming, Mood::MadAsHell],
        &[Mood::Content, Mood::Cozy, Mood::Chill],
        &[Mood::Blah, Mood::Down, Mood::BoredStiff],
        &[Mood::Pumped, Mood::FreakedOut, Mood::Chill],
        &Mood::ALL[..4],
        &Mood::ALL[5..10],
        &Mood::ALL[..7],
        &Mood::ALL,
    ];
    let mut sheet = Sheet::new(GAP + 5 * step, GAP + 11 * step);
    for (row, mood) in Mood::ALL.iter().enumerate() {
        let top = GAP + row * step;
        for seed in 0..3 {
            sheet.put(&[*mood], seed, TILE, GAP + seed as usize * step, top)?;
        }
        let left = GAP + 3 * step;
        sheet.put(&[*mood], 3, 128, left, top)?;
        sheet.put(&[*mood], 4, 80, left + 140, top)?;
        sheet.put(&[*mood], 5, 40, left + 140, top + 92)?;
        sheet.put(&[*mood], 6, 40, left + 192, top + 92)?;
        if let Some(moods) = combinations.get(row) {
            sheet.put(moods, 7, TILE, left + step, top)?;
        }
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut encoder = png::Encoder::new(
        BufWriter::new(File::create(&file)?),
        sheet.width as u32,
        sheet.height as u32,
    );
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&sheet.pixels)?;
    println!("{}", file.display());
    Ok(())
}
