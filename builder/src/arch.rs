//! The target architectures, and each world's name for them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A target architecture.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
pub enum Arch {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    #[value(name = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    #[serde(rename = "aarch64")]
    #[value(name = "aarch64")]
    Aarch64,
}

impl Arch {
    /// Every architecture.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// The host's architecture, or `None` if it is not one of ours.
    #[must_use]
    pub fn host() -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.as_str() == std::env::consts::ARCH)
    }

    /// The name in definitions, on the command line and in output paths.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The value of `ARCH=` for the kernel's build (Documentation/kbuild/kbuild.rst).
    #[must_use]
    pub const fn kernel(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "arm64",
        }
    }

    /// Debian's name.
    #[must_use]
    pub const fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// Where UEFI firmware looks on a removable medium (UEFI Specification 2.10, 3.5.1.1).
    #[must_use]
    pub const fn removable_path(self) -> &'static str {
        match self {
            Self::X86_64 => "EFI/BOOT/BOOTX64.EFI",
            Self::Aarch64 => "EFI/BOOT/BOOTAA64.EFI",
        }
    }

    /// `e_machine` of its ELF files (`EM_X86_64`, `EM_AARCH64`, elf(5)).
    #[must_use]
    pub const fn elf_machine(self) -> u16 {
        match self {
            Self::X86_64 => 62,
            Self::Aarch64 => 183,
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
