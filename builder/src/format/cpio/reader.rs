//! The newc reader: entries in archive order from any byte stream.
//!
//! It takes hostile bytes: lengths are checked before anything is allocated,
//! and contents are never held in memory.

use std::io::{self, Read};

use super::{HEADER_LEN, MAGIC, MAGIC_CHECKSUM, PATH_LEN_MAX, TRAILER, file_type};
use crate::error::{Error, Result};

/// More entries than this in one archive are taken for damage.
pub const MEMBERS_MAX: u64 = 16 * 1024 * 1024;

/// One entry's header, with its name and, for a symbolic link, its target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Name as it stands in the archive, without its NUL.
    pub name: Vec<u8>,
    /// Inode number; equal for the names of one file.
    pub inode: u32,
    /// Type and permission bits (inode(7)).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of names.
    pub nlink: u32,
    /// Seconds since 1970.
    pub mtime_s: u32,
    /// Length of the content in bytes.
    pub size_bytes: u32,
    /// Device numbers, for device nodes.
    pub rdev: (u32, u32),
    /// A symbolic link's target; empty for anything else.
    pub target: Vec<u8>,
}

/// Reads one archive, up to and including its trailer.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    position_bytes: u64,
    /// What is left of the current entry's content, and the padding after it.
    content_left: u64,
    padding: u64,
    members: u64,
    is_done: bool,
}

impl<R: Read> Reader<R> {
    /// A reader at the start of an archive.
    pub fn new(input: R) -> Self {
        Self { input, position_bytes: 0, content_left: 0, padding: 0, members: 0, is_done: false }
    }

    /// How many bytes of the archive have been read.
    pub fn position_bytes(&self) -> u64 {
        self.position_bytes
    }

    /// The next entry, passing over the content of the one before; `None` after the trailer.
    ///
    /// # Errors
    /// If the bytes are no newc archive or end early.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        if self.is_done {
            return Ok(None);
        }
        let rest = self.content_left + self.padding;
        self.skip(rest)?;
        (self.content_left, self.padding) = (0, 0);
        self.members += 1;
        if self.members > MEMBERS_MAX {
            return Err(self.damaged(&format!("it has more than {MEMBERS_MAX} entries")));
        }
        let mut entry = self.header()?;
        if entry.name == TRAILER {
            self.is_done = true;
            return Ok(None);
        }
        self.content_left = entry.size_bytes.into();
        self.padding = padding(entry.size_bytes.into());
        if entry.mode & 0o170_000 == file_type::SYMLINK {
            if entry.size_bytes as usize >= PATH_LEN_MAX {
                return Err(self.damaged("a link target has 4096 bytes or more"));
            }
            let mut target = vec![0; entry.size_bytes as usize];
            self.fill(&mut target)?;
            self.content_left = 0;
            entry.target = target;
        }
        Ok(Some(entry))
    }

    fn header(&mut self) -> Result<Entry> {
        let mut bytes = [0; HEADER_LEN];
        self.fill(&mut bytes)?;
        if !bytes.starts_with(MAGIC) && !bytes.starts_with(MAGIC_CHECKSUM) {
            return Err(self.damaged("an entry does not begin with 070701 or 070702"));
        }
        let mut fields = [0; 13];
        for (field, digits) in fields.iter_mut().zip(bytes[MAGIC.len()..].chunks_exact(8)) {
            *field = std::str::from_utf8(digits)
                .ok()
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                .ok_or_else(|| self.damaged("a header has something else than digits"))?;
        }
        let [inode, mode, uid, gid, nlink, mtime_s, size_bytes, _, _, major, minor, name_len, _] =
            fields;
        let name_len = name_len as usize;
        if name_len == 0 || name_len > PATH_LEN_MAX {
            return Err(self.damaged("a name is empty or has more than 4095 bytes"));
        }
        let mut name = vec![0; name_len];
        self.fill(&mut name)?;
        self.skip(padding((HEADER_LEN + name_len) as u64))?;
        if name.pop() != Some(0) || name.contains(&0) {
            return Err(self.damaged("a name does not end with its only NUL byte"));
        }
        let (rdev, target) = ((major, minor), Vec::new());
        Ok(Entry { name, inode, mode, uid, gid, nlink, mtime_s, size_bytes, rdev, target })
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.input.read_exact(buffer).map_err(|error| self.failed(&error))?;
        self.position_bytes += buffer.len() as u64;
        Ok(())
    }

    fn skip(&mut self, count: u64) -> Result<()> {
        let skipped = io::copy(&mut (&mut self.input).take(count), &mut io::sink())
            .map_err(|error| self.failed(&error))?;
        self.position_bytes += skipped;
        if skipped < count {
            return Err(self.failed(&io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("it ends before its trailer"),
            _ => self.damaged(&error.to_string()),
        }
    }

    fn damaged(&self, why: &str) -> Error {
        Error::failure(format!(
            "the cpio archive is damaged at byte {}: {why}",
            self.position_bytes
        ))
    }
}

/// Reads the content of the entry that [`Reader::next_entry`] gave last.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.content_left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.input.read(&mut buffer[..len])?;
        if count == 0 && len > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content_left -= count as u64;
        self.position_bytes += count as u64;
        Ok(count)
    }
}

/// Bytes from `len` to the next multiple of 4.
fn padding(len: u64) -> u64 {
    len.next_multiple_of(4) - len
}
