//! Outputs that appear whole or not at all.
//!
//! Every output is written beside its place under a name of its own, synced,
//! and renamed only once all of them are finished. A build that fails leaves
//! the last good outputs; one that is killed leaves partial files, which the
//! next one writes over. The caller holds the directory's lock.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::cache::lock;
use crate::error::{IoContext, Result};
use crate::shell::Shell;

use super::{fingerprint, names};

/// The lock file of an output directory.
const LOCK: &str = ".lock";
/// What an output is called while it is written: `.NAME.partial`.
const PARTIAL_SUFFIX: &str = ".partial";
/// What a file is called that outputs are made of: `.NAME.scratch`.
const SCRATCH_SUFFIX: &str = ".scratch";

/// Whether a file of this name in an output directory was made by the builder.
fn is_ours(name: &str) -> bool {
    let partial = name.strip_prefix('.').and_then(|name| name.strip_suffix(PARTIAL_SUFFIX));
    name == LOCK
        || name == fingerprint::STATE
        || name.starts_with('.') && name.ends_with(SCRATCH_SUFFIX)
        || names::NAMES.contains(&partial.unwrap_or(name))
}

/// An output directory that this builder alone writes to.
#[derive(Debug)]
pub struct OutputDirectory {
    path: PathBuf,
    _lock: File,
}

impl OutputDirectory {
    /// Makes the directory if need be and waits until it is ours.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn open(shell: &Shell, path: &Path) -> Result<Self> {
        let lock = lock(shell, &path.join(LOCK))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Whether a builder has made this directory, or is making it: nobody else's files are
    /// the builder's because of their names.
    #[must_use]
    pub fn is_one(path: &Path) -> bool {
        [LOCK, fingerprint::STATE].iter().any(|name| path.join(name).is_file())
    }

    /// Removes what the builder made in it, and the directory if nothing else is there.
    /// Returns how many bytes that were.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn clear(self) -> Result<u64> {
        let mut removed_bytes = 0;
        for entry in fs::read_dir(&self.path).at("read", &self.path)? {
            let path = entry.at("read", &self.path)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if is_ours(&name) && name != LOCK {
                removed_bytes += fs::symlink_metadata(&path).at("read", &path)?.len();
                fs::remove_file(&path).at("remove", &path)?;
            }
        }
        // The lock goes last: what comes after it is another builder's.
        let lock = self.path.join(LOCK);
        fs::remove_file(&lock).at("remove", &lock)?;
        let _something_else_is_in_it = fs::remove_dir(&self.path);
        Ok(removed_bytes)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Outputs being written.
#[derive(Debug)]
pub struct Staging<'a> {
    directory: &'a OutputDirectory,
    files: Vec<Staged>,
    scratch: Vec<PathBuf>,
}

/// One output being written.
#[derive(Debug)]
struct Staged {
    name: String,
    partial: PathBuf,
}

impl<'a> Staging<'a> {
    /// Nothing yet.
    #[must_use]
    pub fn new(directory: &'a OutputDirectory) -> Self {
        Self { directory, files: Vec::new(), scratch: Vec::new() }
    }

    /// Begins the output of this name with an empty file, open to read and write.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(&mut self, name: &str) -> Result<File> {
        let (file, partial) = self.open(&format!(".{name}{PARTIAL_SUFFIX}"))?;
        self.files.push(Staged { name: name.to_owned(), partial });
        Ok(file)
    }

    /// Begins a file that outputs are made of and that is gone with this value,
    /// empty and open to read and write, and says where it is.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn scratch(&mut self, name: &str) -> Result<(File, PathBuf)> {
        let (file, path) = self.open(&format!(".{name}{SCRATCH_SUFFIX}"))?;
        self.scratch.push(path.clone());
        Ok((file, path))
    }

    fn open(&self, name: &str) -> Result<(File, PathBuf)> {
        let path = self.directory.path.join(name);
        let options = File::options().read(true).write(true).create(true).truncate(true).clone();
        let file = options.open(&path).at("create", &path)?;
        Ok((file, path))
    }

    /// Where an output that was begun is for now; its final place otherwise.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        let staged = self.files.iter().find(|staged| staged.name == name);
        staged.map_or_else(|| self.directory.path.join(name), |staged| staged.partial.clone())
    }

    /// The names begun so far.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|staged| staged.name.as_str())
    }

    /// Syncs all outputs and gives them their names, in the order in which they were begun.
    ///
    /// # Errors
    /// If one cannot be synced, which is how a full disk may show, or renamed.
    pub fn commit(mut self) -> Result<()> {
        for staged in &self.files {
            let file = File::open(&staged.partial).at("open", &staged.partial)?;
            file.sync_all().at("write", &staged.partial)?;
        }
        for staged in std::mem::take(&mut self.files) {
            let place = self.directory.path.join(&staged.name);
            fs::rename(&staged.partial, &place).at("create", &place)?;
        }
        let directory = File::open(&self.directory.path).at("open", &self.directory.path)?;
        directory.sync_all().at("write", &self.directory.path)
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        let partials = self.files.iter().map(|staged| &staged.partial);
        for path in partials.chain(&self.scratch) {
            let _nothing_to_keep = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn outputs_appear_together_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let shell = Shell::new(true);
        let output = OutputDirectory::open(&shell, &directory.path().join("out/i/x")).unwrap();
        let read = |name: &str| fs::read_to_string(output.path().join(name)).ok();

        let mut staging = Staging::new(&output);
        staging.scratch("c").unwrap().0.write_all(b"1").unwrap();
        staging.create("a").unwrap().write_all(b"1").unwrap();
        assert_eq!(read("a"), None);
        staging.create("b").unwrap().write_all(b"1").unwrap();
        staging.commit().unwrap();
        assert_eq!((read("a"), read("b")), (Some("1".into()), Some("1".into())));

        let mut failed = Staging::new(&output);
        failed.create("a").unwrap().write_all(b"2").unwrap();
        drop(failed);
        assert_eq!(read("a").as_deref(), Some("1"));
        let mut names: Vec<_> = fs::read_dir(output.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, [".lock", "a", "b"]);
    }

    #[test]
    fn only_the_builders_own_files_are_its_own() {
        for name in [
            ".lock",
            "disk.img",
            ".disk.img.partial",
            ".x.scratch",
            "initramfs.cpio.gz",
            ".state.json",
        ] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["notes.txt", ".partial", "disk.img.bak", ".x.partial"] {
            assert!(!is_ours(name), "{name}");
        }
    }
}
