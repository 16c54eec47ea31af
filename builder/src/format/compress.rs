//! Compression of initramfs archives: gzip (RFC 1952) and zstd (RFC 8878).
//!
//! The output depends on the bytes and the level alone: gzip headers carry no
//! time and no name; zstd splits its input into jobs of a fixed length, so that
//! any number of threads gives the same frame. The kernel unpacks one zstd
//! frame per archive with a window of at most 128 MiB (`lib/decompress_unzstd.c`),
//! which every level keeps to. Other formats are recognised, not read.

use std::io::{self, BufRead, Read, Write};

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use zstd::zstd_safe::CParameter;

use crate::error::{Error, Result};

/// The kernel's largest zstd window, as a power of two (`ZSTD_WINDOWLOG_MAX`).
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// How much input one zstd job takes. A constant, because it shows in the
/// output; small enough that an initramfs of a few MiB keeps several cores busy.
const ZSTD_JOB_BYTES: u32 = 4 * 1024 * 1024;
/// RFC 1952's "unknown" operating system.
const GZIP_OS_UNKNOWN: u8 = 255;

/// How an archive is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, level 1 (fast) to 9 (small).
    Gzip {
        /// The level.
        level: u32,
    },
    /// zstd, level 1 (fast) to 22 (small).
    Zstd {
        /// The level.
        level: i32,
    },
}

impl Compression {
    /// gzip at its usual level.
    pub const GZIP_DEFAULT: Self = Self::Gzip { level: 6 };
    /// zstd at its usual level.
    pub const ZSTD_DEFAULT: Self = Self::Zstd { level: 3 };

    /// What a file name ends with, with its dot; empty for none.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip { .. } => ".gz",
            Self::Zstd { .. } => ".zst",
        }
    }
}

/// Compresses what is written to it. [`Encoder::finish`] must be called at the end.
pub struct Encoder<W: Write>(EncoderKind<W>);

enum EncoderKind<W: Write> {
    None(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// An encoder that writes to `out`, with as many threads as the host has
    /// cores where the format can use them.
    ///
    /// # Errors
    /// If the level is out of range.
    pub fn new(out: W, compression: Compression) -> Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads(out, compression, u32::try_from(threads).unwrap_or(1))
    }

    fn with_threads(out: W, compression: Compression, threads: u32) -> Result<Self> {
        let out_of_range = |name: &str, level: i64, max: i64| {
            Error::definition(format!("{name} has no level {level}"))
                .hint(format!("levels go from 1 to {max}"))
        };
        match compression {
            Compression::None => Ok(Self(EncoderKind::None(out))),
            Compression::Gzip { level } => {
                if !(1..=9).contains(&level) {
                    return Err(out_of_range("gzip", level.into(), 9));
                }
                let builder = flate2::GzBuilder::new().mtime(0).operating_system(GZIP_OS_UNKNOWN);
                let level = flate2::Compression::new(level);
                Ok(Self(EncoderKind::Gzip(builder.write(out, level))))
            }
            Compression::Zstd { level } => {
                if !(1..=22).contains(&level) {
                    return Err(out_of_range("zstd", level.into(), 22));
                }
                let failed = |error| Error::internal(format!("cannot set up zstd: {error}"));
                // Without a worker the frame would be split elsewhere than with any.
                zstd_encoder(out, level, threads.max(1)).map_err(failed)
            }
        }
    }

    /// Writes what is still held back and returns the inner writer.
    ///
    /// # Errors
    /// If the inner writer fails.
    pub fn finish(self) -> Result<W> {
        let result = match self.0 {
            EncoderKind::None(mut out) => out.flush().map(|()| out),
            EncoderKind::Gzip(encoder) => encoder.finish(),
            EncoderKind::Zstd(encoder) => encoder.finish(),
        };
        result.map_err(|error| super::write_failed("compressed archive", &error))
    }
}

fn zstd_encoder<W: Write>(out: W, level: i32, threads: u32) -> io::Result<Encoder<W>> {
    let mut encoder = zstd::stream::write::Encoder::new(out, level)?;
    encoder.include_checksum(true)?;
    encoder.multithread(threads)?;
    encoder.set_parameter(CParameter::JobSize(ZSTD_JOB_BYTES))?;
    Ok(Encoder(EncoderKind::Zstd(encoder)))
}

impl<W: Write> std::fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match &self.0 {
            EncoderKind::None(_) => "none",
            EncoderKind::Gzip(_) => "gzip",
            EncoderKind::Zstd(_) => "zstd",
        };
        f.debug_tuple("Encoder").field(&name).finish()
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            EncoderKind::None(out) => out.write(bytes),
            EncoderKind::Gzip(encoder) => encoder.write(bytes),
            EncoderKind::Zstd(encoder) => encoder.write(bytes),
        }
    }

    /// Does not cut the compressed stream short: only the inner writer is flushed,
    /// and only where nothing is held back.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            EncoderKind::None(out) => out.flush(),
            EncoderKind::Gzip(_) | EncoderKind::Zstd(_) => Ok(()),
        }
    }
}

/// A compressed format, by the bytes it begins with (`lib/decompress.c`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
    /// bzip2, recognised only.
    Bzip2,
    /// lzma, recognised only.
    Lzma,
    /// xz, recognised only.
    Xz,
    /// lzop, recognised only.
    Lzop,
    /// lz4 in the legacy frame the kernel wants, recognised only.
    Lz4,
}

impl Format {
    /// The format that data with this beginning has. Six bytes are enough.
    #[must_use]
    pub fn detect(beginning: &[u8]) -> Option<Self> {
        const MAGICS: [(&[u8], Format); 8] = [
            (&[0x1F, 0x8B], Format::Gzip),
            (&[0x1F, 0x9E], Format::Gzip),
            (&[0x28, 0xB5, 0x2F, 0xFD], Format::Zstd),
            (b"BZh", Format::Bzip2),
            (&[0x5D, 0x00, 0x00], Format::Lzma),
            (&[0xFD, b'7', b'z', b'X', b'Z', 0], Format::Xz),
            (&[0x89, b'L', b'Z', b'O'], Format::Lzop),
            (&[0x02, 0x21, 0x4C, 0x18], Format::Lz4),
        ];
        MAGICS.iter().find(|(magic, _)| beginning.starts_with(magic)).map(|(_, format)| *format)
    }

    /// The format's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Lzma => "lzma",
            Self::Xz => "xz",
            Self::Lzop => "lzop",
            Self::Lz4 => "lz4",
        }
    }

    /// A reader of the first member or frame of `input`, which it leaves right behind it.
    ///
    /// # Errors
    /// If the format is one that is recognised only.
    pub fn decoder<'a>(self, input: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>> {
        match self {
            Self::Gzip => Ok(Box::new(GzDecoder::new(input))),
            Self::Zstd => {
                let failed = |error| Error::failure(format!("cannot read zstd: {error}"));
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(input).map_err(failed)?.single_frame();
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(failed)?;
                Ok(Box::new(decoder))
            }
            other => Err(Error::failure(format!(
                "the data is compressed with {}, which is not read here",
                other.as_str()
            ))
            .hint(format!("unpack it with {} first", other.as_str()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compressible and longer than several zstd jobs.
    fn sample() -> Vec<u8> {
        let mut state = 1u32;
        let words: [&[u8]; 4] = [b"static int ", b"return -EINVAL;\n", b"struct ", b"unsigned "];
        let mut text = Vec::new();
        while text.len() < 3 * ZSTD_JOB_BYTES as usize + 12_345 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.extend_from_slice(words[(state >> 30) as usize]);
            text.extend_from_slice(&state.to_le_bytes()[..(state >> 28) as usize % 4]);
        }
        text
    }

    fn compress(data: &[u8], compression: Compression, threads: u32, step: usize) -> Vec<u8> {
        let mut encoder = Encoder::with_threads(Vec::new(), compression, threads).unwrap();
        for part in data.chunks(step) {
            encoder.write_all(part).unwrap();
            encoder.flush().unwrap();
        }
        encoder.finish().unwrap()
    }

    #[test]
    fn the_bytes_depend_neither_on_threads_nor_on_write_sizes() {
        let data = sample();
        for compression in
            [Compression::ZSTD_DEFAULT, Compression::Zstd { level: 9 }, Compression::GZIP_DEFAULT]
        {
            let one = compress(&data, compression, 1, data.len());
            assert!(one == compress(&data, compression, 4, 1 << 20), "{compression:?}");
            assert!(one == compress(&data, compression, 2, 77_777), "{compression:?}");
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_and_no_byte_behind_it_is_taken() {
        let data = sample();
        for compression in [Compression::ZSTD_DEFAULT, Compression::GZIP_DEFAULT] {
            let mut packed = compress(&data, compression, 2, 1 << 16);
            packed.extend_from_slice(b"what follows");
            let mut rest = packed.as_slice();
            let mut back = Vec::new();
            let format = Format::detect(rest).unwrap();
            format.decoder(&mut rest).unwrap().read_to_end(&mut back).unwrap();
            assert!(back == data, "{compression:?}");
            assert_eq!(rest, b"what follows", "{compression:?}");
        }
    }

    #[test]
    fn the_window_stays_within_what_the_kernel_allocates() {
        // The encoder does not know how much follows: a small piece has any archive's window.
        let piece = &sample()[..1 << 16];
        // As docs/image-definition.md tells who chooses `initramfs.level`.
        for (level, wanted) in [(8, 21), (9, 22), (16, 22), (17, 23), (22, ZSTD_WINDOW_LOG_MAX)] {
            let packed = compress(piece, Compression::Zstd { level }, 1, 1 << 20);
            // RFC 8878, 3.1.1.1: no single segment, so a window descriptor follows the flags.
            assert_eq!(packed[4] & 0x20, 0);
            let window_log = 10 + u32::from(packed[5] >> 3);
            assert_eq!(window_log, wanted, "level {level}");
        }
    }

    #[test]
    fn levels_out_of_range_are_refused_with_the_range() {
        for wrong in [
            Compression::Gzip { level: 0 },
            Compression::Gzip { level: 10 },
            Compression::Zstd { level: 0 },
            Compression::Zstd { level: 23 },
        ] {
            let error = Encoder::new(Vec::new(), wrong).unwrap_err().to_string();
            assert!(error.contains("hint: levels go from 1 to"), "{error}");
        }
    }
}
