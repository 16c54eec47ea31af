//! Putting an entry on the disk before it has its name. After a power cut a file that was
//! renamed and not synced can be there and empty, and nobody looks into a finished entry again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result};

/// How many files and directories are synced each for itself. Of more, the whole file system is
/// synced at once, with what others have written there.
const FEW: usize = 256;

/// Syncs a directory and all that is below it.
///
/// # Errors
/// If something cannot be read, or the disk is full or broken.
pub(super) fn sync_tree(directory: &Path) -> Result<()> {
    if let Some(paths) = few_in(directory)? {
        return paths.iter().try_for_each(|path| sync(path));
    }
    let file = File::open(directory).at("open", directory)?;
    rustix::fs::syncfs(&file).map_err(std::io::Error::from).at("write", directory)
}

/// Syncs a file, or a directory's list of names.
///
/// # Errors
/// See [`sync_tree`].
pub(super) fn sync(path: &Path) -> Result<()> {
    File::open(path).at("open", path)?.sync_all().at("write", path)
}

/// A directory and all the files and directories below it, if they are few. What else there is
/// is no more than a name in its directory.
fn few_in(directory: &Path) -> Result<Option<Vec<PathBuf>>> {
    let mut found = vec![directory.to_owned()];
    let mut pending = vec![directory.to_owned()];
    while let Some(parent) = pending.pop() {
        for entry in fs::read_dir(&parent).at("read", &parent)? {
            let entry = entry.at("read", &parent)?;
            let path = entry.path();
            let kind = entry.file_type().at("read", &path)?;
            if kind.is_dir() {
                pending.push(path.clone());
            }
            if kind.is_dir() || kind.is_file() {
                found.push(path);
            }
            if found.len() > FEW {
                return Ok(None);
            }
        }
    }
    Ok(Some(found))
}

#[cfg(test)]
pub(super) mod tests {
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

    use super::*;
    use crate::cache::{Cache, KeyBuilder};
    use crate::shell::Shell;

    /// What was done so far to what is watched: by which watch, what, and of which name in it.
    pub(in crate::cache) fn events(watches: &OwnedFd) -> Vec<(i32, ReadFlags, String)> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(watches, &mut buffer);
        let mut seen = Vec::new();
        while let Ok(event) = reader.next() {
            let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
            seen.push((event.wd(), event.events(), name.unwrap_or_default()));
        }
        seen
    }

    #[test]
    fn an_entry_is_synced_before_it_has_its_name_and_its_parent_after() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("c")).unwrap();
        let key = KeyBuilder::new("test 1").finish();
        // What is synced is opened for it, which shows; that it is synced does not.
        let watches = inotify::init(CreateFlags::NONBLOCK).unwrap();
        let watch = |path: &Path| {
            inotify::add_watch(&watches, path, WatchFlags::OPEN | WatchFlags::MOVED_TO).unwrap()
        };
        let mut watched = (0, 0, 0);
        let make = |path: &Path| {
            let below = path.join("d");
            fs::create_dir(&below).unwrap();
            fs::write(below.join("f"), "x").unwrap();
            watched = (watch(path), watch(&below), watch(path.parent().unwrap()));
            Ok(())
        };
        cache.find_or_make(&Shell::new(true), "kind", &key, make).unwrap();

        let (staging, below, kind) = watched;
        let seen = events(&watches);
        let at = |watch, what, name: &str| {
            let is_it = |event: &(i32, ReadFlags, String)| {
                event.0 == watch && event.1.contains(what) && event.2 == name
            };
            seen.iter().rposition(is_it).unwrap_or_else(|| panic!("no {name:?} in {seen:?}"))
        };
        let named = at(kind, ReadFlags::MOVED_TO, key.as_str());
        assert!(at(below, ReadFlags::OPEN, "f") < named);
        assert!(at(below, ReadFlags::OPEN, "") < named);
        assert!(at(staging, ReadFlags::OPEN, "") < named);
        assert!(named < at(kind, ReadFlags::OPEN, ""));
    }

    #[test]
    fn of_many_files_the_whole_file_system_is_synced() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("d");
        fs::create_dir(&below).unwrap();
        std::os::unix::fs::symlink("nowhere", below.join("link")).unwrap();
        for number in 0..FEW - 2 {
            fs::write(below.join(number.to_string()), "x").unwrap();
        }
        assert_eq!(few_in(directory.path()).unwrap().map(|paths| paths.len()), Some(FEW));
        fs::write(below.join("one more"), "x").unwrap();
        assert!(few_in(directory.path()).unwrap().is_none());
        sync_tree(directory.path()).unwrap();
    }
}
