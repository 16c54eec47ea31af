//! The file tree that every format consumes.
//!
//! A [`FileTree`] says what the target's file system holds: type, mode, owner,
//! time and content of every path. It comes from definitions and tables, never
//! from the host's own owners and modes, which is why building an image needs
//! neither root nor fakeroot. Iteration is in byte order of the paths, so a
//! directory always comes before what is in it.

pub mod device_table;
mod hard_links;
pub mod host;
pub mod links;
pub mod pattern;
pub mod skeleton;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Error, Result};
use hard_links::HardLinks;

/// A path on the target without its leading `/`; the root is empty. Components
/// are not empty, not `.` and not `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TreePath(Box<[u8]>);

/// One entry of the tree.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits, `0o7777` at most.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Extended attributes by full name, such as `security.capability`.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What brought it here, for messages: `rootfs/device_table.txt:12`, `service logd`.
    pub origin: Arc<str>,
}

/// The type of an entry and what goes with it.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link and its target.
    Symlink(Box<[u8]>),
    /// A further name of the regular file at this path.
    HardLink(TreePath),
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// A regular file's content.
#[derive(Clone, Debug)]
pub enum Content {
    /// Bytes in memory.
    Bytes(Arc<[u8]>),
    /// A file on the host, with its size in bytes when it was added.
    HostFile {
        /// Where it is.
        path: PathBuf,
        /// How long it is; a format fails if it has changed since.
        size_bytes: u64,
    },
}

impl Content {
    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::HostFile { size_bytes, .. } => *size_bytes,
        }
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Node {
    /// An entry owned by root, without extended attributes.
    #[must_use]
    pub fn new(kind: NodeKind, mode: u16, origin: impl Into<Arc<str>>) -> Self {
        Self { kind, mode, uid: 0, gid: 0, xattrs: BTreeMap::new(), origin: origin.into() }
    }
}

impl TreePath {
    /// The root directory.
    #[must_use]
    pub fn root() -> Self {
        Self(Box::default())
    }

    /// Checks a path, with or without its leading `/`.
    ///
    /// # Errors
    /// If it has a `..`, a NUL byte or a component of more than 255 bytes.
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = path.as_ref();
        let shown = || String::from_utf8_lossy(bytes);
        let mut clean = Vec::with_capacity(bytes.len());
        for component in bytes.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return Err(Error::definition(format!("the path {} has a `..`", shown()))),
                _ if component.len() > 255 => {
                    return Err(Error::definition(format!(
                        "the path {} has a component of more than 255 bytes",
                        shown()
                    )));
                }
                _ if component.contains(&0) => {
                    return Err(Error::definition(format!(
                        "the path {:?} has a NUL byte",
                        shown()
                    )));
                }
                _ => {}
            }
            if !clean.is_empty() {
                clean.push(b'/');
            }
            clean.extend_from_slice(component);
        }
        Ok(Self(clean.into()))
    }

    /// The path of what a host directory that is at this path calls `name`: a
    /// kernel gives no name that [`TreePath::new`] would refuse.
    fn child(&self, name: &std::ffi::CStr) -> Self {
        let slash: &[u8] = if self.0.is_empty() { b"" } else { b"/" };
        Self([&self.0, slash, name.to_bytes()].concat().into())
    }

    /// The bytes, without a leading `/`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The directory it is in; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Some(Self(self.0[..end].into()))
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }
}

/// Lets a tree be asked for a path in bytes, without an allocation.
impl Borrow<[u8]> for TreePath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// With its leading `/`, as a person writes it.
impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Longest target of a symbolic link, in bytes: `PATH_MAX` without the NUL.
pub const LINK_TARGET_MAX_BYTES: usize = 4095;

/// What the target's file system holds. It always has its root directory.
#[derive(Clone, Debug)]
pub struct FileTree {
    nodes: BTreeMap<TreePath, Node>,
    hard_links: HardLinks,
}

impl Default for FileTree {
    fn default() -> Self {
        let root = Node::new(NodeKind::Directory, 0o755, "the root directory");
        let nodes = BTreeMap::from([(TreePath::root(), root)]);
        Self { nodes, hard_links: HardLinks::default() }
    }
}

impl FileTree {
    /// A tree with nothing but its root directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree of many entries at once, in any order, the root among them or not.
    ///
    /// # Errors
    /// If a path comes twice, or one's directory is not among them.
    pub fn from_entries(mut entries: Vec<(TreePath, Node)>) -> Result<Self> {
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let [(path, first), (_, second)] = [&pair[0], &pair[1]];
            return Err(Error::definition(format!(
                "{path} comes both from {} and from {}",
                first.origin, second.origin
            )));
        }
        let hard_links = HardLinks::of(&entries);
        let mut tree = Self { nodes: entries.into_iter().collect(), hard_links };
        if !tree.nodes.contains_key(b"".as_slice()) {
            tree.nodes.extend(Self::new().nodes);
        }
        // The last directory that was found to be one: its neighbours lie there too.
        let mut known: &[u8] = b"";
        for (path, node) in tree.nodes.iter().skip(1) {
            let end = path.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            let parent = &path.0[..end];
            if parent == known {
                continue;
            }
            if !matches!(tree.get_bytes(parent), Some(Node { kind: NodeKind::Directory, .. })) {
                return Err(Error::definition(format!(
                    "{path} (from {}) lies in no directory",
                    node.origin
                )));
            }
            known = parent;
        }
        Ok(tree)
    }

    /// Adds an entry, and the directories above it (root's, mode 0755) where
    /// they are missing. A directory may be added again and then takes the new
    /// mode and owner.
    ///
    /// # Errors
    /// If the path is taken by something else, or runs through a file. The
    /// message names both origins.
    pub fn insert(&mut self, path: TreePath, node: Node) -> Result<()> {
        self.add(path, node, "let one of the two go")
    }

    /// Adds an entry of something that may say `replace`: if it does, in place of what is there.
    ///
    /// # Errors
    /// See [`FileTree::insert`] and [`FileTree::replace`].
    pub fn insert_or_replace(&mut self, path: TreePath, node: Node, replace: bool) -> Result<()> {
        if replace {
            return self.replace(path, node);
        }
        // No directory gives way, nor does one take another's place.
        let is_directory = |node: &Node| matches!(node.kind, NodeKind::Directory);
        if is_directory(&node) || self.nodes.get(&path).is_some_and(is_directory) {
            return self.insert(path, node);
        }
        self.add(path, node, "let one of the two go, or mark the later one as `replace`")
    }

    /// Adds an entry; `hint` is for whoever has to do something about a path that is taken.
    fn add(&mut self, path: TreePath, node: Node, hint: &str) -> Result<()> {
        if let Some(parent) = path.parent() {
            self.insert_parents(&parent, &path, &node)?;
        }
        match self.nodes.get(&path) {
            Some(old)
                if !matches!(
                    (&old.kind, &node.kind),
                    (NodeKind::Directory, NodeKind::Directory)
                ) =>
            {
                Err(Error::definition(format!(
                    "{path} comes both from {} and from {}",
                    old.origin, node.origin
                ))
                .hint(hint))
            }
            _ => {
                self.hard_links.note(&path, &node);
                self.nodes.insert(path, node);
                Ok(())
            }
        }
    }

    /// Adds an entry in place of whatever single entry is there, for overlays
    /// whose author said so. A directory with content is not replaced, and of a
    /// file with several names the others stay what they are.
    ///
    /// # Errors
    /// See [`FileTree::insert`].
    pub fn replace(&mut self, path: TreePath, node: Node) -> Result<()> {
        if matches!(self.nodes.get(&path), Some(old) if !matches!(old.kind, NodeKind::Directory)) {
            self.remove(&path);
        }
        self.add(path, node, "let one of the two go: a directory gives way to nothing else")
    }

    fn insert_parents(&mut self, parent: &TreePath, path: &TreePath, node: &Node) -> Result<()> {
        match self.nodes.get(parent) {
            Some(Node { kind: NodeKind::Directory, .. }) => Ok(()),
            Some(other) => Err(Error::definition(format!(
                "{path} (from {}) lies below {parent}, which is no directory (from {})",
                node.origin, other.origin
            ))),
            None => {
                if let Some(grandparent) = parent.parent() {
                    self.insert_parents(&grandparent, path, node)?;
                }
                let directory = Node::new(NodeKind::Directory, 0o755, Arc::clone(&node.origin));
                self.nodes.insert(parent.clone(), directory);
                Ok(())
            }
        }
    }

    /// The entry at a path; symbolic links are not followed.
    #[must_use]
    pub fn get(&self, path: &TreePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// The entry at a path, to change its mode, owner or attributes.
    pub fn get_mut(&mut self, path: &TreePath) -> Option<&mut Node> {
        self.nodes.get_mut(path)
    }

    /// Every entry, in byte order of the paths, the root first.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Node)> {
        self.nodes.iter()
    }

    /// The entry at a path given as bytes without a leading `/`.
    #[must_use]
    pub fn get_bytes(&self, path: &[u8]) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// How many entries there are, the root included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it holds nothing but its root directory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }
}

#[cfg(test)]
mod tests;
