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
