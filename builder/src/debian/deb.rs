//! Reading a binary package (deb(5)): what its file system archive holds.
//!
//! Regular files go into numbered files beside each other, so that no name in
//! an archive, however hostile, is ever a path of the host. Maintainer scripts,
//! triggers and conffile lists in the control archive are not looked at.
//! Absent: extended attributes, device nodes and pipes, which packages do not hold.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tar::EntryType;

use crate::error::{Error, IoContext, Result};
use crate::format::decompress;
use crate::tree::TreePath;

/// How many entries a package may have; the largest of Debian has a tenth.
const ENTRIES_MAX: usize = 1_000_000;
/// How long a package's unpacked archive may be, in bytes.
const CONTENT_MAX_BYTES: u64 = 8 << 30;

/// One entry of a package.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its path, without a leading `/`.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, `0o7777` at most.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What an entry is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// The name of the file that holds its content.
        content: String,
        /// Its length.
        size_bytes: u64,
    },
    /// A symbolic link to this path.
    Symlink(String),
    /// A further name of the file with this path in the package.
    HardLink(String),
}

/// Reads the package at `file`, and puts the content of its files into the
/// empty directory `into`.
///
/// # Errors
/// If it is damaged, or holds what no package should.
pub fn unpack(file: &Path, into: &Path) -> Result<Vec<Entry>> {
    let reader = BufReader::new(File::open(file).at("read", file)?);
    unpack_archive(reader, into).map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem => Error::io("unpack into", into, &error),
        _ => {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            Error::failure(format!("cannot unpack the package {name}: {error}"))
        }
    })
}

fn unpack_archive(reader: impl Read, into: &Path) -> io::Result<Vec<Entry>> {
    let mut package = ar::Archive::new(reader);
    let mut is_first = true;
    while let Some(member) = package.next_entry() {
        let mut member = member?;
        let name = String::from_utf8_lossy(member.header().identifier()).into_owned();
        if is_first {
            let mut version = String::new();
            member.by_ref().take(16).read_to_string(&mut version)?;
            if name != "debian-binary" || !version.starts_with("2.") {
                return Err(wrong("it is no package of format 2".into()));
            }
            is_first = false;
        } else if name.starts_with("data.tar") {
            let mut reader = decompress::reader(member)?.take(CONTENT_MAX_BYTES);
            let entries = entries(&mut reader, into)?;
            // What follows the last entry counts too: check sums of the compression.
            io::copy(&mut reader, &mut io::sink())?;
            return if reader.limit() == 0 {
                Err(wrong(format!("it holds more than {} GiB", CONTENT_MAX_BYTES >> 30)))
            } else {
                Ok(entries)
            };
        }
    }
    Err(wrong("it has no file system archive".into()))
}

fn wrong(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn entries(reader: impl Read, into: &Path) -> io::Result<Vec<Entry>> {
    let mut archive = tar::Archive::new(reader);
    let mut entries = Vec::new();
    for entry in archive.entries()? {
        if entries.len() == ENTRIES_MAX {
            return Err(wrong(format!("it has more than {ENTRIES_MAX} entries")));
        }
        let mut entry = entry?;
        let path = tree_path(&entry.path_bytes())?;
        let link = || {
            let target = entry.link_name_bytes().unwrap_or_default();
            match String::from_utf8(target.to_vec()) {
                Ok(target) if !target.is_empty() && !target.contains('\0') => Ok(target),
                _ => Err(wrong(format!("the link {path} leads to no path"))),
            }
        };
        let kind = match entry.header().entry_type() {
            EntryType::Directory => EntryKind::Directory,
            EntryType::Symlink => EntryKind::Symlink(link()?),
            EntryType::Link => EntryKind::HardLink(tree_path(link()?.as_bytes())?),
            EntryType::Regular | EntryType::Continuous => {
                let content = entries.len().to_string();
                let mut file = File::create_new(into.join(&content))?;
                let size_bytes = io::copy(&mut entry, &mut file)?;
                if size_bytes != entry.header().size()? {
                    return Err(wrong(format!("it ends within {path}")));
                }
                EntryKind::File { content, size_bytes }
            }
            EntryType::XGlobalHeader => continue,
            other => return Err(wrong(format!("{path} is of the type {other:?}"))),
        };
        if path.is_empty() {
            continue;
        }
        let header = entry.header();
        let id = |id: u64| u32::try_from(id).map_err(|_| wrong(format!("{path} has no owner")));
        let mode = u16::try_from(header.mode()? & 0o7777).unwrap_or_default();
        entries.push(Entry { kind, mode, uid: id(header.uid()?)?, gid: id(header.gid()?)?, path });
    }
    Ok(entries)
}

/// A path of the archive as the tree has it; empty for its top.
fn tree_path(bytes: &[u8]) -> io::Result<String> {
    let path = TreePath::new(bytes).map_err(|error| wrong(error.to_string()))?;
    String::from_utf8(path.as_bytes().to_vec())
        .map_err(|_| wrong(format!("the name {path} is not UTF-8")))
}

#[cfg(test)]
mod tests;
