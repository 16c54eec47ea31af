//! The digest of a source tree that somebody else owns and may change.
//!
//! Reading 1.5 GB on every build would be slow, so the digest of the content is
//! remembered under a digest of every file's path, size, times and inode, which
//! takes one stat(2) per file. A changed file changes that, and is read again.

use std::fs::{self, DirEntry};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use crate::cache::{Cache, KeyBuilder, hex, memo};
use crate::error::{Error, IoContext, Result};
use crate::shell::Shell;

/// Version control data beside the sources is not part of them.
const NOT_SOURCE: &str = ".git";

/// A part of the tree that one thread digests.
struct Unit {
    directory: PathBuf,
    /// Whether directories below belong to it, or are units of their own.
    is_deep: bool,
}

/// What of a file goes into a digest.
#[derive(Clone, Copy)]
enum Aspect {
    /// What stat(2) says; changes whenever the content could have changed.
    Identity,
    /// Its bytes, and whether it is executable.
    Content,
}

/// The digest of everything in the tree at `root`, as 64 hexadecimal digits.
///
/// # Errors
/// If a file cannot be read, or the kernel was built inside the tree.
pub fn digest(shell: &Shell, cache: &Cache, root: &Path) -> Result<String> {
    refuse_built_tree(root)?;
    let identity = digest_aspect(root, Aspect::Identity)?;
    let key = KeyBuilder::new("kernel tree 1")
        .part("root", root.as_os_str().as_encoded_bytes())
        .part("identity", identity)
        .finish();
    memo::recall(shell, cache, &key, || {
        let step = shell.step("read the kernel source tree");
        let content = hex(&digest_aspect(root, Aspect::Content)?);
        step.done("");
        Ok(content)
    })
}

/// A tree that was built in place holds a configuration that would leak into
/// ours; make refuses it too, but only later and with less to say.
fn refuse_built_tree(root: &Path) -> Result<()> {
    let traces = [".config", "include/config", "include/generated"];
    match traces.iter().find(|trace| root.join(trace).exists()) {
        None => Ok(()),
        Some(trace) => Err(Error::definition(format!(
            "the kernel source {} was built in place: it has {trace}",
            root.display()
        ))
        .hint(format!("run `make -C {} mrproper`, or give a clean tree", root.display()))),
    }
}

fn digest_aspect(root: &Path, aspect: Aspect) -> Result<[u8; 32]> {
    let units = units(root)?;
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![None; units.len()]);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(root, aspect, &units, &next, &results)))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().map_err(|_| Error::internal("a thread that reads the sources died"))?
        })
    })?;
    let mut digest = Sha256::new();
    let results = results.into_inner().map_err(|_| Error::internal("a digest was lost"))?;
    for part in results {
        digest.update(part.ok_or_else(|| Error::internal("a directory was not digested"))?);
    }
    Ok(digest.finalize().into())
}

fn work(
    root: &Path,
    aspect: Aspect,
    units: &[Unit],
    next: &AtomicUsize,
    results: &Mutex<Vec<Option<[u8; 32]>>>,
) -> Result<()> {
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(unit) = units.get(index) else { return Ok(()) };
        let mut digest = Sha256::new();
        visit(root, &unit.directory, unit.is_deep, aspect, &mut digest)?;
        if let Ok(mut results) = results.lock()
            && let Some(place) = results.get_mut(index)
        {
            *place = Some(digest.finalize().into());
        }
    }
}

/// The tree cut at its second level, in an order that depends on names alone.
fn units(root: &Path) -> Result<Vec<Unit>> {
    let mut units = vec![Unit { directory: root.to_owned(), is_deep: false }];
    for first in subdirectories(root)? {
        if first.file_name().is_some_and(|name| name == NOT_SOURCE) {
            continue;
        }
        let second = subdirectories(&first)?;
        units.push(Unit { directory: first, is_deep: false });
        units.extend(second.into_iter().map(|directory| Unit { directory, is_deep: true }));
    }
    Ok(units)
}

fn subdirectories(directory: &Path) -> Result<Vec<PathBuf>> {
    Ok(sorted_entries(directory)?
        .into_iter()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect())
}

fn sorted_entries(directory: &Path) -> Result<Vec<DirEntry>> {
    let mut entries: Vec<DirEntry> = fs::read_dir(directory)
        .at("read", directory)?
        .collect::<std::io::Result<_>>()
        .at("read", directory)?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

fn visit(
    root: &Path,
    directory: &Path,
    is_deep: bool,
    aspect: Aspect,
    digest: &mut Sha256,
) -> Result<()> {
    let name = directory.strip_prefix(root).unwrap_or(directory).as_os_str().as_encoded_bytes();
    update(digest, name);
    for entry in sorted_entries(directory)? {
        let path = entry.path();
        let kind = entry.file_type().at("read", &path)?;
        // A file in a work tree of its own.
        if directory == root && entry.file_name() == NOT_SOURCE {
            continue;
        }
        if kind.is_dir() {
            if is_deep {
                visit(root, &path, is_deep, aspect, digest)?;
            }
            continue;
        }
        update(digest, entry.file_name().as_encoded_bytes());
        let metadata = entry.metadata().at("read", &path)?;
        match aspect {
            Aspect::Identity => {
                for number in [metadata.size(), metadata.ino(), u64::from(metadata.mode())] {
                    digest.update(number.to_le_bytes());
                }
                for time in [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime()] {
                    digest.update(time.to_le_bytes());
                }
            }
            Aspect::Content if kind.is_symlink() => {
                update(
                    digest,
                    fs::read_link(&path).at("read", &path)?.as_os_str().as_encoded_bytes(),
                );
            }
            Aspect::Content => {
                digest.update([u8::from(metadata.mode() & 0o100 != 0)]);
                update(digest, &fs::read(&path).at("read", &path)?);
            }
        }
    }
    Ok(())
}

/// A field with its length, so that neighbours cannot trade bytes.
fn update(digest: &mut Sha256, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_le_bytes());
    digest.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in [("Makefile", "a"), ("fs/Kconfig", "b"), ("fs/ext4/x/y.c", "c")] {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    #[test]
    fn the_digest_follows_the_content_and_not_the_place() {
        let cache_directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(cache_directory.path().join("c")).unwrap();
        let shell = Shell::new(true);
        let (one, two) = (tree(), tree());
        let first = digest(&shell, &cache, one.path()).unwrap();
        assert_eq!(first, digest(&shell, &cache, two.path()).unwrap(), "same content");
        assert_eq!(first, digest(&shell, &cache, one.path()).unwrap(), "remembered");
        fs::create_dir(one.path().join(".git")).unwrap();
        fs::write(one.path().join(".git/HEAD"), "x").unwrap();
        assert_eq!(first, digest(&shell, &cache, one.path()).unwrap(), ".git is no source");
        fs::remove_dir_all(one.path().join(".git")).unwrap();
        fs::write(one.path().join(".git"), "gitdir: /somewhere").unwrap();
        assert_eq!(first, digest(&shell, &cache, one.path()).unwrap(), "nor is a work tree's");
        fs::write(one.path().join("fs/ext4/x/y.c"), "d").unwrap();
        let changed = digest(&shell, &cache, one.path()).unwrap();
        assert_ne!(first, changed, "one byte of one file");
        fs::write(one.path().join("fs/ext4/x/y.c"), "c").unwrap();
        assert_eq!(first, digest(&shell, &cache, one.path()).unwrap(), "and back");
        fs::rename(one.path().join("fs/ext4/x/y.c"), one.path().join("fs/ext4/x/z.c")).unwrap();
        assert_ne!(first, digest(&shell, &cache, one.path()).unwrap(), "a renamed file");
    }

    #[test]
    fn a_tree_that_was_built_in_place_is_refused_with_the_remedy() {
        let cache_directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(cache_directory.path().join("c")).unwrap();
        let tree = tree();
        fs::write(tree.path().join(".config"), "").unwrap();
        let error = digest(&Shell::new(true), &cache, tree.path()).unwrap_err().to_string();
        assert!(error.contains("mrproper") && error.contains(".config"), "{error}");
    }
}
