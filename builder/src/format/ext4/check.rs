//! What ext4, or the crate that lays it out, cannot hold: found before
//! anything is written, all of it at once.

use super::Ext4Options;
use crate::error::{Error, Result};
use crate::tree::{FileTree, LINK_TARGET_MAX_BYTES, Node, NodeKind, TreePath};

/// Largest device numbers of `dev_t` (makedev(3)).
const MAJOR_MAX: u32 = 0xFFF;
const MINOR_MAX: u32 = 0xF_FFFF;
/// Longest label, in bytes.
const LABEL_MAX_BYTES: usize = 16;
const LOST_FOUND: &[u8] = b"lost+found";
const NAMESPACES: [&str; 4] = ["user.", "trusted.", "security.", "system."];

/// Whether this is an empty `/lost+found`, which the file system has anyway.
pub(super) fn is_own_lost_found(tree: &FileTree, path: &TreePath) -> bool {
    path.as_bytes() == LOST_FOUND
        && tree.get(path).is_some_and(|node| matches!(node.kind, NodeKind::Directory))
        && !tree.iter().any(|(other, _)| other.as_bytes().starts_with(b"lost+found/"))
}

pub(super) fn check(tree: &FileTree, options: &Ext4Options) -> Result<()> {
    let mut problems = Vec::new();
    if options.label.len() > LABEL_MAX_BYTES {
        problems
            .push(format!("the label `{}` has more than {LABEL_MAX_BYTES} bytes", options.label));
    }
    if options.reserved_percent > 50 {
        problems.push(format!("{} % reserved blocks are more than 50", options.reserved_percent));
    }
    check_entries(tree, &mut problems);
    refuse(&problems)
}

/// Refuses a tree with entries that no ext4 file system of ours can hold, whatever its size.
///
/// # Errors
/// With all such entries.
pub fn check_tree(tree: &FileTree) -> Result<()> {
    let mut problems = Vec::new();
    check_entries(tree, &mut problems);
    refuse(&problems)
}

fn check_entries(tree: &FileTree, problems: &mut Vec<String>) {
    for (path, node) in tree.iter() {
        check_entry(path, node, problems);
        if path.as_bytes() == LOST_FOUND && !is_own_lost_found(tree, path) {
            problems.push(format!("{path}: the file system keeps this directory for itself"));
        }
    }
}

fn refuse(problems: &[String]) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::definition(format!("the tree does not fit ext4:\n  {}", problems.join("\n  "))))
}

fn check_entry(path: &TreePath, node: &Node, problems: &mut Vec<String>) {
    if std::str::from_utf8(path.file_name()).is_err() {
        problems.push(format!("{path}: the name is not UTF-8"));
    }
    match &node.kind {
        NodeKind::Symlink(target) => {
            if target.is_empty() || target.len() > LINK_TARGET_MAX_BYTES || target.contains(&0) {
                problems.push(format!(
                    "{path}: a link target has 1 to {LINK_TARGET_MAX_BYTES} bytes and no NUL"
                ));
            } else if std::str::from_utf8(target).is_err() {
                problems.push(format!("{path}: the link target is not UTF-8"));
            }
        }
        NodeKind::CharDevice { major, minor } | NodeKind::BlockDevice { major, minor }
            if *major > MAJOR_MAX || *minor > MINOR_MAX =>
        {
            problems
                .push(format!("{path}: device {major}:{minor} is beyond {MAJOR_MAX}:{MINOR_MAX}"));
        }
        _ => {}
    }
    for name in node.xattrs.keys() {
        let text = std::str::from_utf8(name).unwrap_or_default();
        if !NAMESPACES.iter().any(|namespace| text.starts_with(namespace)) {
            problems.push(format!(
                "{path}: the attribute `{}` begins with none of {}",
                String::from_utf8_lossy(name),
                NAMESPACES.join(", ")
            ));
        }
    }
}
