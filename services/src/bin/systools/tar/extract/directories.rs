//! The directories of an archive. Mode, owner and time wait until all is in them: a mode
//! may forbid to write, and every file that is made changes the time.

use std::collections::{BTreeMap, HashSet};
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode as FileMode, OFlags, openat};

use super::attributes::{Attributes, give_open, set_mode, set_permissions, set_time};
use super::place::{is_directory, is_link, refuse_links, replace};

/// What it takes to make files in a directory.
const OWN_BITS: u32 = 0o700;

/// The directories so far.
pub(super) struct Directories {
    same_modes: bool,
    /// Those that were there stay as they are.
    keep_old: bool,
    /// Those that were not there before.
    made: HashSet<PathBuf>,
    /// Those that are not finished.
    waiting: BTreeMap<PathBuf, Attributes>,
}

impl Directories {
    pub(super) fn new(same_modes: bool, keep_old: bool) -> Self {
        Self { same_modes, keep_old, made: HashSet::new(), waiting: BTreeMap::new() }
    }

    /// Makes the directory of an entry. It takes the place of a symbolic link, which else
    /// would lead its mode and what comes into it elsewhere.
    pub(super) fn add(&mut self, target: &Path, attributes: Attributes) -> io::Result<()> {
        self.add_parents(target)?;
        if is_link(target) {
            replace(target)?;
        }
        // What will be private is so from the start.
        self.make(target, (attributes.mode & 0o777) | OWN_BITS)?;
        if !self.keep_old || self.made.contains(target) {
            self.waiting.insert(target.to_owned(), attributes);
        }
        Ok(())
    }

    /// Makes the directories above an entry, which may come before their own entries.
    pub(super) fn add_parents(&mut self, target: &Path) -> io::Result<()> {
        refuse_links(target)?;
        let Some(parent) = target.parent() else { return Ok(()) };
        if is_directory(parent) {
            return Ok(());
        }
        let mut path = PathBuf::new();
        for part in parent.components() {
            path.push(part);
            self.make(&path, 0o777)?;
        }
        Ok(())
    }

    /// Makes one directory, unless it is there.
    fn make(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        match DirBuilder::new().mode(mode).create(path) {
            Ok(()) => {
                self.made.insert(path.to_owned());
                Ok(())
            }
            Err(_) if is_directory(path) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives every directory what its entry says, and those below it first: it may become
    /// one that cannot be entered. Returns what did not work.
    pub(super) fn finish(&mut self) -> Vec<(PathBuf, io::Error)> {
        let mut failed = Vec::new();
        while let Some((path, attributes)) = self.waiting.pop_last() {
            if let Err(error) = self.finish_one(&path, attributes) {
                failed.push((path, error));
            }
        }
        failed
    }

    fn finish_one(&self, path: &Path, attributes: Attributes) -> io::Result<()> {
        let Attributes { mode, mtime, owner } = attributes;
        let directory = open(path)?;
        give_open(&directory, owner)?;
        if self.same_modes {
            set_mode(&directory, mode)?;
        } else if self.made.contains(path) {
            set_permissions(&directory, mode)?;
        }
        set_time(&directory, mtime)
    }
}

/// Opens a directory. Neither it nor one above it may be a symbolic link by now.
fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut above = openat(CWD, ".", flags | OFlags::PATH, FileMode::empty())?;
    for part in path.parent().into_iter().flat_map(Path::components) {
        above = openat(&above, part.as_os_str(), flags | OFlags::PATH, FileMode::empty())?;
    }
    Ok(openat(&above, name, flags, FileMode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    const PUBLIC: Attributes = Attributes { mode: 0o777, mtime: Some(1), owner: None };

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_directory_that_became_a_link_is_not_finished_through_it() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        let outside = place.join("outside");
        fs::create_dir_all(outside.join("below")).unwrap();
        for path in [outside.join("below"), outside.clone()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let mut directories = Directories::new(true, false);
        for name in ["itself", "above/below"] {
            directories.add(&place.join(name), PUBLIC).unwrap();
        }
        for name in ["itself", "above"] {
            fs::remove_dir_all(place.join(name)).unwrap();
            symlink(&outside, place.join(name)).unwrap();
        }
        let failed: Vec<PathBuf> = directories.finish().into_iter().map(|(path, _)| path).collect();
        assert_eq!(failed, [place.join("itself"), place.join("above/below")]);
        for path in [outside.join("below"), outside] {
            assert_eq!(mode(&path), 0o700);
            assert_ne!(fs::metadata(path).unwrap().mtime(), 1);
        }
    }

    #[test]
    fn directories_are_finished_in_whatever_order_they_come() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        let mut directories = Directories::new(false, false);
        directories.add(&place.join("a/b/c"), PUBLIC).unwrap();
        directories.add(&place.join("a"), Attributes { mode: 0, ..PUBLIC }).unwrap();
        directories.add(&place.join("a/b"), Attributes { mode: 0o500, ..PUBLIC }).unwrap();
        assert!(directories.finish().is_empty());
        assert_eq!(mode(&place.join("a")), 0);
        fs::set_permissions(place.join("a"), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!([mode(&place.join("a/b")), mode(&place.join("a/b/c"))], [0o500, 0o777]);
        assert_eq!(fs::metadata(place.join("a/b")).unwrap().mtime(), 1);
    }
}
