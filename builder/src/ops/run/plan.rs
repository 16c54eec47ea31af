//! From a built image and a person's wishes to a machine. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

use super::boot_method::{BootMethod, or_by_firmware};
use super::medium::Medium;
use crate::command_line::{self, CommandLine};
use crate::error::{Error, Result};
use crate::image::BuiltImage;
use crate::qemu::accelerator::Accelerator;
use crate::qemu::board::Board;
use crate::qemu::machine::{Boot, Disk, MachineSpec};
use crate::qemu::network::Card;

/// The parts of an image that a machine is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The image's name, for messages.
    pub image: String,
    /// bzImage or Image.
    pub kernel: PathBuf,
    /// The whole system as an initramfs.
    pub initramfs: Option<PathBuf>,
    /// The disk the guest gets: the image's own, or a person's copy of it.
    pub disk: Option<Disk>,
    /// The image's kernel parameters, without a `root=` of the builder's.
    pub command_line: CommandLine,
    /// The same with what a kernel without an initramfs finds the disk's root by, if it has one.
    pub root_command_line: Option<CommandLine>,
}

impl Parts {
    /// The parts of a built image, this output being the disk.
    #[must_use]
    pub fn with_medium(built: &BuiltImage, medium: Medium) -> Self {
        let definition = &built.definition;
        let finds_root = medium.has_root(definition) || definition.names_root(built.arch);
        Self {
            image: definition.name.clone(),
            kernel: built.kernel.clone(),
            initramfs: built.initramfs.clone(),
            disk: medium.of(built),
            command_line: built.command_line.clone(),
            root_command_line: built.root_command_line.clone().filter(|_| finds_root),
        }
    }

    /// The parts of a built image, its disk left as it is.
    #[must_use]
    pub fn of(built: &BuiltImage) -> Self {
        Self::with_medium(built, Medium::Disk)
    }
}

/// What a person wishes of the machine.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Its board, and what its disk hangs on.
    pub board: Board,
    /// How it boots.
    pub boot: BootMethod,
    /// Its memory, in MiB.
    pub memory_mib: u32,
    /// Its processors.
    pub cpus: u32,
    /// What runs it.
    pub accelerator: Accelerator,
    /// Whether a person sits at it: then a reboot reboots it.
    pub is_interactive: bool,
    /// Its network cards.
    pub cards: Vec<Card>,
    /// Kernel parameters on top of the image's own, for a direct boot.
    pub parameters: Vec<String>,
    /// Arguments for QEMU on top of the builder's.
    pub qemu: Vec<OsString>,
}

/// Makes sure that a machine can boot in this way, and take the parameters so.
///
/// # Errors
/// If its firmware cannot, or passes no parameters on.
pub fn check(boot: BootMethod, board: Board, parameters: &[String]) -> Result<()> {
    let (machine, method) = (board.machine(), boot.name());
    if !boot.is_on(machine) {
        let hint = format!("use `--boot direct`{}", or_by_firmware(machine));
        let name = machine.as_str();
        return Err(
            Error::definition(format!("the machine {name} does not boot by {method}")).hint(hint)
        );
    }
    if boot != BootMethod::Direct && !parameters.is_empty() {
        let message = format!("a boot by {method} takes no kernel parameters from outside");
        return Err(Error::definition(message)
            .hint("leave out --parameter, or use `--boot direct`: the disk has its own"));
    }
    Ok(())
}

/// Whether the root is named by parameters from outside.
#[must_use]
pub(super) fn names_root(parameters: &[String]) -> bool {
    let mut line = CommandLine::default();
    line.add(&parameters.join(" "));
    command_line::names_root(line.kernel.iter().map(String::as_str))
}

/// The machine. `firmware` is code and variables for a boot by UEFI.
///
/// # Errors
/// If the image does not have what the boot method needs; people are told by [`check`] and
/// [`super::medium::check`] before it is built.
pub fn plan(
    parts: Parts,
    wishes: Wishes,
    firmware: Option<(PathBuf, Option<PathBuf>)>,
) -> Result<MachineSpec> {
    check(wishes.boot, wishes.board, &wishes.parameters)?;
    if wishes.boot != BootMethod::Direct && parts.disk.is_none() {
        let (image, method) = (parts.image, wishes.boot.name());
        return Err(Error::internal(format!("a boot by {method} of {image}, which has no disk")));
    }
    let boot = match wishes.boot {
        BootMethod::Direct => direct(&parts, &wishes)?,
        BootMethod::Bios => Boot::Bios,
        BootMethod::Uefi => {
            let (code, variables) =
                firmware.ok_or_else(|| Error::internal("a boot by UEFI without firmware"))?;
            Boot::Uefi { code, variables }
        }
    };
    Ok(MachineSpec {
        board: wishes.board,
        boot,
        memory_mib: wishes.memory_mib,
        cpus: wishes.cpus,
        accelerator: wishes.accelerator,
        disk: parts.disk,
        cards: wishes.cards,
        restarts_on_reset: wishes.is_interactive,
        extra: wishes.qemu,
    })
}

/// An initramfs holds the whole system, so it needs no root; without one, the
/// kernel mounts the disk's, unless another is named.
fn direct(parts: &Parts, wishes: &Wishes) -> Result<Boot> {
    let names_root = names_root(&wishes.parameters);
    let mut line = match &parts.root_command_line {
        Some(line) if parts.initramfs.is_none() => line.clone(),
        None if parts.initramfs.is_none() && !names_root => {
            let image = &parts.image;
            return Err(Error::internal(format!("a direct boot of {image}, which has no root")));
        }
        _ => parts.command_line.clone(),
    };
    if parts.initramfs.is_some() {
        // They are in its boot configuration, and the kernel would give init both.
        line.init.clear();
    }
    if !wishes.is_interactive {
        // At once, so that a panic is an end and no wait. pvpanic has told QEMU before.
        line.kernel.push("panic=-1".to_owned());
    }
    line.add(&wishes.parameters.join(" "));
    Ok(Boot::Direct {
        kernel: parts.kernel.clone(),
        initramfs: parts.initramfs.clone(),
        command_line: line.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;
    use crate::bus::Bus;
    use crate::error::Kind;
    use crate::qemu::board::Machine;
    use crate::qemu::machine::DiskForm;

    fn parts() -> Parts {
        Parts {
            image: "small".into(),
            kernel: "/o/vmlinuz".into(),
            initramfs: Some("/o/initramfs".into()),
            disk: Some(Disk {
                path: "/o/disk.img".into(),
                form: DiskForm::Raw,
                keeps_writes: false,
            }),
            command_line: line("console=ttyS0 -- single"),
            root_command_line: Some(line("console=ttyS0 root=PARTUUID=1-2 rootwait -- single")),
        }
    }

    fn line(text: &str) -> CommandLine {
        let mut line = CommandLine::default();
        line.add(text);
        line
    }

    fn wishes(boot: BootMethod) -> Wishes {
        Wishes {
            board: Board::of(Arch::X86_64),
            boot,
            memory_mib: 256,
            cpus: 1,
            accelerator: Accelerator::Tcg,
            is_interactive: false,
            cards: Vec::new(),
            parameters: Vec::new(),
            qemu: Vec::new(),
        }
    }

    fn command_line(spec: MachineSpec) -> String {
        match spec.boot {
            Boot::Direct { command_line, .. } => command_line,
            Boot::Bios | Boot::Uefi { .. } => String::new(),
        }
    }

    #[test]
    fn the_kernel_gets_a_root_only_where_there_is_no_initramfs() {
        let parameters = ["debug", "--", "x"].map(String::from).to_vec();
        let wishes = Wishes { parameters, ..wishes(BootMethod::Direct) };
        let spec = plan(parts(), wishes.clone(), None).unwrap();
        assert!(spec.disk.is_some(), "the disk is attached all the same");
        assert_eq!(command_line(spec), "console=ttyS0 panic=-1 debug -- x");
        let parts = Parts { initramfs: None, ..parts() };
        let spec = plan(parts.clone(), wishes.clone(), None).unwrap();
        let expected = "console=ttyS0 root=PARTUUID=1-2 rootwait panic=-1 debug -- single x";
        assert_eq!(command_line(spec), expected);
        let rootless = Parts { root_command_line: None, ..parts };
        let parameters = vec!["root=LABEL=mine".to_owned()];
        let spec = plan(rootless.clone(), Wishes { parameters, ..wishes.clone() }, None).unwrap();
        assert_eq!(command_line(spec), "console=ttyS0 panic=-1 root=LABEL=mine -- single");
        assert_eq!(plan(rootless, wishes, None).unwrap_err().kind(), Kind::Internal);
    }

    #[test]
    fn a_person_keeps_the_panic_on_the_screen_and_may_reboot() {
        let wishes = Wishes { is_interactive: true, ..wishes(BootMethod::Direct) };
        let spec = plan(parts(), wishes, None).unwrap();
        assert!(spec.restarts_on_reset);
        assert_eq!(command_line(spec), "console=ttyS0");
    }

    #[test]
    fn firmware_boots_from_the_disk() {
        for boot in [BootMethod::Bios, BootMethod::Uefi] {
            let no_disk = Parts { disk: None, ..parts() };
            let error = plan(no_disk, wishes(boot), None).unwrap_err();
            assert_eq!(error.kind(), Kind::Internal, "{error}");
        }
        let firmware = Some(("/f/code".into(), Some("/t/variables".into())));
        let spec = plan(parts(), wishes(BootMethod::Uefi), firmware).unwrap();
        assert!(matches!(spec.boot, Boot::Uefi { .. }));
        let spec = plan(parts(), wishes(BootMethod::Bios), None).unwrap();
        assert_eq!(spec.boot, Boot::Bios);
    }

    #[test]
    fn each_machine_boots_as_its_firmware_can() {
        use BootMethod::{Bios, Direct, Uefi};
        for (machine, bus, boot, complaint) in [
            (Machine::Pc, Bus::Ide, Direct, None),
            (Machine::Pc, Bus::Ide, Bios, None),
            (Machine::Pc, Bus::Ide, Uefi, None),
            (Machine::Q35, Bus::Nvme, Direct, None),
            (Machine::Q35, Bus::Nvme, Bios, None),
            (Machine::Q35, Bus::Nvme, Uefi, None),
            (Machine::Microvm, Bus::VirtioBlk, Direct, None),
            (
                Machine::Microvm,
                Bus::VirtioBlk,
                Bios,
                Some("the machine microvm does not boot by BIOS\nhint: use `--boot direct`"),
            ),
            (
                Machine::Microvm,
                Bus::VirtioBlk,
                Uefi,
                Some("the machine microvm does not boot by UEFI\nhint: use `--boot direct`"),
            ),
            (Machine::Virt, Bus::VirtioScsi, Direct, None),
            (
                Machine::Virt,
                Bus::VirtioScsi,
                Bios,
                Some(
                    "the machine virt does not boot by BIOS\n\
                     hint: use `--boot direct` or `--boot uefi`",
                ),
            ),
            (Machine::Virt, Bus::VirtioScsi, Uefi, None),
        ] {
            let board = Board::new(machine.arch(), Some(machine), bus).unwrap();
            let error = check(boot, board, &[]).err();
            if let Some(error) = &error {
                assert_eq!(error.kind(), Kind::Definition);
            }
            let error = error.map(|error| error.to_string());
            assert_eq!(error.as_deref(), complaint, "{machine:?} {boot:?}");
        }
    }

    #[test]
    fn parameters_that_nobody_would_read_are_refused() {
        let board = Board::of(Arch::X86_64);
        let parameters = ["debug".to_owned()];
        check(BootMethod::Direct, board, &parameters).unwrap();
        for boot in [BootMethod::Bios, BootMethod::Uefi] {
            let error = check(boot, board, &parameters).unwrap_err();
            assert!(error.to_string().contains("leave out --parameter"), "{error}");
        }
    }
}
