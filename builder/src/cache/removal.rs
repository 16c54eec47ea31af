//! Removing the cache so that a builder killed meanwhile leaves nothing that looks finished.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result};

/// What begins the name of a directory in the root that nobody looks for.
const PREFIX: &str = ".removed-";

/// Removes the root, whose exclusive lock the caller holds.
///
/// # Errors
/// If something cannot be removed.
pub(super) fn remove(root: &Path) -> Result<()> {
    sweep(root)?;
    set_aside(root)?;
    fs::remove_dir_all(root).at("remove", root)
}

/// Removes what builders that were killed in [`remove`] have left.
///
/// # Errors
/// If it cannot be removed.
pub(super) fn sweep(root: &Path) -> Result<()> {
    for (path, name) in directories(root)? {
        if name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            fs::remove_dir_all(&path).at("remove", &path)?;
        }
    }
    Ok(())
}

/// Gives each directory in the root a name that nobody looks for. It stays where it is: on a
/// full disk there may be no room for a directory to collect them in.
fn set_aside(root: &Path) -> Result<()> {
    for (path, name) in directories(root)? {
        let mut aside = OsString::from(PREFIX);
        aside.push(name);
        fs::rename(&path, root.join(aside)).at("remove", &path)?;
    }
    // A power cut must not undo a new name once what is below it is being removed.
    File::open(root).and_then(|root| root.sync_all()).at("write", root)
}

/// The directories in the root by path and name, links to some left out.
fn directories(root: &Path) -> Result<Vec<(PathBuf, OsString)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).at("read", root)? {
        let entry = entry.at("read", root)?;
        let path = entry.path();
        if entry.file_type().at("read", &path)?.is_dir() {
            found.push((path, entry.file_name()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

    use super::*;
    use crate::cache::durable::tests::events;
    use crate::cache::{Cache, Key, KeyBuilder};
    use crate::shell::Shell;

    fn fill(cache: &Cache) -> Key {
        let key = KeyBuilder::new("test 1").finish();
        let make = |path: &Path| fs::write(path.join("f"), "x").at("write", path);
        cache.find_or_make(&Shell::new(true), "kind", &key, make).unwrap();
        cache.workspace("w").unwrap();
        key
    }

    #[test]
    fn nothing_is_deleted_from_what_has_its_name_still() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("c")).unwrap();
        let key = fill(&cache);
        let watches = inotify::init(CreateFlags::NONBLOCK).unwrap();
        let entry = cache.find("kind", &key).unwrap();
        for path in [cache.root(), &entry] {
            let flags = WatchFlags::MOVED_FROM | WatchFlags::DELETE;
            inotify::add_watch(&watches, path, flags).unwrap();
        }
        cache.remove(&Shell::new(true)).unwrap();
        let seen = events(&watches);
        let at = |what, name: &str| {
            seen.iter().position(|(_, done, of)| done.contains(what) && of == name)
        };
        let (moved, deleted) = (at(ReadFlags::MOVED_FROM, "kind"), at(ReadFlags::DELETE, "f"));
        assert!(moved.is_some() && moved < deleted, "{seen:?}");
    }

    #[test]
    fn what_a_killed_removal_leaves_is_no_entry_and_goes_when_the_cache_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("c")).unwrap();
        let key = fill(&cache);
        set_aside(cache.root()).unwrap();
        assert!(cache.find("kind", &key).is_none());
        let left = || directories(cache.root()).unwrap().len();
        assert_eq!(left(), 2, "the kind and the workspaces, not deleted yet");

        let anew = Cache::at(cache.root().to_owned()).unwrap();
        assert_eq!(left(), 0);
        fill(&anew);
        Cache::at(cache.root().to_owned()).unwrap();
        assert!(anew.find("kind", &key).is_some(), "nothing else goes");
    }

    #[test]
    fn what_a_killed_removal_leaves_goes_with_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("c")).unwrap();
        fill(&cache);
        set_aside(cache.root()).unwrap();
        // The same names are there anew.
        fill(&cache);
        let root = cache.root().to_owned();
        cache.remove(&Shell::new(true)).unwrap();
        assert!(!root.exists());
    }
}
