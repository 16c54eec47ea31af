//! The pure part of the UEFI stub: what it reads out of its own file.
//!
//! A unified kernel image (UAPI group, "Unified Kernel Image", UAPI.5) is a PE
//! file whose sections are the stub, the kernel, its command line and its
//! initramfs. Here the sections are found and the command line is put into the
//! form the kernel takes it in; `main.rs` asks the firmware to do the rest.
//! Nothing here allocates, panics or knows of firmware, so that the host's tests
//! can hand it hostile bytes.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod command_line;
pub mod sections;
