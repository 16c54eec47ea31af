//! The UEFI stub of a unified kernel image: starts the kernel it was packed with.
//!
//! Firmware starts this program from the removable-media path. It finds kernel,
//! command line and initramfs as sections of its own image, gives them to the
//! kernel and starts it: the firmware's `LoadImage`, `StartImage` and the
//! `LoadFile2` protocol do all of it. The image's word holds: load options of
//! the firmware or of a boot entry are not looked at. Whatever fails is one line
//! on the console and an error for the firmware. It reads no disk and no
//! variable, measures nothing and knows no menu. docs/boot.md has it for people.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

#[cfg(target_os = "uefi")]
mod failure;
#[cfg(target_os = "uefi")]
mod start;
#[cfg(target_os = "uefi")]
#[expect(unsafe_code, reason = "calls of firmware and from it; argued in sys/mod.rs")]
mod sys;

/// What there is of it on a host: the builder compiles it for firmware.
#[cfg(not(target_os = "uefi"))]
fn main() -> Result<(), &'static str> {
    Err("this is the UEFI stub of unified kernel images, built for x86_64-unknown-uefi and \
         aarch64-unknown-uefi; it does nothing on a host")
}
