//! The manifest inside an image, `/usr/lib/keelson/manifest`: what `system-check`
//! compares the running system with. It is there where its reader is.
//!
//! The format is `init_core::system_manifest`'s; `manifest` is about the outputs.

use std::collections::BTreeMap;

use init_core::mount;
use init_core::name::ServiceName;
use init_core::system_manifest::{Entry, Kind, PATH, SystemManifest};

use crate::arch::Arch;
use crate::cache::file_sha256;
use crate::error::Result;
use crate::kernel::BuiltKernel;
use crate::tree::{Content, FileTree, Node, NodeKind, TreePath};

use super::{descriptions, digest};

/// The program that reads it.
pub(super) const READER: &str = "system-check";

/// Files that a running system may change: configuration, state, and what is people's.
const CHANGEABLE: [&str; 5] = ["/etc/", "/home/", "/root/", "/srv/", "/var/"];

/// What PID 1 mounts (docs/boot.md), type and place.
const MOUNTS: [(&str, &str); 8] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("devpts", "/dev/pts"),
    ("tmpfs", "/dev/shm"),
    ("tmpfs", "/run"),
    ("tmpfs", "/tmp"),
    ("cgroup2", "/sys/fs/cgroup"),
];

/// Adds the manifest of everything else that is in the tree.
///
/// # Errors
/// If a file of the tree or the kernel's configuration cannot be read.
pub(super) fn add(
    tree: &mut FileTree,
    image: &str,
    arch: Arch,
    kernel: &BuiltKernel,
) -> Result<()> {
    let path = TreePath::new(PATH)?;
    if let Some(directory) = path.parent().filter(|directory| tree.get(directory).is_none()) {
        tree.insert(directory, Node::new(NodeKind::Directory, 0o755, "the system's manifest"))?;
    }
    let services = descriptions::starting_at_boot(tree)?;
    let manifest = SystemManifest {
        image: image.to_owned(),
        machine: arch.as_str().to_owned(),
        kernel_release: kernel.release.clone(),
        kernel_config_sha256: file_sha256(&kernel.config)?,
        services: services.iter().map(ToString::to_string).collect(),
        mounts: mounts(tree, &services)?,
        entries: entries(tree)?,
    };
    let content = Content::Bytes(manifest.text().into_bytes().into());
    tree.insert(path, Node::new(NodeKind::File(content), 0o644, "the system's manifest"))
}

/// What PID 1 mounts, and what is described in the tree and mounted at boot by a service:
/// type and place, in the order of the services' names.
fn mounts(tree: &FileTree, services: &[ServiceName]) -> Result<Vec<(String, String)>> {
    let mut described = BTreeMap::new();
    for (path, content) in descriptions::described(tree, &mount::DIRECTORIES)? {
        let stem = path.file_name().strip_suffix(b".toml").unwrap_or_default();
        let service = mount::service_name(&String::from_utf8_lossy(stem));
        // One that is wrong is mounted nowhere.
        let description = mount::parse_mount("", &descriptions::bytes(content)?).ok();
        described.insert(service, description);
    }
    let starting = services.iter().filter_map(|service| described.get(service.as_str())?.as_ref());
    let starting = starting.map(|mount| (mount.kind.as_str().to_owned(), mount.target.to_string()));
    let of_init = MOUNTS.iter().map(|(kind, place)| ((*kind).to_owned(), (*place).to_owned()));
    Ok(of_init.chain(starting).collect())
}

/// What the tree holds, in the order of its paths.
fn entries(tree: &FileTree) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (path, node) in tree.iter() {
        let path = [b"/", path.as_bytes()].concat();
        // A further name of a file is the same file: mode and owner too.
        let (node, content) = match &node.kind {
            NodeKind::HardLink(target) => {
                let target = tree.get(target);
                let content = target.and_then(|node| match &node.kind {
                    NodeKind::File(content) => Some(content),
                    _ => None,
                });
                (target.unwrap_or(node), content)
            }
            NodeKind::File(content) => (node, Some(content)),
            _ => (node, None),
        };
        let kind = match (&node.kind, content) {
            (_, Some(content)) => {
                let changeable = CHANGEABLE.iter().any(|place| path.starts_with(place.as_bytes()));
                Kind::File { sha256: digest::of_content(content)?, changeable }
            }
            (NodeKind::Directory, _) => Kind::Directory,
            (NodeKind::Symlink(target), _) => Kind::Symlink(target.to_vec()),
            (NodeKind::CharDevice { major, minor }, _) => Kind::CharDevice(*major, *minor),
            (NodeKind::BlockDevice { major, minor }, _) => Kind::BlockDevice(*major, *minor),
            (NodeKind::Fifo, _) => Kind::Fifo,
            // A link to nothing is refused when the tree is written.
            (NodeKind::File(_) | NodeKind::HardLink(_), None) => continue,
        };
        let (mode, uid, gid) = (node.mode, node.uid, node.gid);
        entries.push(Entry { path, kind, mode, uid, gid });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_that_start_at_boot_are_expected() {
        let mut tree = FileTree::new();
        for (path, text) in [
            ("usr/lib/mounts.d/a.toml", "where = \"/a\"\ntype = \"tmpfs\"\n"),
            ("usr/lib/mounts.d/b.toml", "what = \"/a\"\nwhere = \"/b\"\ntype = \"bind\"\n"),
            ("usr/lib/mounts.d/late.toml", "where = \"/late\"\ntype = \"tmpfs\"\n"),
            ("usr/lib/mounts.d/wrong.toml", "where = \"/wrong\"\ntype = \"9p\"\n"),
            ("etc/mounts.d/a.toml", "what = \"LABEL=a\"\nwhere = \"/a\"\ntype = \"ext4\"\n"),
        ] {
            let content = Content::Bytes(text.as_bytes().into());
            let node = Node::new(NodeKind::File(content), 0o644, "test");
            tree.insert(TreePath::new(path).unwrap(), node).unwrap();
        }
        let services = ["getty", "mount-a", "mount-b", "mount-none", "mount-wrong"];
        let services = services.map(|name| ServiceName::new(name).unwrap());
        let mounts = mounts(&tree, &services).unwrap();
        let described: Vec<(&str, &str)> = mounts[MOUNTS.len()..]
            .iter()
            .map(|(kind, place)| (kind.as_str(), place.as_str()))
            .collect();
        assert_eq!(described, [("ext4", "/a"), ("bind", "/b")]);
    }

    #[test]
    fn everything_in_the_tree_is_an_entry() {
        let mut tree = FileTree::new();
        let mut add = |path: &str, mode: u16, kind: NodeKind| {
            tree.insert(TreePath::new(path).unwrap(), Node::new(kind, mode, "test")).unwrap();
        };
        let file = || NodeKind::File(Content::Bytes(b"".as_slice().into()));
        add("bin", 0o777, NodeKind::Symlink(b"usr/bin".as_slice().into()));
        add("etc/passwd", 0o644, file());
        add("usr/bin/a", 0o4755, file());
        add("usr/bin/b", 0, NodeKind::HardLink(TreePath::new("usr/bin/a").unwrap()));
        add("dev/null", 0o666, NodeKind::CharDevice { major: 1, minor: 3 });
        let entries = entries(&tree).unwrap();
        let shown: Vec<(String, u16)> = entries
            .iter()
            .map(|entry| (String::from_utf8_lossy(&entry.path).into_owned(), entry.mode))
            .collect();
        let expected = [
            ("/", 0o755),
            ("/bin", 0o777),
            ("/dev", 0o755),
            ("/dev/null", 0o666),
            ("/etc", 0o755),
            ("/etc/passwd", 0o644),
            ("/usr", 0o755),
            ("/usr/bin", 0o755),
            ("/usr/bin/a", 0o4755),
            ("/usr/bin/b", 0o4755),
        ];
        assert_eq!(shown, expected.map(|(path, mode)| (path.to_owned(), mode)));
        let changeable = |path: &str| {
            let entry = entries.iter().find(|entry| entry.path == path.as_bytes()).unwrap();
            matches!(entry.kind, Kind::File { changeable: true, .. })
        };
        assert!(changeable("/etc/passwd") && !changeable("/usr/bin/b"));
    }
}
