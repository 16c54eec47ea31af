//! Image definitions: `images/*.toml` from text to a checked [`Image`].
//!
//! A file is read into a [`raw::Table`] whose values remember their places;
//! [`load()`] follows `inherit` and merges the files; [`resolved`] checks names,
//! sizes and paths and yields an [`Image`], which the rest of the builder
//! trusts. [`keys`] lists every key with its default. Nothing here builds anything.

mod accounts;
mod checker;
mod crate_source;
mod files;
mod kernel;
pub mod keys;
pub mod load;
mod mounts;
mod outputs;
mod packages;
mod password;
mod programs;
pub mod raw;
pub mod reader;
mod resolve;
pub mod resolved;
pub mod size;
mod ssh_keys;
#[cfg(test)]
pub(crate) mod testing;

pub use load::load;
pub use resolved::Image;
