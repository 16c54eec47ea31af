//! Files that a person names to be looked into.

use std::fs::{self, File};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::error::{Error, IoContext, Result};
use crate::format::source::FileSource;

/// Opens a regular file or block device. Nothing else is opened: a pipe would wait for who
/// writes to it, and some devices do something when they are.
///
/// # Errors
/// If it is something else, or cannot be read.
pub(super) fn open(path: &Path) -> Result<FileSource> {
    let kind = fs::metadata(path).at("read", path)?.file_type();
    if kind.is_dir() {
        return Err(Error::definition(format!("{} is a directory", path.display())));
    }
    if !kind.is_file() && !kind.is_block_device() {
        let message = format!("{} is neither a regular file nor a block device", path.display());
        return Err(Error::definition(message)
            .hint("copy what it gives into a file first, as by `cat`, and name that"));
    }
    let file = File::open(path).at("read", path)?;
    FileSource::new(file).at("read", path)
}
