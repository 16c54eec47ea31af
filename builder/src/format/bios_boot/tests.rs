//! Checksums by hand and by pieces, tables there and back, damage of every kind.

use super::*;
use crate::format::source::Source;
use crate::format::testing::Random;

/// Stands for the assembled loader: what it does is no matter here.
fn code() -> BootCode {
    let mut mbr = vec![0x90; MBR_CODE_BYTES];
    mbr[field::MARK..field::MARK + 4].copy_from_slice(MARK);
    BootCode { cd: mbr.clone(), mbr, stage2: Random(1).bytes(3 * SECTOR_BYTES) }
}

const KERNEL_LBA: usize = 2048;
const INITRAMFS_LBA: usize = 2060;
const DISK_SECTORS: usize = 4096;

fn at(lba: usize) -> usize {
    lba * SECTOR_LEN
}

/// A disk with a loader, a kernel and an initramfs, and its table.
fn disk() -> (Vec<u8>, Table) {
    let mut disk = vec![0; at(DISK_SECTORS)];
    // What a partitioner has written must stay.
    disk[440..512].fill(0xA5);
    let (kernel, initramfs) = (Random(2).bytes(5001), Random(3).bytes(1024));
    disk[at(KERNEL_LBA)..][..5001].copy_from_slice(&kernel);
    disk[at(INITRAMFS_LBA)..][..1024].copy_from_slice(&initramfs);
    let source: &dyn Source = &disk;
    let table = Table {
        kernel: Extent::of(source, at(KERNEL_LBA) as u64, 5001).unwrap(),
        initramfs: Some(Extent::of(source, at(INITRAMFS_LBA) as u64, 1024).unwrap()),
        command_line: b"console=ttyS0 root=PARTUUID=1".to_vec(),
    };
    install(&code(), &table, &mut disk).unwrap();
    (disk, table)
}

fn problems(disk: &[u8]) -> String {
    read(&disk).expect("the boot code is ours").problems.join("\n")
}

#[test]
fn a_checksum_is_what_the_definition_says() {
    // a = 1 + 0x04030201 + 5, b = (1 + 0x04030201) + that.
    let sum = Checksum::of(&[1, 2, 3, 4, 5]);
    assert_eq!(sum.to_string(), "04030207:08060409");
    assert_eq!(Checksum::from_bytes(sum.to_bytes()), sum);
    assert_eq!(Checksum::of(&[]).to_string(), "00000001:00000000");
    assert_ne!(Checksum::of(&[0; 4]), Checksum::of(&[0; 8]), "zeros count");
    let wraps = Checksum::of(&[0xFF; 8]);
    assert_eq!(wraps.to_string(), "ffffffff:ffffffff");
}

#[test]
fn a_checksum_does_not_depend_on_how_the_bytes_are_cut() {
    let mut random = Random(7);
    for _ in 0..200 {
        let len = random.below(70);
        let bytes = random.bytes(len);
        let mut summing = Summing::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(random.index(rest.len()) + 1);
            summing.update(head);
            rest = tail;
        }
        assert_eq!(summing.finish(), Checksum::of(&bytes), "{bytes:?}");
    }
}

#[test]
fn what_is_installed_is_found_and_the_partition_entries_stay() {
    let (disk, table) = disk();
    let loader = read(&disk).unwrap();
    assert_eq!(loader.problems, Vec::<String>::new());
    assert_eq!(loader.table, Some(table));
    assert_eq!((loader.stage2_lba, loader.stage2_sectors), (34, 3));
    assert!(disk[440..512].iter().all(|byte| *byte == 0xA5));
    assert_eq!(disk[at(34)..at(37)], code().stage2);
    assert!(disk[at(42)..at(KERNEL_LBA)].iter().all(|byte| *byte == 0));
}

#[test]
fn a_disk_without_the_loader_has_none() {
    assert_eq!(read(&vec![0u8; 4096]), None);
    assert_eq!(read(&vec![0u8; 100]), None);
}

#[test]
fn any_changed_byte_is_found_and_named() {
    let (disk, _) = disk();
    let table = 37;
    let cases = [
        ("stage 2 has changed", at(34), at(37)),
        ("the boot table has no signature", at(table), at(table) + 8),
        ("the boot table has version", at(table) + 8, at(table) + 12),
        ("the boot table has changed", at(table) + 12, at(42)),
        ("the kernel has changed", at(KERNEL_LBA), at(KERNEL_LBA) + 5001),
        ("the initramfs has changed", at(INITRAMFS_LBA), at(INITRAMFS_LBA) + 1024),
    ];
    let mut random = Random(11);
    for (message, start, end) in cases {
        for _ in 0..50 {
            let mut disk = disk.clone();
            let place = start + random.index(end - start);
            disk[place] ^= 1 << random.below(8);
            let found = problems(&disk);
            assert!(found.starts_with(message), "byte {place}: {found:?} instead of {message}");
        }
    }
    // What a file's last sector holds behind its end is nobody's.
    let mut padded = disk.clone();
    padded[at(KERNEL_LBA) + 5001] ^= 1;
    assert_eq!(problems(&padded), "");
}

#[test]
fn a_disk_that_ends_early_is_told_by_its_sectors() {
    let (mut disk, _) = disk();
    disk.truncate(at(2061));
    assert_eq!(problems(&disk), "the disk has 2061 sectors, the initramfs ends at 2062");
    disk.truncate(at(40));
    assert!(problems(&disk).starts_with("stage 2 cannot be read"));
}

#[test]
fn numbers_in_the_boot_code_are_not_believed() {
    let (disk, _) = disk();
    for (field, value) in [
        (field::STAGE2_SECTORS, u64::from(u16::MAX)),
        (field::LOADED_SECTORS, 0),
        (field::STAGE2_LBA, u64::MAX),
        (field::STAGE2_LBA, u64::MAX / SECTOR_BYTES),
    ] {
        let mut disk = disk.clone();
        let len = if field == field::STAGE2_LBA { 8 } else { 2 };
        disk[field..field + len].copy_from_slice(&value.to_le_bytes()[..len]);
        assert!(!problems(&disk).is_empty(), "{field} = {value}");
    }
    // A sound checksum makes no number sound.
    let extent = Extent { first_lba: u64::MAX, len_bytes: u32::MAX, checksum: Checksum::of(b"") };
    let table = Table { kernel: extent, initramfs: Some(extent), command_line: Vec::new() };
    let mut disk = disk;
    install(&code(), &table, &mut disk).unwrap();
    assert_eq!(problems(&disk).lines().count(), 2);
    let mut random = Random(13);
    for _ in 0..500 {
        let mut disk = disk.clone();
        for _ in 0..4 {
            let place = random.index(at(42));
            disk[place] = random.byte();
        }
        let _damaged_in_any_way = read(&disk);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (_, table) = disk();
    let refused = |table: &Table| table.encode().unwrap_err().to_string();
    let with = |command_line: Vec<u8>| Table { command_line, ..table.clone() };
    assert!(with(vec![b'a'; 2047]).encode().is_ok());
    let error = refused(&Table {
        kernel: Extent { len_bytes: 0, ..table.kernel },
        ..with([vec![b'a'; 2047], vec![0]].concat())
    });
    for text in ["2048 bytes; at most 2047", "a NUL", "the kernel is empty"] {
        assert!(error.contains(text), "{error}");
    }
    for damaged in [
        BootCode { mbr: vec![0; 440], ..code() },
        BootCode { mbr: vec![0; 512], ..code() },
        BootCode { stage2: Vec::new(), ..code() },
        BootCode { stage2: vec![0; 700], ..code() },
        BootCode { stage2: vec![0; 26 * SECTOR_LEN], ..code() },
    ] {
        let mut sink = Vec::new();
        assert!(install(&damaged, &table, &mut sink).is_err());
        assert!(sink.is_empty(), "nothing is written of what does not fit");
    }
    assert!(
        install(&BootCode { stage2: vec![0; 25 * SECTOR_LEN], ..code() }, &table, &mut Vec::new())
            .is_ok()
    );
}

#[test]
fn a_cds_boot_image_is_stage_1_stage_2_and_table_in_one() {
    let (disk, table) = disk();
    let image = cd_image(&code(), &table).unwrap();
    assert_eq!(image[..field::STAGE2_SECTORS], code().cd[..field::STAGE2_SECTORS]);
    assert_eq!(image[SECTOR_LEN..], disk[at(34)..at(42)]);
    assert_eq!(image[field::STAGE2_SECTORS..440], disk[field::STAGE2_SECTORS..440]);
    assert!(cd_image(&BootCode { cd: vec![0; 440], ..code() }, &table).is_err());
}

#[test]
fn an_extent_is_a_file_at_a_sector() {
    let disk = vec![7u8; 4096];
    assert!(Extent::of(&disk, 512, 3584).is_ok());
    for (offset, len) in [(512, 3585), (100, 1), (0, 0), (0, 1 << 32), (u64::MAX - 511, 512)] {
        assert!(Extent::of(&disk, offset, len).is_err(), "{len} bytes at {offset}");
    }
    let extent = Extent::of(&disk, 1024, 513).unwrap();
    assert_eq!((extent.first_lba, extent.end_lba()), (2, 4));
    assert!(extent.is_unchanged(&disk).unwrap());
}
