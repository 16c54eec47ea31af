//! CRC-32 as UEFI and zlib compute it.

/// A checksum that is fed piece by piece, four bits at a time: a table of 64
/// bytes serves the few blocks that PID 1 ever checks.
pub(super) struct Crc32(u32);

/// The checksum of a GPT's header and entries (CRC-32 as in zlib).
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc32::new();
    crc.update(bytes);
    crc.finish()
}

impl Crc32 {
    const TABLE: [u32; 16] = {
        let mut table = [0; 16];
        let mut index = 0;
        let mut value: u32 = 0;
        while index < 16 {
            let mut crc = value;
            let mut bit = 0;
            while bit < 4 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
                bit += 1;
            }
            table[index] = crc;
            index += 1;
            value += 1;
        }
        table
    };

    pub(super) const fn new() -> Self {
        Self(!0)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let step = |crc: u32| (crc >> 4) ^ Self::TABLE.get((crc & 15) as usize).unwrap_or(&0);
        for byte in bytes {
            self.0 = step(step(self.0 ^ u32::from(*byte)));
        }
    }

    pub(super) const fn finish(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
