//! Reading what others compressed: gzip, xz, zstd or nothing, told by the content.
//!
//! For tar archives of sources and packages, which may have several members or
//! frames; [`super::compress`] has the formats that images are packed with.

use std::io::{self, BufRead, BufReader, Read};

/// How much of a compressed file is read at once, in bytes.
const BUFFER_BYTES: usize = 1 << 18;
/// How many bytes tell the compression.
const MAGIC_BYTES: usize = 8;

/// The plain content behind a reader, whatever its compression.
///
/// # Errors
/// If its first bytes cannot be read. Damage shows while the content is read.
pub fn reader<'a>(reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
    let head = peek(&mut reader)?;
    Ok(match head[..] {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(reader))
        }
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(reader)?),
        _ => Box::new(reader),
    })
}

/// The first bytes, which stay unread; fewer at the end of the file.
///
/// # Errors
/// If they cannot be read.
pub fn peek<R: Read>(reader: &mut BufReader<R>) -> io::Result<Vec<u8>> {
    let buffer = reader.fill_buf()?;
    Ok(buffer.iter().take(MAGIC_BYTES).copied().collect())
}
