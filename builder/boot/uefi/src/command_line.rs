//! The kernel command line as the kernel's EFI stub takes it: UTF-16 that ends
//! with a NUL, in the load options of the loaded image
//! (drivers/firmware/efi/libstub/efi-stub-helper.c, `efi_convert_cmdline`).
//!
//! That stub stops at the first NUL or newline and cuts off what is too long.
//! Here both are errors, because a kernel with half its parameters is another system.

use core::fmt;
use core::str;

/// The longest command line, in bytes of UTF-8: `COMMAND_LINE_SIZE` of both
/// architectures (arch/x86/include/asm/setup.h,
/// arch/arm64/include/uapi/asm/setup.h) without the NUL.
pub const MAX_BYTES: usize = 2047;
/// Room for the longest one: no character takes more units of UTF-16 than
/// bytes of UTF-8.
pub const CAPACITY: usize = MAX_BYTES + 1;

/// Why a command line cannot be passed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is longer than [`MAX_BYTES`].
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
    /// It has a control character in it.
    Control,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "it is longer than {MAX_BYTES} bytes"),
            Self::NotUtf8 => f.write_str("it is not UTF-8"),
            Self::Control => f.write_str("it has a control character in it"),
        }
    }
}

/// Writes the command line `text` into `buffer` and returns the part that was
/// used, the NUL included.
///
/// # Errors
/// If the kernel would not get all of it.
pub fn encode<'b>(text: &[u8], buffer: &'b mut [u16; CAPACITY]) -> Result<&'b [u16], Refusal> {
    if text.len() > MAX_BYTES {
        return Err(Refusal::TooLong);
    }
    let text = str::from_utf8(text).map_err(|_| Refusal::NotUtf8)?;
    if text.contains(char::is_control) {
        return Err(Refusal::Control);
    }
    let mut len = 0;
    for (place, unit) in buffer.iter_mut().zip(text.encode_utf16().chain([0])) {
        *place = unit;
        len += 1;
    }
    buffer.get(..len).ok_or(Refusal::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &[u8]) -> Result<Vec<u16>, Refusal> {
        let mut buffer = [0xAAAA; CAPACITY];
        encode(text, &mut buffer).map(<[u16]>::to_vec)
    }

    #[test]
    fn a_line_becomes_utf_16_and_ends_with_a_nul() {
        assert_eq!(encoded(b""), Ok(vec![0]));
        assert_eq!(encoded(b"ro a"), Ok(vec![0x72, 0x6F, 0x20, 0x61, 0]));
        assert_eq!(encoded("ü€𝄞".as_bytes()), Ok(vec![0xFC, 0x20AC, 0xD834, 0xDD1E, 0]));
    }

    #[test]
    fn the_longest_line_fits_and_one_byte_more_does_not() {
        let longest = [b'x'; MAX_BYTES];
        assert_eq!(encoded(&longest).map(|units| units.len()), Ok(CAPACITY));
        assert_eq!(encoded(&[b'x'; MAX_BYTES + 1]), Err(Refusal::TooLong));
    }

    #[test]
    fn what_the_kernel_would_cut_off_is_refused() {
        for (text, why) in [
            (&b"ro\nrw"[..], Refusal::Control),
            (b"ro\0", Refusal::Control),
            (b"\tro", Refusal::Control),
            ("ro\u{85}".as_bytes(), Refusal::Control),
            (b"\xFF", Refusal::NotUtf8),
            (b"\xED\xA0\x80", Refusal::NotUtf8),
            (b"x\xC3", Refusal::NotUtf8),
        ] {
            assert_eq!(encoded(text), Err(why), "{text:?}");
        }
    }
}
