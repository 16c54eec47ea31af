//! From a built image and a person's wishes to a machine. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::arch::Arch;
use crate::error::{Error, Result};
use crate::image::BuiltImage;
use crate::qemu::machine::{Accelerator, Boot, Disk, MachineSpec};

/// How the guest's kernel is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum BootMethod {
    /// QEMU loads kernel and initramfs
    Direct,
    /// Firmware loads the kernel from the disk
    Uefi,
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
    pub command_line: Vec<String>,
}

impl Parts {
    /// The parts of a built image, its disk left as it is.
    #[must_use]
    pub fn of(built: &BuiltImage) -> Self {
        let disk = built.disk.clone().map(|path| Disk { path, keeps_writes: false });
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
    /// Its architecture.
    pub arch: Arch,
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
    /// Whether it has a network card.
    pub has_network: bool,
    /// Kernel parameters on top of the image's own, for a direct boot.
    pub parameters: Vec<String>,
    /// Arguments for QEMU on top of the builder's.
    pub qemu: Vec<OsString>,
}

/// The machine. `firmware` is code and variables for a boot by UEFI.
///
/// # Errors
/// If the image does not have what the boot method needs.
pub fn plan(
    parts: Parts,
    wishes: Wishes,
    firmware: Option<(PathBuf, PathBuf)>,
) -> Result<MachineSpec> {
    let boot = match wishes.boot {
        BootMethod::Direct => direct(&parts, &wishes)?,
        BootMethod::Uefi => {
            if parts.disk.is_none() {
                return Err(Error::definition(format!(
                    "the image {} has no disk to boot from by UEFI",
                    parts.image
                ))
                .hint("let the definition's `outputs` have a disk, or use `--boot direct`"));
            }
            let (code, variables) =
                firmware.ok_or_else(|| Error::internal("a boot by UEFI without firmware"))?;
            Boot::Uefi { code, variables }
        }
    };
    Ok(MachineSpec {
        arch: wishes.arch,
        boot,
        memory_mib: wishes.memory_mib,
        cpus: wishes.cpus,
        accelerator: wishes.accelerator,
        disk: parts.disk,
        has_network: wishes.has_network,
        restarts_on_reset: wishes.is_interactive,
        extra: wishes.qemu,
    })
}

/// An initramfs holds the whole system, so it needs no root; without one, the
/// kernel mounts the disk's.
fn direct(parts: &Parts, wishes: &Wishes) -> Result<Boot> {
    let mut parameters = parts.command_line.clone();
    if parts.initramfs.is_none() {
        let partuuid = parts.root_partuuid.as_ref().ok_or_else(|| {
            Error::definition(format!(
                "the image {} has neither an initramfs nor a disk",
                parts.image
            ))
            .hint("let the definition's `outputs` have one of them")
        })?;
        parameters.push(format!("root=PARTUUID={partuuid}"));
        parameters.push("rootwait".to_owned());
    }
    if !wishes.is_interactive {
        // At once, so that a panic is an end and no wait. pvpanic has told QEMU before.
        parameters.push("panic=-1".to_owned());
    }
    parameters.extend(wishes.parameters.iter().cloned());
    Ok(Boot::Direct {
        kernel: parts.kernel.clone(),
        initramfs: parts.initramfs.clone(),
        command_line: parameters.join(" "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn parts() -> Parts {
        Parts {
            image: "small".into(),
            kernel: "/o/vmlinuz".into(),
            initramfs: Some("/o/initramfs".into()),
            disk: Some(Disk { path: "/o/disk.img".into(), keeps_writes: false }),
            root_partuuid: Some("1-2".into()),
            command_line: vec!["console=ttyS0".into()],
        }
    }

    fn wishes(boot: BootMethod) -> Wishes {
        Wishes {
            arch: Arch::X86_64,
            boot,
            memory_mib: 256,
            cpus: 1,
            accelerator: Accelerator::Tcg,
            is_interactive: false,
            has_network: false,
            parameters: vec!["debug".into()],
            qemu: Vec::new(),
        }
    }

    fn command_line(spec: MachineSpec) -> String {
        match spec.boot {
            Boot::Direct { command_line, .. } => command_line,
            Boot::Uefi { .. } => String::new(),
        }
    }

    #[test]
    fn the_kernel_gets_a_root_only_where_there_is_no_initramfs() {
        let spec = plan(parts(), wishes(BootMethod::Direct), None).unwrap();
        assert!(spec.disk.is_some(), "the disk is attached all the same");
        assert_eq!(command_line(spec), "console=ttyS0 panic=-1 debug");
        let parts = Parts { initramfs: None, ..parts() };
        let spec = plan(parts, wishes(BootMethod::Direct), None).unwrap();
        assert_eq!(command_line(spec), "console=ttyS0 root=PARTUUID=1-2 rootwait panic=-1 debug");
    }

    #[test]
    fn a_person_keeps_the_panic_on_the_screen_and_may_reboot() {
        let wishes = Wishes { is_interactive: true, ..wishes(BootMethod::Direct) };
        let spec = plan(parts(), wishes, None).unwrap();
        assert!(spec.restarts_on_reset);
        assert_eq!(command_line(spec), "console=ttyS0 debug");
    }

    #[test]
    fn an_image_without_what_it_boots_from_is_refused() {
        let nothing = Parts { initramfs: None, disk: None, root_partuuid: None, ..parts() };
        let no_disk = Parts { disk: None, ..parts() };
        for (parts, boot) in [(nothing, BootMethod::Direct), (no_disk, BootMethod::Uefi)] {
            let error = plan(parts, wishes(boot), None).unwrap_err();
            assert_eq!(error.kind(), Kind::Definition);
            assert!(error.to_string().contains("image small"), "{error}");
        }
        let firmware = Some(("/f/code".into(), "/t/variables".into()));
        let spec = plan(parts(), wishes(BootMethod::Uefi), firmware).unwrap();
        assert!(matches!(spec.boot, Boot::Uefi { .. }));
    }
}
