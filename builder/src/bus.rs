//! The buses a disk can be attached to, and what the kernel needs to find it there.

use std::fmt;

use crate::arch::Arch;

/// What a disk is attached to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, clap::ValueEnum)]
pub enum Bus {
    /// A virtio block device
    VirtioBlk,
    /// A SCSI disk behind a virtio host adapter
    VirtioScsi,
    /// An NVMe controller's first namespace
    Nvme,
    /// The first disk of the PIIX IDE controller
    Ide,
    /// The first disk of an AHCI controller
    Sata,
}

impl Bus {
    /// Every bus.
    pub const ALL: [Self; 5] =
        [Self::VirtioBlk, Self::VirtioScsi, Self::Nvme, Self::Ide, Self::Sata];

    /// Its word in definitions and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VirtioBlk => "virtio-blk",
            Self::VirtioScsi => "virtio-scsi",
            Self::Nvme => "nvme",
            Self::Ide => "ide",
            Self::Sata => "sata",
        }
    }

    /// Whether machines of `arch` have it: PIIX is a chip of PCs.
    #[must_use]
    pub fn is_of(self, arch: Arch) -> bool {
        self != Self::Ide || arch == Arch::X86_64
    }

    /// The kernel options without which a disk there is not seen, each with its
    /// dependencies before it.
    #[must_use]
    pub const fn kernel_options(self) -> &'static [&'static str] {
        match self {
            Self::VirtioBlk => &["PCI", "VIRTIO_PCI", "VIRTIO_BLK"],
            Self::VirtioScsi => &["PCI", "VIRTIO_PCI", "SCSI_VIRTIO", "BLK_DEV_SD"],
            Self::Nvme => &["PCI", "BLK_DEV_NVME"],
            Self::Ide => &["PCI", "ATA", "ATA_PIIX", "BLK_DEV_SD"],
            Self::Sata => &["PCI", "ATA", "SATA_AHCI", "BLK_DEV_SD"],
        }
    }
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
