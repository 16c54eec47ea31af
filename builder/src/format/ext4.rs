//! ext4 file systems, laid out by crate `mkext4`.
//!
//! The image has a journal, checksums and indexed directories, 4 KiB blocks and
//! 256-byte inodes, and depends on its parameters and the tree alone. Its size
//! is given, or found: the least multiple of 1 MiB that holds the content and
//! the free space asked for. The reader is for `inspect` and tests; it judges
//! nothing, that is `e2fsck`'s work.

mod check;
mod reader;
mod size;
mod writer;

pub use check::check_tree;
pub use reader::{Entry, EntryKind, Reader};
pub use size::{Shortage, needed_bytes};
pub use writer::write;

use super::guid::Guid;

/// The only block size that is written.
pub const BLOCK_BYTES: u64 = 4096;
/// The least size: the smallest journal (1024 blocks) may take a quarter of it.
pub const SIZE_MIN_BYTES: u64 = 16 * super::MIB;

/// A size is below this one: 64-bit block numbers are not written.
pub const SIZE_END_BYTES: u64 = u32::MAX as u64 * BLOCK_BYTES;

/// How large the file system is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ext4Size {
    /// Exactly so many bytes, a multiple of 4096.
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

/// Parameters of [`write()`].
#[derive(Clone, Debug)]
pub struct Ext4Options {
    /// How large it is.
    pub size: Ext4Size,
    /// The file system's UUID.
    pub uuid: Guid,
    /// Seed of the hash that orders large directories.
    pub hash_seed: Guid,
    /// Label, at most 16 bytes; empty for none.
    pub label: String,
    /// Every time in the file system, in seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub epoch_s: u32,
    /// Share of the blocks that only root may use, in percent, 0 to 50. mke2fs takes 5.
    pub reserved_percent: u8,
}

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ext4Summary {
    /// Size of the file system in bytes.
    pub size_bytes: u64,
    /// Bytes no block is allocated for, those reserved for root included.
    pub free_bytes: u64,
    /// Inodes in use.
    pub inodes_used: u32,
    /// Inodes there are.
    pub inodes: u32,
}

#[cfg(test)]
mod tests;
