//! Walks an ext4 image and reads its files, through `mkext4`'s reader.
//!
//! The image may be hostile: the number of reads is bounded by the image's own
//! size, and a directory is entered once, so a walk always ends.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{self, Write};

use mkext4::reader::{Fs, ReadAt};
use mkext4::spec::inode::{FileType, Inode};

use super::BLOCK_BYTES;
use crate::error::{Error, Result};
use crate::format::guid::Guid;
use crate::format::source::Source;

/// Reads of a damaged image may repeat; of a sound one they stay below this
/// many for each of its blocks.
const READS_PER_BLOCK_MAX: u64 = 8;
const ROOT_INODE: u32 = 2;
/// How much of a file is read at once.
const STEP_BYTES: usize = 1024 * 1024;
/// Longer paths than this come from a damaged image.
const PATH_MAX_BYTES: usize = 64 * 1024;

/// More content of one file than this is not read: holes are no reads, so that their number
/// does not bound it.
const CONTENT_MAX_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// What an entry is, with what goes with it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of inode(7)")]
pub enum EntryKind {
    Directory,
    File,
    Symlink { target: Vec<u8> },
    CharDevice { major: u32, minor: u32 },
    BlockDevice { major: u32, minor: u32 },
    Fifo,
    Socket,
}

/// One name in the file system, with its inode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Path without a leading slash; empty for the root.
    pub path: Vec<u8>,
    /// Inode number; equal for the names of one file.
    pub inode: u32,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of names.
    pub nlink: u16,
    /// Length in bytes.
    pub size_bytes: u64,
    /// Modification time in seconds since 1970.
    pub mtime_s: i64,
    /// Extended attributes by full name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// An ext4 file system that can be read.
#[derive(Debug)]
pub struct Reader<S: Source> {
    fs: Fs<BoundedReads<S>>,
}

/// Counts reads, so that damage cannot make a walk endless.
#[derive(Debug)]
struct BoundedReads<S> {
    source: S,
    left: Cell<u64>,
}

impl<S: Source> ReadAt for BoundedReads<S> {
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| io::Error::other("its blocks refer to each other"))?);
        self.source.read_at(offset, buffer)
    }
}

fn damaged(error: &mkext4::Error) -> Error {
    match error {
        mkext4::Error::Unsupported(what) => {
            Error::failure(format!("the ext4 file system cannot be read here: {what}"))
                .hint("try `debugfs -R 'ls -l' FILE`")
        }
        other => Error::failure(format!("the ext4 file system is damaged: {other}"))
            .hint("`e2fsck -fn FILE` lists all that is wrong"),
    }
}

impl<S: Source> Reader<S> {
    /// Opens the file system whose first byte is the source's.
    ///
    /// # Errors
    /// If its superblock is damaged or has a feature that is not read here.
    pub fn open(source: S) -> Result<Self> {
        let blocks = source.len_bytes() / BLOCK_BYTES;
        let left = Cell::new(1024 + blocks.saturating_mul(READS_PER_BLOCK_MAX));
        let fs = Fs::open(BoundedReads { source, left }).map_err(|error| damaged(&error))?;
        Ok(Self { fs })
    }

    /// The UUID.
    pub fn uuid(&self) -> Guid {
        Guid::from_bytes(self.fs.superblock().uuid)
    }

    /// The label, empty for none.
    pub fn label(&self) -> String {
        let name = &self.fs.superblock().volume_name;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        String::from_utf8_lossy(&name[..end]).into_owned()
    }

    /// Size of the file system in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.fs.superblock().blocks_count.saturating_mul(BLOCK_BYTES)
    }

    /// Bytes no block is allocated for.
    pub fn free_bytes(&self) -> u64 {
        self.fs.superblock().free_blocks_count.saturating_mul(BLOCK_BYTES)
    }

    /// Inodes in all, and those not in use.
    pub fn inodes(&self) -> (u32, u32) {
        (self.fs.superblock().inodes_count, self.fs.superblock().free_inodes_count)
    }

    /// Visits every entry, each directory's in byte order of their names.
    ///
    /// # Errors
    /// If the file system is damaged, or what `visit` returns.
    pub fn walk(&self, mut visit: impl FnMut(Entry) -> Result<()>) -> Result<()> {
        let mut entered = HashSet::new();
        // Entries still to visit, the next one last.
        let mut waiting = vec![(Vec::new(), ROOT_INODE)];
        while let Some((path, inode)) = waiting.pop() {
            let entry = self.entry(path.clone(), inode)?;
            let is_new_directory = entry.kind == EntryKind::Directory && entered.insert(inode);
            visit(entry)?;
            if !is_new_directory {
                continue;
            }
            if path.len() > PATH_MAX_BYTES {
                return Err(Error::failure("the ext4 file system is damaged: a path has no end"));
            }
            let mut children = self.fs.read_dir(inode).map_err(|error| damaged(&error))?;
            children.sort_by(|a, b| b.name.cmp(&a.name));
            for child in children {
                if child.inode != 0 && child.name != b"." && child.name != b".." {
                    waiting.push((join(&path, &child.name), child.inode));
                }
            }
        }
        Ok(())
    }

    /// The entry at a path without a leading slash, if there is one. Links are not followed.
    ///
    /// # Errors
    /// If the file system is damaged.
    pub fn find(&self, path: &[u8]) -> Result<Option<Entry>> {
        let mut inode = ROOT_INODE;
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let current = self.fs.inode(inode).map_err(|error| damaged(&error))?;
            if current.file_type() != FileType::Dir {
                return Ok(None);
            }
            match self.fs.lookup(inode, name).map_err(|error| damaged(&error))? {
                Some(next) => inode = next,
                None => return Ok(None),
            }
        }
        self.entry(path.to_vec(), inode).map(Some)
    }

    /// Writes a file's content to `out`.
    ///
    /// # Errors
    /// If the file system is damaged, the file is longer than is read here, or `out` fails.
    pub fn copy_content(&self, entry: &Entry, out: &mut impl Write) -> Result<()> {
        if entry.size_bytes > CONTENT_MAX_BYTES {
            let path = String::from_utf8_lossy(&entry.path).into_owned();
            let message = format!("/{path} has {} bytes, too many to be read", entry.size_bytes);
            return Err(Error::failure(message).hint("try `debugfs -R 'dump -p PATH OUT' FILE`"));
        }
        let inode = self.fs.inode(entry.inode).map_err(|error| damaged(&error))?;
        let extents = self.fs.extents(entry.inode, &inode).map_err(|error| damaged(&error))?;
        let mut buffer = vec![0; STEP_BYTES];
        let mut offset = 0;
        loop {
            let count = self
                .fs
                .read_file_at(&inode, &extents, offset, &mut buffer)
                .map_err(|error| damaged(&error))?;
            if count == 0 {
                return Ok(());
            }
            out.write_all(&buffer[..count])
                .map_err(|error| crate::format::write_failed("file's content", &error))?;
            offset += count as u64;
        }
    }

    fn entry(&self, path: Vec<u8>, number: u32) -> Result<Entry> {
        let inode = self.fs.inode(number).map_err(|error| damaged(&error))?;
        let kind = self.kind(number, &inode)?;
        let xattrs = self.fs.xattrs(number).map_err(|error| damaged(&error))?;
        let (mtime_s, _) = Inode::timestamp(inode.mtime, inode.mtime_extra);
        Ok(Entry {
            path,
            inode: number,
            kind,
            mode: inode.mode & 0o7777,
            uid: inode.uid,
            gid: inode.gid,
            nlink: inode.links_count,
            size_bytes: inode.size,
            mtime_s,
            xattrs: xattrs
                .into_iter()
                .filter_map(|xattr| Some((xattr.full_name()?, xattr.value)))
                .collect(),
        })
    }

    fn kind(&self, number: u32, inode: &Inode) -> Result<EntryKind> {
        let (major, minor) = inode.dev_numbers().unwrap_or_default();
        Ok(match inode.file_type() {
            FileType::Dir => EntryKind::Directory,
            FileType::Regular => EntryKind::File,
            FileType::Symlink => {
                let target = self.fs.symlink_target(number).map_err(|error| damaged(&error))?;
                EntryKind::Symlink { target }
            }
            FileType::CharDev => EntryKind::CharDevice { major, minor },
            FileType::BlockDev => EntryKind::BlockDevice { major, minor },
            FileType::Fifo => EntryKind::Fifo,
            FileType::Socket => EntryKind::Socket,
            FileType::Unknown => {
                return Err(Error::failure(format!(
                    "the ext4 file system is damaged: inode {number} has no file type"
                )));
            }
        })
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}
