//! UUIDs, and their mixed-endian form in GPT and EFI, the GUID.
//!
//! None is random: an identifier is derived from what it identifies, as a
//! version 8 UUID (RFC 9562, section 5.8) made from a SHA-256, so that equal
//! inputs give equal images and different images never share one by accident.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::error::Error;

/// A UUID. Its text is that of RFC 9562, in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid([u8; 16]);

impl Guid {
    /// The nil UUID, which marks an unused partition entry.
    pub const NIL: Self = Self([0; 16]);

    /// From the bytes in text order.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// From the text's five groups as one number, for constants.
    #[must_use]
    pub const fn from_u128(value: u128) -> Self {
        Self(value.to_be_bytes())
    }

    /// Derives the identifier of one thing, `purpose` (such as "partition root"),
    /// from `seed`, whatever tells its image apart from others. Every part counts
    /// with its length, so no two lists of parts are the same input.
    #[must_use]
    pub fn derive(purpose: &str, seed: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for part in std::iter::once(purpose.as_bytes()).chain(seed.iter().copied()) {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.finalize()[..16]);
        bytes[6] = bytes[6] & 0x0F | 0x80;
        bytes[8] = bytes[8] & 0x3F | 0x80;
        Self(bytes)
    }

    /// The bytes in text order, as ext4 stores them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The bytes as GPT stores them: the first three groups little-endian
    /// (UEFI Specification 2.10, appendix A).
    #[must_use]
    pub fn to_gpt_bytes(self) -> [u8; 16] {
        let mut bytes = self.0;
        bytes[0..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        bytes
    }

    /// The inverse of [`Guid::to_gpt_bytes`].
    #[must_use]
    pub fn from_gpt_bytes(bytes: [u8; 16]) -> Self {
        Self(Self(bytes).to_gpt_bytes())
    }

    /// Four bytes of it as a number, for the volume identifiers of FAT.
    #[must_use]
    pub fn to_volume_id(self) -> u32 {
        u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]])
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Guid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::definition(format!("`{text}` is no UUID"))
                .hint("write it as xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx with hexadecimal digits")
        };
        let groups: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        if lengths != [8, 4, 4, 4, 12] || !text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
        {
            return Err(wrong());
        }
        u128::from_str_radix(&groups.concat(), 16).map(Self::from_u128).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_both_byte_orders_agree() {
        let esp: Guid = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B".parse().unwrap();
        assert_eq!(esp.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        assert_eq!(&esp.to_gpt_bytes()[..8], [0x28, 0x73, 0x2A, 0xC1, 0x1F, 0xF8, 0xD2, 0x11]);
        assert_eq!(Guid::from_gpt_bytes(esp.to_gpt_bytes()), esp);
        for wrong in
            ["", "c12a7328", "c12a7328-f81f-11d2-ba4b-00a0c93ec93", "g".repeat(36).as_str()]
        {
            assert!(wrong.parse::<Guid>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn derived_identifiers_are_stable_and_version_8() {
        let guid = Guid::derive("partition root", &[b"standard", b"x86_64"]);
        assert_eq!(guid, Guid::derive("partition root", &[b"standard", b"x86_64"]));
        assert_ne!(guid, Guid::derive("partition root", &[b"standardx86", b"_64"]));
        assert_ne!(guid, Guid::derive("partition esp", &[b"standard", b"x86_64"]));
        let text = guid.to_string();
        assert_eq!(&text[14..15], "8", "version: {text}");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "variant: {text}");
    }
}
