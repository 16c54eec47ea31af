//! Files with holes: ranges that read as zeros and take no room, as a disk has mostly.
//!
//! The file system is asked where data is (lseek(2), `SEEK_DATA`), so that the time a large disk
//! takes is that of what is on it. A file system that cannot say has files of data only.

use std::fs::File;
use std::io::{self, Seek};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// How much is read at once, in bytes.
const CHUNK_LEN: usize = 1 << 20;
/// What a hole reads as. Small enough to stay in the processor's cache.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// The ranges of a file that hold data, in order and in bytes; see [`data_extents`].
#[derive(Debug)]
pub struct DataExtents<'f> {
    file: &'f File,
    position_bytes: u64,
    end_bytes: u64,
}

/// Where `file` holds data, up to the length that it has now. All between reads as zeros.
/// Moves the place where the file is read.
///
/// # Errors
/// If its length cannot be told.
pub fn data_extents(file: &File) -> io::Result<DataExtents<'_>> {
    Ok(DataExtents { file, position_bytes: 0, end_bytes: file.metadata()?.len() })
}

impl Iterator for DataExtents<'_> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let seek = |to| seek(self.file, to);
        let extent = next_extent(self.position_bytes, self.end_bytes, seek)?;
        self.position_bytes = extent.end;
        Some(extent)
    }
}

/// The first range with data from `position_bytes` on, as `seek` tells.
fn next_extent(
    position_bytes: u64,
    end_bytes: u64,
    seek: impl Fn(SeekFrom) -> Result<u64, Errno>,
) -> Option<Range<u64>> {
    if position_bytes >= end_bytes {
        return None;
    }
    let start = match seek(SeekFrom::Data(position_bytes)) {
        Ok(start) => start,
        // The file ends in a hole.
        Err(Errno::NXIO) => return None,
        // As EINVAL says it. If the file is at fault, reading it tells.
        Err(_cannot_say) => position_bytes,
    };
    let end = seek(SeekFrom::Hole(start)).unwrap_or(end_bytes).min(end_bytes);
    (start < end).then_some(start..end)
}

/// Gives `take` all bytes of a file in order, those of its holes without reading them.
///
/// # Errors
/// If it cannot be read.
pub fn read_all(file: &File, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_LEN];
    let mut position_bytes = 0;
    let extents = data_extents(file)?;
    let len_bytes = extents.end_bytes;
    for extent in extents {
        take_zeros(extent.start - position_bytes, &mut take);
        position_bytes = read_range(file, extent.clone(), &mut buffer, &mut take)?;
        if position_bytes < extent.end {
            // Somebody has cut it off meanwhile.
            return Ok(());
        }
    }
    take_zeros(len_bytes.saturating_sub(position_bytes), &mut take);
    // A file that the kernel makes as it is read has no length, and one that is written to may
    // be longer by now.
    let rest = len_bytes.max(position_bytes)..u64::MAX;
    read_range(file, rest, &mut buffer, &mut take).map(|_end| ())
}

/// Copies the content of `from` to the empty file `to`: a hole stays a hole, the length is
/// the same, and a file system that can share the data of two files does so.
///
/// # Errors
/// If one cannot be read or the other not be written, or `from` is cut off meanwhile.
pub fn copy(from: &File, to: &File) -> io::Result<()> {
    let extents = data_extents(from)?;
    let len_bytes = extents.end_bytes;
    to.set_len(len_bytes)?;
    for extent in extents {
        let wanted = extent.end - extent.start;
        if copy_from(from, to, extent.start, wanted)? < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    // As for `read_all`.
    copy_from(from, to, len_bytes, u64::MAX).map(|_bytes| ())
}

/// Copies at most `count` bytes at an offset, and says how many there were.
fn copy_from(mut from: &File, mut to: &File, offset_bytes: u64, count: u64) -> io::Result<u64> {
    from.seek(io::SeekFrom::Start(offset_bytes))?;
    to.seek(io::SeekFrom::Start(offset_bytes))?;
    // For two files the standard library asks the kernel to: copy_file_range(2).
    io::copy(&mut io::Read::take(from, count), &mut to)
}

/// Reads a range up to the file's end, and says where that was in it.
fn read_range(
    file: &File,
    range: Range<u64>,
    buffer: &mut [u8],
    take: &mut impl FnMut(&[u8]),
) -> io::Result<u64> {
    let mut position_bytes = range.start;
    while position_bytes < range.end {
        let left = usize::try_from(range.end - position_bytes).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        match file.read_at(&mut buffer[..wanted], position_bytes) {
            Ok(0) => break,
            Ok(count) => {
                take(&buffer[..count]);
                position_bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(position_bytes)
}

fn take_zeros(mut count: u64, take: &mut impl FnMut(&[u8])) {
    while count > 0 {
        let step = usize::try_from(count).unwrap_or(usize::MAX).min(ZEROS.len());
        take(&ZEROS[..step]);
        count -= step as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A file of so many bytes with data at these places.
    fn sparse(path: &Path, len_bytes: u64, data: &[(u64, &[u8])]) -> File {
        let file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        file.set_len(len_bytes).unwrap();
        for (place, bytes) in data {
            file.write_all_at(bytes, *place).unwrap();
        }
        file
    }

    fn content(file: &File) -> Vec<u8> {
        let mut bytes = Vec::new();
        read_all(file, |chunk| bytes.extend_from_slice(chunk)).unwrap();
        bytes
    }

    #[test]
    fn holes_read_as_zeros_wherever_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let [begin, middle, end] = [(0, &b"a"[..]), (3 * MIB + 5, b"bc"), (6 * MIB, b"d")];
        let cases: [&[(u64, &[u8])]; 5] = [&[], &[begin], &[middle], &[end], &[begin, middle, end]];
        for (number, data) in cases.into_iter().enumerate() {
            for len_bytes in [6 * MIB + 1, 8 * MIB] {
                let path = directory.path().join(format!("{number}-{len_bytes}"));
                let file = sparse(&path, len_bytes, data);
                let expected = fs::read(&path).unwrap();
                assert!(content(&file) == expected, "{number} {len_bytes}");
                let copied = directory.path().join("copy");
                copy(&file, &File::create(&copied).unwrap()).unwrap();
                assert!(fs::read(&copied).unwrap() == expected, "{number} {len_bytes}");
            }
        }
    }

    #[test]
    fn where_nobody_says_what_a_hole_is_all_is_data() {
        let cannot_say = |_| Err(Errno::INVAL);
        assert_eq!(next_extent(0, 10, cannot_say), Some(0..10));
        assert_eq!(next_extent(10, 10, cannot_say), None);
        let hole = |_| Err(Errno::NXIO);
        assert_eq!(next_extent(3, 10, hole), None, "a hole up to the end");
        let grown = |to| if matches!(to, SeekFrom::Data(_)) { Ok(4) } else { Ok(20) };
        assert_eq!(next_extent(3, 10, grown), Some(4..10), "no more than the length was");
    }

    #[test]
    fn what_has_no_length_is_read_to_its_end() {
        let path = Path::new("/proc/version");
        assert_eq!(content(&File::open(path).unwrap()), fs::read(path).unwrap());
    }

    #[test]
    fn a_copy_takes_no_more_room() {
        let directory = tempfile::tempdir().unwrap();
        let data: [(u64, &[u8]); 2] = [(0, &[1; 4096]), (100 * MIB, &[2; 4096])];
        let file = sparse(&directory.path().join("a"), 512 * MIB, &data);
        let copied = File::create(directory.path().join("b")).unwrap();
        copy(&file, &copied).unwrap();
        let (old, new) = (file.metadata().unwrap(), copied.metadata().unwrap());
        assert_eq!(new.len(), old.len());
        assert!(new.blocks() <= old.blocks() + 64, "{} of {}", new.blocks(), old.blocks());
    }
}
