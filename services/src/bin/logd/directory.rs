//! The log directory: who may read it, and what gives way when it is full.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown, fchown};
use std::path::{Path, PathBuf};

use services::people::accounts;

/// The group whose members may read logs without being root.
const READERS: &str = "wheel";

/// The directory with the log files.
#[derive(Debug)]
pub(crate) struct LogDirectory {
    path: PathBuf,
    /// Group of new files; `None` leaves them to this process's own group.
    group: Option<u32>,
}

impl LogDirectory {
    /// Opens the directory, created with mode 0750 if it is missing. It and its
    /// files belong to the group `wheel` where that exists and this process is root.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        match DirBuilder::new().recursive(true).mode(0o750).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err(error),
        }
        let groups = accounts::groups().unwrap_or_default();
        let wheel = groups.into_iter().find(|group| group.name == READERS).map(|group| group.gid);
        let group = wheel.filter(|_| rustix::process::geteuid().is_root());
        if group.is_some() {
            chown(path, None, group)?;
        }
        Ok(Self { path: path.to_owned(), group })
    }

    /// Path of the file that holds the newest records of `name`.
    pub(crate) fn current(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.log"))
    }

    /// Path of the file that holds the records before those.
    pub(crate) fn rotated(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.log.1"))
    }

    /// Path of a file for the collector itself.
    pub(crate) fn private(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens or creates a log file for reading and appending, mode 0640.
    pub(crate) fn open_file(&self, path: &Path) -> io::Result<File> {
        let file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
        self.give_to_readers(&file)?;
        Ok(file)
    }

    /// Gives a new file to the group that may read logs.
    pub(crate) fn give_to_readers(&self, file: &File) -> io::Result<()> {
        if self.group.is_some() { fchown(file, None, self.group) } else { Ok(()) }
    }

    /// Removes the rotated file that was written to longest ago, of whichever
    /// service; false if there is none.
    pub(crate) fn remove_oldest_rotated(&self) -> io::Result<bool> {
        let mut rotated = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path.extension() == Some(OsStr::new("1")) {
                rotated.push((fs::metadata(&path)?.modified()?, path));
            }
        }
        match rotated.into_iter().min() {
            Some((_, path)) => fs::remove_file(path).map(|()| true),
            None => Ok(false),
        }
    }
}
