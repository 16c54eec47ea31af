//! Further names of regular files: which file a hard link is, and what becomes
//! of the others when one of a file's names is taken away.
//!
//! A tree has a file's content and attributes at one path; its further names
//! point there. They are noted by the path they point at, so that replacing
//! many files of a large tree never walks through it.

use std::collections::{BTreeMap, BTreeSet};

use super::{FileTree, Node, NodeKind, TreePath};
use crate::error::{Error, Result};

/// Paths of hard links by the path that they point at.
#[derive(Clone, Default, Debug)]
pub(super) struct HardLinks(BTreeMap<TreePath, BTreeSet<TreePath>>);

impl HardLinks {
    /// Those among these entries.
    pub(super) fn of(entries: &[(TreePath, Node)]) -> Self {
        let mut links = Self::default();
        for (path, node) in entries {
            links.note(path, node);
        }
        links
    }

    /// Notes an entry, if it is a hard link.
    pub(super) fn note(&mut self, path: &TreePath, node: &Node) {
        if let NodeKind::HardLink(target) = &node.kind {
            self.0.entry(target.clone()).or_default().insert(path.clone());
        }
    }

    fn forget(&mut self, path: &TreePath, target: &TreePath) {
        if let Some(names) = self.0.get_mut(target) {
            names.remove(path);
            if names.is_empty() {
                self.0.remove(target);
            }
        }
    }
}

impl FileTree {
    /// The file that `link`, a hard link to `target`, is a further name of.
    ///
    /// # Errors
    /// If there is no regular file at `target`.
    pub fn hard_link_target(&self, target: &TreePath, link: &Node) -> Result<(&TreePath, &Node)> {
        match self.nodes.get_key_value(target) {
            Some((path, node)) if matches!(node.kind, NodeKind::File(_)) => Ok((path, node)),
            found => {
                let what = if found.is_some() { "is no regular file" } else { "does not exist" };
                Err(Error::definition(format!(
                    "a hard link from {} names {target}, which {what}",
                    link.origin
                )))
            }
        }
    }

    /// Takes an entry out as unlink(2) does: a file with further names stays under those.
    pub(super) fn remove(&mut self, path: &TreePath) {
        let Some(old) = self.nodes.remove(path) else { return };
        match &old.kind {
            NodeKind::HardLink(target) => self.hard_links.forget(path, target),
            NodeKind::File(_) => self.move_to_further_name(path, old),
            _ => {}
        }
    }

    /// Puts a file that is no longer at `from` at the first of its further names, to which the
    /// others then point. One without any is gone.
    fn move_to_further_name(&mut self, from: &TreePath, file: Node) {
        let Some(mut names) = self.hard_links.0.remove(from) else { return };
        let Some(place) = names.pop_first() else { return };
        for name in &names {
            if let Some(node) = self.nodes.get_mut(name) {
                node.kind = NodeKind::HardLink(place.clone());
            }
        }
        if !names.is_empty() {
            self.hard_links.0.entry(place.clone()).or_default().extend(names);
        }
        self.nodes.insert(place, file);
    }
}
