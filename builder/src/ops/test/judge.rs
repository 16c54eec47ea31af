//! Foreign programs that judge what a guest has left on its disk.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};

use super::ladder::Report;
use crate::arch::Arch;
use crate::error::{Error, IoContext, Result};
use crate::format::gpt::{self, Partition, partition_type};
use crate::format::source::FileSource;
use crate::host::{Invocation, find_program};

/// Judges a disk after its guest has powered off: the partition table by
/// `sgdisk`, the root file system by `e2fsck`, and a file's content by `debugfs`.
///
/// # Errors
/// If the disk cannot be read. What a judge finds is a failed check.
pub(super) fn disk(report: &mut Report, disk: &Path, scratch: &Path, words: &str) -> Result<()> {
    judged(report, "sgdisk", "the partition table is sound", |sgdisk| {
        let text = sgdisk.arg("-v").arg(disk).read_text().map_err(|error| error.to_string())?;
        if text.contains("No problems found") { Ok(String::new()) } else { Err(text) }
    });
    let root = root(disk, scratch)?;
    sound_root(report, &root);
    judged(report, "debugfs", "what was written last is there", |debugfs| {
        let text = debugfs.args(["-R", "cat /root/last-words"]).arg(&root).read_text();
        let text = text.map_err(|error| error.to_string())?;
        if text == words { Ok(String::new()) } else { Err(format!("it is {text:?}")) }
    });
    Ok(())
}

/// The root of a disk as a file of its own, in `scratch`.
///
/// # Errors
/// If the disk has none, or cannot be read.
pub(super) fn root(disk: &Path, scratch: &Path) -> Result<PathBuf> {
    let path = scratch.join("root.ext4");
    copy_partition(disk, &root_partition(disk)?, &path)?;
    Ok(path)
}

fn root_partition(disk: &Path) -> Result<Partition> {
    let is_root = |partition: &Partition| {
        Arch::ALL.into_iter().any(|arch| partition.type_guid == partition_type::root(arch))
    };
    let found = partitions(disk)?.into_iter().rfind(is_root);
    found.ok_or_else(|| Error::failure(format!("{} has no root", disk.display())))
}

/// Writes the root of the disk `new` over that of `disk`, as an update does. All else
/// on it stays.
///
/// # Errors
/// If one of them has no root, they are of different lengths, or a disk cannot be
/// read or written.
pub(super) fn renew_root(disk: &Path, new: &Path) -> Result<()> {
    let (old_root, new_root) = (root_partition(disk)?, root_partition(new)?);
    if old_root.len_bytes() != new_root.len_bytes() {
        return Err(Error::internal("the roots of one image have different lengths"));
    }
    let mut from = content(new, &new_root)?;
    let mut to = File::options().write(true).open(disk).at("write", disk)?;
    to.seek(SeekFrom::Start(old_root.offset_bytes())).at("write", disk)?;
    std::io::copy(&mut from, &mut to).at("write", disk)?;
    Ok(())
}

/// Has a root file system judged that its guest has unmounted.
pub(super) fn sound_root(report: &mut Report, root: &Path) {
    clean_root(report, "the root is cleanly unmounted", root);
    judged(report, "e2fsck", "e2fsck finds the root clean", |e2fsck| {
        let output = e2fsck.args(["-f", "-n"]).arg(root).observe();
        let output = output.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        if output.status.success() { Ok(last.to_owned()) } else { Err(text.into_owned()) }
    });
}

/// Has `dumpe2fs` count whether a root still has the files that it was built with.
pub(super) fn nothing_gone(report: &mut Report, built: &Path, root: &Path) {
    judged(report, "dumpe2fs", "no file of the root is gone", |dumpe2fs| {
        let before = files(Invocation::new("dumpe2fs"), built)?;
        let after = files(dumpe2fs, root)?;
        let counted = format!("{before} files and directories, afterwards {after}");
        if after >= before { Ok(counted) } else { Err(counted) }
    });
}

/// How many inodes of a file system are used.
fn files(dumpe2fs: Invocation, root: &Path) -> Result<u64, String> {
    let text = dumpe2fs.arg("-h").arg(root).read_text().map_err(|error| error.to_string())?;
    let count = |name: &str| {
        let number = field(&text, name).parse::<u64>();
        number.map_err(|_| format!("dumpe2fs tells no {name:?}: {text}"))
    };
    Ok(count("Inode count:")?.saturating_sub(count("Free inodes:")?))
}

/// What dumpe2fs says behind the name of a field.
fn field<'t>(text: &'t str, name: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default().trim()
}

/// Has `dumpe2fs` judge whether a file system was unmounted in order.
pub(super) fn clean_root(report: &mut Report, check: &str, root: &Path) {
    judged(report, "dumpe2fs", check, |dumpe2fs| {
        let text = dumpe2fs.arg("-h").arg(root).read_text().map_err(|error| error.to_string())?;
        let state = field(&text, "Filesystem state:");
        let features = field(&text, "Filesystem features:");
        if state == "clean" && !features.contains("needs_recovery") {
            Ok(String::new())
        } else {
            Err(format!("{state}, {features}"))
        }
    });
}

/// Has one program judge something, or says that it is not there.
pub(super) fn judged(
    report: &mut Report,
    program: &str,
    check: &str,
    verdict: impl FnOnce(Invocation) -> Result<String, String>,
) {
    match find_program(program) {
        Some(path) => report.check(check, verdict(Invocation::new(path))),
        None => report.skipped(check, format_args!("{program} is not installed")),
    }
}

/// The partitions of a disk.
///
/// # Errors
/// If it has no partition table.
pub(super) fn partitions(disk: &Path) -> Result<Vec<Partition>> {
    let file = File::open(disk).at("read", disk)?;
    let table = gpt::read(&FileSource::new(file).at("read", disk)?)
        .map_err(|error| Error::failure(format!("{}: {error}", disk.display())))?;
    Ok(table.partitions)
}

/// Copies a partition of a disk into a file of its own.
///
/// # Errors
/// If the disk cannot be read or the file not written.
pub(super) fn copy_partition(disk: &Path, partition: &Partition, to: &Path) -> Result<()> {
    let mut from = content(disk, partition)?;
    let mut out = File::create(to).at("create", to)?;
    std::io::copy(&mut from, &mut out).at("write", to)?;
    Ok(())
}

/// What a partition of a disk holds.
fn content(disk: &Path, partition: &Partition) -> Result<Take<File>> {
    let mut file = File::open(disk).at("read", disk)?;
    file.seek(SeekFrom::Start(partition.offset_bytes())).at("read", disk)?;
    Ok(file.take(partition.len_bytes()))
}
