//! A disk with the BIOS loader, a machine, and what that writes to its serial port.

use std::path::Path;

use super::odd_bios::{OddBios, SETTINGS_LBA};
use crate::error::{Error, IoContext, Result};
use crate::format::MIB;
use crate::format::bios_boot::{self, BootCode, Extent, Table};
use crate::format::gpt::{self, DiskOptions, Layout, PartitionOptions, partition_type};
use crate::format::guid::Guid;
use crate::host::Invocation;
use crate::ops::test::serial_line::{self, SERIAL};
use crate::qemu::accelerator::Accelerator;
use crate::qemu::machine::program;

/// The loader's unit, as an index.
pub(super) const SECTOR_BYTES: usize = 512;
/// The kernel speaks to the port that the loader speaks to.
const COMMAND_LINE: &[u8] = b"console=ttyS0";

/// What a disk is made of.
pub(super) struct Material {
    pub(super) code: BootCode,
    pub(super) kernel: Vec<u8>,
    pub(super) initramfs: Vec<u8>,
    /// The boot sector that makes a BIOS odd.
    pub(super) odd_bios: Vec<u8>,
}

/// How the disk is connected.
#[derive(Clone, Copy, Debug)]
pub(super) enum Drive {
    /// As a virtio disk.
    Virtio,
    /// The same, but reading this sector fails.
    Faulty {
        /// From the disk's beginning.
        sector: usize,
    },
    /// As a floppy disk.
    Floppy,
}

/// What it is connected to.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    accelerator: Accelerator,
    pub(super) memory_mib: u64,
    pub(super) drive: Drive,
    /// Otherwise the firmware copies what it shows to the serial port, and what is
    /// expected must be there once more.
    pub(super) has_screen: bool,
}

impl Machine {
    pub(super) fn new(accelerator: Accelerator) -> Self {
        Self { accelerator, memory_mib: 128, drive: Drive::Virtio, has_screen: true }
    }

    fn arguments(&self, disk: &Path, serial: &Path) -> Vec<String> {
        let graphics = if self.has_screen { "on" } else { "off" };
        // The paths are in a temporary directory: there is no comma in them.
        let (disk, serial) = (disk.display(), serial.display());
        let mut words = vec![
            "-nodefaults".into(),
            "-no-user-config".into(),
            "-no-reboot".into(),
            format!("-display none -accel {}", self.accelerator.as_str()),
            format!("-machine pc,graphics={graphics} -device VGA -m {}M", self.memory_mib),
            format!("-serial file:{serial}"),
        ];
        words.push(match self.drive {
            Drive::Floppy => format!("-drive if=floppy,format=raw,file={disk}"),
            Drive::Virtio => {
                format!("-blockdev raw,node-name=disk,file.driver=file,file.filename={disk}")
            }
            Drive::Faulty { sector } => format!(
                "-blockdev raw,node-name=disk,file.driver=blkdebug,file.image.driver=file,\
                 file.image.filename={disk},file.inject-error.0.event=read_aio,\
                 file.inject-error.0.sector={sector}"
            ),
        });
        if !matches!(self.drive, Drive::Floppy) {
            words.push("-device virtio-blk-pci,drive=disk,bootindex=0".into());
        }
        words.iter().flat_map(|words| words.split(' ')).map(str::to_owned).collect()
    }
}

/// A disk that something is wrong with, and a machine.
#[derive(Clone)]
pub(super) struct Trial {
    code: BootCode,
    odd_bios: Vec<u8>,
    /// The disk's bytes.
    pub(super) disk: Vec<u8>,
    /// The boot table that was installed.
    pub(super) table: Table,
    /// Where it is booted.
    pub(super) machine: Machine,
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Trial {
    /// A disk nothing is wrong with: one partition, which holds kernel and initramfs.
    pub(super) fn new(material: &Material, machine: Machine) -> Result<Self> {
        let Material { code, kernel, initramfs, odd_bios } = material;
        let kernel_at = gpt::ALIGNMENT_BYTES;
        let initramfs_at = (kernel_at + kernel.len() as u64).next_multiple_of(gpt::SECTOR_BYTES);
        let size_bytes = (initramfs_at + initramfs.len() as u64 - kernel_at).next_multiple_of(MIB);
        let layout = Layout::new(&DiskOptions {
            size_bytes: None,
            guid: Guid::derive("trial disk", &[]),
            partitions: vec![PartitionOptions {
                type_guid: partition_type::LINUX,
                guid: Guid::derive("trial partition", &[]),
                name: "boot".into(),
                attributes: 0,
                size_bytes,
            }],
        })?;
        let mut disk = vec![0; index(layout.disk_bytes())];
        for (at, content) in [(kernel_at, kernel), (initramfs_at, initramfs)] {
            disk[index(at)..][..content.len()].copy_from_slice(content);
        }
        layout.write(&mut disk)?;
        let table = Table {
            kernel: Extent::of(&disk, kernel_at, kernel.len() as u64)?,
            initramfs: Some(Extent::of(&disk, initramfs_at, initramfs.len() as u64)?),
            command_line: COMMAND_LINE.to_vec(),
        };
        bios_boot::install(code, &table, &mut disk)?;
        Ok(Self { code: code.clone(), odd_bios: odd_bios.clone(), disk, table, machine })
    }

    /// Puts an odd BIOS before the loader.
    pub(super) fn make_odd(&mut self, odd: &OddBios) {
        let at = SETTINGS_LBA * SECTOR_BYTES;
        self.disk[at..at + SECTOR_BYTES].copy_from_slice(&odd.settings());
        self.disk.copy_within(..SECTOR_BYTES, at + SECTOR_BYTES);
        self.disk[..self.odd_bios.len()].copy_from_slice(&self.odd_bios);
    }

    /// Installs the loader again, with this table.
    pub(super) fn install(&mut self, table: &Table) -> Result<()> {
        bios_boot::install(&self.code, table, &mut self.disk)
    }

    /// Takes the kernel on the disk for the right one, whatever has been done to it.
    pub(super) fn accept_kernel(&mut self) -> Result<()> {
        let kernel = self.table.kernel;
        let at = kernel.first_lba * gpt::SECTOR_BYTES;
        self.table.kernel = Extent::of(&self.disk, at, kernel.len_bytes.into())?;
        let table = self.table.clone();
        self.install(&table)
    }

    /// Changes one bit of a byte.
    pub(super) fn flip(&mut self, at: usize) {
        self.disk[at] ^= 0x10;
    }

    /// Offset of stage 2.
    pub(super) fn stage2_at(&self) -> usize {
        index(bios_boot::STAGE2_LBA) * SECTOR_BYTES
    }

    /// Offset of the boot table.
    pub(super) fn table_at(&self) -> usize {
        self.stage2_at() + self.code.stage2.len()
    }

    /// Offset of the kernel.
    pub(super) fn kernel_at(&self) -> usize {
        index(self.table.kernel.first_lba) * SECTOR_BYTES
    }

    /// Length of the kernel.
    pub(super) fn kernel_len(&self) -> usize {
        self.table.kernel.len_bytes as usize
    }

    /// The initramfs.
    pub(super) fn initramfs(&self) -> &Extent {
        self.table.initramfs.as_ref().unwrap_or(&self.table.kernel)
    }

    /// Offset of the initramfs.
    pub(super) fn initramfs_at(&self) -> usize {
        index(self.initramfs().first_lba) * SECTOR_BYTES
    }

    /// Length of the initramfs.
    pub(super) fn initramfs_len(&self) -> usize {
        self.initramfs().len_bytes as usize
    }

    /// Where the memory ends that a boot needs, from the kernel's header: its preferred
    /// address, what it needs from there, the initramfs (Documentation/arch/x86/boot.rst).
    pub(super) fn memory_needed_bytes(&self) -> u64 {
        let word = |field: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&self.disk[self.kernel_at() + field..][..4]);
            u64::from(u32::from_le_bytes(bytes))
        };
        word(0x258) + word(0x260) + u64::from(self.initramfs().len_bytes)
    }

    /// Boots and reads the serial line until what is expected stands there.
    /// The inner result is the verdict.
    pub(super) fn run(&self, expected: &str) -> Result<Result<String, String>> {
        let directory = tempfile::tempdir()
            .map_err(|error| Error::failure(format!("cannot make a directory: {error}")))?;
        let (disk, serial) = (directory.path().join("disk"), directory.path().join(SERIAL));
        std::fs::write(&disk, &self.disk).at("write", &disk)?;
        let qemu = Invocation::new(program(crate::arch::Arch::X86_64))
            .args(self.machine.arguments(&disk, &serial));
        let times = if self.machine.has_screen { 1 } else { 2 };
        let verdict = serial_line::wait_for(qemu, directory.path(), expected, times)?;
        Ok(verdict.map(|_said| expected.trim().to_owned()))
    }
}
