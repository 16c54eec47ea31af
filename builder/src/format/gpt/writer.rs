//! Lays partitions out and writes the table around them.

use std::collections::BTreeSet;

use super::{
    ALIGNMENT_BYTES, ENTRY_BYTES, ENTRY_COUNT, ENTRY_SECTORS, HEADER_BYTES, NAME_UNITS, Partition,
    REVISION, SECTOR_BYTES, SECTOR_LEN, SIGNATURE, crc32,
};
use crate::error::{Error, Result};
use crate::format::guid::Guid;
use crate::format::sink::ImageSink;

/// A partition to be laid out.
#[derive(Clone, Debug)]
pub struct PartitionOptions {
    /// What it is for; see [`super::partition_type`].
    pub type_guid: Guid,
    /// Its own identifier.
    pub guid: Guid,
    /// Name, at most 36 UTF-16 units.
    pub name: String,
    /// Attribute bits.
    pub attributes: u64,
    /// Size in bytes, a multiple of 1 MiB.
    pub size_bytes: u64,
}

/// A disk to be laid out.
#[derive(Clone, Debug)]
pub struct DiskOptions {
    /// The disk's identifier.
    pub guid: Guid,
    /// Its partitions, in order.
    pub partitions: Vec<PartitionOptions>,
    /// Size of the whole disk in bytes, a multiple of 1 MiB; as small as the
    /// partitions allow if `None`.
    pub size_bytes: Option<u64>,
}

/// Where everything on the disk lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    guid: Guid,
    partitions: Vec<Partition>,
    disk_sectors: u64,
}

impl Layout {
    /// Places the partitions one after the other from 1 MiB on. The disk ends at
    /// least a MiB after the last one, which leaves room for the backup.
    ///
    /// # Errors
    /// If there are more than 128 partitions, or one has a size, name or GUID
    /// that the format or the alignment does not allow, or the disk is too
    /// small for them; all such at once.
    pub fn new(options: &DiskOptions) -> Result<Self> {
        check(options)?;
        let mut at_bytes = ALIGNMENT_BYTES;
        let mut partitions = Vec::with_capacity(options.partitions.len());
        for (number, partition) in (1..).zip(&options.partitions) {
            let end_bytes = at_bytes + partition.size_bytes;
            partitions.push(Partition {
                number,
                type_guid: partition.type_guid,
                guid: partition.guid,
                name: partition.name.clone(),
                attributes: partition.attributes,
                first_lba: at_bytes / SECTOR_BYTES,
                last_lba: end_bytes / SECTOR_BYTES - 1,
            });
            at_bytes = end_bytes;
        }
        let disk_bytes = options.size_bytes.unwrap_or(at_bytes + ALIGNMENT_BYTES);
        let disk_sectors = disk_bytes / SECTOR_BYTES;
        Ok(Self { guid: options.guid, partitions, disk_sectors })
    }

    /// The partitions, in the order they were given.
    #[must_use]
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Size of the whole disk in bytes.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.disk_sectors * SECTOR_BYTES
    }

    /// Writes protective MBR, primary table and backup. The sectors between are
    /// left alone; the first 440 bytes, where boot code goes, are zeros.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn write(&self, sink: &mut impl ImageSink) -> Result<()> {
        let entries = self.entries();
        let entries_crc = crc32(&entries);
        let last_lba = self.disk_sectors - 1;
        let backup_entries_lba = last_lba - ENTRY_SECTORS;
        let primary = self.header(1, last_lba, 2, entries_crc);
        let backup = self.header(last_lba, 1, backup_entries_lba, entries_crc);
        let mut write = |lba: u64, bytes: &[u8]| sink.write_at(lba * SECTOR_BYTES, bytes);
        write(0, &self.protective_mbr())
            .and_then(|()| write(1, &primary))
            .and_then(|()| write(2, &entries))
            .and_then(|()| write(backup_entries_lba, &entries))
            .and_then(|()| write(last_lba, &backup))
            .map_err(|error| crate::format::write_failed("partition table", &error))
    }

    /// One partition of type 0xEE over the whole disk (section 5.2.3).
    fn protective_mbr(&self) -> [u8; SECTOR_LEN] {
        let mut mbr = [0; SECTOR_LEN];
        let sectors = u32::try_from(self.disk_sectors - 1).unwrap_or(u32::MAX);
        // Not active; starts at CHS 0/0/2; ends beyond what CHS can say.
        mbr[446..454].copy_from_slice(&[0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF]);
        mbr[454..458].copy_from_slice(&1u32.to_le_bytes());
        mbr[458..462].copy_from_slice(&sectors.to_le_bytes());
        mbr[510..].copy_from_slice(&[0x55, 0xAA]);
        mbr
    }

    fn header(
        &self,
        my_lba: u64,
        alternate_lba: u64,
        entries_lba: u64,
        entries_crc: u32,
    ) -> Vec<u8> {
        let first_usable = 2 + ENTRY_SECTORS;
        let last_usable = self.disk_sectors - 2 - ENTRY_SECTORS;
        let mut header = Vec::with_capacity(SECTOR_LEN);
        header.extend_from_slice(SIGNATURE);
        header.extend_from_slice(&REVISION.to_le_bytes());
        header.extend_from_slice(&HEADER_BYTES.to_le_bytes());
        // The header's own CRC, counted as zero, and a reserved word.
        header.extend_from_slice(&[0; 8]);
        for lba in [my_lba, alternate_lba, first_usable, last_usable] {
            header.extend_from_slice(&lba.to_le_bytes());
        }
        header.extend_from_slice(&self.guid.to_gpt_bytes());
        header.extend_from_slice(&entries_lba.to_le_bytes());
        for word in [ENTRY_COUNT, ENTRY_BYTES, entries_crc] {
            header.extend_from_slice(&word.to_le_bytes());
        }
        let crc = crc32(&header);
        header[16..20].copy_from_slice(&crc.to_le_bytes());
        header.resize(SECTOR_LEN, 0);
        header
    }

    fn entries(&self) -> Vec<u8> {
        let mut entries = Vec::with_capacity((ENTRY_COUNT * ENTRY_BYTES) as usize);
        for partition in &self.partitions {
            entries.extend_from_slice(&partition.type_guid.to_gpt_bytes());
            entries.extend_from_slice(&partition.guid.to_gpt_bytes());
            for number in [partition.first_lba, partition.last_lba, partition.attributes] {
                entries.extend_from_slice(&number.to_le_bytes());
            }
            let mut units: Vec<u16> = partition.name.encode_utf16().collect();
            units.resize(NAME_UNITS, 0);
            entries.extend(units.into_iter().flat_map(u16::to_le_bytes));
        }
        entries.resize((ENTRY_COUNT * ENTRY_BYTES) as usize, 0);
        entries
    }
}

fn check(options: &DiskOptions) -> Result<()> {
    let mut problems = Vec::new();
    if options.partitions.len() > ENTRY_COUNT as usize {
        problems.push(format!("there are more than {ENTRY_COUNT} partitions"));
    }
    let mut guids = BTreeSet::from([options.guid]);
    for partition in &options.partitions {
        let name = &partition.name;
        if partition.size_bytes == 0 || partition.size_bytes % ALIGNMENT_BYTES != 0 {
            problems.push(format!(
                "partition {name}: {} bytes are not a whole number of MiB",
                partition.size_bytes
            ));
        }
        if name.encode_utf16().count() > NAME_UNITS {
            problems
                .push(format!("partition {name}: the name has more than {NAME_UNITS} characters"));
        }
        if partition.type_guid == Guid::NIL || !guids.insert(partition.guid) {
            problems.push(format!("partition {name}: its GUID is nil or used twice"));
        }
    }
    let total = options
        .partitions
        .iter()
        .try_fold(2 * ALIGNMENT_BYTES, |sum, partition| sum.checked_add(partition.size_bytes));
    match (total, options.size_bytes) {
        (None, _) => problems.push("the partitions are larger than any disk".into()),
        (Some(total), Some(bytes)) if bytes < total || bytes % ALIGNMENT_BYTES != 0 => {
            problems.push(format!(
                "{bytes} bytes are less than the {total} it needs, or not a whole number of MiB"
            ));
        }
        _ => {}
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::definition(format!("the disk cannot be laid out:\n  {}", problems.join("\n  "))))
}
