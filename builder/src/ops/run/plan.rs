//! From a built image and a person's wishes to a machine. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::bus::Bus;
use crate::command_line::CommandLine;
use crate::error::{Error, Result};
use crate::image::BuiltImage;
use crate::qemu::accelerator::Accelerator;
use crate::qemu::board::{Board, Machine};
use crate::qemu::machine::{Boot, Disk, DiskForm, MachineSpec};
use crate::qemu::network::Card;

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

/// Which of an image's outputs is the machine's disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Medium {
    /// disk.img
    Disk,
    /// disk.qcow2
    Qcow2,
    /// system.iso in a CD drive
    Cd,
    /// system.iso on a disk, as on a USB stick
    Stick,
}

impl Medium {
    /// Its word on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Qcow2 => "qcow2",
            Self::Cd => "cd",
            Self::Stick => "stick",
        }
    }

    /// The output, if the image has it. What a guest writes is thrown away.
    fn of(self, built: &BuiltImage) -> Option<Disk> {
        let (output, form) = match self {
            Self::Disk => (&built.disk, DiskForm::Raw),
            Self::Qcow2 => (&built.qcow2, DiskForm::Qcow2),
            Self::Cd => (&built.iso, DiskForm::Cd),
            Self::Stick => (&built.iso, DiskForm::Raw),
        };
        output.clone().map(|path| Disk { path, form, keeps_writes: false })
    }
}

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
    /// `PARTUUID` of the disk's root partition.
    pub root_partuuid: Option<String>,
    /// The image's kernel parameters, without `root=`.
    pub command_line: CommandLine,
}

impl Parts {
    /// The parts of a built image, this output being the disk.
    ///
    /// # Errors
    /// If the image has no such output.
    pub fn with_medium(built: &BuiltImage, medium: Medium) -> Result<Self> {
        let disk = medium.of(built);
        if medium != Medium::Disk && disk.is_none() {
            let (image, word) = (&built.definition.name, medium.as_str());
            let output = if medium == Medium::Qcow2 { "qcow2" } else { "iso" };
            return Err(Error::definition(format!("the image {image} has no medium {word}"))
                .hint(format!("let the definition's `outputs` have \"{output}\"")));
        }
        Ok(Self { disk, ..Self::of(built) })
    }

    /// The parts of a built image, its disk left as it is.
    #[must_use]
    pub fn of(built: &BuiltImage) -> Self {
        let disk = Medium::Disk.of(built);
        Self {
            image: built.definition.name.clone(),
            kernel: built.kernel.clone(),
            initramfs: built.initramfs.clone(),
            disk,
            root_partuuid: built.root_partuuid.clone(),
            command_line: built.command_line.clone(),
        }
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

/// The ways by which a machine boots what is on its disk, as the end of a hint.
pub(super) fn or_by_firmware(machine: Machine) -> String {
    [BootMethod::Bios, BootMethod::Uefi]
        .into_iter()
        .filter(|method| method.is_on(machine))
        .map(|method| format!(" or `--boot {}`", method.as_str()))
        .collect()
}

/// The machine. `firmware` is code and variables for a boot by UEFI.
///
/// # Errors
/// If the image does not have what the boot method needs; see also [`check`].
pub fn plan(
    parts: Parts,
    wishes: Wishes,
    firmware: Option<(PathBuf, Option<PathBuf>)>,
) -> Result<MachineSpec> {
    check(wishes.boot, wishes.board, &wishes.parameters)?;
    if wishes.boot != BootMethod::Direct && parts.disk.is_none() {
        let (image, method) = (parts.image, wishes.boot.name());
        let message = format!("the image {image} has no disk to boot from by {method}");
        return Err(Error::definition(message)
            .hint("let the definition's `outputs` have a disk, or use `--boot direct`"));
    }
    let is_cd = parts.disk.as_ref().is_some_and(|disk| disk.form == DiskForm::Cd);
    if is_cd && matches!(wishes.board.bus(), Bus::VirtioBlk | Bus::Nvme) {
        let message = format!("there is no CD drive on {}", wishes.board.bus());
        return Err(
            Error::definition(message).hint("use `--bus virtio-scsi`, `--bus sata` or `--bus ide`")
        );
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
/// kernel mounts the disk's, unless the definition names another as for a boot by firmware.
fn direct(parts: &Parts, wishes: &Wishes) -> Result<Boot> {
    let mut line = parts.command_line.clone();
    let parameters = &mut line.kernel;
    if parts.initramfs.is_some() {
        // They are in its boot configuration, and the kernel would give init both.
        line.init.clear();
    } else {
        let partuuid = parts.root_partuuid.as_ref().ok_or_else(|| {
            Error::definition(format!(
                "the image {} has neither an initramfs nor a disk",
                parts.image
            ))
            .hint("let the definition's `outputs` have one of them")
        })?;
        if !parameters.iter().any(|word| word.starts_with("root=")) {
            parameters.push(format!("root=PARTUUID={partuuid}"));
            parameters.push("rootwait".to_owned());
        }
    }
    if !wishes.is_interactive {
        // At once, so that a panic is an end and no wait. pvpanic has told QEMU before.
        parameters.push("panic=-1".to_owned());
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
            root_partuuid: Some("1-2".into()),
            command_line: CommandLine {
                kernel: vec!["console=ttyS0".into()],
                init: vec!["single".into()],
            },
        }
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
        let own = CommandLine { kernel: vec!["root=PARTLABEL=root".into()], init: Vec::new() };
        let spec = plan(Parts { command_line: own, ..parts }, wishes, None).unwrap();
        let expected = "root=PARTLABEL=root panic=-1 debug -- x";
        assert_eq!(command_line(spec), expected, "its own stands");
    }

    #[test]
    fn a_person_keeps_the_panic_on_the_screen_and_may_reboot() {
        let wishes = Wishes { is_interactive: true, ..wishes(BootMethod::Direct) };
        let spec = plan(parts(), wishes, None).unwrap();
        assert!(spec.restarts_on_reset);
        assert_eq!(command_line(spec), "console=ttyS0");
    }

    #[test]
    fn an_image_without_what_it_boots_from_is_refused() {
        let nothing = Parts { initramfs: None, disk: None, root_partuuid: None, ..parts() };
        let no_disk = Parts { disk: None, ..parts() };
        for (parts, boot) in [
            (nothing, BootMethod::Direct),
            (no_disk.clone(), BootMethod::Bios),
            (no_disk, BootMethod::Uefi),
        ] {
            let error = plan(parts, wishes(boot), None).unwrap_err();
            assert_eq!(error.kind(), Kind::Definition);
            assert!(error.to_string().contains("image small"), "{error}");
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
