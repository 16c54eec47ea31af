//! The rung for PID 1's switch of root: the initramfs of the image `test` is
//! booted with the image's disk attached, once for every way of naming the root
//! on it, and once for a root that is not there.
//!
//! The names are read from the built disk by the builder's own readers; whether
//! they are the right ones is then the guest's judgement.

use std::fs::File;
use std::path::Path;

use super::boots::Boots;
use super::guest_checks::{Check, Verdict, all_up, check, mounts};
use super::judge;
use super::ladder::{Report, Rung};
use crate::arch::Arch;
use crate::error::{Error, IoContext, Result};
use crate::format::ext4;
use crate::format::gpt::{Partition, partition_type};
use crate::format::source::{FileSource, Region};
use crate::format::{MIB, guid::Guid};
use crate::ops::guest::{Guest, Output};
use crate::ops::run::boot_method::BootMethod;
use crate::ops::run::plan::Parts;
use crate::qemu::ending::Ending;

/// The guest's only disk.
const DISK: &str = "vda";
/// A root that no disk has, and what is to follow.
const NO_ROOT: [&str; 3] = ["root=LABEL=no-such-root", "rootwait=5", "init.rescue=poweroff"];
/// How long PID 1 waits for it at the least, in seconds: `rootwait=` above.
const NO_ROOT_WAIT_S: u64 = 5;
/// What moves to the new root, parents only (docs/boot.md).
const MOVED: [&str; 5] = ["/dev", "/proc", "/sys", "/run", "/tmp"];
/// What the kernel may hold in memory that can neither be written back nor
/// dropped, in KiB. The files of an initramfs are such memory.
const UNEVICTABLE_KIB_MAX: u64 = 1024;

/// The checks in a guest that has switched, in order.
const CHECKS: &[Check] = &[
    check("/ is the disk's ext4", "cat /proc/mounts", root_is_the_disks),
    check("PID 1 is the disk's own", PID_1_COMMAND, pid_1_is_the_disks),
    check("mounts have their options", "cat /proc/mounts", mounts),
    check("what was mounted has moved along", "cat /proc/1/mountinfo", moved_along),
    check("the initramfs is empty", "cat /proc/meminfo", initramfs_is_gone),
    check("everything that starts at boot is up", "svcctl --json list", all_up),
];

const PID_1_COMMAND: &str =
    "readlink /proc/1/exe && readlink -f /sbin/init && stat -L -c %d /proc/1/exe /";

/// The root of a built disk, with all its names.
#[derive(Debug)]
struct Root {
    partition: Partition,
    uuid: Guid,
    label: String,
}

impl Root {
    /// Reads it from a disk, where it is told by its partition's type.
    fn of(disk: &Path, arch: Arch) -> Result<Self> {
        let is_root = |partition: &Partition| partition.type_guid == partition_type::root(arch);
        let partition = judge::partitions(disk)?.into_iter().find(is_root).ok_or_else(|| {
            Error::failure(format!("the disk {} has no root for {arch}", disk.display()))
        })?;
        let file = File::open(disk).at("read", disk)?;
        let source = FileSource::new(file).at("read", disk)?;
        let region = Region::new(source, partition.offset_bytes(), partition.len_bytes());
        let reader = ext4::Reader::open(region)?;
        Ok(Self { partition, uuid: reader.uuid(), label: reader.label() })
    }

    /// Every way of naming it on the kernel command line.
    fn names(&self) -> [String; 5] {
        let Self { partition, uuid, label } = self;
        [
            format!("PARTUUID={}", partition.guid),
            format!("PARTLABEL={}", partition.name),
            format!("UUID={uuid}"),
            format!("LABEL={label}"),
            format!("/dev/{DISK}{}", partition.number),
        ]
    }
}

/// The rung of the host's architecture, or of every one.
pub(super) fn rungs<'a>(boots: &Boots<'a>, is_long: bool) -> Vec<Rung<'a>> {
    boots.arches_of(is_long).map(|arch| boots.rung("root switch", arch, climb)).collect()
}

fn climb(boots: &Boots<'_>, arch: Arch, report: &mut Report) -> Result<()> {
    let built = boots.build(arch)?;
    let parts = Parts::of(&built);
    let disk =
        built.disk.as_deref().ok_or_else(|| Error::internal("the image test has no disk"))?;
    let root = Root::of(disk, arch)?;
    for name in root.names() {
        report.doing(format_args!("root={name}"));
        let way = name.split_once('=').map_or("path", |(way, _)| way);
        let log = format!("root by {way}");
        let mut setup = boots.setup(report, arch, BootMethod::Direct, &log)?;
        setup.parameters.push(format!("root={name}"));
        let mut guest = Guest::boot(boots.shell, parts.clone(), &setup)?;
        for check in CHECKS {
            report.check(check.name, check.make(&mut guest, arch)?);
        }
        guest.power_off()?;
    }
    missing_root(boots, arch, report, parts, &root)
}

/// Boots with a root that is not there, which PID 1 is to say and to end for.
fn missing_root(
    boots: &Boots<'_>,
    arch: Arch,
    report: &mut Report,
    parts: Parts,
    root: &Root,
) -> Result<()> {
    report.doing(NO_ROOT.join(" "));
    let mut setup = boots.setup(report, arch, BootMethod::Direct, "no root")?;
    setup.parameters.extend(NO_ROOT.map(str::to_owned));
    let ending = Guest::boot_to_end(boots.shell, parts, &setup)?;
    let verdict = match ending {
        Ending::PoweredOff => Ok(String::new()),
        other => Err(other.to_string()),
    };
    report.check("a root that is not there ends as the policy says", verdict);
    let console = setup.read_console()?;
    report.check("its console says what was looked for, and where", says_missing(&console, root));
    Ok(())
}

fn root_is_the_disks(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let roots: Vec<[&str; 4]> = text.lines().filter_map(first_words).filter(is_root).collect();
    match roots[..] {
        [[device, _, "ext4", options]]
            if device.strip_prefix("/dev/").is_some_and(|name| name.starts_with(DISK))
                && options.split(',').any(|option| option == "rw") =>
        {
            Ok(format!("{device} {options}"))
        }
        _ => Err(format!("mounted at / is {roots:?}")),
    }
}

fn is_root(words: &[&str; 4]) -> bool {
    words[1] == "/"
}

/// The first `N` words of a line that has as many.
fn first_words<const N: usize>(line: &str) -> Option<[&str; N]> {
    line.split(' ').take(N).collect::<Vec<_>>().try_into().ok()
}

fn pid_1_is_the_disks(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    match text.lines().collect::<Vec<_>>()[..] {
        [runs, init, its_device, device] if runs == init && its_device == device => {
            Ok(runs.to_owned())
        }
        _ => Err(format!("PID 1, /sbin/init and their devices are {text:?}")),
    }
}

/// A mount keeps its number when it moves, and those of the initramfs were made
/// before the root was mounted: had PID 1 mounted one of them again in the new
/// root, its number would be higher (proc_pid_mountinfo(5)).
fn moved_along(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let numbers = |target: &str| -> Vec<u64> {
        let of = |line| {
            first_words::<5>(line)
                .filter(|words| words[4] == target)
                .and_then(|words| words[0].parse().ok())
        };
        text.lines().filter_map(of).collect()
    };
    let roots = numbers("/");
    let [root] = roots[..] else { return Err(format!("there are the roots {roots:?}")) };
    let wrong: Vec<String> = MOVED
        .iter()
        .map(|target| (target, numbers(target)))
        .filter(|(_, numbers)| !matches!(numbers[..], [number] if number < root))
        .map(|(target, numbers)| format!("{target} is {numbers:?}"))
        .collect();
    if wrong.is_empty() {
        Ok(String::new())
    } else {
        Err(format!("/ is mount {root}, {}", wrong.join(", ")))
    }
}

fn initramfs_is_gone(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let field = text.lines().find_map(|line| line.strip_prefix("Unevictable:"));
    let kib = field.and_then(|field| field.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    match kib {
        Some(kib) if kib <= UNEVICTABLE_KIB_MAX => Ok(format!("{kib} KiB cannot be reclaimed")),
        Some(kib) => Err(format!("{kib} KiB cannot be reclaimed")),
        None => Err(text),
    }
}

fn says_missing(console: &str, root: &Root) -> Verdict {
    let wanted = NO_ROOT[0].trim_start_matches("root=");
    // Behind it comes how long PID 1 has waited: on a busy host more than it was told to.
    let start = format!("boot cannot go on: no root {wanted} after ");
    let Some((_, rest)) = console.split_once(&start) else {
        return Err(format!("nowhere is {start:?}"));
    };
    let line = rest.lines().next().unwrap_or_default();
    let waited_s = line.split_once(" s; ").and_then(|(number, _)| number.parse::<u64>().ok());
    if waited_s.is_none_or(|waited| waited < NO_ROOT_WAIT_S) {
        return Err(format!("it did not wait for {NO_ROOT_WAIT_S} s: {line:?}"));
    }
    let Root { partition, uuid, label } = root;
    let (number, mib) = (partition.number, partition.len_bytes() / MIB);
    let found = format!("{DISK}{number} ({mib} MiB ext4 LABEL={label} UUID={uuid})");
    let disk = format!("{DISK} (");
    if line.contains(&found) && line.contains(&disk) {
        Ok(line.to_owned())
    } else {
        Err(format!("{line:?} has no {disk:?} or no {found:?}"))
    }
}

#[cfg(test)]
mod tests;
