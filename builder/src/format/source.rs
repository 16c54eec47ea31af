//! Where an image is read from: positioned reads of a file, a part of one, or
//! memory. Reads past the end are errors, so a reader of hostile bytes needs
//! no length checks of its own before it reads.

use std::fs::File;
use std::io;
use std::iter;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::sparse_file;

/// Bytes that can be read at any offset.
pub trait Source {
    /// How many bytes there are.
    fn len_bytes(&self) -> u64;

    /// Fills `buffer` from `offset_bytes` on.
    ///
    /// # Errors
    /// `UnexpectedEof` if the source ends first; otherwise what the file says.
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// The ranges that may hold anything but zeros, in order: all there is, where nothing more
    /// is known.
    ///
    /// # Errors
    /// What the file says.
    fn data_ranges(&self) -> io::Result<Vec<Range<u64>>> {
        Ok(iter::once(0..self.len_bytes()).collect())
    }
}

impl dyn Source + '_ {
    /// The `N` bytes at an offset.
    ///
    /// # Errors
    /// See [`Source::read_at`].
    pub fn array_at<const N: usize>(&self, offset_bytes: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_at(offset_bytes, &mut bytes)?;
        Ok(bytes)
    }
}

/// Refuses to read `len_bytes` from an offset if that reaches past `end_bytes`.
///
/// # Errors
/// `UnexpectedEof` if it does.
pub(super) fn check_end(offset_bytes: u64, len_bytes: u64, end_bytes: u64) -> io::Result<()> {
    match offset_bytes.checked_add(len_bytes) {
        Some(end) if end <= end_bytes => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A file and its length when it was opened.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    len_bytes: u64,
}

impl FileSource {
    /// Reads from an open file or block device.
    ///
    /// # Errors
    /// If its length cannot be told.
    pub fn new(file: File) -> io::Result<Self> {
        // A block device has no length in its metadata; its end is where seeking ends.
        let len_bytes = io::Seek::seek(&mut &file, io::SeekFrom::End(0))?;
        Ok(Self { file, len_bytes })
    }
}

impl Source for FileSource {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset_bytes)
    }

    fn data_ranges(&self) -> io::Result<Vec<Range<u64>>> {
        // A block device has no holes to tell of.
        match self.file.metadata()?.is_file() {
            true => Ok(sparse_file::data_extents(&self.file)?.collect()),
            false => Ok(iter::once(0..self.len_bytes).collect()),
        }
    }
}

impl Source for [u8] {
    fn len_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset_bytes).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let bytes = start
            .checked_add(buffer.len())
            .and_then(|end| self.get(start..end))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

impl Source for Vec<u8> {
    fn len_bytes(&self) -> u64 {
        self.as_slice().len_bytes()
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_at(offset_bytes, buffer)
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn len_bytes(&self) -> u64 {
        (**self).len_bytes()
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset_bytes, buffer)
    }
}

/// A part of another source, such as a partition. One that reaches past the
/// end of its source is cut off there.
#[derive(Clone, Copy, Debug)]
pub struct Region<S> {
    source: S,
    start_bytes: u64,
    len_bytes: u64,
}

impl<S: Source> Region<S> {
    /// `len_bytes` of `source` from `start_bytes` on.
    pub fn new(source: S, start_bytes: u64, len_bytes: u64) -> Self {
        let start_bytes = start_bytes.min(source.len_bytes());
        let len_bytes = len_bytes.min(source.len_bytes() - start_bytes);
        Self { source, start_bytes, len_bytes }
    }
}

impl<S: Source> Source for Region<S> {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        check_end(offset_bytes, buffer.len() as u64, self.len_bytes)?;
        self.source.read_at(self.start_bytes + offset_bytes, buffer)
    }
}

/// Reads a source from its start to its end.
#[derive(Debug)]
pub struct SourceReader<S> {
    source: S,
    position_bytes: u64,
}

impl<S: Source> SourceReader<S> {
    /// A reader at the source's start.
    pub fn new(source: S) -> Self {
        Self { source, position_bytes: 0 }
    }
}

impl<S> SourceReader<S> {
    /// How many bytes have been read, or where it was moved to.
    pub fn position_bytes(&self) -> u64 {
        self.position_bytes
    }
}

impl<S: Source> io::Seek for SourceReader<S> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let place = match to {
            io::SeekFrom::Start(place) => Some(place),
            io::SeekFrom::End(offset) => self.source.len_bytes().checked_add_signed(offset),
            io::SeekFrom::Current(offset) => self.position_bytes.checked_add_signed(offset),
        };
        self.position_bytes = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position_bytes)
    }
}

impl<S: Source> io::Read for SourceReader<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.source.len_bytes().saturating_sub(self.position_bytes);
        let count = usize::try_from(rest).unwrap_or(usize::MAX).min(buffer.len());
        self.source.read_at(self.position_bytes, &mut buffer[..count])?;
        self.position_bytes += count as u64;
        Ok(count)
    }
}
