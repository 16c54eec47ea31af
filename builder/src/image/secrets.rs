//! Files that only their owner may read, wherever they come from: an overlay makes everything
//! readable for everybody.

use crate::error::{Error, Result};
use crate::tree::{FileTree, Node, NodeKind, TreePath};

/// Whether a file is a secret by its place: the hashes of passwords (shadow(5), gshadow(5)) and
/// private keys where ssh(1) and sshd(8) look for them.
fn is_secret(path: &TreePath) -> bool {
    let name = path.file_name();
    match path.parent().as_ref().map(TreePath::as_bytes) {
        Some(b"etc") => [&b"shadow"[..], b"shadow-", b"gshadow", b"gshadow-"].contains(&name),
        Some(b"etc/ssh") => name.starts_with(b"ssh_host_") && name.ends_with(b"_key"),
        Some(home) if home.ends_with(b"/.ssh") => {
            name.starts_with(b"id_") && !name.ends_with(b".pub")
        }
        _ => false,
    }
}

/// Refuses a tree in which anybody but its owner may read a secret.
///
/// # Errors
/// With all such files.
pub(super) fn check(tree: &FileTree) -> Result<()> {
    let is_open = |path: &TreePath, node: &Node| {
        matches!(node.kind, NodeKind::File(_)) && node.mode & 0o077 != 0 && is_secret(path)
    };
    let open: Vec<String> = tree
        .iter()
        .filter(|(path, node)| is_open(path, node))
        .map(|(path, node)| format!("\n  {path} of {} has mode {:04o}", node.origin, node.mode))
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let message = format!("not only its owner could read what is secret:{}", open.concat());
    Err(Error::definition(message).hint(
        "give it by `[[file]]` with `source` and `mode = \"0600\"`; passwords by `password` of \
         `[[user]]`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Content;

    #[test]
    fn secrets_are_their_owners_alone() {
        let mut tree = FileTree::new();
        let mut add = |path: &str, mode| {
            let content = Content::Bytes((*b"x").into());
            let node = Node::new(NodeKind::File(content), mode, "images/over");
            tree.insert(TreePath::new(path).unwrap(), node).unwrap();
        };
        for (path, mode) in [
            ("etc/shadow", 0o644),
            ("etc/gshadow", 0o600),
            ("etc/passwd", 0o644),
            ("etc/ssh/ssh_host_rsa_key", 0o640),
            ("etc/ssh/ssh_host_rsa_key.pub", 0o644),
            ("root/.ssh/id_ed25519", 0o604),
            ("root/.ssh/id_ed25519.pub", 0o644),
            ("home/ann/.ssh/authorized_keys", 0o644),
            ("usr/share/doc/shadow", 0o644),
        ] {
            add(path, mode);
        }
        let error = check(&tree).unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "not only its owner could read what is secret:",
                "  /etc/shadow of images/over has mode 0644",
                "  /etc/ssh/ssh_host_rsa_key of images/over has mode 0640",
                "  /root/.ssh/id_ed25519 of images/over has mode 0604",
            ]
        );
        assert!(lines[4].starts_with("hint: "), "{error}");
    }
}
