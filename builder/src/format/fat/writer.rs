//! Lays a tree out in clusters and writes it.

use std::collections::BTreeMap;

use super::directory::{self, Facts};
use super::geometry::{FatBits, Geometry, ROOT_ENTRIES_FAT16};
use super::name::{Names, ShortNames};
use super::time::FatTime;
use super::{ENTRY_BYTES, FatSize, SECTOR_BYTES, SECTOR_LEN, attribute};
use crate::error::{Error, Result};
use crate::format::pack::Plan;
use crate::format::sink::ImageSink;
use crate::tree::{Content, FileTree, NodeKind, TreePath};

const LABEL_BYTES: usize = 11;
/// Every file begins at a multiple of this: a sector of a CD, from which a BIOS
/// cannot read less.
const FILE_ALIGNMENT_BYTES: u64 = 2048;
const MEDIA_FIXED_DISK: u8 = 0xF8;
/// Place of FSInfo and of the boot sector's copy, where everyone has them.
const FS_INFO_SECTOR: u64 = 1;
const BACKUP_BOOT_SECTOR: usize = 6;
const FAT_COUNT: u8 = 2;

/// Parameters of [`write()`].
#[derive(Clone, Debug)]
pub struct FatOptions {
    /// How large it is. Below 64 MiB the type is FAT16, otherwise FAT32.
    pub size: FatSize,
    /// The volume's serial number.
    pub volume_id: u32,
    /// Label: at most 11 ASCII characters; lower case is written as upper case. Empty for none.
    pub label: String,
    /// Every time in the file system, in seconds since 1970, UTC. What lies
    /// before 1980 is written as 1980.
    pub epoch_s: u32,
    /// The first sector of its partition (`BPB_HiddSec`), 0 outside a disk.
    pub partition_lba: u32,
}

/// Where a file's content lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileExtent {
    /// The file.
    pub path: TreePath,
    /// From the start of the file system, in bytes; a multiple of 2,048.
    pub offset_bytes: u64,
    /// Length in bytes.
    pub len_bytes: u64,
}

/// What was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FatSummary {
    /// Size of the file system in bytes.
    pub size_bytes: u64,
    /// Bytes in free clusters.
    pub free_bytes: u64,
    /// Every file that has content, in tree order. Each is one contiguous run.
    pub files: Vec<FileExtent>,
}

/// Writes the tree as a FAT file system.
///
/// # Errors
/// If the image is too small, saying what it needs; if entries do not fit the
/// format, all at once; if a file cannot be read or has changed since it was
/// added; if the sink fails.
pub fn write(
    tree: &FileTree,
    options: &FatOptions,
    sink: &mut impl ImageSink,
) -> Result<FatSummary> {
    let label = label(&options.label)?;
    let content = TreeContent::new(tree, label.is_some())?;
    let geometry = Geometry::settle(options.size, |geometry| content.clusters(geometry))?;
    let layout = ClusterLayout::new(&content, &geometry)?;
    let mut plan = Plan::default();
    plan.bytes(&boot_area(options, label, &geometry, &layout));
    let fat = fat(&geometry, &layout);
    for copy in 0..u64::from(FAT_COUNT) {
        plan.seek(geometry.fat_offset_bytes(copy));
        plan.bytes(&fat);
    }
    for path in content.directories.keys().copied() {
        let place = layout.runs.get(path).map(|run| geometry.cluster_offset_bytes(run.first));
        plan.seek(place.unwrap_or_else(|| geometry.root_offset_bytes()));
        plan.bytes(&directory(options, label, &content, &layout, path));
    }
    let mut files = Vec::new();
    for (path, contents) in &content.files {
        if let Some(run) = layout.runs.get(path).filter(|run| run.clusters > 0) {
            let offset_bytes = geometry.cluster_offset_bytes(run.first);
            plan.seek(offset_bytes);
            let (path, len_bytes) = ((*path).clone(), contents.len());
            files.push(FileExtent { path, offset_bytes, len_bytes });
        }
        plan.content(path, contents, 0, contents.len());
    }
    let size_bytes = geometry.total_sectors * SECTOR_BYTES;
    sink.set_len(size_bytes)
        .map_err(|error| crate::format::write_failed("FAT file system", &error))?;
    plan.write("FAT file system", sink)?;
    let free_bytes = layout.free_clusters(&geometry) * geometry.cluster_bytes();
    Ok(FatSummary { size_bytes, free_bytes, files })
}

/// The least size in bytes that holds the tree under this label, if `given_bytes`
/// do not: what [`write()`] would say, before there is anything to write.
///
/// # Errors
/// If the tree does not fit the format.
pub fn lacking(tree: &FileTree, label_text: &str, given_bytes: u64) -> Result<Option<u64>> {
    let content = TreeContent::new(tree, label(label_text)?.is_some())?;
    Geometry::lacking(given_bytes, |geometry| content.clusters(geometry))
}

fn label(text: &str) -> Result<Option<[u8; LABEL_BYTES]>> {
    if text.is_empty() {
        return Ok(None);
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b" _-".contains(&byte);
    if text.len() > LABEL_BYTES || !text.bytes().all(is_allowed) || text.starts_with(' ') {
        return Err(Error::definition(format!("`{text}` is no FAT label"))
            .hint("a label has at most 11 of the characters A-Z, 0-9, space, `_` and `-`"));
    }
    let mut label = [b' '; LABEL_BYTES];
    label[..text.len()].copy_from_slice(text.to_ascii_uppercase().as_bytes());
    Ok(Some(label))
}

/// The tree as FAT sees it.
struct TreeContent<'a> {
    /// Every directory with its children's names, in tree order, the root first.
    directories: BTreeMap<&'a TreePath, Vec<(&'a TreePath, Names)>>,
    files: Vec<(&'a TreePath, &'a Content)>,
    file_sizes: BTreeMap<&'a TreePath, u32>,
    has_label: bool,
}

impl<'a> TreeContent<'a> {
    fn new(tree: &'a FileTree, has_label: bool) -> Result<Self> {
        let mut problems = Vec::new();
        let mut directories: BTreeMap<&TreePath, Vec<(&TreePath, Names)>> = BTreeMap::new();
        let mut short_names: BTreeMap<TreePath, ShortNames> = BTreeMap::new();
        let mut files = Vec::new();
        let mut file_sizes = BTreeMap::new();
        for (path, node) in tree.iter() {
            match &node.kind {
                NodeKind::Directory => {
                    directories.insert(path, Vec::new());
                }
                NodeKind::File(content) => match u32::try_from(content.len()) {
                    Ok(size) => {
                        files.push((path, content));
                        file_sizes.insert(path, size);
                    }
                    Err(_) => problems.push(format!("{path}: the file has 4 GiB or more")),
                },
                _ => problems.push(format!("{path}: FAT has only files and directories")),
            }
            let Some(parent) = path.parent() else { continue };
            let names = short_names.entry(parent.clone()).or_default().assign(path.file_name());
            match (names, directories.get_mut(&parent)) {
                (Ok(names), Some(children)) => children.push((path, names)),
                (Err(why), _) => problems.push(format!("{path}: {why}")),
                (Ok(_), None) => problems.push(format!("{path}: its directory is not there")),
            }
        }
        if problems.is_empty() {
            return Ok(Self { directories, files, file_sizes, has_label });
        }
        Err(Error::definition(format!("the tree does not fit FAT:\n  {}", problems.join("\n  "))))
    }

    /// Length of a directory in bytes, its end mark not counted.
    fn directory_bytes(&self, path: &TreePath) -> u64 {
        let is_root = path.as_bytes().is_empty();
        // The label in the root, `.` and `..` elsewhere.
        let own = if is_root { usize::from(self.has_label) } else { 2 };
        let children = self.directories.get(path).map_or(&[] as &[_], Vec::as_slice);
        let entries = own + children.iter().map(|(_, names)| names.entries()).sum::<usize>();
        (entries * ENTRY_BYTES) as u64
    }

    /// How many clusters everything takes. A FAT16 root directory takes none.
    fn clusters(&self, geometry: &Geometry) -> u64 {
        let cluster_bytes = geometry.cluster_bytes();
        let root_is_in_clusters = geometry.bits == FatBits::ThirtyTwo;
        let directories: u64 = self
            .directories
            .keys()
            .filter(|path| root_is_in_clusters || !path.as_bytes().is_empty())
            .map(|path| self.directory_bytes(path).div_ceil(cluster_bytes).max(1))
            .sum();
        // What alignment may leave free before a file.
        let gap = FILE_ALIGNMENT_BYTES.div_ceil(cluster_bytes) - 1;
        let files: u64 =
            self.files.iter().map(|(_, content)| content.len().div_ceil(cluster_bytes) + gap).sum();
        directories + files
    }
}

/// A contiguous run of clusters.
#[derive(Clone, Copy)]
struct Run {
    first: u64,
    clusters: u64,
}

/// The run of every directory and file: directories first, each in tree order.
struct ClusterLayout<'a> {
    runs: BTreeMap<&'a TreePath, Run>,
    next_cluster: u64,
    used_clusters: u64,
}

impl<'a> ClusterLayout<'a> {
    fn new(content: &TreeContent<'a>, geometry: &Geometry) -> Result<Self> {
        let mut layout = Self { runs: BTreeMap::new(), next_cluster: 2, used_clusters: 0 };
        let cluster_bytes = geometry.cluster_bytes();
        for path in content.directories.keys().copied() {
            let bytes = content.directory_bytes(path);
            if path.as_bytes().is_empty() && geometry.bits != FatBits::ThirtyTwo {
                if bytes > ROOT_ENTRIES_FAT16 * ENTRY_BYTES as u64 {
                    return Err(Error::definition(format!(
                        "a FAT16 root directory has at most {ROOT_ENTRIES_FAT16} entries"
                    ))
                    .hint(
                        "move files into directories, or make the file system 64 MiB or larger",
                    ));
                }
                continue;
            }
            layout.push(path, bytes.div_ceil(cluster_bytes).max(1));
        }
        for (path, contents) in &content.files {
            let starts_aligned = |cluster| {
                geometry.cluster_offset_bytes(cluster).is_multiple_of(FILE_ALIGNMENT_BYTES)
            };
            while !starts_aligned(layout.next_cluster) {
                layout.next_cluster += 1;
            }
            layout.push(path, contents.len().div_ceil(cluster_bytes));
        }
        Ok(layout)
    }

    fn push(&mut self, path: &'a TreePath, clusters: u64) {
        self.runs.insert(path, Run { first: self.next_cluster, clusters });
        self.next_cluster += clusters;
        self.used_clusters += clusters;
    }

    fn free_clusters(&self, geometry: &Geometry) -> u64 {
        geometry.clusters - self.used_clusters
    }

    /// The cluster number that an entry for `path` holds: 0 for nothing and for the root.
    fn cluster_of(&self, path: &TreePath) -> u32 {
        let run = self.runs.get(path).filter(|run| run.clusters > 0);
        // Cluster numbers have at most 28 bits.
        run.map_or(0, |run| u32::try_from(run.first).unwrap_or(0))
    }
}

/// The reserved sectors: boot sector, and for FAT32 FSInfo and the copies of both.
fn boot_area(
    options: &FatOptions,
    label: Option<[u8; LABEL_BYTES]>,
    geometry: &Geometry,
    layout: &ClusterLayout<'_>,
) -> Vec<u8> {
    let boot = boot_sector(options, label, geometry, layout);
    if geometry.bits != FatBits::ThirtyTwo {
        return boot;
    }
    let word = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
    let mut info = [0; SECTOR_LEN];
    info[0..4].copy_from_slice(b"RRaA");
    info[484..488].copy_from_slice(b"rrAa");
    info[488..492].copy_from_slice(&word(layout.free_clusters(geometry)));
    info[492..496].copy_from_slice(&word(layout.next_cluster));
    info[510..512].copy_from_slice(&[0x55, 0xAA]);
    let mut area = [boot.as_slice(), &info].concat();
    area.resize(BACKUP_BOOT_SECTOR * SECTOR_LEN, 0);
    area.extend_from_slice(&boot);
    area.extend_from_slice(&info);
    area
}

/// The BIOS parameter block in its sector. There is no boot code: firmware reads
/// the partition's files, a BIOS loader lives before the first partition.
fn boot_sector(
    options: &FatOptions,
    label: Option<[u8; LABEL_BYTES]>,
    geometry: &Geometry,
    layout: &ClusterLayout<'_>,
) -> Vec<u8> {
    let is_fat32 = geometry.bits == FatBits::ThirtyTwo;
    // Every value fits its field: `Geometry::of_size` has seen to that.
    let half = |value: u64| u16::try_from(value).unwrap_or(0).to_le_bytes();
    let word = |value: u64| u32::try_from(value).unwrap_or(0).to_le_bytes();
    let mut sector = Vec::with_capacity(SECTOR_LEN);
    sector.extend_from_slice(if is_fat32 { &[0xEB, 0x58, 0x90] } else { &[0xEB, 0x3C, 0x90] });
    // The specification's advice: what old readers of this field expect.
    sector.extend_from_slice(b"MSWIN4.1");
    sector.extend_from_slice(&half(SECTOR_BYTES));
    sector.push(u8::try_from(geometry.sectors_per_cluster).unwrap_or(0));
    sector.extend_from_slice(&half(geometry.reserved_sectors));
    sector.push(FAT_COUNT);
    sector.extend_from_slice(&half(if is_fat32 { 0 } else { ROOT_ENTRIES_FAT16 }));
    let is_small = !is_fat32 && geometry.total_sectors < 0x1_0000;
    sector.extend_from_slice(&half(if is_small { geometry.total_sectors } else { 0 }));
    sector.push(MEDIA_FIXED_DISK);
    sector.extend_from_slice(&half(if is_fat32 { 0 } else { geometry.fat_sectors }));
    // Sectors per track and heads, which only CHS addressing would use.
    sector.extend_from_slice(&[63, 0, 255, 0]);
    sector.extend_from_slice(&options.partition_lba.to_le_bytes());
    sector.extend_from_slice(&word(if is_small { 0 } else { geometry.total_sectors }));
    if is_fat32 {
        sector.extend_from_slice(&word(geometry.fat_sectors));
        // Both FATs are kept; version 0.0.
        sector.extend_from_slice(&[0; 4]);
        sector.extend_from_slice(&layout.cluster_of(&TreePath::root()).to_le_bytes());
        sector.extend_from_slice(&half(FS_INFO_SECTOR));
        sector.extend_from_slice(&half(BACKUP_BOOT_SECTOR as u64));
        sector.extend_from_slice(&[0; 12]);
    }
    // First hard disk; extended boot signature.
    sector.extend_from_slice(&[0x80, 0, 0x29]);
    sector.extend_from_slice(&options.volume_id.to_le_bytes());
    sector.extend_from_slice(&label.unwrap_or(*b"NO NAME    "));
    sector.extend_from_slice(if is_fat32 { b"FAT32   " } else { b"FAT16   " });
    sector.resize(SECTOR_LEN - 2, 0);
    sector.extend_from_slice(&[0x55, 0xAA]);
    sector
}

/// The used beginning of a FAT; the rest is zeros, which means free.
fn fat(geometry: &Geometry, layout: &ClusterLayout<'_>) -> Vec<u8> {
    // The first two entries hold the media type and the "clean" marks.
    let mut entries: Vec<u32> = vec![0x0FFF_FF00 | u32::from(MEDIA_FIXED_DISK), 0x0FFF_FFFF];
    let mut runs: Vec<Run> = layout.runs.values().copied().filter(|run| run.clusters > 0).collect();
    runs.sort_by_key(|run| run.first);
    for run in runs {
        // Clusters that alignment left free.
        entries.resize(usize::try_from(run.first).unwrap_or(usize::MAX), 0);
        let last = run.first + run.clusters - 1;
        // Each cluster names the next; the last of a run ends the chain.
        entries.extend((run.first..last).map(|cluster| u32::try_from(cluster + 1).unwrap_or(0)));
        entries.push(0x0FFF_FFFF);
    }
    if geometry.bits == FatBits::ThirtyTwo {
        return entries.into_iter().flat_map(u32::to_le_bytes).collect();
    }
    entries.into_iter().flat_map(|entry| [entry.to_le_bytes()[0], entry.to_le_bytes()[1]]).collect()
}

fn directory(
    options: &FatOptions,
    label: Option<[u8; LABEL_BYTES]>,
    content: &TreeContent<'_>,
    layout: &ClusterLayout<'_>,
    path: &TreePath,
) -> Vec<u8> {
    let time = FatTime::from_epoch(options.epoch_s);
    let facts = |attributes, cluster, size_bytes| Facts { attributes, cluster, size_bytes, time };
    let mut bytes = Vec::new();
    if let Some(parent) = path.parent() {
        let own = facts(attribute::DIRECTORY, layout.cluster_of(path), 0);
        directory::push_short(&mut bytes, b".          ", own);
        // The root is cluster 0 here, on FAT32 too.
        let is_below_root = parent.as_bytes().is_empty();
        let above = if is_below_root { 0 } else { layout.cluster_of(&parent) };
        directory::push_short(&mut bytes, b"..         ", facts(attribute::DIRECTORY, above, 0));
    } else if let Some(label) = label {
        directory::push_short(&mut bytes, &label, facts(attribute::VOLUME_LABEL, 0, 0));
    }
    for (child, names) in content.directories.get(path).into_iter().flatten() {
        let size = content.file_sizes.get(child).copied();
        let attributes = if size.is_some() { attribute::ARCHIVE } else { attribute::DIRECTORY };
        let child = facts(attributes, layout.cluster_of(child), size.unwrap_or(0));
        directory::push(&mut bytes, names, child);
    }
    bytes
}
