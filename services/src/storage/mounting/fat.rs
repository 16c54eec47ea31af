//! Whether a FAT file system is consistent (Microsoft's FAT specification 1.03): the BIOS
//! parameter block, the marks of an unclean end, the copies of the table, and that no
//! entry leads out of the volume. Reads only. Absent: directories, lost chains, repair.

use std::io;

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing is wrong.
    Clean,
    /// It was not cleanly unmounted; the tables are consistent.
    Dirty,
    /// It says of itself or shows that it is damaged.
    Damaged(String),
}

/// Entries of the table by the number of bits of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Width {
    Fat12,
    Fat16,
    Fat32,
}

/// Where the tables are, and how many clusters there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Geometry {
    width: Width,
    table_start_bytes: u64,
    table_bytes: u64,
    tables: u8,
    /// Data clusters; their numbers begin with 2.
    clusters: u32,
    media: u8,
    /// Where Linux and Windows mark a volume as in use.
    state_byte: usize,
}

/// So much of a table is read at a time; a multiple of 12 and of 512.
const CHUNK_BYTES: u64 = 3 * 64 * 1024;

/// Checks the file system of `size_bytes` that `read_at` reads: it fills the buffer with what
/// is at the offset in bytes.
///
/// # Errors
/// What `read_at` says.
pub fn check(
    size_bytes: u64,
    mut read_at: impl FnMut(&mut [u8], u64) -> io::Result<()>,
) -> io::Result<Verdict> {
    let mut boot = [0; 512];
    read_at(&mut boot, 0)?;
    let geometry = match Geometry::of(&boot, size_bytes) {
        Ok(geometry) => geometry,
        Err(reason) => return Ok(Verdict::Damaged(reason.to_owned())),
    };
    let mut verdict = match boot.get(geometry.state_byte) {
        Some(state) if state & 1 != 0 => Verdict::Dirty,
        _ => Verdict::Clean,
    };
    let mut done = 0;
    while done < geometry.table_bytes {
        let length = usize::try_from(CHUNK_BYTES.min(geometry.table_bytes - done)).unwrap_or(0);
        let mut first = vec![0; length];
        read_at(&mut first, geometry.table_start_bytes + done)?;
        for copy in 1..geometry.tables {
            let mut other = vec![0; length];
            let start = geometry.table_start_bytes + u64::from(copy) * geometry.table_bytes;
            read_at(&mut other, start + done)?;
            if first != other {
                let text = format!("copy {} of its table differs from the first", copy + 1);
                return Ok(Verdict::Damaged(text));
            }
        }
        if done == 0 {
            match geometry.head(&first) {
                Verdict::Clean => {}
                Verdict::Dirty => verdict = Verdict::Dirty,
                damaged @ Verdict::Damaged(_) => return Ok(damaged),
            }
        }
        if let Some(cluster) = geometry.astray(&first, done) {
            let text = format!("the entry of cluster {cluster} leads out of the volume");
            return Ok(Verdict::Damaged(text));
        }
        done += length as u64;
    }
    Ok(verdict)
}

impl Geometry {
    fn of(boot: &[u8; 512], size_bytes: u64) -> Result<Self, &'static str> {
        let byte = |at: usize| u64::from(boot[at]);
        let half = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let word = |at: usize| half(at) | half(at + 2) << 16;
        let sector_bytes = half(11);
        if boot[510..] != [0x55, 0xaa] || !matches!(sector_bytes, 512 | 1024 | 2048 | 4096) {
            return Err("its boot sector is none");
        }
        let (cluster_sectors, reserved, tables) = (byte(13), half(14), byte(16));
        if !cluster_sectors.is_power_of_two() || reserved == 0 || !matches!(tables, 1 | 2) {
            return Err("its boot sector makes no sense");
        }
        let nonzero = |short: u64, long: u64| if short == 0 { long } else { short };
        let table_sectors = nonzero(half(22), word(36));
        let sectors = nonzero(half(19), word(32));
        let root_sectors = (half(17) * 32).div_ceil(sector_bytes);
        let before_data = reserved + tables * table_sectors + root_sectors;
        if table_sectors == 0 || sectors <= before_data {
            return Err("its boot sector leaves no room for data");
        }
        if sectors * sector_bytes > size_bytes {
            return Err("it is larger than its device");
        }
        let clusters = (sectors - before_data) / cluster_sectors;
        // As Linux tells them (fs/fat/inode.c): a FAT32 by where the length of its table is, also
        // one with fewer clusters than the specification lets it have.
        let (width, state_byte, bits) = match clusters {
            _ if half(22) == 0 => (Width::Fat32, 65, 32),
            0..4085 => (Width::Fat12, 37, 12),
            _ => (Width::Fat16, 37, 16),
        };
        if (clusters + 2) * bits > table_sectors * sector_bytes * 8 {
            return Err("its table is too short for its clusters");
        }
        Ok(Self {
            width,
            table_start_bytes: reserved * sector_bytes,
            table_bytes: table_sectors * sector_bytes,
            tables: boot[16],
            clusters: u32::try_from(clusters).map_err(|_| "it has too many clusters")?,
            media: boot[21],
            state_byte,
        })
    }

    /// What the first two entries say: the kind of medium, and how it was left.
    fn head(&self, table: &[u8]) -> Verdict {
        if table.first() != Some(&self.media) {
            return Verdict::Damaged("its table and its boot sector name different media".into());
        }
        let (clean, no_error) = match self.width {
            Width::Fat12 => return Verdict::Clean,
            Width::Fat16 => (0x8000, 0x4000),
            Width::Fat32 => (0x0800_0000, 0x0400_0000),
        };
        let state = self.entry(table, 1).unwrap_or(u32::MAX);
        if state & no_error == 0 {
            Verdict::Damaged("it says that its device had read or write errors".into())
        } else if state & clean == 0 {
            Verdict::Dirty
        } else {
            Verdict::Clean
        }
    }

    /// The entry with `index` in a part of the table that begins with a whole entry.
    fn entry(&self, part: &[u8], index: usize) -> Option<u32> {
        match self.width {
            Width::Fat12 => {
                let at = index + index / 2;
                let pair = u16::from_le_bytes([*part.get(at)?, *part.get(at + 1)?]);
                Some(u32::from(if index.is_multiple_of(2) { pair & 0xfff } else { pair >> 4 }))
            }
            Width::Fat16 => {
                let at = index * 2;
                Some(u32::from(u16::from_le_bytes([*part.get(at)?, *part.get(at + 1)?])))
            }
            Width::Fat32 => {
                let at = index * 4;
                Some(u32::from_le_bytes(part.get(at..at + 4)?.try_into().ok()?))
            }
        }
    }

    /// The first cluster in the part of the table at `start_bytes` whose entry is neither
    /// free, nor bad, nor an end, nor a cluster there is.
    fn astray(&self, part: &[u8], start_bytes: u64) -> Option<u64> {
        let (bits, mask) = match self.width {
            Width::Fat12 => (12, 0xfff),
            Width::Fat16 => (16, 0xffff),
            Width::Fat32 => (32, 0x0fff_ffff),
        };
        let first = start_bytes * 8 / bits;
        let last = u64::from(self.clusters) + 1;
        for index in 0.. {
            let cluster = first + index as u64;
            if cluster > last {
                return None;
            }
            let entry = self.entry(part, index)? & mask;
            // Seven marks ends, one before them bad clusters.
            let is_mark = entry >= mask - 8;
            let leads_somewhere = (2..=last).contains(&u64::from(entry));
            if cluster >= 2 && entry != 0 && !is_mark && !leads_somewhere {
                return Some(cluster);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A FAT volume made by the crate that mkfs.fat uses.
    fn volume(mib: usize, kind: fatfs::FatType) -> Vec<u8> {
        let mut image = std::io::Cursor::new(vec![0; mib << 20]);
        let options = fatfs::FormatVolumeOptions::new().fat_type(kind);
        fatfs::format_volume(&mut image, options).unwrap();
        {
            let filesystem = fatfs::FileSystem::new(&mut image, fatfs::FsOptions::new()).unwrap();
            let mut file = filesystem.root_dir().create_file("a").unwrap();
            std::io::Write::write_all(&mut file, &[7; 40_000]).unwrap();
        }
        image.into_inner()
    }

    fn verdict(image: &[u8]) -> Verdict {
        check(image.len() as u64, |buffer, offset| {
            let start = usize::try_from(offset).unwrap();
            let end = start + buffer.len();
            let found = image.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.copy_from_slice(found);
            Ok(())
        })
        .unwrap()
    }

    fn damage(image: &[u8]) -> String {
        match verdict(image) {
            Verdict::Damaged(text) => text,
            other => panic!("{other:?}"),
        }
    }

    const KINDS: [(usize, fatfs::FatType, u64, usize); 3] = [
        (1, fatfs::FatType::Fat12, 12, 37),
        (16, fatfs::FatType::Fat16, 16, 37),
        (64, fatfs::FatType::Fat32, 32, 65),
    ];

    #[test]
    fn whole_volumes_are_clean_and_marks_are_seen() {
        for (mib, kind, _, state_byte) in KINDS {
            let mut image = volume(mib, kind);
            assert_eq!(verdict(&image), Verdict::Clean, "{kind:?}");
            image[state_byte] |= 1;
            assert_eq!(verdict(&image), Verdict::Dirty, "{kind:?}");
        }
    }

    #[test]
    fn a_fat32_may_have_few_clusters() {
        let mut image = volume(64, fatfs::FatType::Fat32);
        let sectors = 60_000_u32;
        image[32..36].copy_from_slice(&sectors.to_le_bytes());
        image.truncate(sectors as usize * 512);
        assert_eq!(verdict(&image), Verdict::Clean);
        image[65] |= 1;
        assert_eq!(verdict(&image), Verdict::Dirty);
    }

    #[test]
    fn damage_is_named() {
        for (mib, kind, bits, _) in KINDS {
            let whole = volume(mib, kind);
            let reserved = usize::from(u16::from_le_bytes([whole[14], whole[15]]));
            let short = u32::from(u16::from_le_bytes([whole[22], whole[23]]));
            let long = u32::from_le_bytes([whole[36], whole[37], whole[38], whole[39]]);
            let sectors = if short == 0 { long } else { short } as usize;
            let (first, second) = (reserved * 512, (reserved + sectors) * 512);
            let mut image = whole.clone();
            image[second + 100] ^= 1;
            assert_eq!(damage(&image), "copy 2 of its table differs from the first");
            // Cluster 8's entry, in both copies, leads to one that is not there.
            let mut image = whole.clone();
            for table in [first, second] {
                let at = table + usize::try_from(bits).unwrap();
                let bad: &[u8] = if bits == 12 { &[0xe0, 0x0f] } else { &[0xe0, 0xff] };
                image[at..at + 2].copy_from_slice(bad);
                if bits == 32 {
                    image[at + 2..at + 4].copy_from_slice(&[0xff, 0x0e]);
                }
            }
            assert!(damage(&image).ends_with("leads out of the volume"), "{kind:?}");
            let mut image = whole.clone();
            image[first] ^= 1;
            image[second] ^= 1;
            assert_eq!(damage(&image), "its table and its boot sector name different media");
            let half = &whole[..whole.len() / 2];
            assert_eq!(damage(half), "it is larger than its device");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let whole = volume(1, fatfs::FatType::Fat12);
        for at in 0..62 {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut image = whole.clone();
                image[at] = value;
                let _ = check(image.len() as u64, |buffer, offset| {
                    let start = usize::try_from(offset).unwrap_or(usize::MAX);
                    let end = start.saturating_add(buffer.len());
                    let found = image.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
                    buffer.copy_from_slice(found);
                    Ok(())
                });
            }
        }
        assert_eq!(verdict(&[0; 512]), Verdict::Damaged("its boot sector is none".into()));
    }
}
