//! Unpacking source archives: tar in any compression, also inside a Debian package.
//!
//! The compression is told by the content, not by the file's name. A damaged or
//! truncated archive is an error, never a shorter tree.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, IoContext, Result};
use crate::format::decompress;

/// A global archive header (ar(5)), which begins a Debian package (deb(5)).
const AR_MAGIC: &[u8] = b"!<arch>\n";
/// How much of a compressed file is read at once, in bytes.
const BUFFER_BYTES: usize = 1 << 18;
/// Size of a tar header, and what every one of today has at an offset in it (pax(1p), "ustar
/// Interchange Format"), in bytes.
const TAR_HEADER_BYTES: usize = 512;
const TAR_MAGIC: (usize, &[u8]) = (257, b"ustar");

/// Unpacks the archive or Debian source package `file` into the empty directory
/// `into`, and returns the one directory that it holds.
///
/// # Errors
/// If the archive is damaged, truncated or holds no single directory.
pub fn unpack(file: &Path, into: &Path) -> Result<PathBuf> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, File::open(file).at("read", file)?);
    let head = decompress::peek(&mut reader).at("read", file)?;
    let result = if head.starts_with(AR_MAGIC) {
        unpack_package(reader, into)
    } else {
        unpack_tar(reader, into)
    };
    result.map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem => Error::io("unpack into", into, innermost(&error)),
        io::ErrorKind::Unsupported => {
            Error::definition(format!("cannot unpack {}: {error}", file.display())).hint(
                "name a directory of sources, or an archive of one: tar, plain or compressed by \
                 xz, gzip or zstd, or a Debian package",
            )
        }
        _ => Error::failure(format!(
            "cannot unpack {}: the archive is damaged or truncated: {error}",
            file.display()
        ))
        .hint("remove that file and fetch it again"),
    })?;
    only_directory(into)
}

/// The error of the system call at the bottom, where others only say which file it was for.
fn innermost(error: &io::Error) -> &io::Error {
    let mut found = error;
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        found = inner.downcast_ref().unwrap_or(found);
        source = inner.source();
    }
    found
}

/// Unpacks a tar archive and reads it to its very end, so that the check sums
/// that follow the last file count too.
fn unpack_tar(reader: impl Read, into: &Path) -> io::Result<()> {
    let mut content = decompress::reader(reader)?;
    let mut head = Vec::with_capacity(TAR_HEADER_BYTES);
    content.by_ref().take(TAR_HEADER_BYTES as u64).read_to_end(&mut head)?;
    let (offset, magic) = TAR_MAGIC;
    // What ends before is truncated, which the archive's reader says.
    if head.get(offset..).is_some_and(|rest| !rest.starts_with(magic)) {
        let message = "it is neither a tar archive nor a Debian package";
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    let mut reader = io::Cursor::new(head).chain(content);
    for entry in tar::Archive::new(&mut reader).entries()? {
        let mut entry = entry?;
        if !entry.unpack_in(into)? {
            let path = entry.path()?.display().to_string();
            return Err(io::Error::other(format!("it names a place outside of itself: {path}")));
        }
    }
    io::copy(&mut reader, &mut io::sink()).map(|_count| ())
}

/// Unpacks the source tarball inside a Debian `linux-source` package.
fn unpack_package(reader: impl Read, into: &Path) -> io::Result<()> {
    let mut package = ar::Archive::new(reader);
    while let Some(member) = package.next_entry() {
        let member = member?;
        if !member.header().identifier().starts_with(b"data.tar") {
            continue;
        }
        let mut reader = decompress::reader(member)?;
        let found = unpack_source(&mut reader, into)?;
        io::copy(&mut reader, &mut io::sink())?;
        if found {
            return Ok(());
        }
    }
    Err(io::Error::other("it holds no source tarball"))
}

/// Unpacks the source tarball in a package's file system archive, if it has one.
fn unpack_source(reader: impl Read, into: &Path) -> io::Result<bool> {
    for entry in tar::Archive::new(reader).entries()? {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        let is_source = path.components().any(|part| part.as_os_str() == "src")
            && path.file_stem().is_some_and(|stem| stem.as_encoded_bytes().ends_with(b".tar"));
        if is_source {
            return unpack_tar(entry, into).map(|()| true);
        }
    }
    Ok(false)
}

/// The one directory inside `into`.
///
/// # Errors
/// If there is none, or something beside it.
pub fn only_directory(into: &Path) -> Result<PathBuf> {
    let entries: Vec<PathBuf> = std::fs::read_dir(into)
        .at("read", into)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()
        .at("read", into)?;
    match &entries[..] {
        [directory] if directory.is_dir() => Ok(directory.clone()),
        _ => Err(Error::failure(format!(
            "the archive holds {} entries at its top instead of one directory",
            entries.len()
        ))
        .hint("a kernel tarball holds one directory such as linux-6.6.119/")),
    }
}
