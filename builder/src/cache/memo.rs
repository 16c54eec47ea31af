//! Remembering what was costly to find out, such as the digest of a large file.
//!
//! A memo's key must hold all that the answer depends on: for files their
//! stat(2) data, which changes with the content.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::cache::{Cache, Key, KeyBuilder, file_sha256};
use crate::error::{IoContext, Result};
use crate::shell::Shell;

/// The cache's name for memos.
const KIND: &str = "memo";
/// The file of an entry that holds the answer.
const ANSWER: &str = "answer";

/// The answer remembered under `key`, else the one `find` gives, which is then remembered.
///
/// # Errors
/// What `find` returns, or if the cache cannot be written.
pub fn recall(
    shell: &Shell,
    cache: &Cache,
    key: &Key,
    find: impl FnOnce() -> Result<String>,
) -> Result<String> {
    let entry = cache.find_or_make(shell, KIND, key, |directory| {
        let path = directory.join(ANSWER);
        fs::write(&path, find()?).at("write", &path)
    })?;
    let path = entry.join(ANSWER);
    fs::read_to_string(&path).at("read", &path)
}

/// Adds a file's identity to a key: path, inode, size and times, not its content.
///
/// # Errors
/// If it is not there.
pub fn identity(key: KeyBuilder, path: &Path) -> Result<KeyBuilder> {
    let metadata = fs::metadata(path).at("read", path)?;
    let numbers = [metadata.ino(), metadata.dev(), metadata.size()].map(u64::to_le_bytes);
    let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime()].map(i64::to_le_bytes);
    Ok(key
        .part("path", path.as_os_str().as_encoded_bytes())
        .part("numbers", numbers.concat())
        .part("times", times.concat()))
}

/// The SHA-256 of a file, remembered while the file stays untouched.
///
/// # Errors
/// If it cannot be read.
pub fn sha256(shell: &Shell, cache: &Cache, path: &Path) -> Result<String> {
    let key = identity(KeyBuilder::new("sha256 1"), path)?.finish();
    recall(shell, cache, &key, || file_sha256(path))
}
