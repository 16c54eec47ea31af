//! GUID partition tables (UEFI Specification 2.10, chapter 5).
//!
//! A protective MBR, the primary header and entries at the disk's start, their
//! backup at its end, every CRC in place. All GUIDs are given, partitions are
//! whole MiB at whole MiB. Sectors have 512 bytes. The reader takes hostile
//! bytes, uses the backup where the primary is damaged, and says so.

mod reader;
mod writer;

pub use reader::{Table, TableCopy, read};
pub use writer::{DiskOptions, Layout, PartitionOptions};

use super::guid::Guid;

/// Sector size: what virtual and nearly all real disks present.
pub const SECTOR_BYTES: u64 = SECTOR_LEN as u64;
const SECTOR_LEN: usize = 512;
/// Partitions begin and end at multiples of this, as every partitioner has it.
pub const ALIGNMENT_BYTES: u64 = super::MIB;
/// "EFI PART".
const SIGNATURE: &[u8; 8] = b"EFI PART";
const REVISION: u32 = 0x0001_0000;
const HEADER_BYTES: u32 = 92;
const ENTRY_BYTES: u32 = 128;
/// The specification's minimum, which every tool expects.
const ENTRY_COUNT: u32 = 128;
/// Sectors the entries take.
const ENTRY_SECTORS: u64 = (ENTRY_COUNT * ENTRY_BYTES) as u64 / SECTOR_BYTES;
/// A name's room in an entry, in UTF-16 units.
const NAME_UNITS: usize = 36;

/// Partition types of the UAPI group's Discoverable Partitions Specification.
pub mod partition_type {
    use super::Guid;
    use crate::arch::Arch;

    /// EFI system partition.
    pub const ESP: Guid = Guid::from_u128(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);
    /// Root file system for `x86_64`.
    pub const ROOT_X86_64: Guid = Guid::from_u128(0x4f68_bce3_e8cd_4db1_96e7_fbca_f984_b709);
    /// Root file system for 64-bit Arm.
    pub const ROOT_AARCH64: Guid = Guid::from_u128(0xb921_b045_1df0_41c3_af44_4c6f_280d_3fae);
    /// Any Linux file system.
    pub const LINUX: Guid = Guid::from_u128(0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4);

    /// The root type of an architecture.
    #[must_use]
    pub const fn root(arch: Arch) -> Guid {
        match arch {
            Arch::X86_64 => ROOT_X86_64,
            Arch::Aarch64 => ROOT_AARCH64,
        }
    }

    /// A type's name for people; `None` if it is none of ours.
    #[must_use]
    pub fn name(guid: Guid) -> Option<&'static str> {
        match guid {
            ESP => Some("EFI system"),
            ROOT_X86_64 => Some("Linux root (x86_64)"),
            ROOT_AARCH64 => Some("Linux root (aarch64)"),
            LINUX => Some("Linux file system"),
            _ => None,
        }
    }
}

/// One partition and where it lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partition {
    /// Number, from 1.
    pub number: u32,
    /// What it is for; see [`partition_type`].
    pub type_guid: Guid,
    /// Its own identifier, the kernel's `PARTUUID`.
    pub guid: Guid,
    /// Name, at most 36 UTF-16 units.
    pub name: String,
    /// Attribute bits (specification, table 5.8).
    pub attributes: u64,
    /// First sector.
    pub first_lba: u64,
    /// Last sector, part of it.
    pub last_lba: u64,
}

impl Partition {
    /// Where it begins, in bytes.
    #[must_use]
    pub fn offset_bytes(&self) -> u64 {
        self.first_lba.saturating_mul(SECTOR_BYTES)
    }

    /// How long it is, in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        (self.last_lba.saturating_sub(self.first_lba).saturating_add(1))
            .saturating_mul(SECTOR_BYTES)
    }
}

/// CRC-32 as in gzip (specification, section 5.3.1).
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests;
