//! What a guest says of the machine it is on, and whether that is its cell. Pure.
//!
//! The guest prints `key=value` lines about its kernel, its loader, its board and
//! the drivers between its root and the bus; nothing here is what QEMU was told.

use super::cells::{Cell, Root};
use crate::arch::Arch;
use crate::bus::Bus;
use crate::ops::run::boot_method::BootMethod;
use crate::qemu::board::Machine;

/// The guest's command. A root in memory has a device number that sysfs does not have.
pub(super) const COMMAND: &str = r#"
while read -r id parent number from target rest; do
    [ "$target" = / ] && root=$number
done < /proc/self/mountinfo
path=$(readlink -f "/sys/dev/block/$root")
while [ -n "$path" ] && [ "$path" != / ]; do
    [ -e "$path/driver" ] && echo "driver=$(basename "$(readlink "$path/driver")")"
    path=$(dirname "$path")
done
read -r key kib unit < /proc/meminfo && echo "memory-kib=$kib"
echo "cpus=$(nproc)"
echo "arch=$(uname -m)"
[ -e /sys/firmware/efi ] && echo uefi=yes
loader=/proc/sys/kernel/bootloader_type
[ -e $loader ] && echo "loader=$(cat $loader)"
bridge=/sys/bus/pci/devices/0000:00:00.0/device
[ -e $bridge ] && echo "bridge=$(cat $bridge)"
true
"#;

/// `type_of_loader` (Documentation/arch/x86/boot.rst): QEMU's, and that of a loader without a number.
const LOADER_QEMU: &str = "176";
const LOADER_UNNUMBERED: &str = "255";
/// What the kernel and the firmware may keep of the memory for themselves: a
/// share of it for page descriptors and tables, and this much, in MiB.
const RESERVED_MIB: u32 = 48;
const RESERVED_DIVISOR: u32 = 16;

/// Judges what the guest printed. Everything that is wrong is named.
pub(super) fn judge(cell: &Cell, text: &str) -> Result<String, String> {
    let seen = Seen { text };
    let mut wrong = Vec::new();
    let mut expect = |what: &str, found: Option<&str>, wanted: Option<&str>| {
        if found != wanted {
            let name = |value: Option<&str>| value.unwrap_or("none").to_owned();
            wrong.push(format!("{what} is {} instead of {}", name(found), name(wanted)));
        }
    };
    expect("the architecture", seen.value("arch"), Some(cell.arch().as_str()));
    expect("UEFI", seen.value("uefi"), (cell.boot == BootMethod::Uefi).then_some("yes"));
    if let Some(loader) = loader(cell) {
        expect("the loader", seen.value("loader"), Some(loader));
    }
    expect("the host bridge", seen.value("bridge"), host_bridge(cell.machine));
    expect("the number of processors", seen.value("cpus"), Some(&cell.cpus.to_string()));
    let drivers: Vec<&str> = seen.values("driver").collect();
    let wanted = drivers_of(cell);
    if !drivers.starts_with(wanted) || drivers.is_empty() != wanted.is_empty() {
        wrong.push(format!("the root is behind {drivers:?} instead of {wanted:?}"));
    }
    let memory = seen.value("memory-kib").and_then(|kib| kib.parse::<u32>().ok());
    if !memory.is_some_and(|kib| is_memory_of(cell, kib)) {
        wrong.push(format!("of {} MiB of memory it has {memory:?} KiB", cell.memory_mib));
    }
    if wrong.is_empty() {
        let from = if drivers.is_empty() { "initramfs".into() } else { drivers.join(" < ") };
        Ok(format!("root: {from}; {} KiB", memory.unwrap_or_default()))
    } else {
        Err(wrong.join("; "))
    }
}

struct Seen<'a> {
    text: &'a str,
}

impl<'a> Seen<'a> {
    fn values(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.text.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='))
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        self.values(key).next()
    }
}

/// What the kernel was told of its loader; `None` where it is not told, or the
/// kernel's own EFI stub is the loader.
fn loader(cell: &Cell) -> Option<&'static str> {
    match (cell.arch(), cell.boot) {
        (Arch::X86_64, BootMethod::Direct) => Some(LOADER_QEMU),
        (Arch::X86_64, BootMethod::Bios) => Some(LOADER_UNNUMBERED),
        _ => None,
    }
}

/// The PCI device number of the board's host bridge: i440FX, Q35, QEMU's generic one.
const fn host_bridge(machine: Machine) -> Option<&'static str> {
    match machine {
        Machine::Pc => Some("0x1237"),
        Machine::Q35 => Some("0x29c0"),
        Machine::Microvm => None,
        Machine::Virt => Some("0x0008"),
    }
}

/// The kernel's drivers from the root's disk towards the board.
fn drivers_of(cell: &Cell) -> &'static [&'static str] {
    if cell.root == Root::Initramfs {
        return &[];
    }
    match (cell.bus, cell.machine) {
        (Bus::VirtioBlk, Machine::Microvm) => &["virtio_blk", "virtio-mmio"],
        (Bus::VirtioBlk, _) => &["virtio_blk", "virtio-pci"],
        (Bus::VirtioScsi, Machine::Microvm) => &["sd", "virtio_scsi", "virtio-mmio"],
        (Bus::VirtioScsi, _) => &["sd", "virtio_scsi", "virtio-pci"],
        (Bus::Nvme, _) => &["nvme"],
        (Bus::Ide, _) => &["sd", "ata_piix"],
        (Bus::Sata, _) => &["sd", "ahci"],
    }
}

fn is_memory_of(cell: &Cell, kib: u32) -> bool {
    let mib = cell.memory_mib;
    let least = mib.saturating_sub(RESERVED_MIB + mib / RESERVED_DIVISOR);
    (least * 1024..=mib * 1024).contains(&kib)
}

#[cfg(test)]
mod tests {
    use super::super::cells::CELLS;
    use super::*;

    const TEXT: &str = "driver=sd\ndriver=ahci\nmemory-kib=495192\ncpus=2\n\
        arch=x86_64\nuefi=yes\nloader=33\nbridge=0x29c0\n";

    fn sata_on_q35() -> Cell {
        let is_it = |cell: &&Cell| {
            (cell.machine, cell.bus, cell.boot) == (Machine::Q35, Bus::Sata, BootMethod::Uefi)
        };
        Cell { memory_mib: 512, cpus: 2, ..*CELLS.iter().find(is_it).unwrap() }
    }

    #[test]
    fn a_guest_on_its_cells_machine_is_content() {
        let seen = judge(&sata_on_q35(), TEXT);
        assert_eq!(seen.unwrap(), "root: sd < ahci; 495192 KiB");
        let microvm = Cell {
            machine: Machine::Microvm,
            bus: Bus::VirtioBlk,
            boot: BootMethod::Direct,
            root: Root::Initramfs,
            ..sata_on_q35()
        };
        let text = "memory-kib=495192\ncpus=2\narch=x86_64\nloader=176\n";
        assert_eq!(judge(&microvm, text).unwrap(), "root: initramfs; 495192 KiB");
    }

    #[test]
    fn whatever_is_not_its_cells_is_named() {
        for (from, to, complaint) in [
            ("x86_64", "aarch64", "the architecture is aarch64 instead of x86_64"),
            ("uefi=yes\n", "", "UEFI is none instead of yes"),
            ("0x29c0", "0x1237", "the host bridge is 0x1237 instead of 0x29c0"),
            ("cpus=2", "cpus=1", "the number of processors is 1 instead of 2"),
            ("=ahci", "=ata_piix", "the root is behind [\"sd\", \"ata_piix\"]"),
            ("driver=sd\ndriver=ahci\n", "", "the root is behind []"),
            ("495192", "262144", "of 512 MiB of memory it has Some(262144) KiB"),
            ("495192", "600000", "of 512 MiB of memory it has Some(600000) KiB"),
            ("495192", "", "of 512 MiB of memory it has None KiB"),
        ] {
            let why = judge(&sata_on_q35(), &TEXT.replace(from, to)).unwrap_err();
            assert!(why.contains(complaint), "{why}");
        }
        let all = judge(&sata_on_q35(), "").unwrap_err();
        assert_eq!(all.split("; ").count(), 6, "{all}");
    }

    #[test]
    fn the_loader_and_a_disk_that_was_not_asked_for_are_told() {
        let direct = Cell { boot: BootMethod::Direct, ..sata_on_q35() };
        let bios = Cell { boot: BootMethod::Bios, ..sata_on_q35() };
        let text = TEXT.replace("uefi=yes\n", "");
        for (cell, loader, is_good) in [
            (direct, "176", true),
            (direct, "255", false),
            (bios, "255", true),
            (bios, "176", false),
        ] {
            let text = text.replace("loader=33", &format!("loader={loader}"));
            assert_eq!(judge(&cell, &text).is_ok(), is_good, "{:?} {loader}", cell.boot);
        }
        let initramfs = Cell { root: Root::Initramfs, ..sata_on_q35() };
        assert!(judge(&initramfs, TEXT).unwrap_err().contains("instead of []"));
    }
}
