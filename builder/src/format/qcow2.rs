//! qcow2 images, QEMU's own disk format (docs/interop/qcow2.txt of QEMU), version 3.
//!
//! The writer copies a raw image and leaves clusters of zeros out. There is no
//! backing file, no snapshot, no compression and no encryption.

use std::io;

use super::sink::ImageSink;
use super::source::Source;
use crate::error::{Error, Result};

/// 64 KiB, what `qemu-img` takes.
const CLUSTER_BITS: u32 = 16;
const CLUSTER_LEN: usize = 1 << CLUSTER_BITS;
const CLUSTER_BYTES: u64 = CLUSTER_LEN as u64;
/// Entries of eight bytes in one cluster: those of an L2 table.
const TABLE_ENTRIES: u64 = CLUSTER_BYTES / 8;
/// Reference counts of 16 bits (2 to the power of 4).
const REFCOUNT_ORDER: u32 = 4;
const REFCOUNTS_PER_BLOCK: u64 = CLUSTER_BYTES / 2;
const MAGIC: &[u8; 4] = b"QFI\xfb";
const VERSION: u32 = 3;
const HEADER_BYTES: u32 = 104;
/// The cluster's reference count is exactly one.
const COPIED: u64 = 1 << 63;
/// Larger images need an L1 table that no QEMU reads.
const SIZE_MAX_BYTES: u64 = 1 << 56;

/// Writes the raw image `disk` as qcow2 and returns the file's length in bytes.
///
/// # Errors
/// If the disk cannot be read, is larger than the format allows, or the sink fails.
pub fn write(disk: &dyn Source, sink: &mut impl ImageSink) -> Result<u64> {
    if disk.len_bytes() > SIZE_MAX_BYTES {
        return Err(Error::definition("a qcow2 image is smaller than 64 PiB"));
    }
    let used = used_clusters(disk).map_err(|error| read_failed(&error))?;
    let layout = Layout::new(disk.len_bytes(), &used);
    write_all(disk, &used, &layout, sink)
        .map_err(|error| super::write_failed("qcow2 image", &error))?;
    Ok(layout.clusters * CLUSTER_BYTES)
}

fn read_failed(error: &io::Error) -> Error {
    Error::failure(format!("cannot read the disk: {error}"))
}

/// The numbers of the disk's clusters that are not all zeros, in order.
fn used_clusters(disk: &dyn Source) -> io::Result<Vec<u64>> {
    let mut used = Vec::new();
    let mut buffer = vec![0; CLUSTER_LEN];
    let mut next = 0;
    for range in disk.data_ranges()? {
        // Two ranges may lie in one cluster.
        let first = (range.start / CLUSTER_BYTES).max(next);
        next = range.end.div_ceil(CLUSTER_BYTES).max(next);
        for number in first..next {
            let bytes = read_cluster(disk, number, &mut buffer)?;
            if bytes.iter().any(|byte| *byte != 0) {
                used.push(number);
            }
        }
    }
    Ok(used)
}

/// A cluster of the disk; the last one may be short.
fn read_cluster<'b>(
    disk: &dyn Source,
    number: u64,
    buffer: &'b mut [u8],
) -> io::Result<&'b mut [u8]> {
    let start = number * CLUSTER_BYTES;
    let len = (disk.len_bytes() - start).min(CLUSTER_BYTES);
    let len = usize::try_from(len).map_err(io::Error::other)?;
    let bytes = &mut buffer[..len];
    disk.read_at(start, bytes)?;
    Ok(bytes)
}

/// Where the parts lie, in clusters: header, reference count table and blocks,
/// L1 table, L2 tables, data.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Layout {
    size_bytes: u64,
    refcount_table_clusters: u64,
    refcount_blocks: u64,
    l1_entries: u64,
    l1_clusters: u64,
    /// Which L2 tables there are, by their place in the L1 table.
    l2_tables: Vec<u64>,
    /// All of them, data included.
    clusters: u64,
}

impl Layout {
    fn new(size_bytes: u64, used: &[u64]) -> Self {
        let l1_entries = size_bytes.div_ceil(CLUSTER_BYTES * TABLE_ENTRIES);
        let l1_clusters = l1_entries.div_ceil(TABLE_ENTRIES);
        let mut l2_tables: Vec<u64> = used.iter().map(|number| number / TABLE_ENTRIES).collect();
        l2_tables.dedup();
        let fixed = 1 + l1_clusters + l2_tables.len() as u64 + used.len() as u64;
        // The counts count themselves: more blocks may need one block more.
        let (mut blocks, mut tables) = (0, 0);
        let clusters = loop {
            let clusters = fixed + blocks + tables;
            let enough = clusters.div_ceil(REFCOUNTS_PER_BLOCK);
            let enough_tables = enough.div_ceil(TABLE_ENTRIES);
            if (enough, enough_tables) == (blocks, tables) {
                break clusters;
            }
            (blocks, tables) = (enough, enough_tables);
        };
        Self {
            size_bytes,
            refcount_table_clusters: tables,
            refcount_blocks: blocks,
            l1_entries,
            l1_clusters,
            l2_tables,
            clusters,
        }
    }

    fn refcount_block(&self) -> u64 {
        1 + self.refcount_table_clusters
    }

    fn l1_table(&self) -> u64 {
        self.refcount_block() + self.refcount_blocks
    }

    fn l2_table(&self) -> u64 {
        self.l1_table() + self.l1_clusters
    }

    fn data(&self) -> u64 {
        self.l2_table() + self.l2_tables.len() as u64
    }

    fn header(&self) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        let mut half = |value: u32| header.extend_from_slice(&value.to_be_bytes());
        half(VERSION);
        // No backing file: offset (64 bits) and length.
        [0, 0, 0, CLUSTER_BITS].into_iter().for_each(&mut half);
        let mut word = |value: u64| header.extend_from_slice(&value.to_be_bytes());
        word(self.size_bytes);
        // No encryption; entries of the L1 table.
        word(self.l1_entries);
        word(self.l1_table() * CLUSTER_BYTES);
        word(CLUSTER_BYTES);
        // Clusters of the reference count table; no snapshots.
        word(self.refcount_table_clusters << 32);
        word(0);
        // No features of any kind.
        [0, 0, 0].into_iter().for_each(&mut word);
        header.extend_from_slice(&REFCOUNT_ORDER.to_be_bytes());
        header.extend_from_slice(&HEADER_BYTES.to_be_bytes());
        header
    }
}

fn write_all(
    disk: &dyn Source,
    used: &[u64],
    layout: &Layout,
    sink: &mut impl ImageSink,
) -> io::Result<()> {
    sink.set_len(layout.clusters * CLUSTER_BYTES)?;
    sink.write_at(0, &layout.header())?;
    let offsets = |first: u64, count: u64| (first..first + count).map(|at| at * CLUSTER_BYTES);
    let blocks = offsets(layout.refcount_block(), layout.refcount_blocks);
    sink.write_at(CLUSTER_BYTES, &table(blocks))?;
    let counts: Vec<u8> = (0..layout.clusters).flat_map(|_| 1u16.to_be_bytes()).collect();
    sink.write_at(layout.refcount_block() * CLUSTER_BYTES, &counts)?;
    let mut data = layout.data();
    let mut rest = used;
    for (index, l1_entry) in layout.l2_tables.iter().enumerate() {
        let l2_table = layout.l2_table() + index as u64;
        let pointer = table([(l2_table * CLUSTER_BYTES) | COPIED]);
        sink.write_at(layout.l1_table() * CLUSTER_BYTES + l1_entry * 8, &pointer)?;
        let count = rest.partition_point(|number| number / TABLE_ENTRIES <= *l1_entry);
        let (here, later) = rest.split_at(count);
        for (number, at) in here.iter().zip(data..) {
            let place = l2_table * CLUSTER_BYTES + number % TABLE_ENTRIES * 8;
            sink.write_at(place, &table([(at * CLUSTER_BYTES) | COPIED]))?;
        }
        data += here.len() as u64;
        rest = later;
    }
    let mut buffer = vec![0; CLUSTER_LEN];
    for (number, at) in used.iter().zip(layout.data()..) {
        sink.write_at(at * CLUSTER_BYTES, read_cluster(disk, *number, &mut buffer)?)?;
    }
    Ok(())
}

fn table(entries: impl IntoIterator<Item = u64>) -> Vec<u8> {
    entries.into_iter().flat_map(u64::to_be_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::judge;

    #[test]
    fn reference_counts_cover_themselves() {
        for used in [0, 1, 32_760, 32_763, 32_764, 32_765, 70_000] {
            let numbers: Vec<u64> = (0..used).collect();
            let layout = Layout::new(1 << 40, &numbers);
            assert!(layout.refcount_blocks * REFCOUNTS_PER_BLOCK >= layout.clusters);
            assert!((layout.refcount_blocks - 1) * REFCOUNTS_PER_BLOCK < layout.clusters);
            assert_eq!(layout.data() + used, layout.clusters);
        }
    }

    /// A disk that knows where its data is, and counts what is read.
    struct Sparse {
        bytes: Vec<u8>,
        ranges: Vec<std::ops::Range<u64>>,
        read: std::cell::RefCell<Vec<u64>>,
    }

    impl Source for Sparse {
        fn len_bytes(&self) -> u64 {
            self.bytes.len_bytes()
        }

        fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
            self.read.borrow_mut().push(offset_bytes / CLUSTER_BYTES);
            self.bytes.read_at(offset_bytes, buffer)
        }

        fn data_ranges(&self) -> io::Result<Vec<std::ops::Range<u64>>> {
            Ok(self.ranges.clone())
        }
    }

    #[test]
    fn holes_are_not_read_and_a_cluster_counts_once() {
        let mut bytes = vec![0; 6 * CLUSTER_LEN + 100];
        for at in [3, CLUSTER_LEN + 4096, 5 * CLUSTER_LEN, 6 * CLUSTER_LEN + 99] {
            bytes[at] = 1;
        }
        let end = bytes.len() as u64;
        let ranges = vec![
            0..4096,
            8192..CLUSTER_BYTES + 4096,
            CLUSTER_BYTES + 4096..CLUSTER_BYTES + 8192,
            4 * CLUSTER_BYTES + 4096..end,
        ];
        let disk = Sparse { bytes, ranges, read: std::cell::RefCell::default() };
        assert_eq!(used_clusters(&disk).unwrap(), [0, 1, 5, 6]);
        assert_eq!(disk.read.take(), [0, 1, 4, 5, 6]);
    }

    #[test]
    fn qemu_finds_the_disk_in_it_and_nothing_wrong() {
        // Over two L2 tables, with a hole between, and an end within a cluster.
        let size_bytes = (1 << 29) + 5 * CLUSTER_BYTES + 512;
        let directory = tempfile::tempdir().unwrap();
        let raw = directory.path().join("raw");
        let file = std::fs::File::create_new(&raw).unwrap();
        file.set_len(size_bytes).unwrap();
        let mut region = crate::format::sink::FileRegion::whole(&file);
        for (offset, bytes) in [(0, &b"first"[..]), (200_000, b"second"), (size_bytes - 4, b"last")]
        {
            region.write_at(offset, bytes).unwrap();
        }
        let source =
            crate::format::source::FileSource::new(std::fs::File::open(&raw).unwrap()).unwrap();
        let image = directory.path().join("image.qcow2");
        let out = std::fs::File::create_new(&image).unwrap();
        let len = write(&source, &mut crate::format::sink::FileRegion::whole(&out)).unwrap();
        assert_eq!(out.metadata().unwrap().len(), len);
        judge("qemu-img", &["check"], &image);
        let raw = raw.to_str().unwrap();
        judge("qemu-img", &["compare", "-f", "raw", "-F", "qcow2", raw], &image);
    }
}
