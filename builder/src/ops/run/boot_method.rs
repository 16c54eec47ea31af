//! The ways in which a guest's kernel is found, and which machine has which.

use clap::ValueEnum;

use crate::qemu::board::Machine;

/// How the guest's kernel is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum BootMethod {
    /// QEMU loads kernel and initramfs
    Direct,
    /// A BIOS starts the boot code on the disk
    Bios,
    /// UEFI firmware loads the kernel from the disk
    Uefi,
}

impl BootMethod {
    /// Its word on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        }
    }

    /// How people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "-kernel",
            Self::Bios => "BIOS",
            Self::Uefi => "UEFI",
        }
    }

    /// Whether a machine's firmware can do it.
    #[must_use]
    pub const fn is_on(self, machine: Machine) -> bool {
        match self {
            Self::Direct => true,
            Self::Bios => machine.has_bios(),
            Self::Uefi => machine.has_uefi(),
        }
    }
}

/// The ways by which a machine boots what is on its disk, as the end of a hint.
pub(super) fn or_by_firmware(machine: Machine) -> String {
    [BootMethod::Bios, BootMethod::Uefi]
        .into_iter()
        .filter(|method| method.is_on(machine))
        .map(|method| format!(" or `--boot {}`", method.as_str()))
        .collect()
}
