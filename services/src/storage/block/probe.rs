//! What is on a block device, read from it: file system, partition table, and for a partition its
//! entry in the disk's table. The formats are `init_core::block_probe`'s.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use init_core::block_probe::{
    self, FOREIGN_HEAD_LENGTH_BYTES, Filesystem, HEAD_LENGTH_BYTES, TABLE_END_LENGTH_BYTES,
    TABLE_HEAD_LENGTH_BYTES,
};

use super::sysfs::{BlockDevice, Sysfs};

/// What names a partition in its disk's table.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PartitionEntry {
    /// Its GUID, or `SSSSSSSS-PP` on a disk with an MBR; lowercase.
    pub uuid: String,
    /// Its name; empty on a disk with an MBR.
    pub label: String,
}

/// The file system on the device at `node`, if one is recognized. A device that cannot be
/// read, as a drive without a medium, has none.
#[must_use]
pub fn filesystem(node: &str) -> Option<Filesystem> {
    read_filesystem(node).ok()?
}

/// The file system on the device or in the file at `node`; `None` if none is recognized.
///
/// # Errors
/// It cannot be opened or read.
pub fn read_filesystem(node: &str) -> io::Result<Option<Filesystem>> {
    Ok(block_probe::identify(&head(&File::open(node)?)?))
}

/// The file system in an open device or file, as [`filesystem`] has it.
#[must_use]
pub fn filesystem_in(file: &File) -> Option<Filesystem> {
    block_probe::identify(&head(file).ok()?)
}

/// What an open device or file holds that is neither a file system of those nor a partition
/// table, in words that follow "holds": other file systems, swap, parts of volumes.
#[must_use]
pub fn foreign_in(file: &File) -> Option<&'static str> {
    block_probe::foreign(&piece(file, 0, FOREIGN_HEAD_LENGTH_BYTES).ok()?)
}

/// The kind of partition table in an open device or file of `size_bytes`, `GPT` or `MBR`, if it
/// has one: a damaged GPT too, and one of which only the backup at the end is left.
#[must_use]
pub fn partition_table(file: &File, size_bytes: u64) -> Option<&'static str> {
    let start = piece(file, 0, TABLE_HEAD_LENGTH_BYTES).ok()?;
    block_probe::table_kind(&start).or_else(|| {
        let length = TABLE_END_LENGTH_BYTES;
        let end = piece(file, size_bytes.saturating_sub(length as u64), length).ok()?;
        block_probe::has_backup_gpt(&end).then_some("GPT")
    })
}

/// The entry of `device`, a partition, in the table of its disk.
#[must_use]
pub fn partition_entry(sysfs: &Sysfs, device: &BlockDevice) -> Option<PartitionEntry> {
    let (disk, number) = device.partition.as_ref()?;
    let disk = sysfs.device(disk)?;
    let file = File::open(&disk.node).ok()?;
    let block_bytes = sysfs
        .attribute(&disk.devpath, "queue/logical_block_size")
        .and_then(|text| text.parse().ok())
        .unwrap_or(512);
    entry_in_table(&file, block_bytes, *number)
}

/// The entry of partition `number` in the table on `disk`, whose logical blocks have
/// `block_bytes` bytes.
fn entry_in_table(disk: &File, block_bytes: u32, number: u32) -> Option<PartitionEntry> {
    if let Some(signature) = block_probe::mbr_signature(&head(disk).ok()?) {
        let uuid = format!("{signature:08x}-{number:02x}");
        return Some(PartitionEntry { uuid, label: String::new() });
    }
    let mut block = vec![0; usize::try_from(block_bytes).ok()?];
    disk.read_exact_at(&mut block, block_bytes.into()).ok()?;
    let header = block_probe::gpt_header(&block).ok()?;
    let mut entries = vec![0; header.entries_length_bytes];
    disk.read_exact_at(&mut entries, header.entries_lba.checked_mul(block_bytes.into())?).ok()?;
    let partitions = block_probe::gpt_partitions(&header, &entries).ok()?;
    let found = partitions.into_iter().find(|entry| entry.number == number)?;
    Some(PartitionEntry { uuid: found.guid, label: found.name })
}

/// The first bytes of a device, as many as [`block_probe::identify`] looks at.
fn head(file: &File) -> io::Result<Vec<u8>> {
    piece(file, 0, HEAD_LENGTH_BYTES)
}

/// The bytes of a device at an offset; fewer where it ends before.
fn piece(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(bytes.get_mut(done..).unwrap_or_default(), offset + done as u64)? {
            0 => break,
            length => done += length,
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mbr_names_its_partitions_by_signature_and_number() {
        let file = tempfile::tempfile().unwrap();
        let mut mbr = [0; 512];
        mbr[440..444].copy_from_slice(&0x1234_abcd_u32.to_le_bytes());
        mbr[510..].copy_from_slice(&[0x55, 0xaa]);
        file.write_all_at(&mbr, 0).unwrap();
        let entry = entry_in_table(&file, 512, 10).unwrap();
        assert_eq!((entry.uuid.as_str(), entry.label.as_str()), ("1234abcd-0a", ""));
    }

    #[test]
    fn a_short_or_empty_device_holds_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(filesystem(file.path().to_str().unwrap()), None);
        assert_eq!(read_filesystem(file.path().to_str().unwrap()).unwrap(), None);
        assert_eq!(filesystem("/nonexistent"), None);
        let error = read_filesystem("/nonexistent").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(entry_in_table(file.as_file(), 512, 1), None);
        assert_eq!(partition_table(file.as_file(), 0), None);
        assert_eq!(foreign_in(file.as_file()), None);
        file.as_file().set_len(1 << 20).unwrap();
        assert_eq!(entry_in_table(file.as_file(), 512, 1), None);
        assert_eq!(partition_table(file.as_file(), 1 << 20), None);
    }
}
