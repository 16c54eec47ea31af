//! What the format tests share: trees, a seeded generator, foreign judges.

use std::path::Path;
use std::sync::Arc;

use crate::host::{Invocation, find_program};
use crate::tree::{Content, FileTree, Node, NodeKind, TreePath};

/// A moment for every test: 2024-01-02 03:04:06 UTC.
pub(super) const EPOCH_S: u32 = 1_704_164_646;

pub(super) fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

pub(super) fn file(content: impl AsRef<[u8]>) -> NodeKind {
    NodeKind::File(Content::Bytes(Arc::from(content.as_ref())))
}

pub(super) fn add(tree: &mut FileTree, at: &str, kind: NodeKind, mode: u16) {
    tree.insert(path(at), Node::new(kind, mode, "the test")).unwrap();
}

/// Runs a judge if it is installed; says so by name if not. Returns its output.
pub(super) fn judge(program: &str, args: &[&str], file: &Path) -> Option<String> {
    let Some(program_path) = find_program(program) else {
        println!("skipped: {program} is not installed");
        return None;
    };
    let output = Invocation::new(program_path).args(args).arg(file).read();
    let output = output.unwrap_or_else(|error| panic!("{program} objects: {error}"));
    Some(String::from_utf8_lossy(&output).into_owned())
}

/// A small generator with a seed (splitmix64), so that a failing case can be named.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// An index into something of this length.
    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub(super) fn bytes(&mut self, len: u64) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }
}

/// A tree with directories and files only, of every awkward size.
pub(super) fn plain_tree(seed: u64) -> FileTree {
    let mut random = Random(seed);
    let mut tree = FileTree::new();
    let mut directories = vec![String::new()];
    for number in 0..random.below(120) + 1 {
        let directory = directories[random.index(directories.len())].clone();
        let name = "n".repeat(random.index(40) + 1);
        let at = format!("{directory}/{name}{number}");
        if random.below(4) == 0 {
            add(&mut tree, &at, NodeKind::Directory, 0o755);
            directories.push(at);
            continue;
        }
        let len = match random.below(8) {
            0 => 0,
            1 => 4096,
            2 => 4097,
            3 => 300_000,
            _ => random.below(9000),
        };
        let content = random.bytes(len);
        add(&mut tree, &at, file(content), 0o644);
    }
    tree
}

/// A tree with every kind of entry, owners, modes and several names of one file.
pub(super) fn full_tree(seed: u64) -> FileTree {
    let mut tree = plain_tree(seed);
    let mut random = Random(seed ^ 0xF00D);
    add(&mut tree, "dev", NodeKind::Directory, 0o755);
    add(&mut tree, "dev/null", NodeKind::CharDevice { major: 1, minor: 3 }, 0o666);
    add(&mut tree, "dev/big", NodeKind::CharDevice { major: 259, minor: 70_000 }, 0o600);
    add(&mut tree, "dev/vda", NodeKind::BlockDevice { major: 254, minor: 0 }, 0o660);
    add(&mut tree, "run/pipe", NodeKind::Fifo, 0o620);
    add(&mut tree, "bin/sh", file(b"#!/bin/true\n"), 0o4755);
    add(&mut tree, "bin/alias", NodeKind::HardLink(path("bin/sh")), 0o755);
    add(&mut tree, "zz/last", NodeKind::HardLink(path("bin/sh")), 0o755);
    add(&mut tree, "init", NodeKind::Symlink(b"bin/sh".as_slice().into()), 0o777);
    let target = "t/".repeat(100).into_bytes();
    add(&mut tree, "slow-link", NodeKind::Symlink(target.into()), 0o777);
    add(&mut tree, "tmp", NodeKind::Directory, 0o1777);
    let paths: Vec<TreePath> = tree.iter().map(|(path, _)| path.clone()).collect();
    for at in paths {
        let node = tree.get_mut(&at).unwrap();
        node.uid = u32::try_from(random.below(70_000)).unwrap();
        node.gid = u32::try_from(random.below(3)).unwrap();
    }
    tree
}

/// What a reader must find for an entry of a tree: kind, mode, owner, size or target.
pub(super) fn expected(tree: &FileTree, node: &Node) -> (String, u16, u32, u32) {
    let node = match &node.kind {
        NodeKind::HardLink(target) => tree.get(target).unwrap(),
        _ => node,
    };
    let what = match &node.kind {
        NodeKind::Directory => "directory".into(),
        NodeKind::File(content) => format!("file {}", content.len()),
        NodeKind::Symlink(target) => format!("link {}", String::from_utf8_lossy(target)),
        NodeKind::CharDevice { major, minor } => format!("char {major}:{minor}"),
        NodeKind::BlockDevice { major, minor } => format!("block {major}:{minor}"),
        NodeKind::Fifo => "fifo".into(),
        NodeKind::HardLink(_) => unreachable!("a link names a file"),
    };
    (what, node.mode, node.uid, node.gid)
}

/// The bytes of a file, whichever of its names is asked for.
pub(super) fn content<'a>(tree: &'a FileTree, node: &'a Node) -> Option<&'a [u8]> {
    match &node.kind {
        NodeKind::File(Content::Bytes(bytes)) => Some(bytes),
        NodeKind::HardLink(target) => content(tree, tree.get(target)?),
        _ => None,
    }
}
