//! What a block device holds, told from its first bytes.
//!
//! Partition tables: GPT (UEFI specification 2.10, section 5.3) and the disk
//! signature of an MBR. File systems: ext2/3/4
//! (`Documentation/filesystems/ext4/super.rst`), FAT (Microsoft's FAT
//! specification 1.03) and EROFS (`Documentation/filesystems/erofs.rst`). The
//! caller reads the bytes; nothing here knows a device. Absent: the backup
//! GPT, LUKS, LVM, MD, and every other file system.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// How many bytes at the start of a device [`identify`] wants to see.
pub const HEAD_LENGTH_BYTES: usize = 2048;

/// What a GPT's header starts with (UEFI specification, 5.3.2).
pub const GPT_SIGNATURE: &[u8] = b"EFI PART";

/// Largest partition array that is read: a table that claims more is damaged.
const ENTRIES_LENGTH_MAX_BYTES: u64 = 1 << 20;

/// A file system that was recognized.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filesystem {
    /// The name the kernel mounts it by: `ext4`, `vfat` or `erofs`.
    pub kind: &'static str,
    /// Its label; may be empty.
    pub label: String,
    /// Its UUID, or `xxxx-xxxx` for a FAT volume id; lowercase.
    pub uuid: String,
    /// What its superblock says of its condition.
    pub condition: Condition,
}

/// What a superblock says of its file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Cleanly unmounted, or it keeps no such record.
    Clean,
    /// Not cleanly unmounted; its journal will be replayed at the next mount.
    NeedsRecovery,
    /// Not cleanly unmounted, and it has no journal.
    Unclean,
    /// The kernel found errors in it: it wants `e2fsck`.
    Errors,
}

/// A partition of a GPT.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partition {
    /// Its number, from 1, as in the device's name.
    pub number: u32,
    /// Its own GUID, lowercase: what `PARTUUID=` names.
    pub guid: String,
    /// Its name: what `PARTLABEL=` names; may be empty.
    pub name: String,
}

/// Where a GPT keeps its partitions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GptHeader {
    /// First logical block of the array.
    pub entries_lba: u64,
    /// Length of the array in bytes; at most 1 MiB.
    pub entries_length_bytes: usize,
    entry_size_bytes: usize,
    entries_crc32: u32,
}

/// Why bytes are no GPT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GptError {
    /// No [`GPT_SIGNATURE`]: it is something else.
    Absent,
    /// The header's checksum or a field is wrong.
    BadHeader,
    /// The array's checksum is wrong.
    BadEntries,
}

/// Recognizes the file system whose device starts with `head`
/// ([`HEAD_LENGTH_BYTES`]; fewer are searched as far as they go).
#[must_use]
pub fn identify(head: &[u8]) -> Option<Filesystem> {
    ext4(head).or_else(|| erofs(head)).or_else(|| fat(head))
}

/// The superblock is at byte 1024.
fn ext4(head: &[u8]) -> Option<Filesystem> {
    const HAS_JOURNAL: u32 = 0x4;
    const NEEDS_RECOVERY: u32 = 0x4;
    const STATE_VALID: u16 = 0x1;
    const STATE_ERRORS: u16 = 0x2;
    let superblock = head.get(1024..)?;
    if u16_at(superblock, 0x38)? != 0xef53 {
        return None;
    }
    let state = u16_at(superblock, 0x3a)?;
    let compatible = u32_at(superblock, 0x5c)?;
    let incompatible = u32_at(superblock, 0x60)?;
    let condition = if state & STATE_ERRORS != 0 {
        Condition::Errors
    } else if incompatible & NEEDS_RECOVERY != 0 {
        Condition::NeedsRecovery
    } else if state & STATE_VALID == 0 && compatible & HAS_JOURNAL == 0 {
        Condition::Unclean
    } else {
        Condition::Clean
    };
    Some(Filesystem {
        kind: "ext4",
        label: text(superblock.get(0x78..0x88)?),
        uuid: uuid(superblock.get(0x68..0x78)?),
        condition,
    })
}

/// The superblock is at byte 1024.
fn erofs(head: &[u8]) -> Option<Filesystem> {
    let superblock = head.get(1024..)?;
    if u32_at(superblock, 0)? != 0xe0f5_e1e2 {
        return None;
    }
    Some(Filesystem {
        kind: "erofs",
        label: text(superblock.get(64..80)?),
        uuid: uuid(superblock.get(48..64)?),
        condition: Condition::Clean,
    })
}

/// FAT12, FAT16 and FAT32: an extended boot signature where each keeps it, and
/// a BIOS parameter block that makes sense, for an MBR has the same last bytes.
fn fat(head: &[u8]) -> Option<Filesystem> {
    let sane = u16_at(head, 510)? == 0xaa55
        && matches!(u16_at(head, 11)?, 512 | 1024 | 2048 | 4096)
        && head.get(13)?.is_power_of_two()
        && u16_at(head, 14)? != 0
        && matches!(head.get(16)?, 1 | 2);
    if !sane {
        return None;
    }
    let fat32 = u16_at(head, 22)? == 0;
    let extended = if fat32 { 66 } else { 38 };
    if *head.get(extended)? != 0x29 || !head.get(extended + 16..extended + 19)?.eq(b"FAT") {
        return None;
    }
    let volume = u32_at(head, extended + 1)?;
    let label = text(head.get(extended + 5..extended + 16)?);
    Some(Filesystem {
        kind: "vfat",
        label: if label == "NO NAME" { String::new() } else { label },
        uuid: format!("{:04x}-{:04x}", volume >> 16, volume & 0xffff),
        condition: Condition::Clean,
    })
}

/// The disk signature of an MBR, which the kernel makes `PARTUUID=SSSSSSSS-PP`
/// of (PP: partition number, two hexadecimal digits). `None` without an MBR,
/// with a signature of zero, or where the MBR only protects a GPT.
#[must_use]
pub fn mbr_signature(head: &[u8]) -> Option<u32> {
    let protective = head.get(446 + 4) == Some(&0xee);
    if u16_at(head, 510)? != 0xaa55 || protective || fat(head).is_some() {
        return None;
    }
    Some(u32_at(head, 440)?).filter(|signature| *signature != 0)
}

/// Reads a GPT's header: `block` is the device's logical block 1.
///
/// # Errors
/// [`GptError`] says whether there is none or it is damaged.
pub fn gpt_header(block: &[u8]) -> Result<GptHeader, GptError> {
    if !block.starts_with(GPT_SIGNATURE) {
        return Err(GptError::Absent);
    }
    let parsed = (|| {
        let size = usize::try_from(u32_at(block, 12)?).ok()?;
        let header = block.get(..size).filter(|header| header.len() >= 92)?;
        let mut crc = Crc32::new();
        crc.update(header.get(..16)?);
        crc.update(&[0; 4]);
        crc.update(header.get(20..)?);
        if crc.finish() != u32_at(header, 16)? {
            return None;
        }
        let (count, entry_size) = (u32_at(header, 80)?, u32_at(header, 84)?);
        let length = u64::from(count).checked_mul(u64::from(entry_size))?;
        if entry_size < 128 || length > ENTRIES_LENGTH_MAX_BYTES {
            return None;
        }
        Some(GptHeader {
            entries_lba: u64_at(header, 72)?,
            entries_length_bytes: usize::try_from(length).ok()?,
            entry_size_bytes: usize::try_from(entry_size).ok()?,
            entries_crc32: u32_at(header, 88)?,
        })
    })();
    parsed.ok_or(GptError::BadHeader)
}

/// Reads the partitions out of the array that `header` describes.
///
/// # Errors
/// [`GptError::BadEntries`] if the array is too short or its checksum is wrong.
pub fn gpt_partitions(header: &GptHeader, entries: &[u8]) -> Result<Vec<Partition>, GptError> {
    let entries = entries.get(..header.entries_length_bytes).ok_or(GptError::BadEntries)?;
    let mut crc = Crc32::new();
    crc.update(entries);
    if crc.finish() != header.entries_crc32 {
        return Err(GptError::BadEntries);
    }
    let used = (1..)
        .zip(entries.chunks_exact(header.entry_size_bytes))
        .filter(|(_, entry)| entry.iter().take(16).any(|byte| *byte != 0));
    let partition = |(number, entry): (u32, &[u8])| {
        let units: Vec<u16> = (56..128)
            .step_by(2)
            .map_while(|at| u16_at(entry, at))
            .take_while(|u| *u != 0)
            .collect();
        Some(Partition {
            number,
            guid: mixed_endian_guid(entry.get(16..32)?),
            name: String::from_utf16_lossy(&units),
        })
    };
    used.map(|item| partition(item).ok_or(GptError::BadEntries)).collect()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// A fixed field, ended by NUL or padded with spaces.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(field.get(..end).unwrap_or(field)).trim_end().to_owned()
}

fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    text
}

/// A GUID as UEFI stores it: the first three fields are little-endian.
fn mixed_endian_guid(bytes: &[u8]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let reordered: Vec<u8> = ORDER.iter().filter_map(|at| bytes.get(*at).copied()).collect();
    uuid(&reordered)
}

/// CRC-32 as UEFI and zlib compute it, four bits at a time: a table of 64
/// bytes serves the few blocks that PID 1 ever checks.
struct Crc32(u32);

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

    const fn new() -> Self {
        Self(!0)
    }

    fn update(&mut self, bytes: &[u8]) {
        let step = |crc: u32| (crc >> 4) ^ Self::TABLE.get((crc & 15) as usize).unwrap_or(&0);
        for byte in bytes {
            self.0 = step(step(self.0 ^ u32::from(*byte)));
        }
    }

    const fn finish(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(bytes: &mut [u8], at: usize, content: &[u8]) {
        bytes[at..at + content.len()].copy_from_slice(content);
    }

    /// Header and array of a GPT with one partition, number 2.
    fn gpt() -> (Vec<u8>, Vec<u8>) {
        let mut entries = vec![0; 128 * 4];
        put(&mut entries, 128, &[0xaf; 16]);
        put(&mut entries, 128 + 16, &(0..16).collect::<Vec<u8>>());
        for (index, unit) in "root μ".encode_utf16().enumerate() {
            put(&mut entries, 128 + 56 + index * 2, &unit.to_le_bytes());
        }
        let mut header = vec![0; 512];
        put(&mut header, 0, b"EFI PART");
        put(&mut header, 12, &92_u32.to_le_bytes());
        put(&mut header, 72, &2_u64.to_le_bytes());
        put(&mut header, 80, &4_u32.to_le_bytes());
        put(&mut header, 84, &128_u32.to_le_bytes());
        put(&mut header, 88, &crc32(&entries).to_le_bytes());
        let crc = crc32(&header[..92]);
        put(&mut header, 16, &crc.to_le_bytes());
        (header, entries)
    }

    fn ext4_head(state: u16, compatible: u32, incompatible: u32) -> Vec<u8> {
        let mut head = vec![0; HEAD_LENGTH_BYTES];
        put(&mut head, 1024 + 0x38, &[0x53, 0xef]);
        put(&mut head, 1024 + 0x3a, &state.to_le_bytes());
        put(&mut head, 1024 + 0x5c, &compatible.to_le_bytes());
        put(&mut head, 1024 + 0x60, &incompatible.to_le_bytes());
        put(&mut head, 1024 + 0x68, &[0x0f; 16]);
        put(&mut head, 1024 + 0x78, b"Root");
        head
    }

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_gpt_is_read() {
        let (header, entries) = gpt();
        let header = gpt_header(&header).unwrap();
        assert_eq!((header.entries_lba, header.entries_length_bytes), (2, 512));
        let partitions = gpt_partitions(&header, &entries).unwrap();
        assert_eq!(partitions.len(), 1);
        assert_eq!(partitions[0].number, 2);
        assert_eq!(partitions[0].guid, "03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert_eq!(partitions[0].name, "root μ");
    }

    #[test]
    fn a_damaged_gpt_is_refused() {
        let (header, entries) = gpt();
        assert_eq!(gpt_header(&[0; 512]), Err(GptError::Absent));
        assert_eq!(gpt_header(b"EFI PART"), Err(GptError::BadHeader));
        for at in (8..20).chain(24..92) {
            let mut flipped = header.clone();
            flipped[at] ^= 1;
            assert_eq!(gpt_header(&flipped), Err(GptError::BadHeader), "byte {at}");
        }
        let good = gpt_header(&header).unwrap();
        assert_eq!(gpt_partitions(&good, &entries[..511]), Err(GptError::BadEntries));
        let mut flipped = entries;
        flipped[300] ^= 1;
        assert_eq!(gpt_partitions(&good, &flipped), Err(GptError::BadEntries));
    }

    #[test]
    fn ext4_and_its_condition() {
        let table = [
            ((1, 4, 0), Condition::Clean),
            ((0, 4, 0), Condition::Clean),
            ((1, 4, 4), Condition::NeedsRecovery),
            ((0, 0, 0), Condition::Unclean),
            ((3, 4, 4), Condition::Errors),
        ];
        for ((state, compatible, incompatible), condition) in table {
            let found = identify(&ext4_head(state, compatible, incompatible)).unwrap();
            assert_eq!((found.kind, found.condition), ("ext4", condition));
            assert_eq!(found.label, "Root");
            assert_eq!(found.uuid, "0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f");
        }
    }

    #[test]
    fn fat_and_mbr_are_told_apart() {
        let mut head = vec![0; HEAD_LENGTH_BYTES];
        put(&mut head, 510, &[0x55, 0xaa]);
        put(&mut head, 440, &0x1234_abcd_u32.to_le_bytes());
        assert_eq!(identify(&head), None);
        assert_eq!(mbr_signature(&head), Some(0x1234_abcd));
        head[450] = 0xee;
        assert_eq!(mbr_signature(&head), None);

        put(&mut head, 11, &[0, 2, 1, 32, 0, 2]);
        put(&mut head, 66, &[0x29, 0x78, 0x56, 0x34, 0x12]);
        put(&mut head, 71, b"ESP        FAT32   ");
        let found = identify(&head).unwrap();
        assert_eq!((found.kind, found.label.as_str()), ("vfat", "ESP"));
        assert_eq!(found.uuid, "1234-5678");
        assert_eq!(mbr_signature(&head), None);
    }

    #[test]
    fn short_and_random_bytes_are_nothing() {
        assert_eq!(identify(&[]), None);
        let mut state = 1_u32;
        for length in 0..HEAD_LENGTH_BYTES {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            };
            let noise: Vec<u8> = (0..length).map(|_| next()).collect();
            let _ = (identify(&noise), mbr_signature(&noise), gpt_header(&noise));
        }
    }
}
