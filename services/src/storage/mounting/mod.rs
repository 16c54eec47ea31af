//! Mounting, as `mounter` and mount(8) both do it.
//!
//! - [`options`]: what people write as what mount(2) takes
//! - [`remount`]: changing the options of what is mounted
//! - [`table`]: what is mounted
//! - [`check`]: whether a file system is fit to be mounted
//! - [`fat`]: whether a FAT file system is consistent

pub mod check;
pub mod fat;
pub mod options;
pub mod remount;
pub mod table;
