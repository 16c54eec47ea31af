//! Where an image with fixed offsets goes: positioned writes into a file, a
//! part of a file (a partition of a disk) or memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Takes an image as positioned writes. What is never written reads as zeros,
/// and a sink in a file leaves it as a hole.
pub trait ImageSink {
    /// Writes all of `bytes` at `offset_bytes` from the image's start.
    ///
    /// # Errors
    /// What the underlying file says.
    fn write_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the image `len_bytes` long.
    ///
    /// # Errors
    /// What the underlying file says.
    fn set_len(&mut self, len_bytes: u64) -> io::Result<()>;

    /// The same image for several threads at once, if it can be had.
    fn shared(&self) -> Option<&dyn SharedSink> {
        None
    }
}

/// An image that several threads may write to at once, each its own places.
pub trait SharedSink: Sync {
    /// See [`ImageSink::write_at`].
    ///
    /// # Errors
    /// What the underlying file says.
    fn write_shared(&self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()>;
}

/// A file, or the part of one that begins at an offset. That part must not
/// have been written before, since zeros are left out.
#[derive(Debug)]
pub struct FileRegion<'a> {
    file: &'a File,
    start_bytes: u64,
}

impl<'a> FileRegion<'a> {
    /// The whole file.
    #[must_use]
    pub fn whole(file: &'a File) -> Self {
        Self { file, start_bytes: 0 }
    }

    /// The part of the file from `start_bytes` on, as a partition's place in a disk.
    #[must_use]
    pub fn starting_at(file: &'a File, start_bytes: u64) -> Self {
        Self { file, start_bytes }
    }
}

impl ImageSink for FileRegion<'_> {
    fn write_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_shared(offset_bytes, bytes)
    }

    fn set_len(&mut self, len_bytes: u64) -> io::Result<()> {
        let end = self.start_bytes + len_bytes;
        // A partition in the middle of a disk must not cut off what follows it.
        if self.file.metadata()?.len() < end { self.file.set_len(end) } else { Ok(()) }
    }

    fn shared(&self) -> Option<&dyn SharedSink> {
        Some(self)
    }
}

impl SharedSink for FileRegion<'_> {
    fn write_shared(&self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.start_bytes + offset_bytes)
    }
}

/// In memory, for small images and tests.
impl ImageSink for Vec<u8> {
    fn write_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset_bytes).map_err(io::Error::other)?;
        let end = start.checked_add(bytes.len()).ok_or(io::ErrorKind::OutOfMemory)?;
        if self.len() < end {
            self.resize(end, 0);
        }
        self[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&mut self, len_bytes: u64) -> io::Result<()> {
        let len = usize::try_from(len_bytes).map_err(io::Error::other)?;
        if self.len() < len {
            self.resize(len, 0);
        }
        Ok(())
    }
}

impl<S: ImageSink + ?Sized> ImageSink for &mut S {
    fn write_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write_at(offset_bytes, bytes)
    }

    fn set_len(&mut self, len_bytes: u64) -> io::Result<()> {
        (**self).set_len(len_bytes)
    }

    fn shared(&self) -> Option<&dyn SharedSink> {
        (**self).shared()
    }
}
