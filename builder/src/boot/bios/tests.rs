//! The loader assembled by this host's programs, and what it shares with the builder.

use super::*;
use crate::format::bios_boot::{self, Checksum, Extent, TABLE_BYTES, TABLE_VERSION, Table};
use crate::format::gpt::SECTOR_BYTES;

const SECTOR_LEN: usize = 512;

fn own_sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("boot/bios")
}

/// The loader assembled in a directory of its own, without anybody's cache.
fn assembled(root: &Path) -> BootCode {
    let sources = root.join("sources");
    fs::create_dir_all(&sources).unwrap();
    for entry in fs::read_dir(own_sources()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), sources.join(entry.file_name())).unwrap();
    }
    let cache = Cache::at(root.join("cache")).unwrap();
    assemble_from(&Shell::new(true), &cache, &sources).unwrap()
}

fn can_assemble() -> bool {
    let missing = Needs::new().bios_loader(Arch::X86_64).missing().len();
    if missing > 0 {
        println!("skipped: as and ld for x86 are not installed");
    }
    missing == 0
}

#[test]
fn the_bytes_are_the_same_in_any_directory_and_install() {
    if !can_assemble() {
        return;
    }
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let code = assembled(first.path());
    assert_eq!(code, assembled(&second.path().join("a much longer name")));
    assert_eq!(code.mbr.len(), bios_boot::MBR_CODE_BYTES);
    assert_eq!(code.cd.len(), bios_boot::MBR_CODE_BYTES);

    let kernel = Extent { first_lba: 2048, len_bytes: 5, checksum: Checksum::of(b"12345") };
    let table = Table { kernel, initramfs: None, command_line: b"quiet".to_vec() };
    let mut disk = Vec::new();
    bios_boot::install(&code, &table, &mut disk).unwrap();
    disk.resize(2048 * SECTOR_LEN, 0);
    disk.extend(b"12345");
    disk.resize(4096 * SECTOR_LEN, 0);
    let loader = bios_boot::read(&disk).unwrap();
    assert_eq!(loader.problems, Vec::<String>::new());
    assert_eq!(loader.table, Some(table));
}

#[test]
fn a_mistake_in_a_source_is_told_by_its_name() {
    if !can_assemble() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    assembled(root.path());
    let sources = root.path().join("sources");
    fs::write(sources.join("disk.s"), "        .code16\n        mvob %al, %bl\n").unwrap();
    let cache = Cache::at(root.path().join("cache")).unwrap();
    let error = assemble_from(&Shell::new(true), &cache, &sources).unwrap_err().to_string();
    assert!(error.contains("builder/boot/bios/disk.s") && error.contains("mvob"), "{error}");
}

/// The value of a `.set` in `layout.inc`.
fn set(name: &str) -> u64 {
    let text = fs::read_to_string(own_sources().join("layout.inc")).unwrap();
    let line = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix(".set")?.trim().strip_prefix(name))
        .find_map(|rest| rest.strip_prefix(','))
        .unwrap_or_else(|| panic!("layout.inc has no {name}"));
    let value = line.split('#').next().unwrap().trim();
    let number = match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => value.parse(),
    };
    number.unwrap_or_else(|_| panic!("{name} is {value}"))
}

#[test]
fn the_loader_and_the_builder_agree_on_the_table() {
    assert_eq!(set("TABLE_BYTES"), TABLE_BYTES as u64);
    assert_eq!(set("TABLE_VERSION"), u64::from(TABLE_VERSION));
    assert_eq!(set("COMMAND_LINE_BYTES_MAX"), bios_boot::COMMAND_LINE_BYTES_MAX as u64);
    assert_eq!(1 << set("SECTOR_SHIFT"), SECTOR_BYTES);
    // Where the builder writes what the loader reads, by values that are nowhere else.
    let extent = |first_lba: u64, len_bytes: u32| {
        let checksum = Checksum::of(&len_bytes.to_be_bytes());
        Extent { first_lba, len_bytes, checksum }
    };
    let table = Table {
        kernel: extent(0x1122_3344_5566_7788, 0x41),
        initramfs: Some(extent(0x2122_2324_2526_2728, 0x42)),
        command_line: b"panic=1".to_vec(),
    };
    let bytes = table.encode().unwrap();
    let at = |offset: u64, len: usize| {
        let offset = usize::try_from(offset).unwrap();
        bytes[offset..offset + len].to_vec()
    };
    for (name, extent) in
        [("TABLE_KERNEL", table.kernel), ("TABLE_INITRAMFS", table.initramfs.unwrap())]
    {
        let place = set(name);
        assert_eq!(at(place + set("EXTENT_LBA"), 8), extent.first_lba.to_le_bytes(), "{name}");
        assert_eq!(at(place + set("EXTENT_BYTES"), 4), extent.len_bytes.to_le_bytes(), "{name}");
        assert_eq!(at(place + set("EXTENT_CHECKSUM"), 8), extent.checksum.to_bytes(), "{name}");
    }
    assert_eq!(at(set("TABLE_COMMAND_LINE_BYTES"), 4), 7u32.to_le_bytes());
    assert_eq!(at(set("TABLE_COMMAND_LINE"), 8), b"panic=1\0");
}
