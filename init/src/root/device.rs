//! Finding the block device that `root=` names.
//!
//! Devices are taken from `/sys/class/block`, their nodes from devtmpfs; what
//! is on them is told by `init_core::block_probe`. Nothing is ever written.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use init_core::block_probe::{self, Filesystem, HEAD_LENGTH_BYTES};
use init_core::cmdline::RootSource;
use rustix::fs::{CWD, FileType, Mode, OFlags, openat, readlink, stat};

use crate::files;

/// A block device as sysfs shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Device {
    /// Its name in sysfs.
    name: String,
    /// For a partition: its disk's name and its number.
    partition: Option<(String, u32)>,
    /// Its length in sectors of 512 bytes.
    sectors: u64,
}

/// The path of the device that `source` names, if it is there now.
pub(super) fn find(source: &RootSource) -> Option<String> {
    match source {
        RootSource::Path(path) => stat(path.as_str())
            .is_ok_and(|node| FileType::from_raw_mode(node.st_mode) == FileType::BlockDevice)
            .then(|| path.clone()),
        RootSource::Number { major, minor } => {
            let target = link_target(&format!("/sys/dev/block/{major}:{minor}"))?;
            Some(node(target.rsplit('/').next()?))
        }
        RootSource::Uuid(uuid) => by_filesystem(|found| found.uuid == *uuid),
        RootSource::Label(label) => by_filesystem(|found| found.label == *label),
        RootSource::PartitionUuid(uuid) => by_partition(|_, guid| guid == uuid),
        RootSource::PartitionLabel(label) => by_partition(|name, _| name == label),
    }
}

/// What file system is on the device at `path`.
pub(super) fn filesystem(path: &str) -> Option<Filesystem> {
    block_probe::identify(&read_at(path, 0, HEAD_LENGTH_BYTES)?)
}

/// Every device with its size and contents, for the message that the root is missing.
pub(super) fn inventory() -> String {
    let mut text = String::new();
    for device in devices() {
        let mib = device.sectors / 2048;
        let contents = match filesystem(&node(&device.name)) {
            Some(found) if found.label.is_empty() => format!(" {} UUID={}", found.kind, found.uuid),
            Some(found) => format!(" {} LABEL={} UUID={}", found.kind, found.label, found.uuid),
            None => String::new(),
        };
        let separator = if text.is_empty() { "" } else { ", " };
        text.push_str(&format!("{separator}{} ({mib} MiB{contents})", device.name));
    }
    if text.is_empty() { String::from("none") } else { text }
}

fn by_filesystem(wanted: impl Fn(&Filesystem) -> bool) -> Option<String> {
    let paths = devices().into_iter().map(|device| node(&device.name));
    paths.into_iter().find(|path| filesystem(path).is_some_and(|found| wanted(&found)))
}

/// Looks for the partition whose name and unique id are `wanted`.
fn by_partition(wanted: impl Fn(&str, &str) -> bool) -> Option<String> {
    let devices = devices();
    for disk in devices.iter().filter(|device| device.partition.is_none()) {
        let Some(number) = partition_number(&disk.name, &wanted) else { continue };
        let on_disk =
            |device: &&Device| device.partition.as_ref() == Some(&(disk.name.clone(), number));
        if let Some(partition) = devices.iter().find(on_disk) {
            return Some(node(&partition.name));
        }
    }
    None
}

/// The number of the partition on `disk` whose name and unique id are `wanted`.
fn partition_number(disk: &str, wanted: &impl Fn(&str, &str) -> bool) -> Option<u32> {
    let path = node(disk);
    if let Some(signature) = block_probe::mbr_signature(&read_at(&path, 0, 512)?) {
        return (1..=255).find(|number| wanted("", &format!("{signature:08x}-{number:02x}")));
    }
    let block_bytes =
        files::read_text(&format!("/sys/class/block/{disk}/queue/logical_block_size"))
            .ok()
            .and_then(|text| text.trim().parse::<usize>().ok())
            .unwrap_or(512);
    let block_offset = u64::try_from(block_bytes).ok()?;
    let header = block_probe::gpt_header(&read_at(&path, block_offset, block_bytes)?).ok()?;
    let offset = header.entries_lba.checked_mul(block_offset)?;
    let entries = read_at(&path, offset, header.entries_length_bytes)?;
    let partitions = block_probe::gpt_partitions(&header, &entries).ok()?;
    partitions.iter().find(|found| wanted(&found.name, &found.guid)).map(|found| found.number)
}

/// Every block device that has content, sorted by name.
fn devices() -> Vec<Device> {
    let mut devices: Vec<Device> = files::list("/sys/class/block")
        .unwrap_or_default()
        .into_iter()
        .filter_map(describe)
        .filter(|device| device.sectors > 0)
        .collect();
    devices.sort_by(|left, right| left.name.cmp(&right.name));
    devices
}

fn describe(name: String) -> Option<Device> {
    let directory = format!("/sys/class/block/{name}");
    let read = |file: &str| files::read_text(&format!("{directory}/{file}")).ok();
    let sectors = read("size")?.trim().parse().ok()?;
    let partition = match read("partition").and_then(|text| text.trim().parse().ok()) {
        // The directory of a partition lies in that of its disk.
        Some(number) => {
            let target = link_target(&directory)?;
            let disk = target.rsplit('/').nth(1)?;
            Some((disk.to_owned(), number))
        }
        None => None,
    };
    Some(Device { name, partition, sectors })
}

/// The node of a device: sysfs writes `!` where the node has a `/`.
fn node(name: &str) -> String {
    format!("/dev/{}", name.replace('!', "/"))
}

fn read_at(path: &str, offset: u64, length: usize) -> Option<Vec<u8>> {
    let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut bytes = vec![0; length];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let at = offset.checked_add(u64::try_from(done).ok()?)?;
        match rustix::io::pread(&file, rest, at).ok()? {
            0 => return None,
            length => done += length,
        }
    }
    Some(bytes)
}

/// Where a symbolic link points to, as it is written.
fn link_target(path: &str) -> Option<String> {
    readlink(path, Vec::new()).ok()?.into_string().ok()
}
