//! The BIOS loader on a disk: boot code in the protective MBR, stage 2 between
//! the partition table and the first partition, and behind it the boot table,
//! which says where the kernel and the initramfs lie and what they must be. The
//! same as the boot image of a CD, for a disk that is a CD too.
//!
//! The loader itself is in `builder/boot/bios`; [`crate::boot::bios`] assembles
//! it. What the two share is laid down here and in its `layout.inc`:
//! docs/image-formats.md has it field by field. The reader takes hostile bytes.

mod checksum;
mod reader;
mod table;

pub use checksum::{Checksum, Summing};
pub use reader::{Loader, read};
pub use table::{COMMAND_LINE_BYTES_MAX, Extent, TABLE_BYTES, TABLE_VERSION, Table};

use sha2::{Digest, Sha256};

use super::gpt;
use super::sink::ImageSink;
use crate::cache::hex;
use crate::error::{Error, Result};

/// Sectors of the loader, whatever the medium's own have.
const SECTOR_BYTES: u64 = gpt::SECTOR_BYTES;
const SECTOR_LEN: usize = 512;
/// The boot code's share of the MBR; signature and partition entries follow it.
pub const MBR_CODE_BYTES: usize = 440;
/// Where stage 2 is put: behind the partition table's 128 entries.
pub const STAGE2_LBA: u64 = 34;
/// The most that stage 2 and the table may have: up to sector 64, from which on a
/// CD has its descriptors (ECMA-119, 6.2.1). It is less than the first partition
/// leaves, and less than they have of the first 64 KiB of memory.
const LOADED_BYTES_MAX: usize = 30 * SECTOR_LEN;

/// Fields at the end of the boot code, which say what stage 1 loads.
mod field {
    /// Sectors of stage 2, 16 bits: what the checksum is of.
    pub(super) const STAGE2_SECTORS: usize = 410;
    /// How a reader knows this boot code.
    pub(super) const MARK: usize = 412;
    /// Sectors of stage 2 and the table, 16 bits.
    pub(super) const LOADED_SECTORS: usize = 418;
    /// The first of them, 64 bits.
    pub(super) const STAGE2_LBA: usize = 424;
    /// Checksum of stage 2.
    pub(super) const CHECKSUM: usize = 432;
}
/// Stands at [`field::MARK`].
const MARK: &[u8; 4] = b"KEEL";

/// The assembled loader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootCode {
    /// Stage 1: the first [`MBR_CODE_BYTES`] bytes of the disk, its fields not filled in.
    pub mbr: Vec<u8>,
    /// Stage 1 of a CD, of the same length.
    pub cd: Vec<u8>,
    /// Stage 2, whole sectors of 512 bytes.
    pub stage2: Vec<u8>,
}

/// Installs the loader on a disk whose partition table is written already or
/// will be: the partition entries of the MBR and its signature are left alone.
///
/// # Errors
/// If the table cannot be encoded, the code is not the loader's or has no room, or
/// the sink fails.
pub fn install(code: &BootCode, table: &Table, sink: &mut impl ImageSink) -> Result<()> {
    let table = table.encode()?;
    let stage1 = code.stage1(&code.mbr)?;
    let stage2_at = STAGE2_LBA * SECTOR_BYTES;
    sink.write_at(0, &stage1)
        .and_then(|()| sink.write_at(stage2_at, &code.stage2))
        .and_then(|()| sink.write_at(stage2_at + code.stage2.len() as u64, &table))
        .map_err(|error| crate::format::write_failed("BIOS loader", &error))
}

/// The boot image of a CD without emulation ("El Torito" Bootable CD-ROM Format
/// Specification 1.0): what a BIOS loads to 7C00h as a whole and starts. The table's extents
/// are counted in sectors of 512 bytes on a CD too, and may begin at any of them.
///
/// # Errors
/// If the table cannot be encoded or the code is not the loader's.
pub fn cd_image(code: &BootCode, table: &Table) -> Result<Vec<u8>> {
    let mut image = code.stage1(&code.cd)?;
    image.resize(SECTOR_LEN, 0);
    image.extend(&code.stage2);
    image.extend(table.encode()?);
    Ok(image)
}

impl BootCode {
    /// The SHA-256 of the stages, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut digest = Sha256::new();
        for part in [&self.mbr, &self.cd, &self.stage2] {
            digest.update(part);
        }
        hex(&digest.finalize())
    }

    /// A first stage with its fields filled in for this stage 2.
    fn stage1(&self, code: &[u8]) -> Result<Vec<u8>> {
        let fits = self.stage2.len() + TABLE_BYTES <= LOADED_BYTES_MAX
            && !self.stage2.is_empty()
            && self.stage2.len().is_multiple_of(SECTOR_LEN);
        let is_ours = code.len() == MBR_CODE_BYTES && code[field::MARK..].starts_with(MARK);
        let sectors = |bytes: usize| u16::try_from(bytes / SECTOR_LEN).ok();
        let stage2 = sectors(self.stage2.len());
        let loaded = sectors(self.stage2.len() + TABLE_BYTES);
        let (true, true, Some(stage2), Some(loaded)) = (fits, is_ours, stage2, loaded) else {
            return Err(Error::internal(format!(
                "boot code of {} bytes and a stage 2 of {} are not the BIOS loader",
                code.len(),
                self.stage2.len()
            )));
        };
        let mut filled = code.to_vec();
        let mut put = |at: usize, bytes: &[u8]| filled[at..at + bytes.len()].copy_from_slice(bytes);
        put(field::STAGE2_SECTORS, &stage2.to_le_bytes());
        put(field::LOADED_SECTORS, &loaded.to_le_bytes());
        put(field::STAGE2_LBA, &STAGE2_LBA.to_le_bytes());
        put(field::CHECKSUM, &Checksum::of(&self.stage2).to_bytes());
        Ok(filled)
    }
}

#[cfg(test)]
mod tests;
