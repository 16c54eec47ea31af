//! Reading the contents of files: one open, one read, one close for a small one.
//!
//! Files come in tree order, so the next one mostly lies beside the last one. A
//! reader keeps that directory open and spares the kernel the way there.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open, openat};

use crate::error::{Error, IoContext, Result};
use crate::tree::{Content, TreePath};

/// A part of a file's content.
pub(super) struct ContentPart<'a> {
    pub(super) path: &'a TreePath,
    pub(super) content: &'a Content,
    pub(super) offset_bytes: u64,
    pub(super) len: usize,
}

/// One thread's reader.
#[derive(Default)]
pub(super) struct Reader {
    /// The directory of the last file, by its path.
    directory: Option<(Vec<u8>, OwnedFd)>,
}

impl Reader {
    /// Reads the part into `buffer`, which has one byte more than the part.
    pub(super) fn read(&mut self, part: &ContentPart<'_>, buffer: &mut [u8]) -> Result<()> {
        match part.content {
            Content::Bytes(bytes) => {
                let start = usize::try_from(part.offset_bytes).unwrap_or(usize::MAX);
                let found = bytes.get(start..).and_then(|rest| rest.get(..part.len));
                let found = found.ok_or_else(|| {
                    Error::internal(format!("{} is shorter than it was laid out", part.path))
                })?;
                buffer[..part.len].copy_from_slice(found);
                Ok(())
            }
            Content::HostFile { path, size_bytes } => {
                let file = self.open(path).at("read", path)?;
                part.read_file(&file, path, *size_bytes, buffer)
            }
        }
    }

    fn open(&mut self, host: &Path) -> io::Result<File> {
        let bytes = host.as_os_str().as_bytes();
        let Some(slash) = bytes.iter().rposition(|byte| *byte == b'/') else {
            return File::open(host);
        };
        let (directory, name) = (&bytes[..=slash], &bytes[slash + 1..]);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = match &self.directory {
            Some((known, fd)) if known == directory => openat(fd, name, flags, Mode::empty())?,
            _ => {
                let path = OsStr::from_bytes(directory);
                let fd =
                    open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
                let (_, fd) = self.directory.insert((directory.to_vec(), fd));
                openat(fd, name, flags, Mode::empty())?
            }
        };
        Ok(File::from(fd))
    }
}

impl ContentPart<'_> {
    fn read_file(
        &self,
        file: &File,
        host: &Path,
        size_bytes: u64,
        buffer: &mut [u8],
    ) -> Result<()> {
        let is_last = self.offset_bytes + self.len as u64 == size_bytes;
        // The last part asks for one byte past the expected end of the file.
        let wanted = if is_last { self.len + 1 } else { self.len };
        let mut count = 0;
        while count < wanted {
            let place = self.offset_bytes + count as u64;
            match file.read_at(&mut buffer[count..wanted], place).at("read", host)? {
                0 => break,
                step => count += step,
            }
            // A short read of a regular file is its end: no second call to make sure.
            if is_last && count == self.len {
                break;
            }
        }
        if count == self.len {
            return Ok(());
        }
        let now = file.metadata().map_or(0, |metadata| metadata.len());
        Err(Error::failure(format!(
            "{} changed while it was packed as {}: it had {size_bytes} bytes and now has {now}",
            host.display(),
            self.path
        ))
        .hint("pack again when nothing writes to it"))
    }
}
