//! Making what was on a device unrecognizable before something else is made on it.
//!
//! File systems and tables are told by bytes at the start of a device, or at its end, that the
//! next file system need not write: a FAT32 leaves an ext4's superblock in its reserved
//! sectors, every file system the backup of a GPT, from which a kernel makes partitions.

use crate::problem::{Context, Result};
use crate::storage::target::Target;

/// So much is made zero at the start and at the end. It reaches beyond the superblocks of all
/// file systems that are common (the last is btrfs's, at 64 KiB), the backup of a GPT, and the
/// superblock of a RAID, which lies within the last 128 KiB.
const EDGE_BYTES: u64 = 128 << 10;

/// Makes the start and the end of a device of `size_bytes` zero. Nothing is synced.
///
/// # Errors
/// What writing says.
pub fn forget(target: &mut impl Target, size_bytes: u64) -> Result<()> {
    let edge = EDGE_BYTES.min(size_bytes);
    let mut perform = || {
        target.zero(0, edge)?;
        let end = (size_bytes - edge).max(edge);
        if end < size_bytes { target.zero(end, size_bytes - end) } else { Ok(()) }
    };
    perform().context(|| "cannot clear what was on the device".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn both_ends_are_zero_and_nothing_grows() {
        let edge = usize::try_from(EDGE_BYTES).unwrap();
        for (size, kept) in [
            (0, 0),
            (512, 0),
            (edge, 0),
            (edge + 512, 0),
            (2 * edge, 0),
            (3 * edge + 512, edge + 512),
        ] {
            let mut file: File = tempfile::tempfile().unwrap();
            file.write_all_at(&vec![0xa5; size], 0).unwrap();
            forget(&mut file, size as u64).unwrap();
            let mut bytes = vec![0; size];
            assert_eq!(file.metadata().unwrap().len(), size as u64);
            file.read_exact_at(&mut bytes, 0).unwrap();
            let left = bytes.iter().filter(|byte| **byte != 0).count();
            assert_eq!(left, kept, "of {size}");
            let middle = bytes.get(edge..edge + kept).unwrap_or_default();
            assert!(middle.iter().all(|byte| *byte == 0xa5), "of {size}");
        }
    }
}
