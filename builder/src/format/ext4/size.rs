//! How much room a tree needs in ext4: found from names and sizes, before
//! anything is laid out.
//!
//! The content (data, directories, links, attributes) is bounded from above by
//! the rules `mkext4` packs with; what the file system itself takes (group
//! descriptors, bitmaps, inode tables, journal, backups) follows from its size
//! as in Documentation/filesystems/ext4/{blockgroup,super}.rst.

use std::collections::HashMap;
use std::fmt;

use super::{BLOCK_BYTES, Ext4Size, SIZE_END_BYTES, SIZE_MIN_BYTES};
use crate::error::{Error, Result};
use crate::format::{MIB, mib_ceil};
use crate::tree::{FileTree, NodeKind};

const BLOCKS_PER_GROUP: u64 = 32768;
const GROUPS_PER_FLEX: u64 = 16;
const INODES_PER_GROUP_MAX: u64 = 32768;
const INODES_PER_BLOCK: u64 = 16;
/// mke2fs's default: one inode for so many bytes.
const BYTES_PER_INODE: u64 = 16384;
/// Inodes 1 to 11 are the file system's own.
const RESERVED_INODES: u64 = 11;
/// Blocks of `/lost+found`.
const LOST_FOUND_BLOCKS: u64 = 4;
/// A directory block without its checksum.
const DIRECTORY_BLOCK_BYTES: u64 = BLOCK_BYTES - 12;
/// From so many bytes of records on a directory is indexed.
const INDEX_FROM_BYTES: u64 = BLOCK_BYTES - 24;
/// The longest record: a name of 255 bytes.
const RECORD_MAX_BYTES: u64 = 264;
/// Entries of one index block.
const INDEX_ENTRIES: u64 = 507;
/// A link target of more bytes than this takes a block.
const INLINE_TARGET_MAX_BYTES: usize = 59;
/// Extents in one block of an extent tree.
const EXTENTS_PER_BLOCK: u64 = 340;

/// What a tree needs, whatever the size of the file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Content {
    /// Blocks of data, directories, links and attributes: never too few.
    pub(super) blocks: u64,
    /// Inodes, the reserved ones included.
    pub(super) inodes: u64,
}

/// The size and inode count to build with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Geometry {
    pub(super) size_bytes: u64,
    pub(super) inodes: u32,
}

/// The bytes a directory entry takes (dirent records are aligned to 4).
fn record_bytes(name: &[u8]) -> u64 {
    (8 + name.len() as u64).next_multiple_of(4)
}

impl Content {
    pub(super) fn of(tree: &FileTree) -> Self {
        let mut blocks = LOST_FOUND_BLOCKS;
        let mut inodes = RESERVED_INODES;
        let mut record_sums: HashMap<&[u8], u64> = HashMap::new();
        for (path, node) in tree.iter() {
            let bytes = path.as_bytes();
            if bytes.is_empty() {
                *record_sums.entry(b"").or_default() += record_bytes(b"lost+found");
            } else {
                let slash = bytes.iter().rposition(|byte| *byte == b'/');
                let parent = &bytes[..slash.unwrap_or(0)];
                *record_sums.entry(parent).or_default() += record_bytes(path.file_name());
                inodes += u64::from(!matches!(node.kind, NodeKind::HardLink(_)));
            }
            blocks += u64::from(!node.xattrs.is_empty());
            blocks += match &node.kind {
                NodeKind::File(content) => file_blocks(content.len()),
                NodeKind::Symlink(target) => u64::from(target.len() > INLINE_TARGET_MAX_BYTES),
                // Every directory has a block; what it needs beyond that is added below.
                NodeKind::Directory => 1,
                _ => 0,
            };
        }
        blocks += record_sums.values().map(|sum| directory_blocks(*sum) - 1).sum::<u64>();
        Self { blocks, inodes }
    }
}

fn file_blocks(len_bytes: u64) -> u64 {
    let blocks = len_bytes.div_ceil(BLOCK_BYTES);
    if blocks < BLOCKS_PER_GROUP {
        return blocks;
    }
    // A run ends at 32768 blocks or where a group's own blocks lie in its way.
    let extents = 2 * (blocks / BLOCKS_PER_GROUP + 2);
    blocks + extents.div_ceil(EXTENTS_PER_BLOCK) + 4
}

fn directory_blocks(record_sum: u64) -> u64 {
    if record_sum < INDEX_FROM_BYTES {
        // `.` and `..` take 24 bytes.
        return 1 + u64::from(record_sum + 24 > DIRECTORY_BLOCK_BYTES);
    }
    let leaves = record_sum.div_ceil(DIRECTORY_BLOCK_BYTES - RECORD_MAX_BYTES);
    let nodes = if leaves > INDEX_ENTRIES { leaves.div_ceil(INDEX_ENTRIES) } else { 0 };
    1 + leaves + nodes
}

/// The size of a file system that is asked for like this, in bytes; where a
/// fixed one does not hold the tree, the least above it that does.
///
/// # Errors
/// If no ext4 image holds the tree.
pub fn needed_bytes(tree: &FileTree, size: Ext4Size) -> Result<u64> {
    match size {
        Ext4Size::Fit { free_bytes } => {
            Ok(Geometry::fit(Content::of(tree), free_bytes, SIZE_MIN_BYTES)?.size_bytes)
        }
        Ext4Size::Fixed { bytes } => {
            Ok(Shortage::of(tree, bytes)?.map_or(bytes, |shortage| shortage.needed_bytes))
        }
    }
}

/// How far a fixed size is from holding a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shortage {
    /// The least size that holds the tree, in bytes.
    pub needed_bytes: u64,
    /// The size that was given, in bytes.
    pub given_bytes: u64,
}

impl Shortage {
    /// What a fixed size of `given_bytes` lacks for the tree, if anything.
    ///
    /// # Errors
    /// If no ext4 image holds the tree.
    pub fn of(tree: &FileTree, given_bytes: u64) -> Result<Option<Self>> {
        let content = Content::of(tree);
        if Geometry::of_size(content, given_bytes).holds(content) {
            return Ok(None);
        }
        let needed_bytes = Geometry::fit(content, 0, given_bytes)?.size_bytes;
        Ok(Some(Self { needed_bytes, given_bytes }))
    }

    /// What to do.
    #[must_use]
    pub fn remedy(&self) -> String {
        let needed_mib = mib_ceil(self.needed_bytes);
        format!("give it a size of at least {needed_mib} MiB, or leave the size out")
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (needed_mib, given_mib) = (mib_ceil(self.needed_bytes), self.given_bytes / MIB);
        write!(f, "it needs {needed_mib} MiB and has {given_mib} MiB")
    }
}

impl Geometry {
    /// Settles size and inode count.
    ///
    /// # Errors
    /// If a fixed size does not hold the content: says how much it must be.
    pub(super) fn settle(content: Content, size: Ext4Size) -> Result<Self> {
        match size {
            Ext4Size::Fit { free_bytes } => Self::fit(content, free_bytes, SIZE_MIN_BYTES),
            Ext4Size::Fixed { bytes } => {
                if bytes % BLOCK_BYTES != 0 {
                    return Err(Error::definition(format!(
                        "an ext4 size of {bytes} bytes is no multiple of {BLOCK_BYTES}"
                    )));
                }
                if bytes >= SIZE_END_BYTES {
                    return Err(too_large(bytes));
                }
                let geometry = Self::of_size(content, bytes);
                if geometry.holds(content) {
                    return Ok(geometry);
                }
                let needed_bytes = Self::fit(content, 0, bytes)?.size_bytes;
                let shortage = Shortage { needed_bytes, given_bytes: bytes };
                Err(Error::definition(format!(
                    "the image is too small for its content: {shortage}"
                ))
                .hint(shortage.remedy()))
            }
        }
    }

    /// The least size from `least_bytes` on, or the whole MiB above it.
    fn fit(content: Content, free_bytes: u64, least_bytes: u64) -> Result<Self> {
        let free_blocks = free_bytes.div_ceil(BLOCK_BYTES);
        let mut geometry = Self::of_size(content, least_bytes.max(SIZE_MIN_BYTES));
        loop {
            let needed = geometry.blocks_needed(content).saturating_add(free_blocks);
            let needed = needed.saturating_mul(BLOCK_BYTES);
            if needed >= SIZE_END_BYTES {
                return Err(too_large(needed));
            }
            if needed <= geometry.size_bytes {
                return Ok(geometry);
            }
            // The overhead grows with the size, so this climbs to the least size that fits.
            geometry = Self::of_size(content, needed.next_multiple_of(MIB));
        }
    }

    fn of_size(content: Content, size_bytes: u64) -> Self {
        // Some inodes stay free even where the files are smaller than mke2fs expects.
        let wanted = content.inodes + (content.inodes / 8).max(64);
        let inodes = wanted.max(size_bytes / BYTES_PER_INODE);
        Self { size_bytes, inodes: u32::try_from(inodes).unwrap_or(u32::MAX) }
    }

    fn holds(self, content: Content) -> bool {
        self.size_bytes >= SIZE_MIN_BYTES
            && self.blocks_needed(content) <= self.size_bytes / BLOCK_BYTES
    }

    fn blocks_needed(self, content: Content) -> u64 {
        // A group has at most as many inodes as its bitmap has bits.
        let groups = content.inodes.div_ceil(INODES_PER_GROUP_MAX);
        let for_inodes = (groups - 1) * BLOCKS_PER_GROUP + 1;
        (content.blocks + self.overhead_blocks()).max(for_inodes)
    }

    /// Blocks that can hold neither files nor directories.
    fn overhead_blocks(self) -> u64 {
        let blocks = self.size_bytes / BLOCK_BYTES;
        let groups = blocks.div_ceil(BLOCKS_PER_GROUP);
        let descriptors = (groups * 32).div_ceil(BLOCK_BYTES);
        let backups = backup_groups(groups);
        let inodes_per_group = u64::from(self.inodes)
            .div_ceil(groups)
            .next_multiple_of(INODES_PER_BLOCK)
            .min(INODES_PER_GROUP_MAX);
        let table = inodes_per_group / INODES_PER_BLOCK;
        // An inode table that would run into a backup is moved behind it, and the gap is lost.
        let flex_blocks = groups.min(GROUPS_PER_FLEX) * (2 + table);
        let flex_room = BLOCKS_PER_GROUP - 1 - descriptors;
        let lost = if flex_blocks > flex_room && groups > 1 { 4 * table } else { 0 };
        let lost = lost * groups.div_ceil(GROUPS_PER_FLEX);
        (1 + backups) * (1 + descriptors) + groups * (2 + table) + journal_blocks(blocks) + lost
    }
}

/// How many groups after the first have a copy of the superblock: 1 and the
/// powers of 3, 5 and 7 (`sparse_super`).
fn backup_groups(groups: u64) -> u64 {
    let powers = |base: u64| {
        let all = std::iter::successors(Some(base), move |power| power.checked_mul(base));
        all.take_while(|power| *power < groups).count() as u64
    };
    u64::from(groups > 1) + powers(3) + powers(5) + powers(7)
}

fn too_large(bytes: u64) -> Error {
    Error::definition(format!(
        "{} MiB are more than ext4 without 64-bit block numbers holds",
        mib_ceil(bytes)
    ))
}

/// The journal of a file system of so many blocks, as mke2fs chooses it, and
/// the blocks of its own extent tree.
fn journal_blocks(blocks: u64) -> u64 {
    let journal = match blocks {
        0..32_768 => 1024,
        32_768..262_144 => 4096,
        262_144..524_288 => 8192,
        524_288..4_194_304 => 16_384,
        4_194_304..8_388_608 => 32_768,
        8_388_608..16_777_216 => 65_536,
        16_777_216..33_554_432 => 131_072,
        _ => 262_144,
    };
    journal + u64::from(journal > BLOCKS_PER_GROUP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_the_superblock_are_counted_in_no_time() {
        let has_copy = |group: u64| {
            [3, 5, 7].into_iter().any(|base| {
                let mut rest = group;
                while rest.is_multiple_of(base) {
                    rest /= base;
                }
                rest == 1
            })
        };
        for groups in 1..3000 {
            let expected = (1..groups).filter(|group| has_copy(*group)).count() as u64;
            assert_eq!(backup_groups(groups), expected, "{groups}");
        }
        assert_eq!(backup_groups(u64::MAX), 1 + 40 + 27 + 22);
    }

    #[test]
    fn sizes_that_no_ext4_has_are_refused_at_once() {
        let tree = FileTree::new();
        for bytes in [SIZE_END_BYTES, 17 << 40, u64::MAX - u64::MAX % BLOCK_BYTES] {
            let fixed = Geometry::settle(Content::of(&tree), Ext4Size::Fixed { bytes });
            assert!(fixed.unwrap_err().to_string().contains("more than ext4"), "{bytes}");
            let free = needed_bytes(&tree, Ext4Size::Fit { free_bytes: bytes });
            assert!(free.unwrap_err().to_string().contains("more than ext4"), "{bytes}");
        }
        let largest = Ext4Size::Fixed { bytes: SIZE_END_BYTES - BLOCK_BYTES };
        assert!(Geometry::settle(Content::of(&tree), largest).is_ok());
    }
}
