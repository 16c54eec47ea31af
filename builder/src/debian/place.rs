//! Putting what packages hold into a tree: chosen paths of those that are
//! named, and of their dependencies what programs of the tree need to run.
//!
//! A path of a package goes where the links of the tree lead, so that
//! `/lib/x` becomes `/usr/lib/x` where `/lib` is a link. Directories that are
//! there keep their mode and owner.

use std::collections::BTreeMap;

use super::deb::{Entry, EntryKind};
use super::store::Unpacked;
use crate::elf::closure::{self, Missing};
use crate::elf::machine::Machines;
use crate::error::{Error, IoContext, Result};
use crate::tree::pattern::Pattern;
use crate::tree::{Content, FileTree, Node, NodeKind, TreePath, links};

/// What is left out unless patterns ask for it: documentation and translations.
const LEFT_OUT: [&str; 7] = [
    "!/usr/share/doc",
    "!/usr/share/man",
    "!/usr/share/info",
    "!/usr/share/locale",
    "!/usr/share/lintian",
    "!/usr/share/doc-base",
    "!/usr/share/bug",
];
/// Most links from a library's name to its file.
const LINKS_MAX: usize = 8;

/// A package that may give what programs need.
#[derive(Clone, Debug)]
pub struct Store<'p> {
    package: &'p Unpacked,
    /// What it does not give.
    left_out: Vec<Pattern>,
}

impl<'p> Store<'p> {
    /// A package that gives whatever is needed, but for what patterns with `!` take out.
    #[must_use]
    pub fn new(package: &'p Unpacked, patterns: &[Pattern]) -> Self {
        let left_out = patterns.iter().filter(|one| one.is_exclusion).cloned().collect();
        Self { package, left_out }
    }
}

/// Adds what the patterns choose of a package, and returns the indices of those
/// that fit nothing in it.
///
/// # Errors
/// If something is there already, and `may_replace` does not allow it.
pub fn add(
    tree: &mut FileTree,
    package: &Unpacked,
    patterns: &[Pattern],
    origin: &str,
    may_replace: bool,
) -> Result<Vec<usize>> {
    let mut left_out = Vec::new();
    if patterns.iter().all(|pattern| pattern.is_exclusion) {
        for pattern in LEFT_OUT {
            left_out.push(Pattern::parse(pattern).map_err(Error::internal)?);
        }
    }
    let mut is_used = vec![false; patterns.len()];
    let mut placer = Placer::new(package, origin, may_replace);
    for entry in &package.entries {
        let written = TreePath::new(&entry.path)?;
        let place = links::behind(tree, &written)?;
        let mut is_wanted = patterns.iter().all(|pattern| pattern.is_exclusion);
        for (pattern, is_used) in patterns.iter().zip(&mut is_used) {
            if pattern.covers(&written) || pattern.covers(&place) {
                *is_used = true;
                is_wanted |= !pattern.is_exclusion;
            }
        }
        let mut exclusions = patterns.iter().chain(&left_out).filter(|one| one.is_exclusion);
        if is_wanted && !exclusions.any(|one| one.covers(&written) || one.covers(&place)) {
            placer.place(tree, entry)?;
        }
    }
    Ok((0..patterns.len()).filter(|index| !is_used[*index]).collect())
}

/// Adds from `stores` every loader and library that a program or library of the
/// tree needs and does not find in it, and what those need in turn.
/// Returns the indices of the packages that gave something.
///
/// # Errors
/// If something cannot be read. What nobody has stays missing.
pub fn add_needed(
    tree: &mut FileTree,
    machines: Machines,
    stores: &[Store<'_>],
) -> Result<Vec<usize>> {
    let mut used = vec![false; stores.len()];
    let mut origins = Vec::new();
    for store in stores {
        let Unpacked { locked, .. } = store.package;
        origins.push(format!("package {} {}, a dependency", locked.name, locked.version));
    }
    let mut placers: Vec<Placer<'_>> = stores
        .iter()
        .zip(&origins)
        .map(|(store, origin)| Placer::new(store.package, origin, false))
        .collect();
    loop {
        let mut has_added = false;
        for missing in closure::check(tree, machines)?.into_iter().filter_map(|one| one.missing) {
            let Some((index, entry)) = find(tree, stores, &missing)? else { continue };
            let place = links::behind(tree, &TreePath::new(&entry.path)?)?;
            // Another may have needed it in this very round.
            if tree.get(&place).is_some() {
                continue;
            }
            placers[index].place_with_target(tree, entry)?;
            used[index] = true;
            has_added = true;
        }
        if !has_added {
            return Ok((0..stores.len()).filter(|index| used[*index]).collect());
        }
    }
}

/// The entry of a store that would be found where it is missed.
fn find<'p>(
    tree: &FileTree,
    stores: &[Store<'p>],
    missing: &Missing,
) -> Result<Option<(usize, &'p Entry)>> {
    let mut places = Vec::new();
    if missing.directories.is_empty() {
        places.push(links::behind(tree, &TreePath::new(&missing.name)?)?);
    }
    for directory in &missing.directories {
        let Ok(directory) = TreePath::new(directory) else { continue };
        let directory = links::resolve(tree, &directory)?;
        let path = [directory.as_bytes(), b"/", &missing.name].concat();
        places.extend(TreePath::new(path).ok());
    }
    for place in &places {
        for (index, Store { package, left_out }) in stores.iter().enumerate() {
            if package.locked.arch != missing.machine.debian() {
                continue;
            }
            for entry in &package.entries {
                if matches!(entry.kind, EntryKind::Directory)
                    || !entry.path.as_bytes().ends_with(place.file_name())
                {
                    continue;
                }
                let written = TreePath::new(&entry.path)?;
                let is_left_out =
                    || left_out.iter().any(|one| one.covers(&written) || one.covers(place));
                if links::behind(tree, &written)? == *place && !is_left_out() {
                    return Ok(Some((index, entry)));
                }
            }
        }
    }
    Ok(None)
}

/// Puts entries of one package into a tree.
struct Placer<'a> {
    package: &'a Unpacked,
    origin: &'a str,
    may_replace: bool,
    /// The package's entries by their paths in it.
    entries: BTreeMap<&'a str, &'a Entry>,
    /// Where regular files of the package went, by their paths in it.
    placed: BTreeMap<&'a str, TreePath>,
}

impl<'a> Placer<'a> {
    fn new(package: &'a Unpacked, origin: &'a str, may_replace: bool) -> Self {
        let entries = package.entries.iter().map(|entry| (entry.path.as_str(), entry)).collect();
        Self { package, origin, may_replace, entries, placed: BTreeMap::new() }
    }

    fn place(&mut self, tree: &mut FileTree, entry: &'a Entry) -> Result<()> {
        self.place_parents(tree, &entry.path)?;
        if matches!(entry.kind, EntryKind::Directory) {
            return self.place_directory(tree, entry);
        }
        let path = links::behind(tree, &TreePath::new(&entry.path)?)?;
        let node = self.node(entry)?;
        if self.is_shared(tree, &path, &node)? {
            return Ok(());
        }
        if matches!(node.kind, NodeKind::File(_)) {
            self.placed.insert(&entry.path, path.clone());
        }
        tree.insert_or_replace(path, node, self.may_replace)
    }

    /// An entry, and where it is a link what it leads to.
    fn place_with_target(&mut self, tree: &mut FileTree, entry: &'a Entry) -> Result<()> {
        let mut next = Some(entry);
        for _ in 0..LINKS_MAX {
            let Some(entry) = next else { break };
            let path = links::behind(tree, &TreePath::new(&entry.path)?)?;
            if tree.get(&path).is_none() {
                self.place(tree, entry)?;
            }
            let EntryKind::Symlink(_) = entry.kind else { break };
            let target = links::resolve(tree, &path)?;
            next = None;
            for (written, entry) in &self.entries {
                if written.as_bytes().ends_with(target.file_name())
                    && links::behind(tree, &TreePath::new(written)?)? == target
                {
                    next = Some(*entry);
                }
            }
        }
        Ok(())
    }

    /// The directories above a path, as the package has them.
    fn place_parents(&self, tree: &mut FileTree, path: &str) -> Result<()> {
        for (end, _) in path.match_indices('/') {
            if let Some(entry) = self.entries.get(&path[..end])
                && matches!(entry.kind, EntryKind::Directory)
            {
                self.place_directory(tree, entry)?;
            }
        }
        Ok(())
    }

    fn place_directory(&self, tree: &mut FileTree, entry: &Entry) -> Result<()> {
        let path = links::resolve(tree, &TreePath::new(&entry.path)?)?;
        match tree.get(&path).map(|node| &node.kind) {
            Some(NodeKind::Directory) => Ok(()),
            _ => tree.insert(path, self.node(entry)?),
        }
    }

    fn node(&self, entry: &Entry) -> Result<Node> {
        let (kind, mode) = match &entry.kind {
            EntryKind::Directory => (NodeKind::Directory, entry.mode),
            EntryKind::Symlink(target) => (NodeKind::Symlink(target.as_bytes().into()), 0o777),
            EntryKind::File { content, size_bytes } => {
                (NodeKind::File(self.content(content, *size_bytes)), entry.mode)
            }
            EntryKind::HardLink(target) => match self.placed.get(target.as_str()) {
                Some(path) => (NodeKind::HardLink(path.clone()), entry.mode),
                // The other name was left out: the file is here under this one.
                None => match self.entries.get(target.as_str()).map(|entry| &entry.kind) {
                    Some(EntryKind::File { content, size_bytes }) => {
                        (NodeKind::File(self.content(content, *size_bytes)), entry.mode)
                    }
                    _ => {
                        let Entry { path, .. } = entry;
                        return Err(Error::failure(format!(
                            "{}: /{path} is a hard link to /{target}, which is no file of it",
                            self.origin
                        )));
                    }
                },
            },
        };
        let node = Node::new(kind, mode, self.origin);
        Ok(Node { uid: entry.uid, gid: entry.gid, ..node })
    }

    fn content(&self, name: &str, size_bytes: u64) -> Content {
        Content::HostFile { path: self.package.directory.join(name), size_bytes }
    }

    /// Whether the very same file is there already, as packages for two
    /// architectures share them (Debian's `Multi-Arch: same`).
    fn is_shared(&self, tree: &FileTree, path: &TreePath, new: &Node) -> Result<bool> {
        let Some(old) = tree.get(path) else { return Ok(false) };
        if !old.origin.contains(&format!("package {} ", self.package.locked.name)) {
            return Ok(false);
        }
        match (&old.kind, &new.kind) {
            (NodeKind::File(old), NodeKind::File(new)) => {
                Ok(old.len() == new.len() && bytes(old)? == bytes(new)?)
            }
            (NodeKind::Symlink(old), NodeKind::Symlink(new)) => Ok(old == new),
            _ => Ok(false),
        }
    }
}

fn bytes(content: &Content) -> Result<Vec<u8>> {
    match content {
        Content::Bytes(bytes) => Ok(bytes.to_vec()),
        Content::HostFile { path, .. } => std::fs::read(path).at("read", path),
    }
}

#[cfg(test)]
mod tests;
