//! Host directories as parts of the tree: the skeleton and overlays.
//!
//! Of a host file its name, type, content and whether its owner may execute it
//! count; owner and further modes do not, so that a clone under any user and
//! umask gives the same tree. Everything is root's, 0755 or 0644.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Content, FileTree, Node, NodeKind, TreePath};
use crate::error::{Error, IoContext, Result};

/// What happens to an entry whose path is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conflict {
    /// It is an error.
    Refuse,
    /// It takes the place of the file there.
    Replace,
}

/// Adds everything below the host directory `source` whose path on the target
/// `wanted` agrees to; what lies below a refused directory is not looked at.
/// `origin` says for messages what the directory is.
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
    add_below(tree, source, &TreePath::root(), origin, conflict, wanted)
}

fn add_below(
    tree: &mut FileTree,
    directory: &Path,
    place: &TreePath,
    origin: &str,
    conflict: Conflict,
    wanted: &dyn Fn(&TreePath) -> bool,
) -> Result<()> {
    let mut entries = fs::read_dir(directory)
        .at("read", directory)?
        .collect::<std::io::Result<Vec<_>>>()
        .at("read", directory)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let host = entry.path();
        let path = TreePath::new([place.as_bytes(), b"/", entry.file_name().as_bytes()].concat())?;
        if !wanted(&path) {
            continue;
        }
        let node = node(&host, origin)?;
        let is_directory = matches!(node.kind, NodeKind::Directory);
        // What a link of the tree names may be a directory of the overlay: follow it.
        let path = super::links::behind(tree, &path)?;
        if is_directory {
            if tree.get(&path).is_none() {
                tree.insert(path.clone(), node)?;
            }
            let real = super::links::resolve(tree, &path)?;
            add_below(tree, &host, &real, origin, conflict, wanted)?;
        } else {
            match conflict {
                Conflict::Refuse => tree.insert(path, node)?,
                Conflict::Replace => tree.replace(path, node)?,
            }
        }
    }
    Ok(())
}

fn node(path: &Path, origin: &str) -> Result<Node> {
    let metadata = path.symlink_metadata().at("read", path)?;
    let kind = metadata.file_type();
    let (kind, mode) = if kind.is_dir() {
        (NodeKind::Directory, 0o755)
    } else if kind.is_symlink() {
        let target = fs::read_link(path).at("read", path)?;
        (NodeKind::Symlink(target.as_os_str().as_bytes().into()), 0o777)
    } else if kind.is_file() {
        let content = Content::HostFile { path: path.to_owned(), size_bytes: metadata.len() };
        let is_executable = metadata.permissions().mode() & 0o100 != 0;
        (NodeKind::File(content), if is_executable { 0o755 } else { 0o644 })
    } else {
        let message = format!("{} is neither file, directory nor symbolic link", path.display());
        return Err(Error::definition(message)
            .hint("device nodes and pipes come from rootfs/device_table.txt"));
    };
    Ok(Node::new(kind, mode, origin))
}

#[cfg(test)]
mod tests {
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
        fs::write(root.join("left-out"), "x").unwrap();
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
