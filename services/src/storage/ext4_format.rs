//! Making an empty ext4 file system on a device, as `mkfs.ext4` and `datapart` do it.
//!
//! The layout is `mkext4`'s. What it leaves as zeros is made zero only where the file system
//! relies on it, and where others look for what is on a device: a disk that is not new keeps
//! its old bytes in other free blocks.

use std::io;

use mkext4::spec::{GroupDesc, Superblock};
use mkext4::{FsBuilder, InodeCount, RegionSink};

use crate::problem::{Context, Problem, Result};
use crate::storage::old_content;
use crate::storage::target::Target;

/// Block size in bytes, the only one there is.
const BLOCK_BYTES: u64 = 4096;
/// A descriptor's length without the feature `64bit`.
const DESCRIPTOR_BYTES: usize = 32;
/// Above this size, an inode for every 64 KiB serves as well as one for every 16 KiB.
const LARGE_BYTES: u64 = 16 << 30;
/// The journal's largest size in blocks: 128 MiB. What is larger only takes longer to zero.
const JOURNAL_BLOCKS_MAX: u32 = 32 * 1024;

/// What the file system is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ext4 {
    /// Its size in bytes; what is beyond a whole number of blocks stays unused.
    pub size_bytes: u64,
    /// Its label, at most 16 bytes.
    pub label: String,
    /// Its identifier.
    pub uuid: [u8; 16],
    /// The time of making, in seconds since 1970.
    pub now_s: i64,
}

/// Makes the file system. Nothing is synced.
///
/// # Errors
/// If the size or label is none that ext4 has, or writing fails.
pub fn format(ext4: &Ext4, target: &mut impl Target) -> Result<()> {
    let size_bytes = ext4.size_bytes / BLOCK_BYTES * BLOCK_BYTES;
    let mut options = mkext4::Options::new(size_bytes, ext4.uuid, ext4.now_s);
    options.label = (!ext4.label.is_empty()).then(|| ext4.label.clone());
    if size_bytes > LARGE_BYTES {
        let inodes = u32::try_from(size_bytes / (64 << 10)).unwrap_or(u32::MAX);
        options.inodes = InodeCount::Exact(inodes);
        options.journal_blocks = Some(JOURNAL_BLOCKS_MAX);
    }
    let refused = |error: mkext4::Error| {
        Problem::new(format!("cannot make an ext4 of {} MiB: {error}", size_bytes >> 20))
            .with_hint("it has from 16 MiB to 16 TiB, and a label at most 16 bytes")
    };
    let layout = FsBuilder::new(options).and_then(FsBuilder::seal).map_err(refused)?;
    old_content::forget(target, ext4.size_bytes)?;
    let mut sink = Sink { target, zeros: Vec::new(), superblock: None };
    let writer = layout.writer(&mut sink).map_err(refused)?;
    writer.finish().map_err(refused)?;
    let Sink { target, zeros, superblock } = sink;
    let superblock = superblock
        .ok_or_else(|| Problem::new("the layout of the file system has no superblock"))?;
    clear(target, &superblock, &zeros)
        .context(|| "cannot clear the file system's tables".to_owned())
}

/// Passes bytes on and remembers where zeros belong.
struct Sink<'t, T> {
    target: &'t mut T,
    zeros: Vec<(u64, u64)>,
    superblock: Option<Superblock>,
}

impl<T: Target> RegionSink for Sink<'_, T> {
    fn data(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset == 0 {
            let block = bytes.get(1024..2048).unwrap_or_default();
            self.superblock = Superblock::decode(block).ok();
        }
        self.target.write(offset, bytes)
    }

    fn zeros(&mut self, offset: u64, len: u64) -> io::Result<()> {
        self.zeros.push((offset, len));
        Ok(())
    }
}

/// Makes those of the `zeros` zero that lie in blocks that are in use.
fn clear(
    target: &mut impl Target,
    superblock: &Superblock,
    zeros: &[(u64, u64)],
) -> io::Result<()> {
    let group_blocks = u64::from(superblock.blocks_per_group);
    let mut bitmap_of: Option<(u64, Vec<u8>)> = None;
    for (start, length) in zeros {
        let mut run: Option<(u64, u64)> = None;
        for block in start / BLOCK_BYTES..(start + length) / BLOCK_BYTES {
            let group = block / group_blocks;
            if bitmap_of.as_ref().is_none_or(|(loaded, _)| *loaded != group) {
                bitmap_of = Some((group, bitmap(target, group)?));
            }
            let bit = usize::try_from(block % group_blocks).unwrap_or(0);
            let byte = bitmap_of.as_ref().and_then(|(_, bitmap)| bitmap.get(bit / 8)).copied();
            if byte.unwrap_or(0xff) >> (bit % 8) & 1 == 1 {
                run = Some((run.map_or(block, |(first, _)| first), block));
            } else if let Some((first, last)) = run.take() {
                target.zero(first * BLOCK_BYTES, (last + 1 - first) * BLOCK_BYTES)?;
            }
        }
        if let Some((first, last)) = run {
            target.zero(first * BLOCK_BYTES, (last + 1 - first) * BLOCK_BYTES)?;
        }
    }
    Ok(())
}

/// The map of the used blocks of a group, as it was written.
fn bitmap(target: &mut impl Target, group: u64) -> io::Result<Vec<u8>> {
    let mut descriptor = [0; DESCRIPTOR_BYTES];
    target.read(BLOCK_BYTES + group * DESCRIPTOR_BYTES as u64, &mut descriptor)?;
    let descriptor = GroupDesc::decode(&descriptor).map_err(io::Error::other)?;
    let mut bitmap = vec![0; usize::try_from(BLOCK_BYTES).unwrap_or(4096)];
    target.read(descriptor.block_bitmap * BLOCK_BYTES, &mut bitmap)?;
    Ok(bitmap)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    fn made_on(old_byte: u8, mib: usize) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all_at(&vec![old_byte; mib << 20], 0).unwrap();
        let ext4 =
            Ext4 { size_bytes: (mib as u64) << 20, label: "data".into(), uuid: [7; 16], now_s: 1 };
        format(&ext4, &mut file).unwrap();
        file
    }

    fn bytes(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn old_bytes_do_not_get_into_the_file_system() {
        for mib in [16, 200] {
            let image = bytes(&made_on(0xa5, mib));
            let found = init_core::block_probe::identify(&image).unwrap();
            assert_eq!((found.kind, found.label.as_str()), ("ext4", "data"));
            let filesystem = mkext4::reader::Fs::open(&image[..]).unwrap();
            let issues = filesystem.verify().unwrap();
            assert!(issues.is_empty(), "{issues:?}");
        }
    }

    #[test]
    fn of_what_was_there_nothing_is_recognized() {
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(64 << 20).unwrap();
        fatfs::format_volume(&file, fatfs::FormatVolumeOptions::new()).unwrap();
        // The headers of a GPT, the second of which a kernel takes for want of the first.
        let last = (64 << 20) - 512;
        for at in [512, last] {
            file.write_all_at(b"EFI PART", at).unwrap();
        }
        // A btrfs, which lies beyond what the file system writes at its start.
        file.write_all_at(b"_BHRfS_M", (64 << 10) + 64).unwrap();
        let ext4 = Ext4 { size_bytes: 64 << 20, label: String::new(), uuid: [7; 16], now_s: 1 };
        format(&ext4, &mut file).unwrap();
        let image = bytes(&file);
        assert!(image[..1024].iter().all(|byte| *byte == 0));
        let is_left = |text: &[u8]| image.windows(8).any(|window| window == text);
        assert!(!is_left(b"EFI PART") && !is_left(b"_BHRfS_M"));
    }

    #[test]
    fn a_file_system_that_is_refused_leaves_what_was_there() {
        let mut file = made_on(0, 16);
        let before = bytes(&file);
        let label = "seventeen letters".to_owned();
        let ext4 = Ext4 { size_bytes: 16 << 20, label, uuid: [8; 16], now_s: 1 };
        assert!(format(&ext4, &mut file).is_err());
        assert!(bytes(&file) == before);
    }

    #[test]
    fn sizes_and_labels_that_do_not_fit_are_refused() {
        let mut file = tempfile::tempfile().unwrap();
        let ext4 = Ext4 { size_bytes: 1 << 20, label: String::new(), uuid: [7; 16], now_s: 1 };
        assert!(format(&ext4, &mut file).is_err());
        let label = "seventeen letters".to_owned();
        assert!(format(&Ext4 { size_bytes: 16 << 20, label, ..ext4 }, &mut file).is_err());
    }
}
