//! The part of a definition that says what is made of the system: initramfs, root, disk.

use crate::arch::Arch;
use crate::bus::Bus;
use crate::format::{ext4, fat};

use super::checker::Checker;
use super::raw::{Located, Table, Value};
use super::resolved::{Compression, Disk, DiskInitramfs, Initramfs, Outputs, Root, Size};
use super::size::{self, KIB, MIB, TIB};

/// Longest ext4 volume label, in bytes (Documentation/filesystems/ext4/super.rst, `s_volume_name`).
const LABEL_LENGTH_MAX: usize = 16;
/// Highest level of gzip.
const GZIP_LEVEL_MAX: i64 = 9;

/// How the initramfs is packed.
pub(super) fn initramfs(checker: &mut Checker<'_>, table: &Table) -> Option<Initramfs> {
    let compression = match table.text("compression")? {
        "zstd" => Compression::Zstd,
        "gzip" => Compression::Gzip,
        _ => Compression::None,
    };
    let level = table.number("level")?;
    if compression == Compression::Gzip && level > GZIP_LEVEL_MAX {
        let message = format!("gzip has levels 1 to {GZIP_LEVEL_MAX}, not {level}");
        checker.find(table.place_of("level"), message);
    }
    Some(Initramfs { compression, level: u8::try_from(level).ok()? })
}

/// The ext4 root.
pub(super) fn root(checker: &mut Checker<'_>, table: &Table) -> Option<Root> {
    let label = table.text("label")?;
    if label.len() > LABEL_LENGTH_MAX {
        let message = format!("a label has at most {LABEL_LENGTH_MAX} bytes, not {label:?}");
        checker.find(table.place_of("label"), message);
    }
    check_below(checker, table, "size", "a root", ext4::SIZE_END_BYTES);
    check_below(checker, table, "free", "the free space of a root", ext4::SIZE_END_BYTES);
    let root_size = size(table, "size")?;
    if let Size::Bytes(bytes, place) = &root_size
        && !bytes.is_multiple_of(ext4::BLOCK_BYTES)
    {
        let better = size::show(bytes.next_multiple_of(ext4::BLOCK_BYTES));
        let kib = ext4::BLOCK_BYTES / KIB;
        let message = format!("the size of a root is a multiple of {kib} KiB");
        checker.find_with_hint(place.clone(), message, format!("make it \"{better}\""));
    }
    let free_bytes = bytes(table, "free")?;
    Some(Root { size: root_size, free_bytes, label: label.to_owned() })
}

/// The disk. `image_arches` is what the image can be built for.
pub(super) fn disk(
    checker: &mut Checker<'_>,
    table: &Table,
    image_arches: &[Arch],
) -> Option<Disk> {
    let arches =
        known(table, "arch", |word| Arch::ALL.into_iter().find(|arch| arch.as_str() == word));
    for arch in arches.iter().filter(|arch| !image_arches.contains(&arch.value)) {
        let message = format!("the image is not made for {}", arch.value);
        let hint = "let the image's `arch` have it too";
        checker.find_with_hint(arch.place.clone(), message, hint);
    }
    // Its last root takes what is left.
    check_below(checker, table, "size", "a disk", ext4::SIZE_END_BYTES);
    check_below(checker, table, "esp-size", "an EFI system partition", fat::SIZE_END_BYTES);
    let disk_size = size(table, "size")?;
    if let Size::Bytes(bytes, place) = &disk_size
        && !bytes.is_multiple_of(MIB)
    {
        checker.find(place.clone(), "the size of a disk is a whole number of MiB");
    }
    Some(Disk {
        size: disk_size,
        esp_size: size(table, "esp-size")?,
        initramfs: match table.text("initramfs")? {
            "root" => DiskInitramfs::Root,
            "system" => DiskInitramfs::System,
            _ => DiskInitramfs::None,
        },
        buses: known(table, "buses", |word| Bus::ALL.into_iter().find(|bus| bus.as_str() == word)),
        arches,
    })
}

/// What is built beside the kernel.
pub(super) fn chosen(table: &Table) -> Outputs {
    let named = |name: &str| table.list("outputs").iter().any(|word| word.value == name);
    Outputs {
        place: table.place_of("outputs"),
        initramfs: named("initramfs"),
        root: named("root"),
        uki: named("uki"),
        disk: named("disk"),
        qcow2: named("qcow2"),
        iso: named("iso"),
    }
}

/// The words of a list, which the reader checked, as what they stand for.
fn known<T>(table: &Table, key: &str, named: impl Fn(&str) -> Option<T>) -> Vec<Located<T>> {
    let word = |entry: &Located<String>| {
        Some(Located { value: named(&entry.value)?, place: entry.place.clone() })
    };
    table.list(key).iter().filter_map(word).collect()
}

/// Finds a size that a file system cannot have.
fn check_below(checker: &mut Checker<'_>, table: &Table, key: &str, what: &str, end_bytes: u64) {
    if bytes(table, key).is_some_and(|bytes| bytes >= end_bytes) {
        let message = format!("{what} is smaller than {} TiB", end_bytes.div_ceil(TIB));
        checker.find_with_hint(table.place_of(key), message, "give it less, or leave the size out");
    }
}

fn bytes(table: &Table, key: &str) -> Option<u64> {
    match table.get(key)?.value {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

fn size(table: &Table, key: &str) -> Option<Size> {
    match &table.get(key)?.value {
        Value::Bytes(bytes) => Some(Size::Bytes(*bytes, table.place_of(key))),
        _ => Some(Size::Minimal),
    }
}
