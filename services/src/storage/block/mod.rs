//! Block devices: what sysfs says of them, and what is on them.
//!
//! - [`sysfs`]: the devices, their sizes and families
//! - [`probe`]: file system, partition table, and place in the table of a disk
//! - [`find`]: the device that `LABEL=data` or its like names
//!
//! Absent: whatever writes.

pub mod find;
pub mod probe;
pub mod sysfs;

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// Major and minor number of a block device; `None` for what is no such device.
#[must_use]
pub fn number(metadata: &Metadata) -> Option<(u32, u32)> {
    let device = metadata.rdev();
    let is_block = metadata.file_type().is_block_device();
    is_block.then(|| (rustix::fs::major(device), rustix::fs::minor(device)))
}
