//! The cells of the boot matrix, as data.

use std::fmt;

use crate::arch::Arch;
use crate::bus::Bus::{self, Ide, Nvme, Sata, VirtioBlk, VirtioScsi};
use crate::ops::run::boot_method::BootMethod::{self, Bios, Direct, Uefi};
use crate::qemu::board::Machine::{self, Microvm, Pc, Q35, Virt};
use crate::qemu::firmware::Variables;

/// What the guest's `/` is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Root {
    /// The root partition of the disk on the cell's bus.
    Disk,
    /// The initramfs; the disk is attached and left alone.
    Initramfs,
}

/// One machine, and one way to boot it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cell {
    /// The image, which has a disk and an initramfs.
    pub(super) image: &'static str,
    pub(super) boot: BootMethod,
    pub(super) machine: Machine,
    pub(super) bus: Bus,
    pub(super) memory_mib: u32,
    pub(super) cpus: u32,
    pub(super) root: Root,
    /// Of a boot by UEFI.
    pub(super) uefi_variables: Variables,
    /// Whether the ordinary ladder has it.
    pub(super) is_short: bool,
}

/// A cell of the long ladder that boots `standard` from its disk.
const fn cell(boot: BootMethod, machine: Machine, bus: Bus, memory_mib: u32, cpus: u32) -> Cell {
    Cell {
        image: "standard",
        boot,
        machine,
        bus,
        memory_mib,
        cpus,
        root: Root::Disk,
        uefi_variables: Variables::Writable,
        is_short: false,
    }
}

impl Cell {
    const fn in_initramfs(self) -> Self {
        Self { root: Root::Initramfs, ..self }
    }

    const fn without_variables(self) -> Self {
        Self { uefi_variables: Variables::None, ..self }
    }

    /// The disk that has a system for each architecture.
    const fn of_both(self) -> Self {
        Self { image: "media", ..self }
    }

    const fn short(self) -> Self {
        Self { is_short: true, ..self }
    }

    /// The architecture of its machine.
    pub(super) const fn arch(&self) -> Arch {
        self.machine.arch()
    }

    /// Whether its kernel must be told which root there is: a disk's boot loader
    /// and its kernel know by themselves.
    pub(super) fn names_root(&self) -> bool {
        self.boot == Direct && self.root == Root::Disk
    }

    /// What boots it, for people.
    pub(super) const fn firmware(&self) -> &'static str {
        match (self.boot, self.arch(), self.uefi_variables) {
            (BootMethod::Direct, ..) => "`-kernel`",
            (BootMethod::Bios, ..) => "SeaBIOS",
            (BootMethod::Uefi, Arch::X86_64, Variables::Writable) => "OVMF",
            (BootMethod::Uefi, Arch::X86_64, Variables::None) => "OVMF, no variables",
            (BootMethod::Uefi, Arch::Aarch64, Variables::Writable) => "AAVMF",
            (BootMethod::Uefi, Arch::Aarch64, Variables::None) => "AAVMF, no variables",
        }
    }

    /// How a person boots it.
    pub(super) fn command_line(&self) -> String {
        let Self { image, machine, bus, memory_mib, cpus, .. } = self;
        let (arch, boot) = (self.arch(), self.boot.as_str());
        let (machine, bus) = (machine.as_str(), bus.as_str());
        let mut line = format!(
            "builder run {image} --arch {arch} --boot {boot} --machine {machine} --bus {bus} \
             --memory-mib {memory_mib} --cpus {cpus}"
        );
        if self.boot == Uefi && self.uefi_variables == Variables::None {
            line.push_str(" --uefi-variables none");
        }
        if self.names_root() {
            line.push_str(" --parameter root=PARTUUID=…");
        }
        line
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image, memory_mib, cpus, .. } = self;
        let (machine, bus) = (self.machine.as_str(), self.bus.as_str());
        let root = match self.root {
            Root::Disk => bus.to_owned(),
            Root::Initramfs => format!("initramfs beside {bus}"),
        };
        let firmware = self.firmware().trim_matches('`');
        write!(f, "{image} {} {firmware} {machine} {root} {memory_mib} MiB {cpus} CPU", self.arch())
    }
}

/// A board and bus by turns with little and much memory, one and several processors.
pub(super) const CELLS: &[Cell] = &[
    cell(Bios, Pc, VirtioBlk, 64, 1),
    cell(Bios, Pc, VirtioScsi, 512, 4),
    cell(Bios, Pc, Nvme, 6144, 2),
    cell(Bios, Pc, Ide, 64, 1).short(),
    cell(Bios, Pc, Sata, 256, 1),
    cell(Bios, Q35, VirtioBlk, 6144, 4),
    cell(Bios, Q35, VirtioScsi, 64, 1),
    cell(Bios, Q35, Nvme, 6144, 2).short(),
    cell(Bios, Q35, Sata, 64, 2),
    cell(Uefi, Pc, VirtioBlk, 6144, 1),
    cell(Uefi, Pc, VirtioScsi, 512, 4),
    cell(Uefi, Pc, Nvme, 256, 2).without_variables(),
    cell(Uefi, Pc, Ide, 512, 1).without_variables(),
    cell(Uefi, Pc, Sata, 6144, 2),
    cell(Uefi, Q35, VirtioBlk, 96, 1),
    cell(Uefi, Q35, VirtioScsi, 256, 1).without_variables().short(),
    cell(Uefi, Q35, Nvme, 6144, 4).without_variables(),
    cell(Uefi, Q35, Sata, 512, 2),
    cell(Direct, Pc, VirtioBlk, 64, 1),
    cell(Direct, Pc, VirtioScsi, 256, 2),
    cell(Direct, Pc, Nvme, 6144, 2),
    cell(Direct, Pc, Ide, 64, 1),
    cell(Direct, Pc, Sata, 512, 4),
    cell(Direct, Q35, VirtioBlk, 64, 2),
    cell(Direct, Q35, VirtioScsi, 64, 1),
    cell(Direct, Q35, Nvme, 256, 1),
    cell(Direct, Q35, Sata, 6144, 4),
    cell(Direct, Q35, VirtioBlk, 6144, 1).in_initramfs(),
    cell(Direct, Microvm, VirtioBlk, 64, 1).in_initramfs().short(),
    cell(Direct, Microvm, VirtioBlk, 6144, 2),
    cell(Direct, Microvm, VirtioScsi, 256, 4),
    cell(Uefi, Virt, VirtioBlk, 512, 2),
    cell(Uefi, Virt, VirtioScsi, 128, 1).without_variables().short(),
    cell(Uefi, Virt, Nvme, 6144, 4),
    cell(Direct, Virt, VirtioBlk, 64, 1),
    cell(Direct, Virt, VirtioScsi, 6144, 1),
    cell(Direct, Virt, Nvme, 256, 2).short(),
    cell(Direct, Virt, VirtioBlk, 512, 4).in_initramfs(),
    cell(Bios, Pc, Sata, 512, 2).of_both(),
    cell(Bios, Q35, VirtioBlk, 256, 1).of_both(),
    cell(Uefi, Q35, Nvme, 512, 2).of_both(),
    cell(Uefi, Virt, VirtioScsi, 512, 2).of_both(),
    cell(Uefi, Virt, VirtioBlk, 256, 1).without_variables().of_both(),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ops::run::plan;
    use crate::qemu::board::Board;

    #[test]
    fn every_cell_is_a_machine_that_there_is_and_each_is_there_once() {
        let mut names = BTreeSet::new();
        for cell in CELLS {
            let board = Board::new(cell.arch(), Some(cell.machine), cell.bus).unwrap();
            plan::check(cell.boot, board, &[]).unwrap();
            assert!(names.insert(cell.to_string()), "{cell} is there twice");
        }
    }

    #[test]
    fn the_matrix_is_as_wide_as_it_is_said_to_be() {
        assert!(CELLS.len() >= 20);
        let short = CELLS.iter().filter(|cell| cell.is_short).count();
        assert!((1..=6).contains(&short), "{short} cells in the ordinary ladder");
        for (machine, boot) in Machine::ALL
            .into_iter()
            .flat_map(|machine| [Bios, Uefi, Direct].map(|boot| (machine, boot)))
            .filter(|(machine, boot)| boot.is_on(*machine))
        {
            let cells: Vec<&Cell> =
                CELLS.iter().filter(|cell| (cell.machine, cell.boot) == (machine, boot)).collect();
            let any = |has: &dyn Fn(&Cell) -> bool| cells.iter().any(|cell| has(cell));
            let name = format!("{machine:?} {boot:?}");
            for bus in machine.buses() {
                assert!(any(&|cell| cell.bus == *bus), "{name} {bus:?}");
            }
            assert!(any(&|cell| cell.memory_mib > 4096), "{name}");
            assert!(any(&|cell| cell.cpus == 1), "{name}");
            assert!(any(&|cell| cell.cpus > 1), "{name}");
            // Where UEFI firmware leaves enough of them to the kernel.
            assert!(boot == Uefi || any(&|cell| cell.memory_mib == 64), "{name}");
            for variables in [Variables::Writable, Variables::None] {
                let has = any(&|cell| cell.uefi_variables == variables);
                assert!(boot != Uefi || has, "{name} {variables:?}");
            }
        }
    }

    #[test]
    fn a_cell_says_how_it_is_booted() {
        let uefi = cell(Uefi, Q35, Nvme, 6144, 4).without_variables();
        assert_eq!(uefi.to_string(), "standard x86_64 OVMF, no variables q35 nvme 6144 MiB 4 CPU");
        assert_eq!(
            uefi.command_line(),
            "builder run standard --arch x86_64 --boot uefi --machine q35 --bus nvme \
             --memory-mib 6144 --cpus 4 --uefi-variables none"
        );
        let direct = cell(Direct, Virt, VirtioBlk, 64, 1);
        assert!(direct.command_line().ends_with("--cpus 1 --parameter root=PARTUUID=…"));
        let initramfs = direct.in_initramfs();
        assert!(initramfs.command_line().ends_with("--cpus 1"));
        assert_eq!(
            initramfs.to_string(),
            "standard aarch64 -kernel virt initramfs beside virtio-blk 64 MiB 1 CPU"
        );
    }
}
