//! Reading what `logd` wrote, and following it across rotations.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use services::problem::Context;

use crate::Result;

/// The log of one service.
#[derive(Debug)]
pub(crate) struct Log {
    directory: PathBuf,
    name: String,
    current: Option<File>,
    /// What was read behind the last newline: a line that is being written.
    partial: Vec<u8>,
    /// Whole lines that were read but not handed over.
    unread: Vec<String>,
}

impl Log {
    /// The log of `name`, which need not exist yet.
    pub(crate) fn new(directory: &Path, name: &str) -> Self {
        let name = format!("{name}.log");
        Self {
            directory: directory.to_owned(),
            name,
            current: None,
            partial: Vec::new(),
            unread: Vec::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// All lines there are, oldest first; `None` if there is no log.
    pub(crate) fn read(&mut self) -> io::Result<Option<Vec<String>>> {
        let rotated = self.directory.join(format!("{}.1", self.name));
        loop {
            self.partial.clear();
            self.current = open(&self.path())?;
            let older = open(&rotated)?;
            // The log was rotated between the two: what was opened first is now both.
            if is_same(self.current.as_ref(), older.as_ref())? {
                continue;
            }
            if self.current.is_none() && older.is_none() {
                return Ok(None);
            }
            let mut bytes = Vec::new();
            if let Some(mut older) = older {
                older.read_to_end(&mut bytes)?;
            }
            let mut lines = to_lines(&bytes);
            lines.extend(self.read_new()?);
            return Ok(Some(lines));
        }
    }

    /// The whole lines that were written since the last call.
    fn read_new(&mut self) -> io::Result<Vec<String>> {
        let mut lines = std::mem::take(&mut self.unread);
        if let Some(current) = &mut self.current {
            current.read_to_end(&mut self.partial)?;
        }
        let end = self.partial.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let whole: Vec<u8> = self.partial.drain(..end).collect();
        lines.extend(to_lines(&whole));
        Ok(lines)
    }

    /// Hands over the lines that come, for ever. Call [`Log::read`] first.
    pub(crate) fn follow(
        &mut self,
        mut show: impl FnMut(Vec<String>) -> Result<()>,
    ) -> Result<Infallible> {
        let name = self.name.clone();
        let unfollowable = || format!("cannot follow `{name}`");
        let mut changes = Changes::watch(&self.directory).context(unfollowable)?;
        loop {
            // First what came before the watch stood, then whatever it reports.
            let lines = self.read_new().context(unfollowable)?;
            if !lines.is_empty() {
                show(lines)?;
            }
            if !self.turn_over().context(unfollowable)? {
                changes.wait(&self.name).context(unfollowable)?;
            }
        }
    }

    /// Goes on to the new file if the log was rotated. Not before the old one,
    /// to which nothing is added any more, has been read to its end.
    fn turn_over(&mut self) -> io::Result<bool> {
        let next = open(&self.path())?;
        if next.is_none() || is_same(next.as_ref(), self.current.as_ref())? {
            return Ok(false);
        }
        let lines = self.read_new()?;
        if lines.is_empty() {
            self.partial.clear();
            self.current = next;
        } else {
            self.unread.extend(lines);
        }
        Ok(true)
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_same(left: Option<&File>, right: Option<&File>) -> io::Result<bool> {
    let (Some(left), Some(right)) = (left, right) else { return Ok(false) };
    let (left, right) = (left.metadata()?, right.metadata()?);
    Ok((left.dev(), left.ino()) == (right.dev(), right.ino()))
}

fn to_lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

/// News of the files in a directory.
struct Changes(inotify::Reader<'static, std::os::fd::OwnedFd>);

impl Changes {
    fn watch(directory: &Path) -> io::Result<Self> {
        let watcher = inotify::init(CreateFlags::CLOEXEC)?;
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        inotify::add_watch(&watcher, directory, flags)?;
        // One allocation for the life of the program.
        let buffer = Box::leak(vec![MaybeUninit::uninit(); 4096].into_boxed_slice());
        Ok(Self(inotify::Reader::new(watcher, buffer)))
    }

    /// Waits until something has happened to the file `name`.
    fn wait(&mut self, name: &str) -> io::Result<()> {
        loop {
            match self.0.next() {
                Ok(event) => {
                    let file = event.file_name().map(|file| OsStr::from_bytes(file.to_bytes()));
                    // Without a name it says that events were lost.
                    if file.is_none_or(|file| file == name) {
                        return Ok(());
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn both_files_are_read_and_an_unfinished_line_is_not() {
        let place = tempfile::tempdir().unwrap();
        let mut log = Log::new(place.path(), "x");
        assert!(log.read().unwrap().is_none());
        fs::write(place.path().join("x.log.1"), "one\n").unwrap();
        assert_eq!(log.read().unwrap().unwrap(), ["one"]);
        fs::write(place.path().join("x.log"), "two\nthr").unwrap();
        assert_eq!(log.read().unwrap().unwrap(), ["one", "two"]);
    }
}
