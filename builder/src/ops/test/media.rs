//! The rung for everything a machine boots from: the image `media` has a disk for
//! both architectures, the same as qcow2, an ISO and a unified kernel image.
//! Foreign programs judge each, and guests boot from them.

use std::path::Path;

use super::boots::{Boots, Scratch};
use super::judge::{copy_partition, judged, partitions};
use super::ladder::{Report, Rung};
use crate::arch::Arch;
use crate::bus::Bus;
use crate::cache::file_sha256;
use crate::error::{Error, Result};
use crate::format::gpt::{Partition, partition_type};
use crate::host::Invocation;
use crate::host::gnu::CrossTools;
use crate::image::{self, BuiltImage};
use crate::ops::guest::{Guest, Setup};
use crate::ops::run::boot_method::BootMethod;
use crate::ops::run::medium::Medium;
use crate::ops::run::plan::Parts;
use crate::qemu::board::{Board, Machine};

/// The image.
const IMAGE: &str = "media";

/// What a guest finds as its root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Root {
    /// The ext4 of its architecture on the disk, which PID 1 found from an initramfs.
    Ext4,
    /// The initramfs, which is the whole system.
    Ram,
}

/// A way to boot from a medium.
struct Case {
    medium: Medium,
    boot: BootMethod,
    machine: Machine,
    bus: Bus,
    root: Root,
    /// Whether the ordinary ladder has it.
    is_short: bool,
}

const fn case(
    medium: Medium,
    boot: BootMethod,
    machine: Machine,
    bus: Bus,
    root: Root,
    is_short: bool,
) -> Case {
    Case { medium, boot, machine, bus, root, is_short }
}

const CASES: &[Case] = &[
    case(Medium::Disk, BootMethod::Bios, Machine::Pc, Bus::Ide, Root::Ext4, true),
    case(Medium::Disk, BootMethod::Uefi, Machine::Q35, Bus::VirtioBlk, Root::Ext4, false),
    case(Medium::Disk, BootMethod::Uefi, Machine::Virt, Bus::VirtioBlk, Root::Ext4, true),
    case(Medium::Qcow2, BootMethod::Bios, Machine::Q35, Bus::Nvme, Root::Ext4, false),
    case(Medium::Cd, BootMethod::Bios, Machine::Pc, Bus::Ide, Root::Ram, true),
    case(Medium::Cd, BootMethod::Uefi, Machine::Q35, Bus::Sata, Root::Ram, true),
    case(Medium::Cd, BootMethod::Uefi, Machine::Virt, Bus::VirtioScsi, Root::Ram, false),
    case(Medium::Stick, BootMethod::Bios, Machine::Q35, Bus::Sata, Root::Ram, false),
    case(Medium::Stick, BootMethod::Uefi, Machine::Q35, Bus::VirtioBlk, Root::Ram, false),
];

/// The rung; `is_long` has every way to boot.
pub(super) fn rung<'a>(boots: &Boots<'a>, is_long: bool) -> Rung<'a> {
    let own = boots.clone();
    boots.after_images(Rung::new("media", move |report| climb(&own, is_long, report)))
}

fn climb(boots: &Boots<'_>, is_long: bool, report: &mut Report) -> Result<()> {
    let mut built = Vec::new();
    for arch in Arch::ALL {
        built.push(image::build(boots.shell, &boots.build.request(IMAGE, arch)?)?);
    }
    let digests: Vec<String> =
        built.iter().map(|built| file_sha256(output(&built.disk)?)).collect::<Result<_>>()?;
    let is_one = digests.windows(2).all(|pair| pair[0] == pair[1]);
    let verdict = if is_one { Ok(String::new()) } else { Err(digests.join(" and ")) };
    report.check("the disk is the same whichever architecture is built", verdict);
    let scratch = Scratch::new()?;
    for built in &built {
        judge(report, built, scratch.0.path())?;
    }
    for case in CASES.iter().filter(|case| case.is_short || is_long) {
        let name = format!(
            "{} by {} on {} {}",
            case.medium.as_str(),
            case.boot.as_str(),
            case.machine.as_str(),
            case.bus
        );
        let verdict = boot(boots, case, &built, &name, report).map_err(|error| error.to_string());
        report.check(&name, verdict.flatten());
    }
    Ok(())
}

fn output(path: &Option<std::path::PathBuf>) -> Result<&Path> {
    path.as_deref().ok_or_else(|| Error::internal("the image media lacks an output"))
}

/// Has foreign programs look at every output.
fn judge(report: &mut Report, built: &BuiltImage, scratch: &Path) -> Result<()> {
    let arch = built.arch;
    let disk = output(&built.disk)?;
    let iso = output(&built.iso)?;
    for (name, file) in [("disk", disk), ("ISO", iso)] {
        let check = format!("{arch}: the {name}'s partition table is sound");
        judged(report, "sgdisk", &check, |sgdisk| says(sgdisk.arg("-v").arg(file), "No problems"));
        let esp = scratch.join("esp");
        let found = partitions(file)?;
        let is_esp = |partition: &&Partition| partition.type_guid == partition_type::ESP;
        let partition = found.iter().find(is_esp);
        let partition = partition.ok_or_else(|| Error::failure("there is no ESP"))?;
        copy_partition(file, partition, &esp)?;
        let check = format!("{arch}: the {name}'s EFI system partition is sound");
        judged(report, "fsck.fat", &check, |fsck| says(fsck.arg("-n").arg(&esp), " files, "));
        let check = format!("{arch}: the {name} has what both architectures start");
        judged(report, "mdir", &check, |mdir| {
            let listed = mdir.args(["-b", "-i"]).arg(&esp).arg("::EFI/BOOT").read_text();
            let listed = listed.map_err(|error| error.to_string())?;
            let has = |file: &str| listed.contains(file);
            if has("BOOTX64.EFI") && has("BOOTAA64.EFI") { Ok(String::new()) } else { Err(listed) }
        });
    }
    for partition in partitions(disk)?.iter().filter(|found| found.name.starts_with("root")) {
        let root = scratch.join("root");
        copy_partition(disk, partition, &root)?;
        let check = format!("{arch}: e2fsck finds {} clean", partition.name);
        judged(report, "e2fsck", &check, |e2fsck| says(e2fsck.args(["-f", "-n"]).arg(&root), ""));
    }
    let qcow2 = output(&built.qcow2)?;
    let check = format!("{arch}: the qcow2 image is sound and the same disk");
    judged(report, "qemu-img", &check, |qemu_img| {
        says(qemu_img.args(["check"]).arg(qcow2), "No errors")?;
        let compare = Invocation::new("qemu-img").args(["compare", "-f", "raw", "-F", "qcow2"]);
        says(compare.arg(disk).arg(qcow2), "identical")
    });
    let check = format!("{arch}: the ISO names its boot images");
    judged(report, "xorriso", &check, |xorriso| {
        let ask = ["-report_el_torito", "plain"];
        says(xorriso.arg("-indev").arg(iso).args(ask), "UEFI")
    });
    let uki = output(&built.uki)?;
    let check = format!("{arch}: the unified kernel image has its sections");
    let objdump = match CrossTools::needed(Arch::host(), arch) {
        Some(tools) => format!("{}objdump", tools.prefix),
        None => "objdump".to_owned(),
    };
    judged(report, &objdump, &check, |objdump| {
        let text = objdump.arg("-h").arg(uki).read_text().map_err(|error| error.to_string())?;
        let sections = [".osrel", ".cmdline", ".uname", ".initrd", ".linux"];
        let missing = sections.into_iter().find(|name| !text.contains(*name));
        missing.map_or(Ok(String::new()), |name| Err(format!("there is no {name}: {text}")))
    });
    Ok(())
}

/// That a judge is content and says this.
fn says(judge: Invocation, expected: &str) -> Result<String, String> {
    let text = judge.read_text().map_err(|error| error.to_string())?;
    if text.contains(expected) { Ok(String::new()) } else { Err(text) }
}

/// Boots from the medium and has the guest say what its root is.
fn boot(
    boots: &Boots<'_>,
    case: &Case,
    built: &[BuiltImage],
    name: &str,
    report: &mut Report,
) -> Result<Result<String, String>> {
    let arch = case.machine.arch();
    let built = built.iter().find(|built| built.arch == arch);
    let built = built.ok_or_else(|| Error::internal("the image media was not built"))?;
    let setup = Setup {
        board: Board::new(arch, Some(case.machine), case.bus)?,
        ..boots.setup(report, arch, case.boot, &format!("media {name}"))?
    };
    let parts = Parts::with_medium(built, case.medium);
    let mut guest = Guest::boot(boots.shell, parts, &setup)?;
    let seconds = guest.elapsed().as_secs_f64();
    let mounts = guest.read("cat /proc/mounts")?;
    guest.power_off()?;
    let root = mounts.lines().rfind(|line| line.split(' ').nth(1) == Some("/"));
    let kind = root.and_then(|line| line.split(' ').nth(2));
    let is_right = match case.root {
        Root::Ext4 => kind == Some("ext4"),
        Root::Ram => kind == Some("rootfs"),
    };
    Ok(if is_right {
        Ok(format!("takes commands after {seconds:.1} s"))
    } else {
        Err(format!("its root is {root:?}, not {:?}", case.root))
    })
}
