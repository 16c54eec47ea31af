//! Byte formats of images: archives, file systems, partition tables.
//!
//! A writer takes a [`FileTree`](crate::tree::FileTree) or plain bytes, its
//! parameters, and a writer or an [`sink::ImageSink`]; a reader takes bytes or a
//! [`source::Source`]. Nothing here knows a host path, a definition file or a
//! program, consults a clock or draws a random number: the same arguments
//! always give the same bytes, on any number of cores.

pub mod bios_boot;
pub mod bootconfig;
pub mod compress;
pub mod cpio;
pub mod decompress;
pub mod ext4;
pub mod fat;
pub mod gpt;
pub mod guid;
pub mod iso9660;
pub mod pe;
pub mod qcow2;
pub mod sink;
pub mod source;
pub mod uki;

mod calendar;
mod pack;
#[cfg(test)]
mod testing;

use crate::error::Error;

/// One mebibyte, in bytes: the unit of sizes and alignment in images.
pub const MIB: u64 = 1024 * 1024;

/// `bytes` in whole mebibytes, rounded up, for messages.
#[must_use]
pub fn mib_ceil(bytes: u64) -> u64 {
    bytes.div_ceil(MIB)
}

/// The error of a writer whose output could not be written. The writer does
/// not know the output's name; its caller adds that as context.
fn write_failed(what: &str, error: &std::io::Error) -> Error {
    let failed = Error::failure(format!("cannot write the {what}: {error}"));
    if error.kind() == std::io::ErrorKind::StorageFull {
        return failed
            .hint("free space on the file system of the output, or choose another with --output");
    }
    failed
}
