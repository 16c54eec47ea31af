//! Reads a partition table and checks it as firmware does.

use super::{HEADER_BYTES, Partition, SECTOR_BYTES, SECTOR_LEN, SIGNATURE, crc32};
use crate::error::{Error, Result};
use crate::format::guid::Guid;
use crate::format::source::Source;

/// Room for the most entries that are read; the specification's minimum is 128.
const ENTRIES_MAX_BYTES: u64 = 1024 * 1024;

/// Which of the two copies a table was read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableCopy {
    /// The one at the disk's start.
    Primary,
    /// The one at the disk's end, because the primary is damaged.
    Backup,
}

/// A disk's partition table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// The disk's identifier.
    pub guid: Guid,
    /// Partitions in use, by number.
    pub partitions: Vec<Partition>,
    /// Where it was read.
    pub copy: TableCopy,
    /// What is wrong with the other copy or the protective MBR, if anything.
    pub problems: Vec<String>,
}

/// Reads the table of a disk.
///
/// # Errors
/// If neither copy is sound; the message says what is wrong with each.
pub fn read(disk: &dyn Source) -> Result<Table> {
    let sectors = disk.len_bytes() / SECTOR_BYTES;
    let primary = read_copy(disk, 1, TableCopy::Primary);
    let backup = read_copy(disk, sectors.saturating_sub(1), TableCopy::Backup);
    let mut problems = Vec::new();
    if disk.array_at::<2>(510).ok() != Some([0x55, 0xAA]) {
        problems.push("the protective MBR has no signature".into());
    }
    let mut table = match (primary, backup) {
        (Ok(table), Ok(backup)) => {
            if table.guid != backup.guid || table.partitions != backup.partitions {
                problems.push("the backup differs from the primary table".into());
            }
            table
        }
        (Ok(table), Err(why)) => {
            problems.push(format!("the backup is damaged: {why}"));
            table
        }
        (Err(why), Ok(table)) => {
            problems.push(format!("the primary table is damaged: {why}"));
            table
        }
        (Err(primary), Err(backup)) => {
            return Err(Error::failure(format!(
                "the partition table is damaged: primary: {primary}; backup: {backup}"
            ))
            .hint("`sgdisk -v FILE` lists all that is wrong"));
        }
    };
    table.problems = problems;
    Ok(table)
}

fn read_copy(disk: &dyn Source, lba: u64, copy: TableCopy) -> Result<Table, String> {
    let short = |_| "it lies beyond the disk's end".to_owned();
    let sector: [u8; SECTOR_LEN] =
        disk.array_at(lba.saturating_mul(SECTOR_BYTES)).map_err(short)?;
    if !sector.starts_with(SIGNATURE) {
        return Err("it has no signature".into());
    }
    let header_bytes = u64::from(word(&sector, 12));
    if header_bytes < HEADER_BYTES.into() || header_bytes > SECTOR_BYTES {
        return Err(format!("its header has {header_bytes} bytes"));
    }
    let mut counted = sector;
    counted[16..20].fill(0);
    let header = counted.get(..usize::try_from(header_bytes).unwrap_or(0)).unwrap_or_default();
    if crc32(header) != word(&sector, 16) {
        return Err("its header's CRC is wrong".into());
    }
    if double_word(&sector, 24) != lba {
        return Err("its header is in the wrong place".into());
    }
    let (count, entry_bytes) = (word(&sector, 80), word(&sector, 84));
    let entries_bytes = u64::from(count) * u64::from(entry_bytes);
    if entry_bytes < 128 || entries_bytes > ENTRIES_MAX_BYTES {
        return Err(format!("it has {count} entries of {entry_bytes} bytes"));
    }
    let mut entries = vec![0; usize::try_from(entries_bytes).unwrap_or(0)];
    let entries_at = double_word(&sector, 72).saturating_mul(SECTOR_BYTES);
    disk.read_at(entries_at, &mut entries).map_err(short)?;
    if crc32(&entries) != word(&sector, 88) {
        return Err("its entries' CRC is wrong".into());
    }
    let entries = entries.chunks_exact(entry_bytes as usize);
    let partitions = (1..).zip(entries).filter_map(|(number, entry)| partition(number, entry));
    let guid = guid(&sector, 56);
    Ok(Table { guid, partitions: partitions.collect(), copy, problems: Vec::new() })
}

fn partition(number: u32, entry: &[u8]) -> Option<Partition> {
    let type_guid = guid(entry, 0);
    if type_guid == Guid::NIL {
        return None;
    }
    let units = entry[56..128].chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let name = char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    Some(Partition {
        number,
        type_guid,
        guid: guid(entry, 16),
        name,
        attributes: double_word(entry, 48),
        first_lba: double_word(entry, 32),
        last_lba: double_word(entry, 40),
    })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn double_word(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

fn guid(bytes: &[u8], at: usize) -> Guid {
    let mut guid = [0; 16];
    guid.copy_from_slice(&bytes[at..at + 16]);
    Guid::from_gpt_bytes(guid)
}
