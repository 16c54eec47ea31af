//! Host directories as parts of the tree: the skeleton and overlays.

use std::collections::BTreeSet;
use std::path::Path;

use super::{FileTree, NodeKind, TreePath, host, links};
use crate::error::Result;

/// What happens to an entry whose path is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conflict {
    /// It is an error.
    Refuse,
    /// It takes the place of the file there.
    Replace,
}

/// Adds everything below the host directory `source`, as [`host::scan`] finds it, whose path on
/// the target `wanted` agrees to; what lies below a refused directory is refused too. `origin`
/// says for messages what the directory is.
///
/// # Errors
/// If something cannot be read, is of a type the tree has no content for
/// (socket, device), or is in conflict with what is there.
pub fn add(
    tree: &mut FileTree,
    source: &Path,
    origin: &str,
    conflict: Conflict,
    wanted: &dyn Fn(&TreePath) -> bool,
) -> Result<()> {
    let mut refused = BTreeSet::new();
    for (path, node) in host::scan(source, origin)?.iter().skip(1) {
        let is_below = path.parent().is_some_and(|parent| refused.contains(&parent));
        if is_below || !wanted(path) {
            refused.insert(path.clone());
            continue;
        }
        // What a link of the tree names may be a directory of the overlay: follow it.
        let place = links::behind(tree, path)?;
        let is_directory = matches!(node.kind, NodeKind::Directory);
        if is_directory && tree.get(&place).is_some() {
            continue;
        }
        match conflict {
            Conflict::Replace if !is_directory => tree.replace(place, node.clone())?,
            _ => tree.insert(place, node.clone())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::Node;
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    #[test]
    fn only_the_execute_bit_of_the_host_counts() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        fs::write(root.join("usr/bin/tool"), "#!").unwrap();
        fs::write(root.join("plain"), "x").unwrap();
        fs::create_dir_all(root.join("left-out/with")).unwrap();
        fs::write(root.join("left-out/with/file"), "x").unwrap();
        let mode = |name: &str, mode| {
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        mode("usr/bin/tool", 0o700);
        mode("plain", 0o666);
        mode("usr", 0o700);
        let mut tree = FileTree::new();
        tree.insert(path("bin"), Node::new(NodeKind::Symlink((*b"usr/bin").into()), 0o777, "t"))
            .unwrap();
        let wanted = |path: &TreePath| path.file_name() != b"left-out";
        add(&mut tree, root, "skeleton", Conflict::Refuse, &wanted).unwrap();
        let modes: Vec<_> =
            tree.iter().map(|(path, node)| format!("{path} {:o}", node.mode)).collect();
        assert_eq!(
            modes,
            ["/ 755", "/bin 777", "/plain 644", "/usr 755", "/usr/bin 755", "/usr/bin/tool 755"]
        );

        let again = add(&mut tree, root, "overlay", Conflict::Refuse, &wanted).unwrap_err();
        assert!(again.to_string().contains("comes both from skeleton and from overlay"), "{again}");
        add(&mut tree, root, "overlay", Conflict::Replace, &wanted).unwrap();
        assert_eq!(&*tree.get(&path("plain")).unwrap().origin, "overlay");
    }

    #[test]
    fn an_overlay_goes_where_the_links_of_the_tree_lead() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("bin")).unwrap();
        fs::write(directory.path().join("bin/x"), "x").unwrap();
        let mut tree = FileTree::new();
        tree.insert(path("usr/bin"), Node::new(NodeKind::Directory, 0o755, "t")).unwrap();
        tree.insert(path("bin"), Node::new(NodeKind::Symlink((*b"usr/bin").into()), 0o777, "t"))
            .unwrap();
        add(&mut tree, directory.path(), "overlay", Conflict::Refuse, &|_| true).unwrap();
        assert!(tree.get(&path("usr/bin/x")).is_some());
    }
}
