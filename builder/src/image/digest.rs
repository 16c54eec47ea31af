//! The digest of a tree: everything the target can see of it, and nothing of the host.

use sha2::{Digest, Sha256};

use crate::cache::{file_sha256, hex};
use crate::error::Result;
use crate::tree::{Content, FileTree, NodeKind};

/// The SHA-256 of a tree's paths, types, modes, owners, attributes and
/// contents, as 64 hexadecimal digits. Where an entry comes from does not count.
///
/// # Errors
/// If a file cannot be read.
pub(super) fn of_tree(tree: &FileTree) -> Result<String> {
    let mut digest = Sha256::new();
    let mut field = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    for (path, node) in tree.iter() {
        field(path.as_bytes());
        field(&node.mode.to_le_bytes());
        field(&node.uid.to_le_bytes());
        field(&node.gid.to_le_bytes());
        field(&(node.xattrs.len() as u64).to_le_bytes());
        for (name, value) in &node.xattrs {
            field(name);
            field(value);
        }
        match &node.kind {
            NodeKind::Directory => field(b"directory"),
            NodeKind::File(content) => {
                field(b"file");
                field(of_content(content)?.as_bytes());
            }
            NodeKind::Symlink(target) => {
                field(b"symlink");
                field(target);
            }
            NodeKind::HardLink(target) => {
                field(b"hard link");
                field(target.as_bytes());
            }
            NodeKind::CharDevice { major, minor } | NodeKind::BlockDevice { major, minor } => {
                let is_block = matches!(node.kind, NodeKind::BlockDevice { .. });
                field(if is_block { b"block" } else { b"char" });
                field(&major.to_le_bytes());
                field(&minor.to_le_bytes());
            }
            NodeKind::Fifo => field(b"fifo"),
        }
    }
    Ok(hex(&digest.finalize()))
}

/// The SHA-256 of a file's content.
///
/// # Errors
/// If it cannot be read.
pub(super) fn of_content(content: &Content) -> Result<String> {
    match content {
        Content::Bytes(bytes) => Ok(hex(&Sha256::digest(bytes))),
        Content::HostFile { path, .. } => file_sha256(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Node, TreePath};

    #[test]
    fn what_the_target_sees_counts_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let host = directory.path().join("x");
        std::fs::write(&host, "content").unwrap();
        let tree = |change: &dyn Fn(&mut Node)| {
            let content = Content::Bytes(b"content".as_slice().into());
            let mut node = Node::new(NodeKind::File(content), 0o644, "here");
            change(&mut node);
            let mut tree = FileTree::new();
            tree.insert(TreePath::new("a/b").unwrap(), node).unwrap();
            of_tree(&tree).unwrap()
        };
        let plain = tree(&|_| ());
        assert_eq!(plain, tree(&|node| node.origin = "elsewhere".into()));
        let from_host = Content::HostFile { path: host.clone(), size_bytes: 7 };
        assert_eq!(plain, tree(&|node| node.kind = NodeKind::File(from_host.clone())));
        assert_ne!(plain, tree(&|node| node.mode = 0o600));
        assert_ne!(plain, tree(&|node| node.uid = 1));
        assert_ne!(plain, tree(&|node| node.gid = 1));
        assert_ne!(plain, tree(&|node| node.kind = NodeKind::Fifo));
        let other = Content::Bytes(b"contenT".as_slice().into());
        assert_ne!(plain, tree(&|node| node.kind = NodeKind::File(other.clone())));
        assert_ne!(plain, tree(&|node| drop(node.xattrs.insert(b"user.a".to_vec(), vec![1]))));
        let block = |major| NodeKind::BlockDevice { major, minor: 1 };
        let char = NodeKind::CharDevice { major: 1, minor: 1 };
        let devices = [tree(&|node| node.kind = block(1)), tree(&|node| node.kind = block(2))];
        assert_ne!(devices[0], devices[1]);
        assert_ne!(devices[0], tree(&|node| node.kind = char.clone()));
    }
}
