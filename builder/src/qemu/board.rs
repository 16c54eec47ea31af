//! The boards that QEMU builds for us, and the buses a disk can hang on there.
//!
//! Pure. A [`Board`] is a pair that exists, so nothing after it has to ask.
//! What each board has is that of qemu(1) 7.2 and later.

use clap::ValueEnum;

use super::accelerator::Accelerator;
use super::network::Mac;
use crate::arch::Arch;
use crate::bus::Bus;
use crate::error::{Error, Result};

/// A board.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Machine {
    /// x86_64: a PC of 1996, i440FX and PIIX, all as QEMU has it by default
    Pc,
    /// x86_64: a PC of 2009, Q35 and ICH9, without what a guest would look for in vain
    Q35,
    /// x86_64: no firmware to speak of, no PCI, virtio devices in memory
    Microvm,
    /// aarch64: QEMU's own board
    Virt,
}

impl Machine {
    /// Every board.
    pub const ALL: [Self; 4] = [Self::Pc, Self::Q35, Self::Microvm, Self::Virt];

    /// Its word on the command line, which is QEMU's too.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pc => "pc",
            Self::Q35 => "q35",
            Self::Microvm => "microvm",
            Self::Virt => "virt",
        }
    }

    /// The architecture of its processor.
    #[must_use]
    pub const fn arch(self) -> Arch {
        match self {
            Self::Pc | Self::Q35 | Self::Microvm => Arch::X86_64,
            Self::Virt => Arch::Aarch64,
        }
    }

    /// The board that a guest of `arch` has unless a person wants another.
    #[must_use]
    pub const fn of(arch: Arch) -> Self {
        match arch {
            Arch::X86_64 => Self::Q35,
            Arch::Aarch64 => Self::Virt,
        }
    }

    /// Whether QEMU's default firmware for it is a BIOS that boots from disks.
    #[must_use]
    pub const fn has_bios(self) -> bool {
        matches!(self, Self::Pc | Self::Q35)
    }

    /// Whether there is UEFI firmware for it.
    #[must_use]
    pub const fn has_uefi(self) -> bool {
        !matches!(self, Self::Microvm)
    }

    /// The buses that a disk can hang on there.
    #[must_use]
    pub const fn buses(self) -> &'static [Bus] {
        match self {
            Self::Pc => &Bus::ALL,
            Self::Q35 => &[Bus::VirtioBlk, Bus::VirtioScsi, Bus::Nvme, Bus::Sata],
            Self::Microvm => &[Bus::VirtioBlk, Bus::VirtioScsi],
            Self::Virt => &[Bus::VirtioBlk, Bus::VirtioScsi, Bus::Nvme],
        }
    }
}

/// A board and what its disk hangs on: a pair that exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Board {
    machine: Machine,
    bus: Bus,
}

impl Board {
    /// The board `machine`, or the usual one for `arch`, with the disk on `bus`.
    ///
    /// # Errors
    /// If the board is not one of `arch`, or has no such bus.
    pub fn new(arch: Arch, machine: Option<Machine>, bus: Bus) -> Result<Self> {
        let machine = machine.unwrap_or(Machine::of(arch));
        let name = machine.as_str();
        if machine.arch() != arch {
            let own = Machine::ALL.into_iter().filter(|machine| machine.arch() == arch);
            let own = alternatives(own.map(Machine::as_str));
            return Err(Error::definition(format!("the machine {name} has no {arch} processor"))
                .hint(format!("for {arch} there is {own}")));
        }
        if !machine.buses().contains(&bus) {
            return Err(no_bus(machine, bus));
        }
        Ok(Self { machine, bus })
    }

    /// The usual board for `arch`.
    #[must_use]
    pub const fn of(arch: Arch) -> Self {
        Self { machine: Machine::of(arch), bus: Bus::VirtioBlk }
    }

    /// The board.
    #[must_use]
    pub const fn machine(self) -> Machine {
        self.machine
    }

    /// What its disk hangs on.
    #[must_use]
    pub const fn bus(self) -> Bus {
        self.bus
    }

    /// QEMU's `-machine`.
    #[must_use]
    pub(super) const fn argument(self, accelerator: Accelerator) -> &'static str {
        match (self.machine, accelerator) {
            (Machine::Pc, _) => "pc",
            // Without what a guest with virtio devices spends its boot looking for.
            (Machine::Q35, _) if matches!(self.bus, Bus::Sata) => "q35,smbus=off,i8042=off",
            (Machine::Q35, _) => "q35,sata=off,smbus=off,i8042=off",
            // By its ACPI tables the kernel finds the devices and the way to power off.
            (Machine::Microvm, _) => "microvm,acpi=on",
            // Under KVM the interrupt controller must be one the host's can virtualize.
            (Machine::Virt, Accelerator::Kvm) => "virt,gic-version=host",
            (Machine::Virt, Accelerator::Tcg) => "virt,gic-version=3",
        }
    }

    /// Whether QEMU must count instructions to keep the guest's clocks in step.
    ///
    /// A microvm's only time of known rate is the PIT, which the kernel measures the
    /// processor's clock against in a few milliseconds; it has no other timer tick
    /// if that fails (ACPI's reduced hardware), as it does where a busy host takes
    /// the translator's thread away meanwhile. KVM tells the rate.
    #[must_use]
    pub(super) const fn needs_counted_clock(self, accelerator: Accelerator) -> bool {
        matches!((self.machine, accelerator), (Machine::Microvm, Accelerator::Tcg))
    }

    /// QEMU's name for a virtio device of this kind, such as `virtio-rng`.
    #[must_use]
    pub(super) fn virtio(self, kind: &str) -> String {
        let transport = if matches!(self.machine, Machine::Microvm) { "device" } else { "pci" };
        format!("{kind}-{transport}")
    }

    /// A network card with this address on the network of this name.
    #[must_use]
    pub(super) fn network_device(self, network: &str, mac: Mac) -> String {
        // Without an option ROM the firmware does not try to boot from it.
        let rom = if matches!(self.machine, Machine::Microvm) { "" } else { ",romfile=" };
        format!("{},netdev={network},mac={mac}{rom}", self.virtio("virtio-net"))
    }

    /// The device that tells the host of a kernel panic (QEMU's documentation: specs/pvpanic).
    #[must_use]
    pub(super) const fn panic_device(self) -> &'static str {
        match self.machine {
            Machine::Microvm => "pvpanic",
            Machine::Pc | Machine::Q35 | Machine::Virt => "pvpanic-pci",
        }
    }

    /// The devices that the drive `disk` needs, the disk itself last.
    #[must_use]
    pub(super) fn disk_devices(self, is_cd: bool) -> Vec<String> {
        let kind = if is_cd { "cd" } else { "hd" };
        match (self.bus, self.machine) {
            (Bus::VirtioBlk, _) => vec![format!("{},drive=disk", self.virtio("virtio-blk"))],
            (Bus::VirtioScsi, _) => vec![
                format!("{},id=scsi", self.virtio("virtio-scsi")),
                format!("scsi-{kind},bus=scsi.0,drive=disk"),
            ],
            (Bus::Nvme, _) => vec!["nvme,serial=disk,drive=disk".to_owned()],
            (Bus::Sata, Machine::Pc) => {
                vec!["ich9-ahci,id=sata".to_owned(), format!("ide-{kind},bus=sata.0,drive=disk")]
            }
            // The board's own controller.
            (Bus::Ide | Bus::Sata, _) => vec![format!("ide-{kind},bus=ide.0,drive=disk")],
        }
    }
}

fn no_bus(machine: Machine, bus: Bus) -> Error {
    let (name, bus_name) = (machine.as_str(), bus.as_str());
    let own = alternatives(machine.buses().iter().map(|bus| bus.as_str()));
    let mut hint = format!("a disk of {name} can be on {own}");
    let others: Vec<String> = Machine::ALL
        .into_iter()
        .filter(|other| other.arch() == machine.arch() && other.buses().contains(&bus))
        .map(|other| format!("`--machine {}`", other.as_str()))
        .collect();
    if !others.is_empty() {
        hint.push_str(&format!("; {bus_name} is what {} has", alternatives(others)));
    }
    Error::definition(format!("the machine {name} has no bus {bus_name} for a disk")).hint(hint)
}

/// "a, b or c".
fn alternatives<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    let words: Vec<T> = words.into_iter().collect();
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        let is_last = index + 1 == words.len();
        text.push_str(match index {
            0 => "",
            _ if is_last => " or ",
            _ => ", ",
        });
        text.push_str(word.as_ref());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    /// Every pair of machine and bus, and the disk's devices where there is the bus.
    const PAIRS: [(Machine, Bus, Option<&str>); 20] = [
        (Machine::Pc, Bus::VirtioBlk, Some("virtio-blk-pci,drive=disk")),
        (
            Machine::Pc,
            Bus::VirtioScsi,
            Some("virtio-scsi-pci,id=scsi scsi-hd,bus=scsi.0,drive=disk"),
        ),
        (Machine::Pc, Bus::Nvme, Some("nvme,serial=disk,drive=disk")),
        (Machine::Pc, Bus::Ide, Some("ide-hd,bus=ide.0,drive=disk")),
        (Machine::Pc, Bus::Sata, Some("ich9-ahci,id=sata ide-hd,bus=sata.0,drive=disk")),
        (Machine::Q35, Bus::VirtioBlk, Some("virtio-blk-pci,drive=disk")),
        (
            Machine::Q35,
            Bus::VirtioScsi,
            Some("virtio-scsi-pci,id=scsi scsi-hd,bus=scsi.0,drive=disk"),
        ),
        (Machine::Q35, Bus::Nvme, Some("nvme,serial=disk,drive=disk")),
        (Machine::Q35, Bus::Ide, None),
        (Machine::Q35, Bus::Sata, Some("ide-hd,bus=ide.0,drive=disk")),
        (Machine::Microvm, Bus::VirtioBlk, Some("virtio-blk-device,drive=disk")),
        (
            Machine::Microvm,
            Bus::VirtioScsi,
            Some("virtio-scsi-device,id=scsi scsi-hd,bus=scsi.0,drive=disk"),
        ),
        (Machine::Microvm, Bus::Nvme, None),
        (Machine::Microvm, Bus::Ide, None),
        (Machine::Microvm, Bus::Sata, None),
        (Machine::Virt, Bus::VirtioBlk, Some("virtio-blk-pci,drive=disk")),
        (
            Machine::Virt,
            Bus::VirtioScsi,
            Some("virtio-scsi-pci,id=scsi scsi-hd,bus=scsi.0,drive=disk"),
        ),
        (Machine::Virt, Bus::Nvme, Some("nvme,serial=disk,drive=disk")),
        (Machine::Virt, Bus::Ide, None),
        (Machine::Virt, Bus::Sata, None),
    ];

    #[test]
    fn every_pair_has_its_devices_or_is_refused() {
        for (machine, bus, devices) in PAIRS {
            let pair = format!("{machine:?} {bus:?}");
            for arch in Arch::ALL {
                let board = Board::new(arch, Some(machine), bus);
                let Some(expected) = devices.filter(|_| machine.arch() == arch) else {
                    let error = board.expect_err(&pair);
                    assert_eq!(error.kind(), Kind::Definition, "{pair}");
                    assert!(error.to_string().contains("hint: "), "{pair}");
                    continue;
                };
                assert_eq!(board.unwrap().disk_devices(false).join(" "), expected, "{pair}");
            }
        }
        let pairs = Machine::ALL.into_iter().flat_map(|machine| Bus::ALL.map(|bus| (machine, bus)));
        assert!(pairs.eq(PAIRS.map(|(machine, bus, _)| (machine, bus))), "a pair is missing");
    }

    #[test]
    fn a_refusal_says_what_there_is_instead() {
        let refused =
            |arch, machine, bus| Board::new(arch, Some(machine), bus).unwrap_err().to_string();
        assert_eq!(
            refused(Arch::X86_64, Machine::Q35, Bus::Ide),
            "the machine q35 has no bus ide for a disk\n\
             hint: a disk of q35 can be on virtio-blk, virtio-scsi, nvme or sata; \
             ide is what `--machine pc` has"
        );
        assert_eq!(
            refused(Arch::X86_64, Machine::Microvm, Bus::Sata),
            "the machine microvm has no bus sata for a disk\n\
             hint: a disk of microvm can be on virtio-blk or virtio-scsi; \
             sata is what `--machine pc` or `--machine q35` has"
        );
        assert_eq!(
            refused(Arch::Aarch64, Machine::Virt, Bus::Sata),
            "the machine virt has no bus sata for a disk\n\
             hint: a disk of virt can be on virtio-blk, virtio-scsi or nvme"
        );
        assert_eq!(
            refused(Arch::Aarch64, Machine::Microvm, Bus::Nvme),
            "the machine microvm has no aarch64 processor\nhint: for aarch64 there is virt"
        );
    }

    #[test]
    fn the_usual_board_is_one_that_can_be_asked_for() {
        for arch in Arch::ALL {
            assert_eq!(Board::new(arch, None, Bus::VirtioBlk).unwrap(), Board::of(arch));
        }
    }

    #[test]
    fn each_board_has_its_argument() {
        for (arch, machine, bus, accelerator, expected) in [
            (Arch::X86_64, Machine::Pc, Bus::Sata, Accelerator::Tcg, "pc"),
            (
                Arch::X86_64,
                Machine::Q35,
                Bus::Nvme,
                Accelerator::Kvm,
                "q35,sata=off,smbus=off,i8042=off",
            ),
            (Arch::X86_64, Machine::Q35, Bus::Sata, Accelerator::Tcg, "q35,smbus=off,i8042=off"),
            (Arch::X86_64, Machine::Microvm, Bus::VirtioBlk, Accelerator::Tcg, "microvm,acpi=on"),
            (Arch::Aarch64, Machine::Virt, Bus::Nvme, Accelerator::Tcg, "virt,gic-version=3"),
            (Arch::Aarch64, Machine::Virt, Bus::Nvme, Accelerator::Kvm, "virt,gic-version=host"),
        ] {
            let board = Board::new(arch, Some(machine), bus).unwrap();
            assert_eq!(board.argument(accelerator), expected);
        }
    }
}
