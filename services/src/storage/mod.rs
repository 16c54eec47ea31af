//! Disks and what is on them: shared by `devd`, `datapart`, `mounter` and the disk tools.
//!
//! - [`block`]: block devices, and how what is on them is told
//! - [`ext4_format`]: making an empty ext4
//! - [`old_content`]: making what was on a device unrecognizable
//! - [`target`]: what is written to: a device or a file
//! - [`mounting`]: options, tables and checks of mounts

pub mod block;
pub mod ext4_format;
pub mod mounting;
pub mod old_content;
pub mod target;
