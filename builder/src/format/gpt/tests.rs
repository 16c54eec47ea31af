//! Golden fields, sgdisk as the judge, both copies, and what is refused.

use super::*;
use crate::arch::Arch;
use crate::format::MIB;
use crate::format::testing::{Random, judge};

fn options() -> DiskOptions {
    let partition = |name: &str, type_guid, mib: u64| PartitionOptions {
        type_guid,
        guid: Guid::derive("partition", &[name.as_bytes()]),
        name: name.into(),
        attributes: if name == "esp" { 0 } else { 1 << 59 },
        size_bytes: mib * MIB,
    };
    DiskOptions {
        size_bytes: None,
        guid: Guid::derive("disk", &[]),
        partitions: vec![
            partition("esp", partition_type::ESP, 8),
            partition("root", partition_type::root(Arch::X86_64), 16),
        ],
    }
}

fn disk() -> (Layout, Vec<u8>) {
    let layout = Layout::new(&options()).unwrap();
    let mut disk = vec![0; usize::try_from(layout.disk_bytes()).unwrap()];
    layout.write(&mut disk).unwrap();
    (layout, disk)
}

#[test]
fn partitions_lie_on_whole_mebibytes() {
    let (layout, disk) = disk();
    assert_eq!(layout.disk_bytes(), 26 * MIB);
    let places: Vec<_> =
        layout.partitions().iter().map(|p| (p.offset_bytes() / MIB, p.len_bytes() / MIB)).collect();
    assert_eq!(places, [(1, 8), (9, 16)]);
    assert_eq!(&disk[510..512], [0x55, 0xAA]);
    assert_eq!(&disk[512..520], b"EFI PART");
    assert_eq!(disk[450], 0xEE);
    // Table 5.5: entries at LBA 2, 128 of 128 bytes.
    assert_eq!(&disk[512 + 72..512 + 88], [2, 0, 0, 0, 0, 0, 0, 0, 128, 0, 0, 0, 128, 0, 0, 0]);
}

#[test]
fn sgdisk_finds_no_fault_and_sees_what_was_asked_for() {
    let (_, disk) = disk();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), disk).unwrap();
    let Some(verdict) = judge("sgdisk", &["-v"], file.path()) else { return };
    assert!(verdict.contains("No problems found"), "{verdict}");
    let table = judge("sgdisk", &["-p"], file.path()).unwrap();
    assert!(table.contains("EF00  esp") && table.contains("8304  root"), "{table}");
    let upper = options().partitions[1].guid.to_string().to_uppercase();
    let root = judge("sgdisk", &["-i", "2"], file.path()).unwrap();
    assert!(
        root.contains(&upper) && root.contains("4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"),
        "{root}"
    );
}

#[test]
fn what_is_written_is_read_and_a_damaged_copy_is_survived() {
    let (layout, good) = disk();
    let table = read(&good).unwrap();
    assert_eq!(table.partitions, layout.partitions());
    assert_eq!((table.guid, table.copy), (options().guid, TableCopy::Primary));
    assert!(table.problems.is_empty());

    let mut bad = good.clone();
    bad[512 + 40] ^= 1;
    let table = read(&bad).unwrap();
    assert_eq!((table.copy, &table.partitions[..]), (TableCopy::Backup, layout.partitions()));
    assert!(table.problems[0].contains("header's CRC"), "{:?}", table.problems);

    let mut bad = good.clone();
    *bad.last_mut().unwrap() = 0;
    let cut = bad.len() - 512;
    bad[cut] = 0;
    let table = read(&bad).unwrap();
    assert!(table.problems[0].starts_with("the backup is damaged"), "{:?}", table.problems);

    bad[1024] ^= 1;
    let error = read(&bad).unwrap_err().to_string();
    assert!(error.contains("entries' CRC") && error.contains("no signature"), "{error}");
}

#[test]
fn impossible_disks_are_refused_with_every_reason() {
    let mut wrong = options();
    wrong.partitions[0].size_bytes += 512;
    wrong.partitions[1].name = "x".repeat(37);
    wrong.partitions.push(wrong.partitions[1].clone());
    let error = Layout::new(&wrong).unwrap_err().to_string();
    for part in ["partition esp: ", "more than 36", "used twice"] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
    wrong.partitions = vec![options().partitions[0].clone(); 129];
    assert!(Layout::new(&wrong).unwrap_err().to_string().contains("more than 128"));
    wrong.partitions.truncate(2);
    wrong.partitions[0].size_bytes = u64::MAX - MIB + 1;
    assert!(Layout::new(&wrong).is_err());
}

#[test]
fn damaged_tables_end_in_an_error_not_in_a_panic() {
    let (_, good) = disk();
    let mut random = Random(3);
    for _ in 0..500 {
        let mut bad = good[..34 * 512].to_vec();
        for _ in 0..random.below(5) + 1 {
            let at = random.index(bad.len());
            bad[at] = random.byte();
        }
        bad.truncate(random.index(bad.len() + 1));
        let _either = read(&bad);
    }
}
