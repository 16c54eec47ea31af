//! What an entry of the cache is found by: the digest of everything that went into it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::hex;
use crate::error::{Error, IoContext, Result};
use crate::{sparse_file, whole_file};

/// The digest of everything that went into an entry, as 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(String);

/// Collects what goes into a [`Key`]. Every part carries its name and length,
/// so that no two different lists of parts have the same bytes.
#[derive(Clone, Debug)]
pub struct KeyBuilder(Sha256);

impl KeyBuilder {
    /// A key for `purpose`, which names the recipe and its version: raise the
    /// number in it when the recipe changes in a way its inputs do not show.
    #[must_use]
    pub fn new(purpose: &str) -> Self {
        Self(Sha256::new()).part("purpose", purpose.as_bytes())
    }

    /// Adds a named part.
    #[must_use]
    pub fn part(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.begin(name, bytes.len() as u64);
        self.0.update(bytes);
        self
    }

    /// Begins a part, of which `len_bytes` bytes are to follow.
    fn begin(&mut self, name: &str, len_bytes: u64) {
        self.0.update((name.len() as u64).to_le_bytes());
        self.0.update(name);
        self.0.update(len_bytes.to_le_bytes());
    }

    /// Adds a file's content and whether it is executable; not its place or times.
    ///
    /// # Errors
    /// If it cannot be read, or its length changes meanwhile.
    pub fn file(self, name: &str, path: &Path) -> Result<Self> {
        let file = whole_file::open(path)?;
        let metadata = file.metadata().at("read", path)?;
        let is_executable = metadata.permissions().mode() & 0o100 != 0;
        let mut key = self.part(if is_executable { "executable" } else { "plain" }, name);
        key.begin(name, metadata.len());
        let mut len_bytes = 0;
        let take = |bytes: &[u8]| {
            len_bytes += bytes.len() as u64;
            key.0.update(bytes);
        };
        sparse_file::read_all(&file, take).at("read", path)?;
        if len_bytes != metadata.len() {
            let message = format!("{} changes while it is read", path.display());
            return Err(Error::failure(message).hint("run it again once it is whole"));
        }
        Ok(key)
    }

    /// Adds everything below a directory, sorted by path: files as [`KeyBuilder::file`] does,
    /// links by their targets, directories and what else there is by their names.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn directory(mut self, name: &str, path: &Path) -> Result<Self> {
        let mut entries: Vec<_> = fs::read_dir(path)
            .at("read", path)?
            .collect::<std::io::Result<_>>()
            .at("read", path)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let child = entry.path();
            let child_name = format!("{name}/{}", text_of(&entry.file_name()));
            let kind = entry.file_type().at("read", &child)?;
            self = if kind.is_dir() {
                self.part("directory", &child_name).directory(&child_name, &child)?
            } else if kind.is_symlink() {
                let target = fs::read_link(&child).at("read", &child)?;
                self.part(&child_name, target.as_os_str().as_encoded_bytes())
            } else if kind.is_file() {
                self.file(&child_name, &child)?
            } else {
                // Reading a pipe would wait for who writes to it.
                self.part("special", &child_name)
            };
        }
        Ok(self)
    }

    /// The finished key.
    #[must_use]
    pub fn finish(self) -> Key {
        Key(hex(&self.0.finalize()))
    }
}

/// A file's name as text, two names never as the same: no name has a NUL byte in it.
fn text_of(name: &OsStr) -> String {
    match name.to_str() {
        Some(text) => text.to_owned(),
        None => format!("\0{}", hex(name.as_encoded_bytes())),
    }
}

impl Key {
    /// The key as 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn files_count_by_name_content_and_execute_bit() {
        let directory = tempfile::tempdir().unwrap();
        let key = |name: &[u8], content: &str, mode: u32| {
            let source = directory.path().join("source");
            let _ = fs::remove_dir_all(&source);
            fs::create_dir(&source).unwrap();
            let path = source.join(OsStr::from_bytes(name));
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            KeyBuilder::new("test 1").directory("d", &source).unwrap().finish()
        };
        let first = key(b"caf\xe9", "1", 0o644);
        assert_eq!(first, key(b"caf\xe9", "1", 0o600));
        for other in [
            key(b"caf\xe8", "1", 0o644),
            key("caf\u{fffd}".as_bytes(), "1", 0o644),
            key(b"caf\xe9", "2", 0o644),
            key(b"caf\xe9", "1", 0o755),
        ] {
            assert_ne!(first, other);
        }
        // A file is the same part as its bytes are.
        let path = directory.path().join("f");
        fs::write(&path, "content").unwrap();
        let of_bytes = KeyBuilder::new("test 1").part("plain", "n").part("n", "content");
        let of_file = KeyBuilder::new("test 1").file("n", &path).unwrap();
        assert_eq!(of_file.finish(), of_bytes.finish());
    }

    #[test]
    fn a_directory_is_known_by_all_that_is_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let key = || KeyBuilder::new("test 1").directory("d", directory.path()).unwrap().finish();
        let before = key();
        fs::create_dir(directory.path().join("empty")).unwrap();
        let with_directory = key();
        assert_ne!(before, with_directory);
        let pipe = directory.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_ne!(with_directory, key(), "and nobody waits for the pipe");
    }

    #[test]
    fn keys_tell_parts_apart() {
        let key = |a: &str, b: &str| KeyBuilder::new("test 1").part(a, b).finish();
        assert_ne!(key("ab", "c"), key("a", "bc"));
        assert_eq!(key("a", "b"), key("a", "b"));
    }
}
