//! The loader's checksum: two sums modulo 2^32 over little-endian 32-bit words.
//!
//! From a = 1 and b = 0, every word w is counted as `a += w; b += a`; the last
//! one is filled with zeros. Any change of one word changes `a`, and two words
//! that change places change `b`. It finds damage, not deceit, and is cheap
//! where a processor is emulated.

/// A finished checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checksum {
    a: u32,
    b: u32,
}

impl Checksum {
    /// The checksum of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut summing = Summing::new();
        summing.update(bytes);
        summing.finish()
    }

    /// As it is stored: both sums, little-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        (u64::from(self.b) << 32 | u64::from(self.a)).to_le_bytes()
    }

    /// From what is stored.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        let [a0, a1, a2, a3, b0, b1, b2, b3] = bytes;
        Self { a: u32::from_le_bytes([a0, a1, a2, a3]), b: u32::from_le_bytes([b0, b1, b2, b3]) }
    }
}

/// As `inspect` prints it: `a` and `b` in hexadecimal.
impl std::fmt::Display for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}:{:08x}", self.a, self.b)
    }
}

/// A checksum of bytes that come piece by piece.
#[derive(Clone, Debug)]
pub struct Summing {
    sums: Checksum,
    /// Bytes that do not make a word yet.
    pending: [u8; 4],
    pending_len: usize,
}

impl Default for Summing {
    fn default() -> Self {
        Self::new()
    }
}

impl Summing {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { sums: Checksum { a: 1, b: 0 }, pending: [0; 4], pending_len: 0 }
    }

    /// Counts more bytes, however they are cut.
    pub fn update(&mut self, mut bytes: &[u8]) {
        if self.pending_len > 0 {
            let count = (4 - self.pending_len).min(bytes.len());
            let (head, rest) = bytes.split_at(count);
            self.pending[self.pending_len..self.pending_len + count].copy_from_slice(head);
            self.pending_len += count;
            bytes = rest;
            if self.pending_len < 4 {
                return;
            }
            self.count(self.pending);
            self.pending_len = 0;
        }
        let (words, rest) = bytes.as_chunks::<4>();
        words.iter().for_each(|word| self.count(*word));
        self.pending[..rest.len()].copy_from_slice(rest);
        self.pending_len = rest.len();
    }

    /// The checksum of all that was counted.
    #[must_use]
    pub fn finish(mut self) -> Checksum {
        if self.pending_len > 0 {
            self.pending[self.pending_len..].fill(0);
            self.count(self.pending);
        }
        self.sums
    }

    fn count(&mut self, word: [u8; 4]) {
        self.sums.a = self.sums.a.wrapping_add(u32::from_le_bytes(word));
        self.sums.b = self.sums.b.wrapping_add(self.sums.a);
    }
}
