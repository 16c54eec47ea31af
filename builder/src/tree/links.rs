//! Symbolic links inside a tree: where a path really leads, as the target's
//! kernel will see it (path_resolution(7)), with the tree's root as `/`.

use super::{FileTree, NodeKind, TreePath};
use crate::error::{Error, Result};

/// Most links on the way, as in the kernel (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;

/// The path with the links of its directories followed, but not a link that it
/// names itself. What does not exist is taken as it is written.
///
/// # Errors
/// If the links lead in a circle.
pub fn behind(tree: &FileTree, path: &TreePath) -> Result<TreePath> {
    match path.parent() {
        None => Ok(path.clone()),
        Some(parent) => join(&resolve(tree, &parent)?, path.file_name()),
    }
}

/// The path with every link followed, its own included.
///
/// # Errors
/// If the links lead in a circle.
pub fn resolve(tree: &FileTree, path: &TreePath) -> Result<TreePath> {
    let mut done = TreePath::root();
    // Components still to walk, the next one last.
    let mut waiting: Vec<Vec<u8>> = components(path.as_bytes());
    let mut links = 0;
    while let Some(component) = waiting.pop() {
        if component == b".." {
            done = done.parent().unwrap_or_default();
            continue;
        }
        let next = join(&done, &component)?;
        let Some(NodeKind::Symlink(target)) = tree.get(&next).map(|node| &node.kind) else {
            done = next;
            continue;
        };
        links += 1;
        if links > LINKS_MAX {
            return Err(Error::definition(format!(
                "the symbolic links of {path} lead in a circle"
            )));
        }
        if target.starts_with(b"/") {
            done = TreePath::root();
        }
        waiting.extend(components(target));
    }
    Ok(done)
}

/// The components, last one first.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|component| !component.is_empty() && *component != b".")
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}

fn join(directory: &TreePath, name: &[u8]) -> Result<TreePath> {
    TreePath::new([directory.as_bytes(), b"/", name].concat())
}

#[cfg(test)]
mod tests {
    use super::super::Node;
    use super::*;

    #[test]
    fn links_are_followed_as_the_kernel_does() {
        let mut tree = FileTree::new();
        for (path, target) in [
            ("bin", "usr/bin"),
            ("lib64", "/usr/lib"),
            ("usr/bin/sh", "../sbin/shell"),
            ("up", "../../etc"),
            ("a", "b"),
            ("b", "a"),
        ] {
            let node = Node::new(NodeKind::Symlink(target.as_bytes().into()), 0o777, "test");
            tree.insert(TreePath::new(path).unwrap(), node).unwrap();
        }
        let path = |text: &str| TreePath::new(text).unwrap();
        assert_eq!(resolve(&tree, &path("/bin/sh")).unwrap(), path("/usr/sbin/shell"));
        assert_eq!(behind(&tree, &path("/bin/sh")).unwrap(), path("/usr/bin/sh"));
        assert_eq!(resolve(&tree, &path("/lib64/x")).unwrap(), path("/usr/lib/x"));
        assert_eq!(resolve(&tree, &path("/up/x")).unwrap(), path("/etc/x"));
        assert_eq!(resolve(&tree, &path("/new/x")).unwrap(), path("/new/x"));
        assert!(resolve(&tree, &path("/a/x")).is_err());
    }
}
