//! Block devices that somebody has written to: the kernel says nothing of a file system that
//! was made or a label that was changed, so each node is watched (inotify(7)).

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

/// The nodes that are watched.
#[derive(Debug)]
pub(crate) struct Written {
    inotify: OwnedFd,
    names: HashMap<i32, String>,
}

impl Written {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// What inotify_init1(2) says.
    pub(crate) fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { inotify, names: HashMap::new() })
    }

    /// Watches the node at `path` of the block device `name`, which sysfs knows it by. A
    /// node that is gone again, or too many of them, are no error.
    pub(crate) fn watch(&mut self, path: &Path, name: &str) {
        if let Ok(watch) = inotify::add_watch(&self.inotify, path, WatchFlags::CLOSE_WRITE) {
            self.names.insert(watch, name.to_owned());
        }
    }

    /// The names of the devices that were written to and closed since the last call.
    ///
    /// # Errors
    /// What read(2) says.
    pub(crate) fn take(&mut self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::IGNORED) => {
                    self.names.remove(&event.wd());
                }
                Ok(event) => names.extend(self.names.get(&event.wd()).cloned()),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }
}

impl AsFd for Written {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_written_to_is_named_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("vda");
        std::fs::write(&file, "").unwrap();
        let mut written = Written::new().unwrap();
        written.watch(&file, "vda");
        assert!(written.take().unwrap().is_empty());
        std::fs::read(&file).unwrap();
        assert!(written.take().unwrap().is_empty());
        std::fs::write(&file, "a").unwrap();
        std::fs::write(&file, "b").unwrap();
        assert_eq!(written.take().unwrap(), ["vda"]);
        std::fs::remove_file(&file).unwrap();
        assert!(written.take().unwrap().is_empty());
        assert!(written.names.is_empty());
    }
}
