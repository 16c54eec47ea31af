//! cpio archives in the "newc" format, the initramfs's own
//! (Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! The writer makes exactly what the kernel unpacks without complaint and gives
//! equal bytes for equal trees. newc has no place for extended attributes, for
//! files of 4 GiB or for sub-second times; what does not fit is an error that
//! names every path, not a loss at boot. The reader is for `inspect` and tests.

mod reader;
mod writer;

pub use reader::{Entry, MEMBERS_MAX, Reader};
pub use writer::{CpioOptions, CpioSummary, XattrPolicy, write, write_image};

/// `c_magic` of newc.
const MAGIC: &[u8; 6] = b"070701";
/// `c_magic` of the variant with checksums, which the kernel and the reader take too.
const MAGIC_CHECKSUM: &[u8; 6] = b"070702";
/// Magic and thirteen fields of eight hexadecimal digits.
const HEADER_LEN: usize = 6 + 13 * 8;
/// The name that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";
/// The kernel's `PATH_MAX`: a longer name or link target, with its NUL, is
/// skipped by `init/initramfs.c` without a word.
const PATH_LEN_MAX: usize = 4096;

/// File types in `c_mode` (inode(7)).
mod file_type {
    pub(super) const FIFO: u32 = 0o010_000;
    pub(super) const CHAR_DEVICE: u32 = 0o020_000;
    pub(super) const DIRECTORY: u32 = 0o040_000;
    pub(super) const BLOCK_DEVICE: u32 = 0o060_000;
    pub(super) const REGULAR: u32 = 0o100_000;
    pub(super) const SYMLINK: u32 = 0o120_000;
}

#[cfg(test)]
mod tests;
