//! The content-addressed cache in `${XDG_CACHE_HOME:-~/.cache}/keelson`.
//!
//! An entry is a directory `KIND/KEY` whose key is the digest of everything
//! that went into it. It is made in a temporary directory beside its place, synced
//! and renamed there, so neither a killed builder nor a power cut leaves anything
//! that only looks finished; a lock file per key makes concurrent builders wait for
//! each other, and the kernel releases the lock of one that died. Who uses the cache
//! holds a shared lock on its root directory, and who removes it the exclusive one.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::error::{Error, IoContext, Result};
use crate::shell::Shell;
use crate::sparse_file;

mod durable;
mod key;
pub mod memo;
mod removal;

pub use key::{Key, KeyBuilder};

/// What ends the name of a directory in which an entry is being made.
const PARTIAL_SUFFIX: &str = ".partial";

/// The cache's root directory.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    /// Keeps it from being removed while it is used.
    _in_use: Arc<File>,
}

impl Cache {
    /// The user's cache.
    ///
    /// # Errors
    /// If neither `XDG_CACHE_HOME` nor `HOME` is set, or the directory cannot be made.
    pub fn open() -> Result<Self> {
        let variable =
            |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = variable("XDG_CACHE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| variable("HOME").map(|home| home.join(".cache")))
            .ok_or_else(|| {
                Error::host("there is no place for the cache").hint("set HOME or XDG_CACHE_HOME")
            })?;
        Self::at(base.join("keelson"))
    }

    /// A cache in this directory.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn at(root: PathBuf) -> Result<Self> {
        loop {
            fs::create_dir_all(&root).at("create", &root)?;
            let directory = File::open(&root).at("open", &root)?;
            directory.lock_shared().at("lock", &root)?;
            if is_at(&directory, &root)? {
                // Room that is lost until it can be had is no reason not to work.
                let _left_to_the_next = removal::sweep(&root);
                return Ok(Self { root, _in_use: Arc::new(directory) });
            }
        }
    }

    /// Removes the cache with all that is in it, once nobody uses it any more.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn remove(self, shell: &Shell) -> Result<()> {
        let Self { root, _in_use: own } = self;
        drop(own);
        let directory = File::open(&root).at("open", &root)?;
        wait_for(shell, &directory, &root)?;
        // Somebody else may have removed it meanwhile, and it may be there anew: that is theirs.
        if is_at(&directory, &root)? {
            // Of a link, where it leads to: the link alone would free nothing.
            let target = fs::canonicalize(&root).at("find", &root)?;
            removal::remove(&target)?;
            if target != root && fs::symlink_metadata(&root).is_ok_and(|link| link.is_symlink()) {
                fs::remove_file(&root).at("remove", &root)?;
            }
        }
        Ok(())
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The entry if it is there. Marks it as used.
    #[must_use]
    pub fn find(&self, kind: &str, key: &Key) -> Option<PathBuf> {
        let path = self.root.join(kind).join(key.as_str());
        path.is_dir().then_some(path)
    }

    /// The entry, made by `make` in the empty directory it is given if it is not there yet.
    /// If another builder is making it, this one waits.
    ///
    /// # Errors
    /// What `make` returns; the half-made entry is then removed.
    pub fn find_or_make(
        &self,
        shell: &Shell,
        kind: &str,
        key: &Key,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        if let Some(path) = self.find(kind, key) {
            return Ok(path);
        }
        let parent = self.root.join(kind);
        let _lock = lock(shell, &parent.join(format!("{}.lock", key.as_str())))?;
        if let Some(path) = self.find(kind, key) {
            return Ok(path);
        }
        let prefix = format!("{}.", &key.as_str()[..16]);
        remove_partial(&parent, &prefix)?;
        let staging = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(PARTIAL_SUFFIX)
            .tempdir_in(&parent)
            .at("create a directory in", &parent)?;
        make(staging.path())?;
        durable::sync_tree(staging.path())?;
        let place = parent.join(key.as_str());
        fs::rename(staging.path(), &place).at("create", &place)?;
        // The directory has its final name: there is nothing left to clean up.
        let _renamed = staging.keep();
        durable::sync(&parent)?;
        Ok(place)
    }

    /// A directory for work that is not an entry, such as a compiler's own
    /// incremental state. The caller guards it with [`lock`].
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn workspace(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join("work").join(name);
        fs::create_dir_all(&path).at("create", &path)?;
        Ok(path)
    }
}

/// Takes the lock file at `path`, making it and its directory if need be and waiting for its
/// holder; dropping the file releases it.
///
/// # Errors
/// If the file cannot be made or locked.
pub fn lock(shell: &Shell, path: &Path) -> Result<File> {
    loop {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).at("create", parent)?;
        }
        let file = File::options().create(true).append(true).open(path).at("create", path)?;
        wait_for(shell, &file, path)?;
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

/// Takes the exclusive lock of an open file.
fn wait_for(shell: &Shell, file: &File, path: &Path) -> Result<()> {
    if file.try_lock().is_err() {
        let step = shell.step("wait for another builder");
        file.lock().at("lock", path)?;
        step.done("");
    }
    Ok(())
}

/// Whether an open file is the one at `path` still. Who held its lock may have removed it: then
/// it guards nothing.
fn is_at(file: &File, path: &Path) -> Result<bool> {
    let ours = file.metadata().at("read", path)?;
    Ok(fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
}

/// Removes what builders that were killed have left of an entry whose lock the caller holds.
fn remove_partial(parent: &Path, prefix: &str) -> Result<()> {
    for entry in fs::read_dir(parent).at("read", parent)? {
        let path = entry.at("read", parent)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(prefix) && name.ends_with(PARTIAL_SUFFIX) {
            fs::remove_dir_all(&path).at("remove", &path)?;
        }
    }
    Ok(())
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of a file's content, as 64 hexadecimal digits. Its holes count as the zeros that
/// they are, and are not read.
///
/// # Errors
/// If it cannot be read.
pub fn file_sha256(path: &Path) -> Result<String> {
    let file = File::open(path).at("read", path)?;
    let mut digest = Sha256::new();
    sparse_file::read_all(&file, |bytes| digest.update(bytes)).at("read", path)?;
    Ok(hex(&digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_made_once_and_a_failed_one_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("c")).unwrap();
        let shell = Shell::new(true);
        let key = KeyBuilder::new("test 1").part("a", "b").finish();
        let failed = cache.find_or_make(&shell, "kind", &key, |path| {
            fs::write(path.join("half"), "x").unwrap();
            Err(Error::failure("no"))
        });
        assert!(failed.is_err());
        assert!(cache.find("kind", &key).is_none());
        let make = |path: &Path| fs::write(path.join("f"), "x").at("write", path);
        let path = cache.find_or_make(&shell, "kind", &key, make).unwrap();
        assert_eq!(fs::read_to_string(path.join("f")).unwrap(), "x");
        let again = cache.find_or_make(&shell, "kind", &key, |_| Err(Error::failure("made twice")));
        assert_eq!(again.unwrap(), path);
        let rest = fs::read_dir(cache.root().join("kind")).unwrap().count();
        assert_eq!(rest, 2, "the entry and its lock, no partial directory");
    }

    #[test]
    fn what_a_killed_builder_left_is_removed_by_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("c")).unwrap();
        let key = KeyBuilder::new("test 1").finish();
        let kind = cache.root().join("kind");
        let left = kind.join(format!("{}.abc{PARTIAL_SUFFIX}", &key.as_str()[..16]));
        let others = kind.join(format!("{}.abc{PARTIAL_SUFFIX}", "0".repeat(16)));
        for path in [&left, &others] {
            fs::create_dir_all(path.join("linux")).unwrap();
        }
        cache.find_or_make(&Shell::new(true), "kind", &key, |_| Ok(())).unwrap();
        assert!(!left.exists() && others.exists());
    }

    #[test]
    fn a_lock_that_was_removed_while_one_waited_is_taken_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out/lock");
        let shell = Shell::new(true);
        let first = lock(&shell, &path).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lock(&Shell::new(true), &path).unwrap());
            fs::remove_dir_all(path.parent().unwrap()).unwrap();
            drop(first);
            let second = waiting.join().unwrap();
            assert!(is_at(&second, &path).unwrap());
        });
    }

    #[test]
    fn the_cache_is_removed_once_nobody_uses_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("c");
        let user = Cache::at(root.clone()).unwrap();
        let remover = Cache::at(root.clone()).unwrap();
        std::thread::scope(|scope| {
            let removing = scope.spawn(|| remover.remove(&Shell::new(true)));
            let used = user.workspace("w").unwrap();
            assert!(used.is_dir(), "while it is used it stays");
            drop(user);
            removing.join().unwrap().unwrap();
        });
        assert!(!root.exists());
    }

    #[test]
    fn a_hole_is_hashed_and_not_read() {
        // What this thread has read (proc_pid_io(5)); not every kernel counts it.
        let read_bytes = || -> Option<u64> {
            let text = fs::read_to_string("/proc/thread-self/io").ok()?;
            text.lines().find_map(|line| line.strip_prefix("rchar: "))?.parse().ok()
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        fs::write(&path, "begin").unwrap();
        let len_bytes = 64 << 20;
        File::options().write(true).open(&path).unwrap().set_len(len_bytes).unwrap();
        let before = read_bytes();
        let digest = file_sha256(&path).unwrap();
        let after = read_bytes();
        assert_eq!(digest, hex(&Sha256::digest(fs::read(&path).unwrap())));
        match before.zip(after) {
            Some((before, after)) => assert!(after - before < len_bytes / 2, "{}", after - before),
            None => println!("skipped: the kernel does not count what is read"),
        }
    }
}
