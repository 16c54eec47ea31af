//! Walks a FAT file system and reads its files.
//!
//! The image may be hostile: a chain is followed for at most as many steps as
//! there are clusters, a directory is entered once, and depth is bounded.

use std::collections::HashSet;
use std::io::Write;

use super::geometry::FatBits;
use super::name::checksum;
use super::time::FatTime;
use super::{ENTRY_BYTES, FileContent, attribute};
use crate::error::{Error, Result};
use crate::format::source::Source;

/// A directory of more bytes than this is damaged (specification: 65,536 entries).
const DIRECTORY_MAX_BYTES: u64 = 65_536 * ENTRY_BYTES as u64;
/// Directories in directories, at most.
const DEPTH_MAX: usize = 64;

/// One file or directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Path without a leading slash; empty for the root.
    pub path: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Length in bytes; 0 for directories.
    pub size_bytes: u32,
    /// Modification time in seconds since 1970, if it has one.
    pub mtime_s: Option<i64>,
    first_cluster: u32,
}

/// A FAT file system that can be read.
#[derive(Debug)]
pub struct Reader<S> {
    source: S,
    bits: FatBits,
    cluster_bytes: u64,
    clusters: u64,
    fat_at: u64,
    root_at: u64,
    root_bytes: u64,
    data_at: u64,
    root_cluster: u32,
    /// Serial number.
    volume_id: u32,
    label: String,
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::failure(format!("the FAT file system is damaged: {why}"))
        .hint("`fsck.fat -n FILE` lists all that is wrong")
}

fn half(bytes: &[u8], at: usize) -> u64 {
    u64::from(bytes[at]) | u64::from(bytes[at + 1]) << 8
}

fn word(bytes: &[u8], at: usize) -> u64 {
    half(bytes, at) | half(bytes, at + 2) << 16
}

impl<S: Source> Reader<S> {
    /// Opens the file system whose boot sector is the source's first.
    ///
    /// # Errors
    /// If the boot sector makes no sense.
    pub fn open(source: S) -> Result<Self> {
        let mut boot = [0; 512];
        source.read_at(0, &mut boot).map_err(damaged)?;
        let sector_bytes = half(&boot, 11);
        let sectors_per_cluster = u64::from(boot[13]);
        if !sector_bytes.is_power_of_two()
            || !(512..=4096).contains(&sector_bytes)
            || !sectors_per_cluster.is_power_of_two()
        {
            return Err(damaged("its sectors or clusters have no possible size"));
        }
        let pick = |small: u64, large: u64| if small == 0 { large } else { small };
        let (reserved, fats, root_entries) =
            (half(&boot, 14), u64::from(boot[16]), half(&boot, 17));
        let total = pick(half(&boot, 19), word(&boot, 32));
        let fat_sectors = pick(half(&boot, 22), word(&boot, 36));
        let root_bytes = root_entries * ENTRY_BYTES as u64;
        let root_sector = reserved + fats * fat_sectors;
        let data_sector = root_sector + root_bytes.div_ceil(sector_bytes);
        let clusters = total.saturating_sub(data_sector) / sectors_per_cluster;
        let bits = FatBits::of_clusters(clusters);
        let is_fat32 = bits == FatBits::ThirtyTwo;
        if reserved == 0 || fats == 0 || fat_sectors == 0 || clusters == 0 {
            return Err(damaged("its parts do not fit into it"));
        }
        let extended = if is_fat32 { 64 } else { 36 };
        let label = boot[extended + 7..extended + 18].to_vec();
        let root_cluster = if is_fat32 { word(&boot, 44) } else { 0 };
        Ok(Self {
            source,
            bits,
            cluster_bytes: sector_bytes * sectors_per_cluster,
            clusters,
            fat_at: reserved * sector_bytes,
            root_at: root_sector * sector_bytes,
            root_bytes: if is_fat32 { 0 } else { root_bytes },
            data_at: data_sector * sector_bytes,
            root_cluster: u32::try_from(root_cluster).unwrap_or(0),
            volume_id: u32::try_from(word(&boot, extended + 3)).unwrap_or(0),
            label: String::from_utf8_lossy(&label).trim_end().to_owned(),
        })
    }

    /// The serial number.
    pub fn volume_id(&self) -> u32 {
        self.volume_id
    }

    /// The label in the boot sector.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// "FAT12", "FAT16" or "FAT32".
    pub fn type_name(&self) -> &'static str {
        match self.bits {
            FatBits::Twelve => "FAT12",
            FatBits::Sixteen => "FAT16",
            FatBits::ThirtyTwo => "FAT32",
        }
    }

    /// Room for content, in bytes.
    pub fn data_bytes(&self) -> u64 {
        self.clusters * self.cluster_bytes
    }

    /// Visits every entry but the root, each directory's in byte order of their names.
    ///
    /// # Errors
    /// If the file system is damaged, or what `visit` returns.
    pub fn walk(&self, mut visit: impl FnMut(Entry) -> Result<()>) -> Result<()> {
        let mut entered = HashSet::new();
        let mut waiting = self.children("", None)?;
        waiting.reverse();
        while let Some(entry) = waiting.pop() {
            visit(entry.clone())?;
            if !entry.is_directory {
                continue;
            }
            if !entered.insert(entry.first_cluster) {
                return Err(damaged(format!("/{} is a directory met before", entry.path)));
            }
            if entry.path.split('/').count() > DEPTH_MAX {
                return Err(damaged("its directories are nested without end"));
            }
            let children = self.children(&entry.path, Some(entry.first_cluster))?;
            waiting.extend(children.into_iter().rev());
        }
        Ok(())
    }

    /// The entry at a path without a leading slash, ignoring case; not the root's.
    ///
    /// # Errors
    /// If the file system is damaged.
    pub fn find(&self, path: &str) -> Result<Option<Entry>> {
        let mut current: Option<Entry> = None;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let (above, cluster) = match &current {
                None => ("", None),
                Some(entry) if entry.is_directory => {
                    (entry.path.as_str(), Some(entry.first_cluster))
                }
                Some(_) => return Ok(None),
            };
            let wanted = name.to_lowercase();
            let found = self.children(above, cluster)?.into_iter().find(|entry| {
                entry.path.rsplit('/').next().unwrap_or_default().to_lowercase() == wanted
            });
            match found {
                Some(entry) => current = Some(entry),
                None => return Ok(None),
            }
        }
        Ok(current)
    }

    /// Writes a file's content to `out`.
    ///
    /// # Errors
    /// If its chain is damaged or `out` fails.
    pub fn copy_content(&self, entry: &Entry, out: &mut impl Write) -> Result<()> {
        let mut left = u64::from(entry.size_bytes);
        for cluster in self.chain(entry.first_cluster, left)? {
            let len = left.min(self.cluster_bytes);
            let bytes = self.read(self.cluster_at(cluster), len)?;
            out.write_all(&bytes)
                .map_err(|error| crate::format::write_failed("file's content", &error))?;
            left -= len;
        }
        Ok(())
    }

    /// A file's content, to be read in any order.
    ///
    /// # Errors
    /// If its chain is damaged.
    pub fn content(&self, entry: &Entry) -> Result<FileContent<'_, S>> {
        let len_bytes = u64::from(entry.size_bytes);
        let clusters = self.chain(entry.first_cluster, len_bytes)?;
        Ok(FileContent { reader: self, clusters, len_bytes })
    }

    /// Whether a file's clusters follow each other without a gap.
    ///
    /// # Errors
    /// If its chain is damaged.
    pub fn is_contiguous(&self, entry: &Entry) -> Result<bool> {
        let chain = self.chain(entry.first_cluster, u64::from(entry.size_bytes))?;
        Ok(chain.windows(2).all(|pair| pair[1] == pair[0] + 1))
    }

    /// The clusters of a file of this length.
    fn chain(&self, first: u32, len_bytes: u64) -> Result<Vec<u32>> {
        let mut chain = Vec::new();
        let mut cluster = first;
        let wanted = len_bytes.div_ceil(self.cluster_bytes);
        if wanted > self.clusters {
            return Err(damaged("a file is longer than the file system"));
        }
        while (chain.len() as u64) < wanted {
            if cluster < 2 || u64::from(cluster) >= self.clusters + 2 {
                return Err(damaged("a file is longer than its chain of clusters"));
            }
            chain.push(cluster);
            cluster = self.next_cluster(cluster)?;
        }
        Ok(chain)
    }

    fn next_cluster(&self, cluster: u32) -> Result<u32> {
        let cluster = u64::from(cluster);
        let entry_at = match self.bits {
            FatBits::Twelve => cluster * 3 / 2,
            FatBits::Sixteen => cluster * 2,
            FatBits::ThirtyTwo => cluster * 4,
        };
        let len = if self.bits == FatBits::ThirtyTwo { 4 } else { 2 };
        let mut bytes = self.read(self.fat_at + entry_at, len)?;
        bytes.resize(4, 0);
        let value = word(&bytes, 0);
        let value = match self.bits {
            FatBits::Twelve if cluster % 2 == 1 => value >> 4,
            FatBits::Twelve => value & 0xFFF,
            FatBits::Sixteen => value,
            FatBits::ThirtyTwo => value & 0x0FFF_FFFF,
        };
        u32::try_from(value).map_err(damaged)
    }

    pub(super) fn cluster_bytes(&self) -> u64 {
        self.cluster_bytes
    }

    /// Fills `buffer` from a cluster's bytes; both ends lie within it.
    pub(super) fn read_cluster(
        &self,
        cluster: u32,
        offset_bytes: u64,
        buffer: &mut [u8],
    ) -> std::io::Result<()> {
        self.source.read_at(self.cluster_at(cluster) + offset_bytes, buffer)
    }

    fn cluster_at(&self, cluster: u32) -> u64 {
        self.data_at + (u64::from(cluster) - 2) * self.cluster_bytes
    }

    fn read(&self, at: u64, len: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(len).map_err(damaged)?];
        self.source.read_at(at, &mut bytes).map_err(damaged)?;
        Ok(bytes)
    }

    fn directory_bytes(&self, cluster: Option<u32>) -> Result<Vec<u8>> {
        let mut cluster = match cluster {
            None if self.bits != FatBits::ThirtyTwo => {
                return self.read(self.root_at, self.root_bytes);
            }
            None => self.root_cluster,
            Some(cluster) => cluster,
        };
        let mut bytes = Vec::new();
        // A number past the last cluster ends the chain.
        while cluster >= 2 && u64::from(cluster) < self.clusters + 2 {
            bytes.extend(self.read(self.cluster_at(cluster), self.cluster_bytes)?);
            if bytes.len() as u64 > DIRECTORY_MAX_BYTES {
                return Err(damaged("a directory has no end"));
            }
            cluster = self.next_cluster(cluster)?;
        }
        Ok(bytes)
    }

    /// The entries of a directory, sorted; `None` is the root.
    fn children(&self, above: &str, cluster: Option<u32>) -> Result<Vec<Entry>> {
        let bytes = self.directory_bytes(cluster)?;
        let mut entries = Vec::new();
        let mut long = LongName::default();
        for entry in bytes.chunks_exact(ENTRY_BYTES) {
            match (entry[0], entry[11]) {
                (0, _) => break,
                (0xE5, _) => long = LongName::default(),
                (_, attribute::LONG_NAME) => long.add(entry),
                (_, attributes) if attributes & attribute::VOLUME_LABEL != 0 => {
                    long = LongName::default();
                }
                (b'.', _) => {}
                (_, attributes) => {
                    let name = std::mem::take(&mut long).finish(entry);
                    let path = if above.is_empty() { name } else { format!("{above}/{name}") };
                    entries.push(entry_of(path, attributes, entry));
                }
            }
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }
}

fn entry_of(path: String, attributes: u8, entry: &[u8]) -> Entry {
    let is_directory = attributes & attribute::DIRECTORY != 0;
    let pack = |value: u64| u16::try_from(value).unwrap_or(0);
    let time = FatTime { date: pack(half(entry, 24)), time: pack(half(entry, 22)), fine: 0 };
    let cluster = half(entry, 26) | half(entry, 20) << 16;
    let size = if is_directory { 0 } else { word(entry, 28) };
    Entry {
        path,
        is_directory,
        size_bytes: u32::try_from(size).unwrap_or(u32::MAX),
        mtime_s: time.to_epoch(),
        first_cluster: u32::try_from(cluster).unwrap_or(0),
    }
}

/// The long name whose entries have been met so far, last part first.
#[derive(Default)]
struct LongName {
    units: Vec<u16>,
    checksum: u8,
}

impl LongName {
    fn add(&mut self, entry: &[u8]) {
        if entry[0] & 0x40 != 0 {
            self.units.clear();
        }
        self.checksum = entry[13];
        let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain((28..32).step_by(2));
        let part: Vec<u16> = places
            .map(|at| u16::from_le_bytes([entry[at], entry[at + 1]]))
            .take_while(|unit| *unit != 0)
            .collect();
        // At most 20 parts make a name; more are damage and are dropped.
        if self.units.len() + part.len() <= 260 {
            self.units.splice(0..0, part);
        }
    }

    fn finish(self, entry: &[u8]) -> String {
        let mut short = [0; 11];
        short.copy_from_slice(&entry[..11]);
        if !self.units.is_empty() && self.checksum == checksum(&short) {
            return String::from_utf16_lossy(&self.units).replace(['/', '\0'], "_");
        }
        let part =
            |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().replace(['/', '\0'], "_");
        let (base, extension) = (part(&short[..8]), part(&short[8..]));
        if extension.is_empty() { base } else { format!("{base}.{extension}") }
    }
}
