//! What stands between a machine's firmware and the kernel: programs of our own
//! that the builder makes out of `builder/boot/`.
//!
//! What they are packed into is a format's, where they go the image's.

pub mod bios;
pub mod uefi;
