//! A sheet of pictures.

use std::error::Error;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use painter::Picture;

/// An RGB image on a white ground.
pub(crate) struct Sheet {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Sheet {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![250; width * height * 3],
        }
    }

    /// Copies a picture to this place.
    pub(crate) fn put(&mut self, picture: &Picture, left: usize, top: usize) {
        let side = picture.side() as usize;
        for (row, line) in picture.pixels().chunks_exact(side * 3).enumerate() {
            let start = ((top + row) * self.width + left) * 3;
            self.pixels[start..start + side * 3].copy_from_slice(line);
        }
    }

    /// Writes the sheet as PNG, and prints the name of the file.
    pub(crate) fn write(&self, file: &Path) -> Result<(), Box<dyn Error>> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let file_writer = BufWriter::new(File::create(file)?);
        let mut encoder = png::Encoder::new(file_writer, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header()?.write_image_data(&self.pixels)?;
        println!("{}", file.display());
        Ok(())
    }
}
