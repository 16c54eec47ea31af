//! A host directory as a tree of its own, found by several threads at once.
//!
//! Of a host file its name, type, content and whether its owner may execute it
//! count; owner and further modes do not, so that a clone under any user and
//! umask gives the same tree. Everything is root's, 0755 or 0644. The tree does
//! not depend on the order in which the threads find it.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, RawDirEntry};

use super::{Content, FileTree, Node, NodeKind, TreePath};
use crate::error::{Error, IoContext, Result};

const THREADS_MAX: usize = 8;
/// How much of a directory is read at once, in bytes.
const LIST_BYTES: usize = 32 * 1024;

/// Everything below the host directory `root`. `origin` says for messages what it is.
///
/// # Errors
/// If something cannot be read or is of a type the tree has no content for
/// (socket, device, pipe).
pub fn scan(root: &Path, origin: &str) -> Result<FileTree> {
    let origin: Arc<str> = origin.into();
    let queue = Queue::new(root);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let parts: Vec<Result<Vec<_>>> = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| worker(&queue, &origin))).collect();
        let gone = || Err(Error::internal("a thread that reads directories is gone"));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| gone())).collect()
    });
    let mut entries = vec![(TreePath::root(), Node::new(NodeKind::Directory, 0o755, origin))];
    for part in parts {
        // Each is in order already: what is left to do is to merge them.
        entries.append(&mut part?);
    }
    FileTree::from_entries(entries)
}

/// A directory to read: its place on the host and in the tree.
struct Found {
    host: PathBuf,
    path: TreePath,
}

/// Directories nobody has read yet.
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

struct QueueState {
    waiting: Vec<Found>,
    /// Workers that may still find more.
    busy: usize,
    has_failed: bool,
}

impl Queue {
    fn new(root: &Path) -> Self {
        let waiting = vec![Found { host: root.to_path_buf(), path: TreePath::root() }];
        let state = QueueState { waiting, busy: 0, has_failed: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Found> {
        let mut state = self.lock();
        loop {
            if state.has_failed {
                return None;
            }
            if let Some(found) = state.waiting.pop() {
                state.busy += 1;
                return Some(found);
            }
            if state.busy == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, found: Vec<Found>, has_failed: bool) {
        let mut state = self.lock();
        state.busy -= 1;
        state.has_failed |= has_failed;
        state.waiting.extend(found);
        drop(state);
        self.changed.notify_all();
    }
}

fn worker(queue: &Queue, origin: &Arc<str>) -> Result<Vec<(TreePath, Node)>> {
    let mut entries = Vec::new();
    let mut buffer = Vec::with_capacity(LIST_BYTES);
    while let Some(directory) = queue.take() {
        let mut found = Vec::new();
        let result = read_directory(&directory, origin, &mut entries, &mut found, &mut buffer);
        queue.done(found, result.is_err());
        result?;
    }
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}

fn read_directory(
    directory: &Found,
    origin: &Arc<str>,
    entries: &mut Vec<(TreePath, Node)>,
    found: &mut Vec<Found>,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(&directory.host, flags, Mode::empty());
    let fd = fd.map_err(std::io::Error::from).at("read", &directory.host)?;
    let mut list = RawDir::new(&fd, buffer.spare_capacity_mut());
    while let Some(entry) = list.next() {
        let entry = entry.map_err(std::io::Error::from).at("read", &directory.host)?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let host = directory.host.join(OsStr::from_bytes(name.to_bytes()));
        let path = directory.path.child(name);
        let (kind, mode) = kind(&fd, &entry, &host)?;
        if matches!(kind, NodeKind::Directory) {
            found.push(Found { host, path: path.clone() });
        }
        entries.push((path, Node::new(kind, mode, Arc::clone(origin))));
    }
    Ok(())
}

fn kind(directory: &OwnedFd, entry: &RawDirEntry<'_>, host: &Path) -> Result<(NodeKind, u16)> {
    if entry.file_type() == FileType::Directory {
        return Ok((NodeKind::Directory, 0o755));
    }
    let name = entry.file_name();
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(std::io::Error::from)
        .at("read", host)?;
    // Some file systems give no type in their directories.
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Ok((NodeKind::Directory, 0o755)),
        FileType::RegularFile => {
            let mode = if stat.st_mode & 0o100 == 0 { 0o644 } else { 0o755 };
            let size_bytes = u64::try_from(stat.st_size).unwrap_or(0);
            let content = Content::HostFile { path: host.to_path_buf(), size_bytes };
            Ok((NodeKind::File(content), mode))
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(directory, name, Vec::new())
                .map_err(std::io::Error::from)
                .at("read", host)?;
            Ok((NodeKind::Symlink(target.into_bytes().into()), 0o777))
        }
        _ => Err(Error::definition(format!(
            "{} is neither file nor directory nor link",
            host.display()
        ))
        .hint("device nodes and pipes come from rootfs/device_table.txt")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_finds_everything_in_the_order_of_the_paths() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let mut expected = BTreeMap::new();
        for number in 0..300 {
            let (first, second) = (number % 7, number % 50);
            let place = root.join(format!("d{first}/e{second}"));
            std::fs::create_dir_all(&place).unwrap();
            std::fs::write(place.join(format!("f{number}")), vec![1; number]).unwrap();
            expected.insert(format!("/d{first}"), "755 Directory".to_owned());
            expected.insert(format!("/d{first}/e{second}"), "755 Directory".to_owned());
            let file = format!("644 {number} bytes");
            expected.insert(format!("/d{first}/e{second}/f{number}"), file);
        }
        std::os::unix::fs::symlink("d1/e1", root.join("link")).unwrap();
        expected.insert("/link".to_owned(), "777 to d1/e1".to_owned());
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(root.join("d0/e0/f0"), mode).unwrap();
        expected.insert("/d0/e0/f0".to_owned(), "755 0 bytes".to_owned());
        let shown = |(path, node): (&TreePath, &Node)| {
            let what = match &node.kind {
                NodeKind::File(content) => format!("{} bytes", content.len()),
                NodeKind::Symlink(target) => format!("to {}", String::from_utf8_lossy(target)),
                other => format!("{other:?}"),
            };
            (path.to_string(), format!("{:o} {what}", node.mode))
        };
        let found: Vec<_> = scan(root, "x").unwrap().iter().skip(1).map(shown).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let error = scan(&directory.path().join("gone"), "x").unwrap_err().to_string();
        assert!(error.starts_with("cannot read ") && error.contains("gone"), "{error}");
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let error = scan(directory.path(), "x").unwrap_err().to_string();
        assert!(error.contains("socket is neither file nor directory nor link"), "{error}");
    }
}
