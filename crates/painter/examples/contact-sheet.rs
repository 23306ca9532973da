//! Writes a sheet of pictures: every mood with several seeds, small sizes, and several moods in one picture.
//!
//! `cargo run -p painter --example contact-sheet [FILE]`; the default is `target/contact-sheet.png`.

#[path = "sheet/mod.rs"]
mod sheet;

use std::error::Error;
use std::path::PathBuf;

use painter::{Feeling, Mood};
use sheet::Sheet;

const GAP: usize = 12;
const TILE: u32 = 256;

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
        let mut put = |moods: &[Mood], seed, side, left, top| -> Result<(), Box<dyn Error>> {
            sheet.put(&Feeling::new(moods, seed, side)?.paint(), left, top);
            Ok(())
        };
        for seed in 0..3 {
            put(&[*mood], seed, TILE, GAP + seed as usize * step, top)?;
        }
        let left = GAP + 3 * step;
        put(&[*mood], 3, 128, left, top)?;
        put(&[*mood], 4, 80, left + 140, top)?;
        put(&[*mood], 5, 40, left + 140, top + 92)?;
        put(&[*mood], 6, 40, left + 192, top + 92)?;
        if let Some(moods) = combinations.get(row) {
            put(moods, 7, TILE, left + step, top)?;
        }
    }
    sheet.write(&file)
}
