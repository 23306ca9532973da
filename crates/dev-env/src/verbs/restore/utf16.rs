//! Converts UTF-16 to UTF-8.

use std::io::{Error, ErrorKind, Read, Result};

const PART: usize = 1 << 16;

/// A reader that converts UTF-16 to UTF-8.
pub(super) struct Utf16<R> {
    from: R,
    big_endian: bool,
    /// Bytes that are not converted yet.
    bytes: Vec<u8>,
    /// Converted text, and the offset that was already read.
    text: Vec<u8>,
    at: usize,
    has_ended: bool,
}

impl<R: Read> Utf16<R> {
    pub(super) fn new(from: R, big_endian: bool) -> Self {
        Self {
            from,
            big_endian,
            bytes: Vec::new(),
            text: Vec::new(),
            at: 0,
            has_ended: false,
        }
    }

    /// Reads the next block. An incomplete character at its end is kept for the next block.
    fn fill(&mut self) -> Result<()> {
        let before = self.bytes.len();
        (&mut self.from)
            .take(PART as u64)
            .read_to_end(&mut self.bytes)?;
        self.has_ended = self.bytes.len() - before < PART;
        let unit = |pair: &[u8]| {
            let pair = [pair[0], pair[1]];
            if self.big_endian {
                u16::from_be_bytes(pair)
            } else {
                u16::from_le_bytes(pair)
            }
        };
        let mut units: Vec<u16> = self.bytes.chunks_exact(2).map(unit).collect();
        if !self.has_ended
            && units
                .last()
                .is_some_and(|last| (0xd800..0xdc00).contains(last))
        {
            units.pop();
        }
        self.bytes.drain(..2 * units.len());
        let invalid = || Error::new(ErrorKind::InvalidData, "the UTF-16 text is damaged");
        if self.has_ended && !self.bytes.is_empty() {
            return Err(invalid());
        }
        self.text = String::from_utf16(&units)
            .map_err(|_| invalid())?
            .into_bytes();
        self.at = 0;
        Ok(())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while self.at == self.text.len() && !self.has_ended {
            self.fill()?;
        }
        let read = (&self.text[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}
