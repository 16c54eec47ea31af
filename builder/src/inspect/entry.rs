//! One entry of an archive or file system, whatever format it comes from.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::cache::hex;
use crate::error::{Error, Result};
use crate::format::{cpio, ext4, fat};
use crate::tree::{FileTree, Node, NodeKind, TreePath, links};

/// An entry. Paths begin with a slash; bytes that are not UTF-8 are shown as `\u{FFFD}`.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Path.
    pub path: String,
    /// "file", "directory", "link", "char", "block", "fifo" or "socket".
    pub kind: &'static str,
    /// Permission bits in octal; `None` where the format has none.
    pub mode: Option<String>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Length in bytes, for files.
    pub size_bytes: Option<u64>,
    /// Modification time in seconds since 1970.
    pub mtime_s: Option<i64>,
    /// Number of names.
    pub nlink: Option<u32>,
    /// What a link points to.
    pub target: Option<String>,
    /// Major and minor number of a device.
    pub device: Option<(u32, u32)>,
    /// SHA-256 of a file's content, where that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Extended attributes, their values in hexadecimal.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, String>,
    /// The path as it is.
    #[serde(skip)]
    raw_path: Vec<u8>,
    #[serde(skip)]
    raw_target: Vec<u8>,
}

/// A path without `./` and slashes at either end.
pub(super) fn normal(path: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> =
        path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    parts.join(&b'/')
}

impl Entry {
    fn new(path: &[u8], kind: &'static str) -> Self {
        let raw_path = normal(path);
        Self {
            path: format!("/{}", String::from_utf8_lossy(&raw_path)),
            kind,
            mode: None,
            uid: None,
            gid: None,
            size_bytes: None,
            mtime_s: None,
            nlink: None,
            target: None,
            device: None,
            sha256: None,
            xattrs: BTreeMap::new(),
            raw_path,
            raw_target: Vec::new(),
        }
    }

    /// With the digest of its content, if that was read.
    pub(super) fn with_sha256(self, sha256: Option<String>) -> Self {
        Self { sha256, ..self }
    }

    fn with_target(mut self, target: Vec<u8>) -> Self {
        if self.kind == "link" {
            self.target = Some(String::from_utf8_lossy(&target).into_owned());
            self.raw_target = target;
        }
        self
    }

    /// From an archive.
    pub(super) fn of_cpio(entry: cpio::Entry) -> Self {
        let kind = match entry.mode & 0o170_000 {
            0o040_000 => "directory",
            0o120_000 => "link",
            0o020_000 => "char",
            0o060_000 => "block",
            0o010_000 => "fifo",
            0o140_000 => "socket",
            _ => "file",
        };
        Self {
            mode: Some(format!("{:04o}", entry.mode & 0o7777)),
            uid: Some(entry.uid),
            gid: Some(entry.gid),
            size_bytes: (kind == "file").then_some(entry.size_bytes.into()),
            mtime_s: Some(entry.mtime_s.into()),
            nlink: Some(entry.nlink),
            device: matches!(kind, "char" | "block").then_some(entry.rdev),
            ..Self::new(&entry.name, kind).with_target(entry.target)
        }
    }

    /// From an ext4 file system.
    pub(super) fn of_ext4(entry: ext4::Entry) -> Self {
        let (kind, target, device) = match entry.kind {
            ext4::EntryKind::Directory => ("directory", Vec::new(), None),
            ext4::EntryKind::File => ("file", Vec::new(), None),
            ext4::EntryKind::Symlink { target } => ("link", target, None),
            ext4::EntryKind::CharDevice { major, minor } => {
                ("char", Vec::new(), Some((major, minor)))
            }
            ext4::EntryKind::BlockDevice { major, minor } => {
                ("block", Vec::new(), Some((major, minor)))
            }
            ext4::EntryKind::Fifo => ("fifo", Vec::new(), None),
            ext4::EntryKind::Socket => ("socket", Vec::new(), None),
        };
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        Self {
            mode: Some(format!("{:04o}", entry.mode)),
            uid: Some(entry.uid),
            gid: Some(entry.gid),
            size_bytes: (kind == "file").then_some(entry.size_bytes),
            mtime_s: Some(entry.mtime_s),
            nlink: Some(entry.nlink.into()),
            device,
            xattrs: entry.xattrs.iter().map(|(name, value)| (text(name), hex(value))).collect(),
            ..Self::new(&entry.path, kind).with_target(target)
        }
    }

    /// From a FAT file system.
    pub(super) fn of_fat(entry: &fat::Entry) -> Self {
        let kind = if entry.is_directory { "directory" } else { "file" };
        Self {
            size_bytes: (!entry.is_directory).then_some(entry.size_bytes.into()),
            mtime_s: entry.mtime_s,
            ..Self::new(entry.path.as_bytes(), kind)
        }
    }
}

/// The SHA-256 of what `copy` writes.
pub(super) fn sha256_of(copy: impl FnOnce(&mut Hasher) -> Result<()>) -> Result<String> {
    let mut hasher = Hasher(Sha256::new());
    copy(&mut hasher)?;
    Ok(hex(&hasher.0.finalize()))
}

/// A digest as a writer.
pub(super) struct Hasher(Sha256);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a path in a listing leads when its links are followed, without a
/// leading slash.
///
/// # Errors
/// If the path is none, or its links lead in a circle.
pub(super) fn follow_links(entries: &[Entry], path: &str) -> Result<Vec<u8>> {
    let mut tree = FileTree::new();
    for entry in entries.iter().filter(|entry| entry.kind == "link") {
        let target = entry.raw_target.clone().into();
        let node = Node::new(NodeKind::Symlink(target), 0o777, "the image");
        // Damaged images may have names that lead elsewhere; those are not followed.
        if let Ok(place) = TreePath::new(&entry.raw_path) {
            let _taken_already = tree.insert(place, node);
        }
    }
    let wanted = TreePath::new(path).map_err(|error| error.context("the path to take out"))?;
    links::resolve(&tree, &wanted).map(|found| found.as_bytes().to_vec())
}

/// The entry at a path without a leading slash, the last of that name, as the
/// kernel unpacks archives one over the other.
pub(super) fn find<'a>(entries: &'a [Entry], path: &[u8]) -> Option<&'a Entry> {
    entries.iter().rev().find(|entry| entry.raw_path == path)
}

/// Refuses to list without end.
pub(super) fn push(entries: &mut Vec<Entry>, entry: Entry) -> Result<()> {
    if entries.len() >= super::ENTRIES_MAX {
        return Err(Error::failure(format!("it has more than {} entries", super::ENTRIES_MAX)));
    }
    entries.push(entry);
    Ok(())
}
