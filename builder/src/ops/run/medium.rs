//! Which of an image's outputs is the guest's disk, and whether a guest boots with it. Pure.

use clap::ValueEnum;

use super::boot_method::{BootMethod, or_by_firmware};
use crate::bus::Bus;
use crate::definition::Image;
use crate::definition::resolved::Outputs;
use crate::error::{Error, Result};
use crate::image::BuiltImage;
use crate::qemu::board::Board;
use crate::qemu::machine::{Disk, DiskForm};

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

    /// The word for its output in a definition's `outputs`.
    const fn output(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Qcow2 => "qcow2",
            Self::Cd | Self::Stick => "iso",
        }
    }

    /// Whether it is among these outputs.
    const fn is_among(self, outputs: &Outputs) -> bool {
        match self {
            Self::Disk => outputs.disk,
            Self::Qcow2 => outputs.qcow2,
            Self::Cd | Self::Stick => outputs.iso,
        }
    }

    /// Whether an image's has a root partition. `system.iso` carries its system as an initramfs.
    #[must_use]
    pub fn has_root(self, image: &Image) -> bool {
        let is_disk = matches!(self, Self::Disk | Self::Qcow2);
        is_disk && self.is_among(&image.outputs) && image.disk_has_root()
    }

    /// The output, if the image has it. What a guest writes is thrown away.
    pub(super) fn of(self, built: &BuiltImage) -> Option<Disk> {
        let (output, form) = match self {
            Self::Disk => (&built.disk, DiskForm::Raw),
            Self::Qcow2 => (&built.qcow2, DiskForm::Qcow2),
            Self::Cd => (&built.iso, DiskForm::Cd),
            Self::Stick => (&built.iso, DiskForm::Raw),
        };
        output.clone().map(|path| Disk { path, form, keeps_writes: false })
    }
}

/// What a person wishes of the guest's disk.
#[derive(Clone, Copy, Debug)]
pub struct DiskWishes {
    /// Which output it is.
    pub medium: Medium,
    /// How the guest boots.
    pub boot: BootMethod,
    /// The machine, and what its disk hangs on.
    pub board: Board,
    /// Whether a copy of it is kept.
    pub is_kept: bool,
    /// Whether the root is named on the command line.
    pub names_root: bool,
}

/// Makes sure that an image will have what a guest is to boot from: told by the definition,
/// before anything is built.
///
/// # Errors
/// If it will not: what the definition, or the wish, is to say instead.
pub fn check(image: &Image, wishes: DiskWishes) -> Result<()> {
    let DiskWishes { medium, boot, board, is_kept, names_root } = wishes;
    let name = &image.name;
    let has_disk = medium.is_among(&image.outputs);
    let wrong = |message: String, hint: String| Err(Error::definition(message).hint(hint));
    let let_it_have = format!("let the definition's `outputs` have \"{}\"", medium.output());
    if !has_disk && medium != Medium::Disk {
        let message = format!("the image {name} has no medium {}", medium.as_str());
        return wrong(message, let_it_have);
    }
    if !has_disk && is_kept {
        let message = format!("the image {name} has no disk that could be kept");
        return wrong(message, format!("leave out --keep-disk, or {let_it_have}"));
    }
    if !has_disk && boot != BootMethod::Direct {
        let message = format!("the image {name} has no disk to boot from by {}", boot.name());
        return wrong(message, format!("{let_it_have}, or use `--boot direct`"));
    }
    if medium == Medium::Cd && matches!(board.bus(), Bus::VirtioBlk | Bus::Nvme) {
        let message = format!("there is no CD drive on {}", board.bus());
        return wrong(message, "use `--bus virtio-scsi`, `--bus sata` or `--bus ide`".to_owned());
    }
    let names_root = names_root || image.names_root(board.machine().arch());
    let kernel_finds_root = image.outputs.initramfs || names_root || medium.has_root(image);
    if boot == BootMethod::Direct && !kernel_finds_root {
        let message = if has_disk {
            format!("the image {name} has no initramfs, and its {} no root", medium.as_str())
        } else {
            format!("the image {name} has neither an initramfs nor a disk")
        };
        let by_firmware = if has_disk { or_by_firmware(board.machine()) } else { String::new() };
        let have = "let the definition's `outputs` have \"initramfs\"";
        return wrong(message, format!("{have}{}", by_firmware.replacen(" or ", ", or use ", 1)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;
    use crate::definition::testing;
    use crate::error::Kind;

    /// What is wrong with a wish of an image with these `outputs`.
    fn wrong(outputs: &str, wishes: DiskWishes) -> Option<String> {
        let image = testing::image(&format!("outputs = {outputs}\n")).unwrap();
        let error = check(&image, wishes).err()?;
        assert_eq!(error.kind(), Kind::Definition);
        Some(error.to_string())
    }

    fn wishes(medium: Medium, boot: BootMethod) -> DiskWishes {
        let board = Board::of(Arch::X86_64);
        DiskWishes { medium, boot, board, is_kept: false, names_root: false }
    }

    #[test]
    fn an_image_boots_from_what_it_will_have() {
        use BootMethod::{Bios, Direct, Uefi};
        for (outputs, medium, boot) in [
            ("[\"initramfs\"]", Medium::Disk, Direct),
            ("[\"disk\"]", Medium::Disk, Direct),
            ("[\"disk\"]", Medium::Disk, Uefi),
            ("[\"qcow2\"]", Medium::Qcow2, Direct),
            ("[\"iso\"]", Medium::Stick, Bios),
            ("[\"iso\", \"initramfs\"]", Medium::Stick, Direct),
        ] {
            assert_eq!(wrong(outputs, wishes(medium, boot)), None, "{outputs} {medium:?} {boot:?}");
        }
    }

    #[test]
    fn an_image_that_will_not_boot_is_told_before_it_is_built() {
        use BootMethod::{Bios, Direct, Uefi};
        for (outputs, medium, boot, message, hint) in [
            ("[\"initramfs\"]", Medium::Disk, Uefi, "no disk to boot from by UEFI", "\"disk\", or"),
            ("[\"qcow2\"]", Medium::Disk, Bios, "no disk to boot from by BIOS", "`--boot direct`"),
            ("[\"disk\"]", Medium::Qcow2, Direct, "no medium qcow2", "have \"qcow2\""),
            ("[\"disk\"]", Medium::Stick, Direct, "no medium stick", "have \"iso\""),
            ("[\"iso\"]", Medium::Cd, Bios, "no CD drive on virtio-blk", "`--bus sata`"),
            (
                "[\"root\"]",
                Medium::Disk,
                Direct,
                "neither an initramfs nor a disk",
                "\"initramfs\"",
            ),
            (
                "[\"disk\", \"iso\"]",
                Medium::Stick,
                Direct,
                "no initramfs, and its stick no root",
                "have \"initramfs\", or use `--boot bios` or `--boot uefi`",
            ),
            (
                "[\"disk\"]\ndisk.initramfs = \"system\"",
                Medium::Disk,
                Direct,
                "no initramfs, and its disk no root",
                "or use `--boot bios` or `--boot uefi`",
            ),
        ] {
            let told = wrong(outputs, wishes(medium, boot)).unwrap();
            let (said, remedy) = told.split_once("\nhint: ").unwrap();
            assert!(said.contains(message) && remedy.contains(hint), "{told}");
        }
    }

    #[test]
    fn a_disk_that_is_none_is_not_kept_and_a_root_that_is_named_is_not_looked_for() {
        let kept = DiskWishes { is_kept: true, ..wishes(Medium::Disk, BootMethod::Direct) };
        let told = wrong("[\"initramfs\"]", kept).unwrap();
        assert!(told.contains("no disk that could be kept\nhint: leave out --keep-disk"), "{told}");
        let named = DiskWishes { names_root: true, ..wishes(Medium::Stick, BootMethod::Direct) };
        assert_eq!(wrong("[\"iso\"]", named), None);
    }
}
