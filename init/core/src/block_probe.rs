//! What a block device holds, told from its first bytes.
//!
//! Here file systems: ext2/3/4 (`Documentation/filesystems/ext4/super.rst`), FAT
//! (Microsoft's FAT specification 1.03) and EROFS
//! (`Documentation/filesystems/erofs.rst`); in `partition_table` GPT and MBR; in `foreign`
//! what is only told by its name. The caller reads the bytes; nothing here knows a device.
//! Absent: the content of a backup GPT, of LUKS, LVM, MD, and of every other file system.

mod crc32;
mod foreign;
mod partition_table;

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;

pub use crc32::crc32;
pub use foreign::{FOREIGN_HEAD_LENGTH_BYTES, foreign};
pub use partition_table::{
    GptError, GptHeader, Partition, TABLE_END_LENGTH_BYTES, TABLE_HEAD_LENGTH_BYTES, gpt_header,
    gpt_partitions, has_backup_gpt, mbr_signature, table_kind,
};

/// How many bytes at the start of a device [`identify`] wants to see.
pub const HEAD_LENGTH_BYTES: usize = 2048;

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

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
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

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn put(bytes: &mut [u8], at: usize, content: &[u8]) {
        bytes[at..at + content.len()].copy_from_slice(content);
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
            let _ =
                (identify(&noise), mbr_signature(&noise), gpt_header(&noise), table_kind(&noise));
        }
    }
}
