//! What a file system is written to: a device, or a file in its place.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Where a file system is written.
pub trait Target {
    /// Writes bytes at an offset in bytes.
    ///
    /// # Errors
    /// What the device says.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads bytes from an offset in bytes.
    ///
    /// # Errors
    /// What the device says.
    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Makes a stretch of bytes read as zeros.
    ///
    /// # Errors
    /// What the device says.
    fn zero(&mut self, offset: u64, length: u64) -> io::Result<()>;
}

impl Target for File {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }

    /// Asks the device for it, and writes zeros to what is none.
    fn zero(&mut self, offset: u64, length: u64) -> io::Result<()> {
        if crate::sys::zero_out(&*self, offset, length).is_ok() {
            return Ok(());
        }
        let zeros = vec![0; 1 << 20];
        let mut done = 0;
        while done < length {
            let piece = usize::try_from(length - done).unwrap_or(usize::MAX).min(zeros.len());
            self.write_all_at(zeros.get(..piece).unwrap_or_default(), offset + done)?;
            done += piece as u64;
        }
        Ok(())
    }
}
