//! What the outputs of an image are called in the output directory.

/// The kernel.
pub(super) const KERNEL: &str = "vmlinuz";
/// The root as a file system.
pub(super) const ROOT: &str = "root.ext4";
/// What firmware starts.
pub(super) const UKI: &str = "uki.efi";
/// The disk.
pub(super) const DISK: &str = "disk.img";
/// The disk for QEMU.
pub(super) const QCOW2: &str = "disk.qcow2";
/// The CD.
pub(super) const ISO: &str = "system.iso";
/// What all of it was made of.
pub(super) const MANIFEST: &str = "manifest.json";
/// Every name that an output may have.
pub(super) const NAMES: [&str; 10] = [
    KERNEL,
    "initramfs.cpio",
    "initramfs.cpio.gz",
    "initramfs.cpio.zst",
    ROOT,
    UKI,
    DISK,
    QCOW2,
    ISO,
    MANIFEST,
];
