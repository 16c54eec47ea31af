//! A machine's description and the arguments that make QEMU build it.
//!
//! Pure: no file is opened, no program looked for. The options are those of
//! qemu(1) 7.2 and later; nothing depends on the host's QEMU configuration.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use init_core::exec_protocol;

use super::accelerator::Accelerator;
use super::board::Board;
use super::network::{self, Card, Network};
use crate::arch::Arch;

/// How the guest's kernel is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Boot {
    /// QEMU loads it, as a boot loader would.
    Direct {
        /// bzImage or Image.
        kernel: PathBuf,
        /// The initramfs, if the kernel gets one.
        initramfs: Option<PathBuf>,
        /// The kernel command line (Documentation/admin-guide/kernel-parameters.rst).
        command_line: String,
    },
    /// QEMU's BIOS runs the boot code in the disk's first sector.
    Bios,
    /// Firmware loads it from the disk's EFI system partition. Its command line is its own.
    Uefi {
        /// The firmware's code, which is only read.
        code: PathBuf,
        /// Its variables, which the guest may write: a copy. Without one it has
        /// those of the factory, and forgets what is written.
        variables: Option<PathBuf>,
    },
}

/// What a disk's image is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskForm {
    /// The disk's bytes.
    Raw,
    /// QEMU's own format.
    Qcow2,
    /// The bytes of a CD, which is only read.
    Cd,
}

/// The guest's disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// The image.
    pub path: PathBuf,
    /// What it is.
    pub form: DiskForm,
    /// Whether what the guest writes reaches the image. Otherwise it is thrown away.
    pub keeps_writes: bool,
}

/// Everything that makes the guest's machine what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MachineSpec {
    /// Its board, and what its disk hangs on.
    pub board: Board,
    /// How it starts.
    pub boot: Boot,
    /// Its memory, in MiB.
    pub memory_mib: u32,
    /// How many processors it has, at least 1.
    pub cpus: u32,
    /// What runs it.
    pub accelerator: Accelerator,
    /// Its disk, if it has one.
    pub disk: Option<Disk>,
    /// Its network cards.
    pub cards: Vec<Card>,
    /// Whether a reset starts it again. Otherwise a reset ends it.
    pub restarts_on_reset: bool,
    /// Further arguments for QEMU, last.
    pub extra: Vec<OsString>,
}

/// The host's ends of what connects builder and guest. The sockets are the
/// builder's: QEMU connects to them, so none has to be waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoints {
    /// Listening socket for QMP.
    pub qmp: PathBuf,
    /// Listening socket for the exec port.
    pub exec: PathBuf,
    /// Listening socket for the serial console, if a person sits there.
    pub console: Option<PathBuf>,
    /// Where all that the guest writes to its serial console is kept.
    pub console_log: PathBuf,
}

/// The QEMU binary that emulates `arch`.
#[must_use]
pub const fn program(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "qemu-system-x86_64",
        Arch::Aarch64 => "qemu-system-aarch64",
    }
}

/// The kernel's name for the machine's serial console.
#[must_use]
pub const fn console_device(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "ttyS0",
        Arch::Aarch64 => "ttyAMA0",
    }
}

/// The arguments that make a bare machine: board, accelerator and processor,
/// without devices or a window.
#[must_use]
pub fn board_arguments(board: Board, accelerator: Accelerator) -> Vec<OsString> {
    let cpu = match (board.machine().arch(), accelerator) {
        (_, Accelerator::Kvm) => "host",
        (Arch::X86_64, Accelerator::Tcg) => "max",
        // `max` would spend most of its time on emulated pointer authentication.
        (Arch::Aarch64, Accelerator::Tcg) => "cortex-a72",
    };
    let mut list = Arguments::default();
    list.flag("-nodefaults");
    list.flag("-no-user-config");
    list.pair("-display", "none");
    list.pair("-machine", board.argument(accelerator));
    list.pair("-accel", accelerator.as_str());
    list.pair("-cpu", cpu);
    if board.needs_counted_clock(accelerator) {
        list.pair("-icount", "shift=auto");
    }
    list.0
}

impl MachineSpec {
    /// Its processor's architecture.
    #[must_use]
    pub const fn arch(&self) -> Arch {
        self.board.machine().arch()
    }

    /// QEMU's arguments. The machine stands still until QMP says `cont`, so
    /// that no event is missed.
    #[must_use]
    pub fn arguments(&self, endpoints: &Endpoints) -> Vec<OsString> {
        let mut list = Arguments(board_arguments(self.board, self.accelerator));
        list.flag("-S");
        if !self.restarts_on_reset {
            list.flag("-no-reboot");
        }
        list.pair("-m", format!("{}M", self.memory_mib));
        list.pair("-smp", self.cpus.to_string());
        list.endpoints(endpoints);
        list.pair("-device", self.board.virtio("virtio-serial"));
        let port = exec_protocol::PORT_NAME;
        list.pair("-device", format!("virtserialport,chardev=exec,name={port}"));
        list.pair("-device", self.board.virtio("virtio-rng"));
        list.pair("-device", self.board.panic_device());
        if let Some(disk) = &self.disk {
            self.disk(&mut list, disk);
        }
        for (index, card) in self.cards.iter().enumerate() {
            let backend = network::backend(index, &card.network);
            match &card.network {
                Network::User { .. } => list.pair("-netdev", backend),
                Network::Cable { socket, .. } => list.with_path("-netdev", &backend, socket, ""),
            }
            let device = self.board.network_device(&network::name(index), card.mac);
            list.pair("-device", device);
        }
        self.start(&mut list);
        list.0.extend(self.extra.iter().cloned());
        list.0
    }

    fn disk(&self, list: &mut Arguments, disk: &Disk) {
        let (prefix, suffix) = match disk.form {
            DiskForm::Raw => ("if=none,id=disk,format=raw,file=", ",snapshot=on"),
            DiskForm::Qcow2 => ("if=none,id=disk,format=qcow2,file=", ",snapshot=on"),
            DiskForm::Cd => ("if=none,id=disk,format=raw,media=cdrom,file=", ",readonly=on"),
        };
        let suffix = if disk.keeps_writes { "" } else { suffix };
        list.with_path("-drive", prefix, &disk.path, suffix);
        let mut devices = self.board.disk_devices(disk.form == DiskForm::Cd);
        if let (Some(last), Boot::Bios | Boot::Uefi { .. }) = (devices.last_mut(), &self.boot) {
            // With -kernel, the first place is that of QEMU's own loader.
            last.push_str(",bootindex=0");
        }
        for device in devices {
            list.pair("-device", device);
        }
    }

    fn start(&self, list: &mut Arguments) {
        match &self.boot {
            Boot::Direct { kernel, initramfs, command_line } => {
                list.pair("-kernel", kernel.as_os_str());
                if let Some(initramfs) = initramfs {
                    // -initrd takes a list for multiboot, so commas are doubled here too.
                    list.pair("-initrd", escaped(initramfs));
                }
                if !command_line.is_empty() {
                    list.pair("-append", command_line);
                }
            }
            // Nothing but the disk is tried. A BIOS that finds no boot code there would
            // wait for ever; where nobody reads its message, it resets at once, which ends it.
            Boot::Bios if self.restarts_on_reset => list.pair("-boot", "strict=on"),
            Boot::Bios => list.pair("-boot", "strict=on,reboot-timeout=0"),
            Boot::Uefi { code, variables } => {
                let read_only = "if=pflash,unit=0,format=raw,readonly=on,file=";
                list.with_path("-drive", read_only, code, "");
                if let Some(variables) = variables {
                    list.with_path("-drive", "if=pflash,unit=1,format=raw,file=", variables, "");
                }
            }
        }
    }
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn flag(&mut self, name: &str) {
        self.0.push(name.into());
    }

    fn pair(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.push(name.into());
        self.0.push(value.into());
    }

    /// `name prefix,key=PATH`, with the path's commas doubled as QEMU wants it.
    fn with_path(&mut self, name: &str, prefix: &str, path: &Path, suffix: &str) {
        let mut value = OsString::from(prefix);
        value.push(escaped(path));
        value.push(suffix);
        self.pair(name, value);
    }

    fn endpoints(&mut self, endpoints: &Endpoints) {
        self.with_path("-chardev", "socket,id=qmp,path=", &endpoints.qmp, "");
        self.pair("-mon", "chardev=qmp,mode=control");
        match &endpoints.console {
            Some(socket) => {
                let mut log = OsString::from(",logfile=");
                log.push(escaped(&endpoints.console_log));
                let mut value = OsString::from("socket,id=console,path=");
                value.push(escaped(socket));
                value.push(log);
                self.pair("-chardev", value);
            }
            None => self.with_path("-chardev", "file,id=console,path=", &endpoints.console_log, ""),
        }
        self.pair("-serial", "chardev:console");
        self.with_path("-chardev", "socket,id=exec,path=", &endpoints.exec, "");
    }
}

fn escaped(path: &Path) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let bytes = path.as_os_str().as_bytes();
    if !bytes.contains(&b',') {
        return OsStr::from_bytes(bytes).to_owned();
    }
    let mut doubled = Vec::with_capacity(bytes.len() + 1);
    for byte in bytes {
        doubled.push(*byte);
        if *byte == b',' {
            doubled.push(b',');
        }
    }
    OsString::from_vec(doubled)
}

#[cfg(test)]
mod tests {
    use super::super::board::Machine;
    use super::super::network::{CableEnd, Mac, Port};
    use super::*;
    use crate::bus::Bus;

    fn endpoints() -> Endpoints {
        Endpoints {
            qmp: "/t/qmp".into(),
            exec: "/t/exec".into(),
            console: None,
            console_log: "/t/console".into(),
        }
    }

    fn spec(arch: Arch, boot: Boot) -> MachineSpec {
        MachineSpec {
            board: Board::of(arch),
            boot,
            memory_mib: 256,
            cpus: 2,
            accelerator: Accelerator::Tcg,
            disk: None,
            cards: Vec::new(),
            restarts_on_reset: false,
            extra: Vec::new(),
        }
    }

    fn user_card() -> Card {
        Card { mac: Mac::of(1, 0), network: Network::user() }
    }

    fn direct() -> Boot {
        Boot::Direct {
            kernel: "/o/vmlinuz".into(),
            initramfs: Some("/o/initramfs".into()),
            command_line: "console=ttyS0 panic=-1".into(),
        }
    }

    fn text(spec: &MachineSpec, endpoints: &Endpoints) -> String {
        let words: Vec<_> = spec.arguments(endpoints).into_iter().collect();
        words.join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn a_direct_boot_reads_as_one_would_type_it() {
        assert_eq!(
            text(&spec(Arch::X86_64, direct()), &endpoints()),
            "-nodefaults -no-user-config -display none -machine q35,sata=off,smbus=off,i8042=off -accel tcg -cpu max -S -no-reboot \
             -m 256M -smp 2 -chardev socket,id=qmp,path=/t/qmp -mon chardev=qmp,mode=control \
             -chardev file,id=console,path=/t/console -serial chardev:console \
             -chardev socket,id=exec,path=/t/exec -device virtio-serial-pci \
             -device virtserialport,chardev=exec,name=org.keelson.exec \
             -device virtio-rng-pci -device pvpanic-pci \
             -kernel /o/vmlinuz -initrd /o/initramfs -append console=ttyS0 panic=-1"
        );
    }

    #[test]
    fn each_choice_has_its_argument() {
        let base = spec(Arch::Aarch64, direct());
        let disk = Disk { path: "/o/disk.img".into(), form: DiskForm::Raw, keeps_writes: false };
        let uefi = |variables| Boot::Uefi { code: "/f/code".into(), variables };
        let with_disk = MachineSpec { disk: Some(disk.clone()), ..base.clone() };
        let isolated = Card {
            mac: Mac::of(2, 0),
            network: Network::User {
                published: vec![Port { host: 0, guest: 22 }],
                is_isolated: true,
            },
        };
        let cable = Card {
            mac: Mac::of(2, 1),
            network: Network::Cable { socket: "/t/a,b".into(), end: CableEnd::Connects },
        };
        let pc = |machine, bus| Board::new(Arch::X86_64, Some(machine), bus).unwrap();
        let table: &[(&str, MachineSpec, &str)] = &[
            ("board", base.clone(), "-machine virt,gic-version=3 -accel tcg -cpu cortex-a72"),
            (
                "kvm",
                MachineSpec { accelerator: Accelerator::Kvm, ..base.clone() },
                "-machine virt,gic-version=host -accel kvm -cpu host",
            ),
            (
                "disk",
                with_disk.clone(),
                "-drive if=none,id=disk,format=raw,file=/o/disk.img,snapshot=on \
                 -device virtio-blk-pci,drive=disk -kernel",
            ),
            (
                "kept disk",
                MachineSpec { disk: Some(Disk { keeps_writes: true, ..disk }), ..base.clone() },
                "file=/o/disk.img -device",
            ),
            (
                "uefi",
                MachineSpec { boot: uefi(Some("/t/vars".into())), ..with_disk.clone() },
                "-device virtio-blk-pci,drive=disk,bootindex=0 -drive if=pflash,unit=0,format=raw,readonly=on,file=/f/code \
                 -drive if=pflash,unit=1,format=raw,file=/t/vars",
            ),
            (
                "uefi without a variable store",
                MachineSpec { boot: uefi(None), extra: vec!["-s".into()], ..with_disk.clone() },
                "bootindex=0 -drive if=pflash,unit=0,format=raw,readonly=on,file=/f/code -s",
            ),
            (
                "bios",
                MachineSpec {
                    board: pc(Machine::Pc, Bus::VirtioScsi),
                    boot: Boot::Bios,
                    ..with_disk.clone()
                },
                "-device virtio-scsi-pci,id=scsi -device scsi-hd,bus=scsi.0,drive=disk,bootindex=0 \
                 -boot strict=on,reboot-timeout=0",
            ),
            (
                "bios with a person",
                MachineSpec {
                    board: pc(Machine::Pc, Bus::Ide),
                    boot: Boot::Bios,
                    restarts_on_reset: true,
                    extra: vec!["-s".into()],
                    ..with_disk
                },
                "-boot strict=on -s",
            ),
            (
                "microvm",
                MachineSpec {
                    board: pc(Machine::Microvm, Bus::VirtioBlk),
                    cards: vec![user_card()],
                    ..base.clone()
                },
                "-machine microvm,acpi=on -accel tcg -cpu max -icount shift=auto -S",
            ),
            (
                "microvm's devices",
                MachineSpec {
                    board: pc(Machine::Microvm, Bus::VirtioBlk),
                    cards: vec![user_card()],
                    ..base.clone()
                },
                "-device virtio-serial-device -device virtserialport,chardev=exec,name=org.keelson.exec \
                 -device virtio-rng-device -device pvpanic \
                 -netdev user,id=net0 \
                 -device virtio-net-device,netdev=net0,mac=52:54:00:00:01:00 -kernel",
            ),
            (
                "network",
                MachineSpec { cards: vec![user_card()], ..base.clone() },
                "-netdev user,id=net0 -device virtio-net-pci,netdev=net0,mac=52:54:00:00:01:00,romfile=",
            ),
            (
                "an isolated network with a way in, and a cable",
                MachineSpec { cards: vec![isolated, cable], ..base.clone() },
                "-netdev user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:0-:22 \
                 -device virtio-net-pci,netdev=net0,mac=52:54:00:00:02:00,romfile= \
                 -netdev stream,id=net1,server=off,addr.type=unix,addr.path=/t/a,,b \
                 -device virtio-net-pci,netdev=net1,mac=52:54:00:00:02:01,romfile= -kernel",
            ),
            (
                "extra arguments come last",
                MachineSpec { extra: vec!["-d".into(), "int".into()], ..base.clone() },
                "panic=-1 -d int",
            ),
        ];
        for (name, spec, expected) in table {
            let text = text(spec, &endpoints());
            assert!(text.contains(expected), "{name}: {text}");
        }
        let restarting = MachineSpec { restarts_on_reset: true, ..base };
        assert!(!text(&restarting, &endpoints()).contains("-no-reboot"));
    }

    #[test]
    fn a_person_at_the_console_does_not_cost_the_log() {
        let endpoints = Endpoints { console: Some("/t/tty".into()), ..endpoints() };
        let text = text(&spec(Arch::X86_64, direct()), &endpoints);
        assert!(
            text.contains("-chardev socket,id=console,path=/t/tty,logfile=/t/console"),
            "{text}"
        );
    }

    #[test]
    fn a_comma_in_a_path_does_not_end_the_option() {
        let disk = Disk { path: "/o/a,b".into(), form: DiskForm::Raw, keeps_writes: true };
        let spec = MachineSpec { disk: Some(disk), ..spec(Arch::X86_64, direct()) };
        assert!(text(&spec, &endpoints()).contains("file=/o/a,,b "));
    }
}
