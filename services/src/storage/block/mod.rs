//! Block devices: what sysfs says of them, and what is on them.
//!
//! - [`sysfs`]: the devices, their sizes and families
//! - [`probe`]: file system and place in a partition table
//! - [`find`]: the device that `LABEL=data` or its like names
//!
//! Absent: whatever writes.

pub mod find;
pub mod probe;
pub mod sysfs;
