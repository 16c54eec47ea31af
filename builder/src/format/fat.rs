//! FAT16 and FAT32 file systems, for EFI system partitions (Microsoft's "FAT32
//! File System Specification" 1.03, referred to by UEFI Specification 2.10, 13.3).
//!
//! The writer lays directories and then files out in tree order, each in one
//! contiguous run, and says where each file lies: a BIOS loader can read it
//! without knowing FAT. FAT has no owners, modes or links: owners and modes are
//! left out, links and devices are errors. The reader takes hostile bytes and FAT12 too.

mod content;
mod directory;
mod geometry;
mod name;
mod reader;
mod time;
mod writer;

pub use content::FileContent;
pub use reader::{Entry, Reader};
pub use writer::{FatOptions, FatSummary, FileExtent, lacking, write};

/// The only sector size that is written.
const SECTOR_LEN: usize = 512;
const SECTOR_BYTES: u64 = SECTOR_LEN as u64;
/// Bytes of a directory entry.
const ENTRY_BYTES: usize = 32;
/// The least size that is written.
pub const SIZE_MIN_BYTES: u64 = 4 * super::MIB;
/// A size is below this one: sectors are counted in 32 bits.
pub const SIZE_END_BYTES: u64 = (1 << 32) * SECTOR_BYTES;

/// How large the file system is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FatSize {
    /// Exactly so many bytes, a multiple of 512.
    Fixed {
        /// The size.
        bytes: u64,
    },
    /// As small as the content allows, in whole MiB.
    Fit {
        /// At least so many bytes stay free.
        free_bytes: u64,
    },
}

/// Directory entry attributes.
mod attribute {
    pub(super) const VOLUME_LABEL: u8 = 0x08;
    pub(super) const DIRECTORY: u8 = 0x10;
    pub(super) const ARCHIVE: u8 = 0x20;
    /// An entry with these four bits holds part of a long name.
    pub(super) const LONG_NAME: u8 = 0x0F;
}

#[cfg(test)]
mod tests;
