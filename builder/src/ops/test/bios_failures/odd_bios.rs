//! A BIOS that is odd in the ways that are asked for: settings of the boot sector
//! `builder/boot/bios/odd_bios.s`, which goes before the loader's own.

use super::trial::SECTOR_BYTES;

/// Where the settings are put; the disk's own first sector follows them.
pub(super) const SETTINGS_LBA: usize = 2046;

/// A range of the memory map: first address, length, type (ACPI Specification 6.5,
/// table 15.2).
pub(super) type Range = (u64, u64, u32);

/// What the BIOS says of its memory.
#[derive(Clone, Default)]
pub(super) enum Map {
    /// What is true.
    #[default]
    True,
    /// That it knows no such call.
    Missing,
    /// This, at most 24 ranges.
    Own(Vec<Range>),
}

/// What it says of the disk.
#[derive(Clone, Copy, Default)]
pub(super) enum Parameters {
    /// What is true.
    #[default]
    True,
    /// Nothing: the call fails.
    Missing,
    /// That its sectors have so many bytes.
    SectorBytes(u16),
}

/// How it is odd.
#[derive(Clone, Default)]
pub(super) struct OddBios {
    pub(super) map: Map,
    pub(super) parameters: Parameters,
    /// Whether it leaves the A20 line closed.
    pub(super) closes_a20: bool,
    /// Whether it does not open it when it is asked to.
    pub(super) keeps_a20_closed: bool,
    /// How many reads succeed before some fail.
    pub(super) reads_before: u8,
    /// How many fail then.
    pub(super) reads_failing: u8,
}

impl OddBios {
    /// The settings as the boot sector reads them.
    pub(super) fn settings(&self) -> [u8; SECTOR_BYTES] {
        let mut bytes = [0; SECTOR_BYTES];
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        let (map, ranges) = match &self.map {
            Map::True => (0, [].as_slice()),
            Map::Missing => (1, [].as_slice()),
            Map::Own(ranges) => (2, ranges.as_slice()),
        };
        let (parameters, sector_bytes) = match self.parameters {
            Parameters::True => (0, 0),
            Parameters::Missing => (1, 0),
            Parameters::SectorBytes(bytes) => (2, bytes),
        };
        let a20 = u8::from(self.closes_a20) | u8::from(self.keeps_a20_closed) << 1;
        put(0, &[map, a20, parameters, self.reads_before, self.reads_failing]);
        put(6, &sector_bytes.to_le_bytes());
        put(8, &u16::try_from(ranges.len()).unwrap_or(0).to_le_bytes());
        for (index, (base, len, kind)) in ranges.iter().enumerate() {
            let at = 16 + index * 20;
            put(at, &base.to_le_bytes());
            put(at + 8, &len.to_le_bytes());
            put(at + 16, &kind.to_le_bytes());
        }
        bytes
    }
}
