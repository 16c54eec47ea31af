//! A GPT that is changed (UEFI specification 2.10, section 5.3): read whole, given a further
//! partition or a longer one, and written so that at every instant the disk has a table. Pure.
//!
//! A change goes to the backup at the disk's end first, and is made to last there. Then the
//! sectors 0 to 7, with the primary header and the first entries in them, are written as one
//! block, which most disks take whole or not at all. Should the power go in the middle of it,
//! the backup is valid, the kernel takes it where its command line says `gpt`, and the next
//! start of `datapart` repairs the primary.

use init_core::block_probe::crc32;

/// Sectors have this many bytes; disks with larger ones are left alone.
pub(crate) const SECTOR_BYTES: u64 = 512;
/// Partitions begin and end at multiples of this many sectors: 1 MiB.
const ALIGNMENT_SECTORS: u64 = 2048;
/// An entry's length in bytes, and how many there are: what the builder and all others write.
const ENTRY_BYTES: u32 = 128;
const ENTRIES: u32 = 128;
const ENTRY_LEN: usize = ENTRY_BYTES as usize;
const ENTRIES_BYTES: usize = (ENTRY_BYTES * ENTRIES) as usize;
const ENTRIES_SECTORS: u64 = ENTRIES_BYTES as u64 / SECTOR_BYTES;
const HEADER_BYTES: u32 = 92;
const HEADER_LEN: usize = HEADER_BYTES as usize;
/// A name's room in UTF-16 units.
const NAME_UNITS: usize = 36;
/// What is written at the disk's start in one go.
const START_BYTES: usize = 4096;

/// Any Linux file system (Discoverable Partitions Specification),
/// 0fc63daf-8483-4772-8e79-3d69d8477de4 as it stands on disk.
const LINUX: [u8; 16] = [
    0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4,
];

/// Why a table is left alone: a fragment for people.
pub(crate) type Refusal = &'static str;

/// A table in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Table {
    disk_sectors: u64,
    disk_guid: [u8; 16],
    first_usable: u64,
    entries: Vec<u8>,
    /// The first 4 KiB of the disk, of which only the table is changed.
    start: Vec<u8>,
    /// Whether the primary copy must be written, whatever else is done.
    needs_repair: bool,
}

/// A partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// Its number, from 1.
    pub(crate) number: u32,
    /// Its name.
    pub(crate) name: String,
    /// First sector.
    pub(crate) first: u64,
    /// Last sector, part of it.
    pub(crate) last: u64,
    /// Whether its type is that of any Linux file system: not a root's, nor the ESP's.
    pub(crate) is_plain: bool,
}

/// A step of a write: bytes at an offset in bytes, or that everything before must last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Write these bytes there.
    Write(u64, Vec<u8>),
    /// Wait until what was written lasts.
    Sync,
}

impl Table {
    /// Reads the table of a disk of `disk_sectors`; `read` gives the bytes at an offset.
    ///
    /// # Errors
    /// Why the table is not one that may be changed.
    pub(crate) fn read<E>(
        disk_sectors: u64,
        mut read: impl FnMut(u64, usize) -> Result<Vec<u8>, E>,
    ) -> Result<Result<Self, Refusal>, E> {
        if disk_sectors < 8 * ALIGNMENT_SECTORS {
            return Ok(Err("the disk is too small"));
        }
        let start = read(0, START_BYTES)?;
        if start.get(510..512) != Some(&[0x55, 0xaa]) || start.get(450) != Some(&0xee) {
            return Ok(Err("it has no GPT"));
        }
        let at_start = start.get(512..1024).unwrap_or_default().to_vec();
        if let Some(header) = Header::parse(&at_start, 1) {
            let entries = read(header.entries_lba.saturating_mul(SECTOR_BYTES), ENTRIES_BYTES)?;
            if crc32(&entries) == header.entries_crc && header.entries_lba == 2 {
                return Ok(Self::checked(disk_sectors, header, entries, start, false));
            }
        }
        // Half written: the backup at the very end has what was meant.
        let last = disk_sectors - 1;
        let sector = usize::try_from(SECTOR_BYTES).unwrap_or(512);
        let at_end = read(last * SECTOR_BYTES, sector)?;
        let Some(header) = Header::parse(&at_end, last) else {
            return Ok(Err("its GPT is damaged"));
        };
        let entries = read(header.entries_lba.saturating_mul(SECTOR_BYTES), ENTRIES_BYTES)?;
        if crc32(&entries) != header.entries_crc {
            return Ok(Err("its GPT and the backup are damaged"));
        }
        Ok(Self::checked(disk_sectors, header, entries, start, true))
    }

    fn checked(
        disk_sectors: u64,
        header: Header,
        entries: Vec<u8>,
        start: Vec<u8>,
        needs_repair: bool,
    ) -> Result<Self, Refusal> {
        let table = Self {
            disk_sectors,
            disk_guid: header.disk_guid,
            first_usable: header.first_usable,
            entries,
            start,
            needs_repair,
        };
        let mut places: Vec<(u64, u64)> =
            table.partitions().iter().map(|entry| (entry.first, entry.last)).collect();
        places.sort_unstable();
        let in_order = places.iter().all(|(first, last)| first <= last);
        let apart = places.windows(2).all(|pair| pair[0].1 < pair[1].0);
        let inside =
            places.iter().all(|(first, last)| *first >= 34 && *last <= table.last_usable());
        if header.first_usable < 34 || !in_order || !apart || !inside {
            return Err("its partitions overlap or lie outside of it");
        }
        Ok(table)
    }

    /// A table without partitions, for a disk that starts with `start`.
    #[cfg(test)]
    pub(crate) fn empty(disk_sectors: u64, start: Vec<u8>) -> Self {
        let entries = vec![0; ENTRIES_BYTES];
        let disk_guid = [3; 16];
        Self { disk_sectors, disk_guid, first_usable: 34, entries, start, needs_repair: true }
    }

    /// Whether the primary copy is damaged and the backup stands in for it.
    pub(crate) fn needs_repair(&self) -> bool {
        self.needs_repair
    }

    /// The partitions in the order of their numbers.
    pub(crate) fn partitions(&self) -> Vec<Entry> {
        let chunks = (1..).zip(self.entries.chunks_exact(ENTRY_LEN));
        chunks
            .filter(|(_, bytes)| bytes.iter().take(16).any(|byte| *byte != 0))
            .map(entry)
            .collect()
    }

    /// The last sector that a partition may have: the backup comes after it.
    fn last_usable(&self) -> u64 {
        self.disk_sectors - 2 - ENTRIES_SECTORS
    }

    /// The free sectors behind the last partition, aligned; `None` if there are none.
    pub(crate) fn free_at_end(&self) -> Option<(u64, u64)> {
        let partitions = self.partitions();
        let behind = partitions.iter().map(|entry| entry.last + 1).max();
        let first = behind.unwrap_or(self.first_usable).next_multiple_of(ALIGNMENT_SECTORS);
        let end = (self.last_usable() + 1) / ALIGNMENT_SECTORS * ALIGNMENT_SECTORS;
        (first < end).then(|| (first, end - 1))
    }

    /// Adds a partition and gives its number; `None` if there is no entry left.
    pub(crate) fn add(
        &mut self,
        name: &str,
        guid: [u8; 16],
        (first, last): (u64, u64),
    ) -> Option<Entry> {
        let used: Vec<u32> = self.partitions().iter().map(|entry| entry.number).collect();
        // A number after the highest: devices keep their names.
        let number = used.iter().max().map_or(1, |highest| highest + 1);
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let bytes = self.entries.chunks_exact_mut(ENTRY_LEN).nth(index)?;
        bytes.fill(0);
        bytes[..16].copy_from_slice(&LINUX);
        bytes[16..32].copy_from_slice(&guid);
        bytes[32..40].copy_from_slice(&first.to_le_bytes());
        bytes[40..48].copy_from_slice(&last.to_le_bytes());
        self.rename(number, name);
        Some(Entry { number, name: name.to_owned(), first, last, is_plain: true })
    }

    /// Gives the partition `number` another name of at most 36 characters.
    pub(crate) fn rename(&mut self, number: u32, name: &str) {
        if let Some(bytes) = self.bytes_of(number) {
            bytes[56..].fill(0);
            for (index, unit) in name.encode_utf16().take(NAME_UNITS).enumerate() {
                bytes[56 + 2 * index..58 + 2 * index].copy_from_slice(&unit.to_le_bytes());
            }
        }
    }

    /// Gives the partition `number` another type.
    #[cfg(test)]
    pub(crate) fn set_type(&mut self, number: u32, kind: [u8; 16]) {
        if let Some(bytes) = self.bytes_of(number) {
            bytes[..16].copy_from_slice(&kind);
        }
    }

    /// Lets the partition `number` end with the sector `last`.
    pub(crate) fn extend(&mut self, number: u32, last: u64) {
        if let Some(bytes) = self.bytes_of(number) {
            bytes[40..48].copy_from_slice(&last.to_le_bytes());
        }
    }

    fn bytes_of(&mut self, number: u32) -> Option<&mut [u8]> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.entries.chunks_exact_mut(ENTRY_LEN).nth(index)
    }

    /// What to write, in order.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let last = self.disk_sectors - 1;
        let backup_entries = last - ENTRIES_SECTORS;
        let primary = self.header(1, last, 2);
        let backup = self.header(last, 1, backup_entries);
        let mut start = self.start.clone();
        // The protective partition covers the disk as it is now (section 5.2.3).
        let covered = u32::try_from(last).unwrap_or(u32::MAX);
        start[458..462].copy_from_slice(&covered.to_le_bytes());
        start[512..1024].copy_from_slice(&primary);
        let (first, rest) = self.entries.split_at(START_BYTES - 1024);
        start[1024..].copy_from_slice(first);
        let mut steps = vec![
            Step::Write(backup_entries * SECTOR_BYTES, self.entries.clone()),
            Step::Sync,
            Step::Write(last * SECTOR_BYTES, backup),
            Step::Sync,
        ];
        // Entries beyond the first 24 are there already unless somebody has as many.
        let has_more = rest.iter().any(|byte| *byte != 0);
        if has_more || self.needs_repair {
            steps.extend([Step::Write(START_BYTES as u64, rest.to_vec()), Step::Sync]);
        }
        steps.extend([Step::Write(0, start), Step::Sync]);
        steps
    }

    fn header(&self, own_lba: u64, other_lba: u64, entries_lba: u64) -> Vec<u8> {
        let mut header = Vec::with_capacity(512);
        header.extend_from_slice(b"EFI PART");
        header.extend_from_slice(&0x0001_0000_u32.to_le_bytes());
        header.extend_from_slice(&HEADER_BYTES.to_le_bytes());
        // The header's own checksum, counted as zero, and a reserved word.
        header.extend_from_slice(&[0; 8]);
        for lba in [own_lba, other_lba, self.first_usable, self.last_usable()] {
            header.extend_from_slice(&lba.to_le_bytes());
        }
        header.extend_from_slice(&self.disk_guid);
        header.extend_from_slice(&entries_lba.to_le_bytes());
        for word in [ENTRIES, ENTRY_BYTES, crc32(&self.entries)] {
            header.extend_from_slice(&word.to_le_bytes());
        }
        let crc = crc32(&header);
        header[16..20].copy_from_slice(&crc.to_le_bytes());
        header.resize(512, 0);
        header
    }
}

/// What a header says that is of use.
struct Header {
    disk_guid: [u8; 16],
    first_usable: u64,
    entries_lba: u64,
    entries_crc: u32,
}

impl Header {
    /// Reads the header in a sector, which must say that it lies at `own_lba`. `None` if it
    /// is damaged, or of another form than everybody writes.
    fn parse(sector: &[u8], own_lba: u64) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(sector.get(at..at + 4)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_le_bytes(sector.get(at..at + 8)?.try_into().ok()?));
        let mut header = sector.get(..HEADER_LEN)?.to_vec();
        header[16..20].fill(0);
        let good = sector.starts_with(b"EFI PART")
            && word(12)? == HEADER_BYTES
            && word(16)? == crc32(&header)
            && long(24)? == own_lba
            && word(80)? == ENTRIES
            && word(84)? == ENTRY_BYTES;
        good.then_some(())?;
        Some(Self {
            disk_guid: sector.get(56..72)?.try_into().ok()?,
            first_usable: long(40)?,
            entries_lba: long(72)?,
            entries_crc: word(88)?,
        })
    }
}

fn entry((number, bytes): (u32, &[u8])) -> Entry {
    let long = |at: usize| {
        let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        u64::from_le_bytes(bytes.unwrap_or_default())
    };
    let units = bytes.get(56..).unwrap_or_default().chunks_exact(2);
    let units = units.map(|pair| u16::from_le_bytes([pair[0], pair[1]])).take_while(|u| *u != 0);
    let name = String::from_utf16_lossy(&units.collect::<Vec<_>>());
    let is_plain = bytes.starts_with(&LINUX);
    Entry { number, name, first: long(32), last: long(40), is_plain }
}
