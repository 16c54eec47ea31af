//! PE32+ files (Microsoft, "PE Format"), as far as UEFI applications are such.
//!
//! The reader takes headers and section table of hostile files. The writer adds
//! sections to a finished file, as a unified kernel image is made. It does not
//! link, relocate or sign, and knows no 32-bit files.

mod reader;
mod writer;

pub use reader::{Headers, Section, machine_of};
pub use writer::{Addition, Layout, Placed, append};

/// Values of the COFF header's field `Machine`.
pub mod machine {
    use crate::arch::Arch;

    /// 64-bit x86.
    pub const X86_64: u16 = 0x8664;
    /// 64-bit Arm.
    pub const AARCH64: u16 = 0xAA64;

    /// The value for an architecture.
    #[must_use]
    pub const fn of(arch: Arch) -> u16 {
        match arch {
            Arch::X86_64 => X86_64,
            Arch::Aarch64 => AARCH64,
        }
    }

    /// A value's name for people; `None` if it is none of ours.
    #[must_use]
    pub fn name(machine: u16) -> Option<&'static str> {
        Arch::ALL.into_iter().find(|arch| of(*arch) == machine).map(Arch::as_str)
    }
}

/// The value of `Subsystem` of a UEFI application.
pub const SUBSYSTEM_EFI_APPLICATION: u16 = 10;

/// The MS-DOS header's fields that count: its magic, and where the PE header's
/// place stands.
const DOS_MAGIC: [u8; 2] = *b"MZ";
const PE_OFFSET_AT: u64 = 0x3C;
const PE_MAGIC: [u8; 4] = *b"PE\0\0";

/// The COFF file header, from the PE signature on.
mod coff {
    pub(super) const MACHINE_AT: usize = 4;
    pub(super) const SECTION_COUNT_AT: usize = 6;
    pub(super) const TIME_AT: usize = 8;
    pub(super) const SYMBOLS_AT: usize = 12;
    pub(super) const OPTIONAL_BYTES_AT: usize = 20;
    /// Length with the signature, in bytes.
    pub(super) const LEN: usize = 24;
}

/// The optional header of a PE32+ file, from its magic on.
mod optional {
    pub(super) const MAGIC: u16 = 0x20B;
    pub(super) const INITIALIZED_BYTES_AT: usize = 8;
    pub(super) const SECTION_ALIGNMENT_AT: usize = 32;
    pub(super) const FILE_ALIGNMENT_AT: usize = 36;
    pub(super) const IMAGE_BYTES_AT: usize = 56;
    pub(super) const HEADERS_BYTES_AT: usize = 60;
    pub(super) const CHECKSUM_AT: usize = 64;
    pub(super) const SUBSYSTEM_AT: usize = 68;
    pub(super) const DIRECTORY_COUNT_AT: usize = 108;
    pub(super) const DIRECTORIES_AT: usize = 112;
    /// Data directories: address or offset, and size, 4 bytes each.
    pub(super) const DIRECTORY_BYTES: usize = 8;
    pub(super) const CERTIFICATES: usize = 4;
    pub(super) const DEBUG: usize = 6;
}

/// An entry of the section table.
mod entry {
    pub(super) const NAME_BYTES: usize = 8;
    pub(super) const VIRTUAL_BYTES_AT: usize = 8;
    pub(super) const VIRTUAL_ADDRESS_AT: usize = 12;
    pub(super) const RAW_BYTES_AT: usize = 16;
    pub(super) const RAW_OFFSET_AT: usize = 20;
    pub(super) const CHARACTERISTICS_AT: usize = 36;
    pub(super) const LEN: usize = 40;
    /// `IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ`.
    pub(super) const READ_ONLY_DATA: u32 = 0x4000_0040;
}

/// The little-endian number at a place that is known to be there.
fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// See [`half`].
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
pub(crate) mod tests;
