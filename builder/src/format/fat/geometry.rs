//! Sizes and places of a FAT file system's parts, as the specification counts them.

use super::{FatSize, SECTOR_BYTES, SIZE_MIN_BYTES};
use crate::error::{Error, Result};
use crate::format::{MIB, mib_ceil};

/// Below this size FAT16, from it on FAT32: small enough clusters either way.
const FAT32_FROM_BYTES: u64 = 64 * MIB;
/// Entries of a FAT16 root directory.
pub(super) const ROOT_ENTRIES_FAT16: u64 = 512;
const FAT_COUNT: u64 = 2;
/// The data area begins at a multiple of so many sectors.
const DATA_ALIGNMENT: u64 = 4;
/// Cluster counts that make a file system FAT16 or FAT32, by definition.
const FAT16_CLUSTERS: std::ops::RangeInclusive<u64> = 4085..=65_524;

/// How many bits a FAT entry has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FatBits {
    Twelve,
    Sixteen,
    ThirtyTwo,
}

impl FatBits {
    /// The type follows from the cluster count and nothing else.
    pub(super) fn of_clusters(clusters: u64) -> Self {
        if clusters < *FAT16_CLUSTERS.start() {
            Self::Twelve
        } else if clusters <= *FAT16_CLUSTERS.end() {
            Self::Sixteen
        } else {
            Self::ThirtyTwo
        }
    }
}

/// Where the parts lie; in sectors unless the name says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Geometry {
    pub(super) bits: FatBits,
    pub(super) total_sectors: u64,
    pub(super) sectors_per_cluster: u64,
    pub(super) reserved_sectors: u64,
    pub(super) fat_sectors: u64,
    pub(super) root_sectors: u64,
    /// Data clusters; they are numbered from 2.
    pub(super) clusters: u64,
}

impl Geometry {
    /// The geometry for an image of this size.
    pub(super) fn of_size(size_bytes: u64) -> Result<Self> {
        if size_bytes < SIZE_MIN_BYTES || !size_bytes.is_multiple_of(SECTOR_BYTES) {
            return Err(Error::definition(format!(
                "a FAT file system of {size_bytes} bytes is too small or no multiple of {SECTOR_BYTES}"
            ))
            .hint(format!("give it at least {} MiB", mib_ceil(SIZE_MIN_BYTES))));
        }
        let total_sectors = size_bytes / SECTOR_BYTES;
        if u32::try_from(total_sectors).is_err() {
            return Err(Error::definition("a FAT file system is smaller than 2 TiB"));
        }
        let is_fat32 = size_bytes >= FAT32_FROM_BYTES;
        let sectors_per_cluster = match size_bytes / MIB {
            0..16 => 1,
            16..64 => 4,
            64..260 => 1,
            260..8192 => 8,
            8192..16_384 => 16,
            16_384..32_768 => 32,
            _ => 64,
        };
        let bits = if is_fat32 { FatBits::ThirtyTwo } else { FatBits::Sixteen };
        let reserved_sectors = if is_fat32 { 32 } else { 4 };
        let root_sectors = if is_fat32 { 0 } else { ROOT_ENTRIES_FAT16 * 32 / SECTOR_BYTES };
        // The specification's formula, and two entries more for the numbers 0 and 1,
        // which it forgets; it may give a FAT a sector too many.
        let entries_per_sector = if is_fat32 { SECTOR_BYTES / 4 } else { SECTOR_BYTES / 2 };
        let fat_sectors = (total_sectors - reserved_sectors - root_sectors
            + 2 * sectors_per_cluster)
            .div_ceil(entries_per_sector * sectors_per_cluster + FAT_COUNT);
        let mut geometry = Self {
            bits,
            total_sectors,
            sectors_per_cluster,
            reserved_sectors,
            fat_sectors,
            root_sectors,
            clusters: 0,
        };
        // So that clusters can begin where a CD's sectors do.
        let data_sector = geometry.data_sector();
        geometry.reserved_sectors += data_sector.next_multiple_of(DATA_ALIGNMENT) - data_sector;
        geometry.clusters = (total_sectors - geometry.data_sector()) / sectors_per_cluster;
        Ok(geometry)
    }

    /// The geometry that holds what `clusters_needed` says.
    pub(super) fn settle(size: FatSize, clusters_needed: impl Fn(&Self) -> u64) -> Result<Self> {
        match size {
            FatSize::Fit { free_bytes } => Self::fit(free_bytes, clusters_needed),
            FatSize::Fixed { bytes } => {
                let geometry = Self::of_size(bytes)?;
                let Some(needed) = Self::lacking(bytes, clusters_needed)? else {
                    return Ok(geometry);
                };
                let (needed, given) = (mib_ceil(needed), bytes / MIB);
                Err(Error::definition(format!(
                    "the FAT file system is too small for its content: it needs {needed} MiB and has {given} MiB"
                ))
                .hint(format!("give it a size of at least {needed} MiB")))
            }
        }
    }

    /// The least size in bytes that holds what `clusters_needed` says, if one of
    /// `given_bytes` does not.
    pub(super) fn lacking(
        given_bytes: u64,
        clusters_needed: impl Fn(&Self) -> u64,
    ) -> Result<Option<u64>> {
        if given_bytes >= SIZE_MIN_BYTES {
            let geometry = Self::of_size(given_bytes)?;
            if clusters_needed(&geometry) <= geometry.clusters {
                return Ok(None);
            }
        }
        Ok(Some(Self::fit(0, clusters_needed)?.total_sectors * SECTOR_BYTES))
    }

    fn fit(free_bytes: u64, clusters_needed: impl Fn(&Self) -> u64) -> Result<Self> {
        let mut size_bytes = SIZE_MIN_BYTES;
        loop {
            let geometry = Self::of_size(size_bytes)?;
            let cluster_bytes = geometry.cluster_bytes();
            let needed = clusters_needed(&geometry) + free_bytes.div_ceil(cluster_bytes);
            let Some(missing @ 1..) = needed.checked_sub(geometry.clusters) else {
                return Ok(geometry);
            };
            size_bytes += (missing * cluster_bytes).next_multiple_of(MIB);
        }
    }

    pub(super) fn cluster_bytes(&self) -> u64 {
        self.sectors_per_cluster * SECTOR_BYTES
    }

    /// Where one of the two FATs begins, in bytes.
    pub(super) fn fat_offset_bytes(&self, index: u64) -> u64 {
        (self.reserved_sectors + index * self.fat_sectors) * SECTOR_BYTES
    }

    /// Where the FAT16 root directory begins, in bytes.
    pub(super) fn root_offset_bytes(&self) -> u64 {
        self.fat_offset_bytes(FAT_COUNT)
    }

    fn data_sector(&self) -> u64 {
        self.reserved_sectors + FAT_COUNT * self.fat_sectors + self.root_sectors
    }

    /// Where a cluster begins, in bytes.
    pub(super) fn cluster_offset_bytes(&self, cluster: u64) -> u64 {
        (self.data_sector() + (cluster - 2) * self.sectors_per_cluster) * SECTOR_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_the_cluster_count_its_type_needs_and_a_large_enough_fat() {
        for mib in (4..64).chain([64, 65, 100, 259, 260, 512, 1000, 8191, 8192, 20_000, 40_000]) {
            for size in [mib * MIB, mib * MIB + 512 * 77] {
                let geometry = Geometry::of_size(size).unwrap();
                assert_eq!(FatBits::of_clusters(geometry.clusters), geometry.bits, "{size}");
                let entry = if geometry.bits == FatBits::ThirtyTwo { 4 } else { 2 };
                assert!((geometry.clusters + 2) * entry <= geometry.fat_sectors * SECTOR_BYTES);
                let end = geometry.cluster_offset_bytes(geometry.clusters + 2);
                assert!(end <= size && size - end < geometry.cluster_bytes(), "{size}");
            }
        }
    }
}
