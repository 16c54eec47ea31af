//! Finds the loader on a disk and verifies what it would: nothing is mended.

use super::table::{Extent, TABLE_BYTES, Table};
use super::{Checksum, LOADED_BYTES_MAX, MARK, MBR_CODE_BYTES, SECTOR_BYTES, SECTOR_LEN, field};
use crate::format::source::Source;

/// A loader on a disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loader {
    /// First sector of stage 2.
    pub stage2_lba: u64,
    /// Length of stage 2 in sectors; the table follows.
    pub stage2_sectors: u16,
    /// Checksum that stage 1 expects of stage 2.
    pub stage2_checksum: Checksum,
    /// What it boots, if the table is sound.
    pub table: Option<Table>,
    /// Why it would not boot.
    pub problems: Vec<String>,
}

/// Reads the loader of a disk; `None` if the disk's boot code is none of ours.
#[must_use]
pub fn read(disk: &dyn Source) -> Option<Loader> {
    let code: [u8; MBR_CODE_BYTES] = disk.array_at(0).ok()?;
    if !code[field::MARK..].starts_with(MARK) {
        return None;
    }
    let half = |at: usize| u16::from_le_bytes([code[at], code[at + 1]]);
    let double = |at: usize| -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&code[at..at + 8]);
        bytes
    };
    let mut loader = Loader {
        stage2_lba: u64::from_le_bytes(double(field::STAGE2_LBA)),
        stage2_sectors: half(field::STAGE2_SECTORS),
        stage2_checksum: Checksum::from_bytes(double(field::CHECKSUM)),
        table: None,
        problems: Vec::new(),
    };
    if let Err(problem) = loader.verify(disk, half(field::LOADED_SECTORS)) {
        loader.problems.push(problem);
    }
    Some(loader)
}

impl Loader {
    /// Goes the loader's way through the disk as far as it leads.
    fn verify(&mut self, disk: &dyn Source, loaded_sectors: u16) -> Result<(), String> {
        let stage2_bytes = usize::from(self.stage2_sectors) * SECTOR_LEN;
        let loaded_bytes = usize::from(loaded_sectors) * SECTOR_LEN;
        if loaded_bytes != stage2_bytes + TABLE_BYTES || loaded_bytes > LOADED_BYTES_MAX {
            return Err(format!("stage 1 asks for {loaded_sectors} sectors, which cannot be"));
        }
        let at = self.stage2_lba.saturating_mul(SECTOR_BYTES);
        let mut stage2 = vec![0; stage2_bytes];
        let unread = |error: std::io::Error| format!("stage 2 cannot be read: {error}");
        disk.read_at(at, &mut stage2).map_err(unread)?;
        if Checksum::of(&stage2) != self.stage2_checksum {
            return Err("stage 2 has changed".into());
        }
        let table_at = at.saturating_add(stage2_bytes as u64);
        let table = disk.array_at(table_at).map_err(unread)?;
        let table = self.table.insert(Table::decode(&table)?);
        self.problems.extend(problem("kernel", &table.kernel, disk));
        self.problems
            .extend(table.initramfs.as_ref().and_then(|it| problem("initramfs", it, disk)));
        Ok(())
    }
}

fn problem(name: &str, extent: &Extent, disk: &dyn Source) -> Option<String> {
    let sectors = disk.len_bytes() / SECTOR_BYTES;
    if extent.end_lba() > sectors {
        let end = extent.end_lba();
        return Some(format!("the disk has {sectors} sectors, the {name} ends at {end}"));
    }
    match extent.is_unchanged(disk) {
        Ok(true) => None,
        Ok(false) => Some(format!("the {name} has changed")),
        Err(error) => Some(format!("the {name} cannot be read: {error}")),
    }
}
