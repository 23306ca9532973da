//! Decompresses Zstandard (RFC 8878), and verifies the checksum of each frame.

use std::io::{Cursor, Error, ErrorKind, Read, Result};

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

type Source<'a> = Box<dyn Read + 'a>;

/// The default memory limit of `zstd`.
const WINDOW: u64 = 128 << 20;
/// The first of sixteen magic numbers of skippable frames.
const SKIPPABLE: u32 = 0x184d_2a50;

/// A reader of the decompressed frames.
pub(super) struct Frames<'a> {
    /// Between two frames.
    between: Option<Source<'a>>,
    frame: Option<StreamingDecoder<Source<'a>, FrameDecoder>>,
}

impl<'a> Frames<'a> {
    pub(super) fn new(from: Source<'a>) -> Self {
        Self {
            between: Some(from),
            frame: None,
        }
    }

    /// Opens the next frame. Returns whether there is one.
    fn next(&mut self) -> Result<bool> {
        let Some(mut source) = self.between.take() else {
            return Ok(false);
        };
        loop {
            let mut magic = Vec::new();
            (&mut source).take(4).read_to_end(&mut magic)?;
            let number = match <[u8; 4]>::try_from(&*magic) {
                Ok(bytes) => u32::from_le_bytes(bytes),
                Err(_) if magic.is_empty() => return Ok(false),
                Err(_) => return Err(ErrorKind::UnexpectedEof.into()),
            };
            if number & !0xf != SKIPPABLE {
                let source: Source<'a> = Box::new(Cursor::new(magic).chain(source));
                self.frame = Some(
                    StreamingDecoder::new_with_max_window_size(source, WINDOW)
                        .map_err(Error::other)?,
                );
                return Ok(true);
            }
            let mut length = [0; 4];
            source.read_exact(&mut length)?;
            let length = u64::from(u32::from_le_bytes(length));
            if std::io::copy(&mut (&mut source).take(length), &mut std::io::sink())? < length {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl Read for Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let Some(frame) = &mut self.frame else {
                if self.next()? {
                    continue;
                }
                return Ok(0);
            };
            let read = frame.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let (said, found) = (
                frame.decoder.get_checksum_from_data(),
                frame.decoder.get_calculated_checksum(),
            );
            if said.is_some() && said != found {
                return Err(Error::new(
                    ErrorKind::InvalidData,
                    "a checksum of the Zstandard data does not match",
                ));
            }
            self.between = self.frame.take().map(StreamingDecoder::into_inner);
        }
    }
}
