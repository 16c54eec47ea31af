//! Partition tables: GPT (UEFI specification 2.10, section 5.3) and MBR.

use alloc::string::String;
use alloc::vec::Vec;

use super::crc32::Crc32;
use super::{fat, u16_at, u32_at, uuid};

/// What a GPT's header starts with (UEFI specification, 5.3.2).
const GPT_SIGNATURE: &[u8] = b"EFI PART";

/// How many bytes at the start of a disk [`table_kind`] wants to see.
pub const TABLE_HEAD_LENGTH_BYTES: usize = 4096 + GPT_SIGNATURE.len();

/// How many bytes at the end of a disk [`has_backup_gpt`] wants to see.
pub const TABLE_END_LENGTH_BYTES: usize = 4096;

/// An entry's length in an MBR.
const MBR_ENTRY_BYTES: usize = 16;

/// Largest partition array that is read: a table that claims more is damaged.
const ENTRIES_LENGTH_MAX_BYTES: u64 = 1 << 20;

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
    /// No `EFI PART` signature: it is something else.
    Absent,
    /// The header's checksum or a field is wrong.
    BadHeader,
    /// The array's checksum is wrong.
    BadEntries,
}

/// The kind of partition table, `GPT` or `MBR`, on a disk that starts with these bytes
/// ([`TABLE_HEAD_LENGTH_BYTES`]; fewer are searched as far as they go). A GPT's checksums are
/// not looked at: its backup may be whole.
#[must_use]
pub fn table_kind(start: &[u8]) -> Option<&'static str> {
    // Logical block 1, of 512 or of 4096 bytes: an image in a file tells no block size.
    let has_header =
        |at: usize| start.get(at..).is_some_and(|block| block.starts_with(GPT_SIGNATURE));
    if has_header(512) || has_header(4096) {
        return Some("GPT");
    }
    let is_fat = fat(start).is_some();
    let signed = start.get(510..512) == Some(&[0x55, 0xaa]);
    let entries = start.get(446..510)?;
    (signed && !is_fat && are_partitions(entries)).then_some("MBR")
}

/// Whether a disk that ends with these bytes ([`TABLE_END_LENGTH_BYTES`]; fewer are searched as
/// far as they go) has the backup of a GPT, which a kernel and tools take where the start is lost.
#[must_use]
pub fn has_backup_gpt(end: &[u8]) -> bool {
    // The last logical block, of 512 or of 4096 bytes.
    [512, 4096].into_iter().any(|block_bytes| {
        let block = end.len().checked_sub(block_bytes).and_then(|at| end.get(at..));
        block.is_some_and(|block| block.starts_with(GPT_SIGNATURE))
    })
}

/// Whether these are four entries of an MBR of which one at least is used. A boot sector has
/// its code there, which no active flag comes out of but by chance: so does the kernel tell.
fn are_partitions(entries: &[u8]) -> bool {
    let entries = || entries.chunks_exact(MBR_ENTRY_BYTES);
    let is_used = |entry: &[u8]| {
        let has_type = entry.get(4).is_some_and(|kind| *kind != 0);
        has_type && entry.get(12..16).is_some_and(|sectors| sectors != [0; 4])
    };
    entries().all(|entry| matches!(entry.first(), Some(0 | 0x80))) && entries().any(is_used)
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

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// A GUID as UEFI stores it: the first three fields are little-endian.
fn mixed_endian_guid(bytes: &[u8]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let reordered: Vec<u8> = ORDER.iter().filter_map(|at| bytes.get(*at).copied()).collect();
    uuid(&reordered)
}

#[cfg(test)]
mod tests {
    use super::super::crc32::crc32;
    use super::super::tests::put;
    use super::*;

    /// Header and array of a GPT with one partition, number 2.
    fn gpt() -> (Vec<u8>, Vec<u8>) {
        let mut entries = vec![0; 128 * 4];
        put(&mut entries, 128, &[0xaf; 16]);
        put(&mut entries, 128 + 16, &(0..16).collect::<Vec<u8>>());
        for (index, unit) in "root μ".encode_utf16().enumerate() {
            put(&mut entries, 128 + 56 + index * 2, &unit.to_le_bytes());
        }
        let mut header = vec![0; 512];
        put(&mut header, 0, GPT_SIGNATURE);
        put(&mut header, 12, &92_u32.to_le_bytes());
        put(&mut header, 72, &2_u64.to_le_bytes());
        put(&mut header, 80, &4_u32.to_le_bytes());
        put(&mut header, 84, &128_u32.to_le_bytes());
        put(&mut header, 88, &crc32(&entries).to_le_bytes());
        let crc = crc32(&header[..92]);
        put(&mut header, 16, &crc.to_le_bytes());
        (header, entries)
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

    /// The start of a disk with `parts` at their offsets.
    fn disk(parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; TABLE_HEAD_LENGTH_BYTES];
        for (at, content) in parts {
            put(&mut bytes, *at, content);
        }
        bytes
    }

    #[test]
    fn partition_tables_are_told_from_boot_sectors() {
        let signed: (usize, &[u8]) = (510, &[0x55, 0xaa]);
        let used: &[u8] = &[0x80, 1, 1, 0, 0x83, 1, 1, 1, 63, 0, 0, 0, 0, 8, 0, 0];
        let no_sectors: &[u8] = &[0, 1, 1, 0, 0x83, 1, 1, 1, 63, 0, 0, 0, 0, 0, 0, 0];
        let fat: (usize, &[u8]) = (11, &[0, 2, 1, 1, 0, 2]);
        let fat_extended: (usize, &[u8]) = (66, b"\x29idnoNO NAME    FAT32   ");
        for (parts, expected) in [
            (vec![], None),
            (vec![(512, GPT_SIGNATURE)], Some("GPT")),
            (vec![(4096, GPT_SIGNATURE)], Some("GPT")),
            (vec![signed, (512, GPT_SIGNATURE), (446, used)], Some("GPT")),
            (vec![(1024, GPT_SIGNATURE)], None),
            (vec![signed], None),
            (vec![signed, (446, used)], Some("MBR")),
            (vec![signed, (494, used)], Some("MBR")),
            (vec![(446, used)], None),
            (vec![signed, (446, no_sectors)], None),
            (vec![signed, (446, used), (462, &[0x33][..])], None),
            (vec![signed, (446, used), fat, fat_extended], None),
        ] {
            assert_eq!(table_kind(&disk(&parts)), expected, "{parts:?}");
        }
        assert_eq!(table_kind(&[]), None);
        assert!(!has_backup_gpt(&[]));
        assert_eq!(table_kind(&disk(&[signed, (446, used)])[..512]), Some("MBR"));
    }
}
