//! Every instant at which the power can go, on a disk that is a vector.

use super::*;
use crate::table::Entry;

/// A disk in memory that remembers what was written, sector by sector.
struct Memory {
    bytes: Vec<u8>,
    /// Writes of single sectors, and stretches of zeros, that may still happen; then the
    /// power is off.
    writes_left: usize,
    written: usize,
    announced: Vec<(Entry, bool)>,
}

const SECTOR: usize = 512;

impl Memory {
    fn with_power_for(bytes: Vec<u8>, writes: usize) -> Self {
        Self { bytes, writes_left: writes, written: 0, announced: Vec::new() }
    }
}

impl Target for Memory {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        assert!(start.is_multiple_of(SECTOR) && bytes.len().is_multiple_of(SECTOR));
        for (index, sector) in bytes.chunks(SECTOR).enumerate() {
            if self.writes_left == 0 {
                return Err(io::Error::other("the power is off"));
            }
            self.writes_left -= 1;
            self.written += 1;
            let at = start + index * SECTOR;
            self.bytes[at..at + SECTOR].copy_from_slice(sector);
        }
        Ok(())
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        bytes.copy_from_slice(&self.bytes[start..start + bytes.len()]);
        Ok(())
    }

    fn zero(&mut self, offset: u64, length: u64) -> io::Result<()> {
        if self.writes_left == 0 {
            return Err(io::Error::other("the power is off"));
        }
        self.writes_left -= 1;
        self.written += 1;
        let start = usize::try_from(offset).unwrap();
        self.bytes[start..start + usize::try_from(length).unwrap()].fill(0);
        Ok(())
    }
}

impl Disk for Memory {
    fn sectors(&self) -> u64 {
        (self.bytes.len() / SECTOR) as u64
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn announce(&mut self, entry: &Entry, is_new: bool) -> io::Result<()> {
        self.announced.push((entry.clone(), is_new));
        Ok(())
    }

    fn enter(&mut self, _: &Entry) -> io::Result<()> {
        Ok(())
    }

    fn random(&mut self) -> io::Result<[u8; 16]> {
        Ok([9; 16])
    }

    fn now_s(&self) -> i64 {
        1_700_000_000
    }
}

fn settings() -> Settings {
    Settings { label: "data".into(), size_min_bytes: 16 << 20 }
}

/// A disk of `mib` with the partitions of an image, whose sectors are all `0x5a`.
fn image(mib: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; mib << 20];
    bytes[..34 * SECTOR].fill(0);
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    bytes[450] = 0xee;
    let mut table = Table::empty((bytes.len() / SECTOR) as u64, bytes[..4096].to_vec());
    for (name, first, last) in [("esp", 2048, 4095), ("root", 4096, 8191)] {
        table.add(name, [u8::try_from(first >> 11).unwrap(); 16], (first, last)).unwrap();
    }
    bytes[2048 * SECTOR..8192 * SECTOR].fill(0x5a);
    let mut disk = Memory::with_power_for(bytes, usize::MAX);
    write_table(&mut disk, &table).unwrap();
    disk.bytes
}

fn finish(bytes: Vec<u8>) -> Result<(Memory, Entry)> {
    let mut disk = Memory::with_power_for(bytes, usize::MAX);
    let entry = complete(&mut disk, &settings(), |_| {})?;
    Ok((disk, entry))
}

/// Whether the disk is as it has to be: the image's partitions as they were, and one file
/// system for data in the rest.
fn check(disk: &Memory, entry: &Entry, mib: u64) {
    assert!(disk.bytes[2048 * SECTOR..8192 * SECTOR].iter().all(|byte| *byte == 0x5a));
    assert_eq!((entry.number, entry.first, entry.name.as_str()), (3, 8192, "data"));
    assert_eq!(entry.last + 1, (mib - 1) * 2048);
    let start = usize::try_from(entry.first).unwrap() * SECTOR;
    let end = usize::try_from(entry.last + 1).unwrap() * SECTOR;
    let found = init_core::block_probe::identify(&disk.bytes[start..end]).unwrap();
    assert_eq!((found.kind, found.label.as_str()), ("ext4", "data"));
    let filesystem = mkext4::reader::Fs::open(&disk.bytes[start..end]).unwrap();
    assert!(filesystem.verify().unwrap().is_empty());
}

#[test]
fn the_first_boot_makes_it_and_later_ones_leave_it_alone() {
    let (disk, entry) = finish(image(24)).unwrap();
    check(&disk, &entry, 24);
    assert_eq!(disk.announced.len(), 1);
    assert!(disk.announced[0].1);
    let before = disk.bytes.clone();
    let (disk, again) = finish(disk.bytes).unwrap();
    assert_eq!((again, disk.written), (entry, 0));
    assert!(disk.bytes == before);
}

#[test]
fn a_power_cut_after_any_sector_is_made_good_by_the_next_boot() {
    let image = image(24);
    let (whole, _) = finish(image.clone()).unwrap();
    for writes in 0..whole.written {
        let mut disk = Memory::with_power_for(image.clone(), writes);
        complete(&mut disk, &settings(), |_| {}).unwrap_err();
        let (disk, entry) = finish(disk.bytes).unwrap_or_else(|error| panic!("{writes}: {error}"));
        // The whole check is made where it is cheap, a shorter one everywhere.
        if writes.is_multiple_of(16) {
            check(&disk, &entry, 24);
        }
        assert_eq!((entry.number, entry.name.as_str()), (3, "data"), "after {writes}");
    }
}

#[test]
fn it_grows_with_its_disk_and_keeps_what_is_in_it() {
    let (disk, _) = finish(image(24)).unwrap();
    let mut bytes = disk.bytes;
    let mark = 8192 * SECTOR + (9 << 20);
    bytes[mark..mark + SECTOR].fill(0x77);
    bytes.resize(40 << 20, 0xdd);
    let (grown, entry) = finish(bytes.clone()).unwrap();
    assert_eq!(entry.last + 1, 39 * 2048);
    assert!(!grown.announced[0].1);
    assert!(grown.bytes[mark..mark + SECTOR].iter().all(|byte| *byte == 0x77));
    for writes in 0..grown.written {
        let mut disk = Memory::with_power_for(bytes.clone(), writes);
        complete(&mut disk, &settings(), |_| {}).unwrap_err();
        let (disk, entry) = finish(disk.bytes).unwrap();
        assert_eq!(entry.last + 1, 39 * 2048, "after {writes}");
        assert!(disk.bytes[mark..mark + SECTOR].iter().all(|byte| *byte == 0x77));
    }
}

#[test]
fn a_root_that_was_written_anew_keeps_the_data() {
    let (disk, entry) = finish(image(24)).unwrap();
    let mut bytes = disk.bytes;
    bytes[4096 * SECTOR..8192 * SECTOR].fill(0x11);
    let before = bytes.clone();
    let (disk, again) = finish(bytes).unwrap();
    assert_eq!(again, entry);
    assert!(disk.bytes == before);
}

#[test]
fn what_is_not_surely_ours_is_left_alone() {
    let refuse = |bytes: Vec<u8>, expected: &str| {
        let mut disk = Memory::with_power_for(bytes, usize::MAX);
        let problem = complete(&mut disk, &settings(), |_| {}).unwrap_err();
        assert!(problem.message().contains(expected), "{problem}");
        assert_eq!(disk.written, 0);
    };
    refuse(vec![0; 24 << 20], "it has no GPT");
    refuse(image(12), "no room for the data partition: 7 MiB");
    let mut damaged = image(24);
    let end = damaged.len();
    damaged[600] ^= 1;
    damaged[end - 512] ^= 1;
    refuse(damaged, "its GPT is damaged");
    let mut twice = Memory::with_power_for(image(24), usize::MAX);
    let mut table = read_table(&mut twice).unwrap();
    table.add("data", [1; 16], (8192, 10239)).unwrap();
    table.add("data", [2; 16], (10240, 12287)).unwrap();
    write_table(&mut twice, &table).unwrap();
    refuse(twice.bytes, "several partitions are called `data`");
    let mut root = Memory::with_power_for(image(24), usize::MAX);
    let mut table = read_table(&mut root).unwrap();
    table.rename(2, "data");
    table.set_type(2, [0x4f; 16]);
    write_table(&mut root, &table).unwrap();
    refuse(root.bytes, "partition 2 is called `data`, but its type is not that of data");
    let mut overlapping = Memory::with_power_for(image(24), usize::MAX);
    let mut table = read_table(&mut overlapping).unwrap();
    table.extend(1, 5000);
    write_table(&mut overlapping, &table).unwrap();
    refuse(overlapping.bytes, "its partitions overlap");
}

#[test]
fn a_partition_of_that_name_is_never_formatted() {
    let mut disk = Memory::with_power_for(image(24), usize::MAX);
    let mut table = read_table(&mut disk).unwrap();
    let last = table.free_at_end().unwrap().1;
    table.add("data", [1; 16], (8192, last)).unwrap();
    write_table(&mut disk, &table).unwrap();
    let before = disk.bytes.clone();
    let (disk, _) = finish(disk.bytes).unwrap();
    assert!(disk.bytes == before && disk.written == 0);
}
