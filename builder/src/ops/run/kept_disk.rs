//! The disk that a person keeps: their own copy of the image's, which goes on from guest to guest
//! and may be of an earlier build than the kernel that is started with it.

use std::path::Path;

use super::boot_method::or_by_firmware;
use super::plan::Parts;
use crate::error::{Error, Result};
use crate::format::gpt;
use crate::format::guid::Guid;
use crate::image::BuiltImage;
use crate::ops::image_file;
use crate::qemu::machine::{Boot, Disk, DiskForm, MachineSpec};
use crate::shell::Shell;
use crate::whole_file;

/// The disk at `kept`, made from the image's if it is not there yet.
///
/// # Errors
/// If it cannot be copied.
pub(super) fn attach(shell: &Shell, parts: &Parts, kept: &Path) -> Result<Disk> {
    let disk = parts.disk.as_ref().ok_or_else(|| Error::internal("no disk to keep"))?;
    if kept.exists() {
        shell.note(format_args!("the guest goes on with the disk {}", kept.display()));
    } else {
        whole_file::copy(&disk.path, kept)?;
    }
    Ok(Disk { path: kept.to_owned(), form: disk.form, keeps_writes: true })
}

/// Makes sure that a kernel finds its root on a kept disk, and returns a warning if firmware
/// boots something else from it than what was built. Only the identifier of the root partition
/// counts: all else on the disk is the guest's to change.
///
/// # Errors
/// If the kernel would wait for a root that is not there, or the disk cannot be read.
pub(super) fn check(spec: &MachineSpec, built: &BuiltImage) -> Result<Option<String>> {
    check_root(spec, &built.definition.name, built.root_partuuid.as_deref())
}

fn check_root(spec: &MachineSpec, image: &str, partuuid: Option<&str>) -> Result<Option<String>> {
    let disk = spec.disk.as_ref().filter(|disk| disk.form == DiskForm::Raw);
    let Some((disk, partuuid)) = disk.zip(partuuid) else { return Ok(None) };
    let root: Guid = partuuid.parse()?;
    let is_by_firmware = match &spec.boot {
        Boot::Direct { command_line, .. } if looks_for(command_line, root) => false,
        Boot::Direct { .. } => return Ok(None),
        Boot::Bios | Boot::Uefi { .. } => true,
    };
    if has_partition(&disk.path, root)? {
        return Ok(None);
    }
    let kept = disk.path.display();
    if is_by_firmware {
        return Ok(Some(format!(
            "the disk {kept} is none of what the image {image} is now: it has no root partition \
             {root}, and the guest boots what is on it\n\
             hint: remove the file to begin anew with what was built"
        )));
    }
    let message = format!(
        "the disk {kept} has no partition {root}, which is the root of the image {image} as it \
         is now: it was copied from another build"
    );
    let by_firmware = or_by_firmware(spec.board.machine());
    let boot_it = by_firmware
        .strip_prefix(" or ")
        .map(|ways| format!(", or use {ways} to boot what is on it"));
    let hint = format!("remove the file to begin anew{}", boot_it.unwrap_or_default());
    Err(Error::definition(message).hint(hint))
}

/// Whether this is the root that a kernel with these parameters mounts: the last one counts.
fn looks_for(command_line: &str, root: Guid) -> bool {
    let words = command_line.split_whitespace();
    let wanted = words.filter_map(|word| word.strip_prefix("root=")).next_back();
    wanted
        .and_then(|wanted| wanted.strip_prefix("PARTUUID="))
        .is_some_and(|text| text.parse().is_ok_and(|wanted: Guid| wanted == root))
}

/// Whether a disk has this partition. One without a sound table has none.
fn has_partition(path: &Path, guid: Guid) -> Result<bool> {
    let disk = image_file::open(path)?;
    Ok(gpt::read(&disk)
        .is_ok_and(|table| table.partitions.iter().any(|partition| partition.guid == guid)))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::bus::Bus;
    use crate::error::Kind;
    use crate::format::gpt::{DiskOptions, Layout, PartitionOptions, partition_type};
    use crate::format::sink::FileRegion;
    use crate::qemu::accelerator::Accelerator;
    use crate::qemu::board::{Board, Machine};

    const ROOT: &str = "0fc63daf-8483-8772-8e79-3d69d8477de4";
    const OTHER: &str = "11111111-8483-8772-8e79-3d69d8477de4";

    /// A disk whose root partition has this identifier.
    fn write_disk(path: &Path, root: &str) {
        let partition = |name: &str, guid| PartitionOptions {
            type_guid: partition_type::LINUX,
            guid,
            name: name.to_owned(),
            attributes: 0,
            size_bytes: gpt::ALIGNMENT_BYTES,
        };
        let partitions =
            vec![partition("esp", Guid::from_u128(7)), partition("root", root.parse().unwrap())];
        let guid = Guid::from_u128(9);
        let layout = Layout::new(&DiskOptions { guid, partitions, size_bytes: None }).unwrap();
        let file = File::create(path).unwrap();
        file.set_len(layout.disk_bytes()).unwrap();
        layout.write(&mut FileRegion::whole(&file)).unwrap();
    }

    fn spec(disk: &Path, machine: Machine, boot: Boot) -> MachineSpec {
        let disk = Disk { path: disk.to_owned(), form: DiskForm::Raw, keeps_writes: true };
        MachineSpec {
            board: Board::new(machine.arch(), Some(machine), Bus::VirtioBlk).unwrap(),
            boot,
            memory_mib: 256,
            cpus: 1,
            accelerator: Accelerator::Tcg,
            disk: Some(disk),
            cards: Vec::new(),
            restarts_on_reset: false,
            extra: Vec::new(),
        }
    }

    fn direct(parameters: &str) -> Boot {
        let command_line = parameters.to_owned();
        Boot::Direct { kernel: "/o/vmlinuz".into(), initramfs: None, command_line }
    }

    #[test]
    fn a_kernel_does_not_wait_for_a_root_of_another_build() {
        let directory = tempfile::tempdir().unwrap();
        let kept = directory.path().join("kept.img");
        let check = |machine, parameters: String| {
            check_root(&spec(&kept, machine, direct(&parameters)), "small", Some(ROOT))
        };
        let of_builder = format!("quiet root=PARTUUID={ROOT} rootwait");
        write_disk(&kept, ROOT);
        assert_eq!(check(Machine::Q35, of_builder.clone()).unwrap(), None);

        write_disk(&kept, OTHER);
        for (machine, hint) in [
            (Machine::Q35, "anew, or use `--boot bios` or `--boot uefi` to boot what is on it"),
            (Machine::Virt, "anew, or use `--boot uefi` to boot what is on it"),
            (Machine::Microvm, "anew"),
        ] {
            let error = check(machine, of_builder.clone()).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.kind(), Kind::Definition);
            assert!(text.contains("kept.img has no partition 0fc63daf-"), "{text}");
            assert!(text.ends_with(&format!("\nhint: remove the file to begin {hint}")), "{text}");
        }
        // Whoever names the root otherwise means what is on the disk.
        for own in ["root=PARTLABEL=root", "root=/dev/vda2", &format!("root=PARTUUID={OTHER}")] {
            assert_eq!(check(Machine::Q35, own.to_owned()).unwrap(), None, "{own}");
            assert_eq!(check(Machine::Q35, format!("{of_builder} {own}")).unwrap(), None, "{own}");
        }
        assert_eq!(check(Machine::Q35, "quiet".into()).unwrap(), None, "the system is in RAM");

        std::fs::write(&kept, "no table").unwrap();
        assert!(check(Machine::Q35, of_builder).is_err());
    }

    #[test]
    fn firmware_boots_another_build_with_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        let kept = directory.path().join("kept.img");
        let check =
            |partuuid| check_root(&spec(&kept, Machine::Q35, Boot::Bios), "small", partuuid);
        write_disk(&kept, ROOT);
        assert_eq!(check(Some(ROOT)).unwrap(), None);
        write_disk(&kept, OTHER);
        let warning = check(Some(ROOT)).unwrap().unwrap();
        assert!(warning.contains("boots what is on it\nhint: remove the file"), "{warning}");
        assert_eq!(check(None).unwrap(), None, "a system in RAM has no root to tell it by");
    }
}
