//! Whether a disk of a fixed size can hold what is to be on it: what is known of it
//! before anything is built, and how it is said.

use init_core::diagnostic::{Finding, Place};

use crate::arch::Arch;
use crate::definition::Image;
use crate::definition::resolved::Size;
use crate::error::Result;
use crate::format::ext4::{self, Ext4Size};
use crate::format::{MIB, fat, gpt, mib_ceil};
use crate::tree::FileTree;

use super::esp;

/// What a disk of a fixed size lacks for the tree of `arch` and the least that
/// all else takes, with the line that gives the size. `content` says for the
/// message what the tree holds.
///
/// # Errors
/// If no file system holds what is to be in it.
pub(super) fn shortage(
    image: &Image,
    arch: Arch,
    tree: &FileTree,
    content: &str,
) -> Result<Option<Finding>> {
    let (true, Size::Bytes(given_bytes, place)) = (image.outputs.has_disk(), &image.disk.size)
    else {
        return Ok(None);
    };
    // The partition table at either end.
    let mut needed_bytes = 2 * gpt::ALIGNMENT_BYTES + esp_least_bytes(image)?;
    if image.disk_has_root() {
        let arches = image.system_arches(arch);
        for (index, other) in arches.iter().enumerate() {
            let is_last = index + 1 == arches.len();
            let tree = (*other == arch).then_some(tree);
            needed_bytes += aligned(root_least_bytes(image, tree, is_last)?);
        }
    }
    Ok((needed_bytes > *given_bytes)
        .then(|| finding(place, &format!(" for {content}"), *given_bytes, needed_bytes)))
}

/// A disk that is too small; `content` is empty, or says ` for` what.
pub(super) fn finding(
    place: &Place,
    content: &str,
    given_bytes: u64,
    needed_bytes: u64,
) -> Finding {
    let (given, needed) = (given_bytes / MIB, mib_ceil(needed_bytes));
    let message =
        format!("the disk is too small{content}: it needs {needed} MiB and has {given} MiB");
    Finding::new(place.clone(), message)
        .with_hint(format!("set disk.size to at least \"{needed}MiB\", or leave it out"))
}

/// A size that partitions can have.
fn aligned(bytes: u64) -> u64 {
    bytes.next_multiple_of(gpt::ALIGNMENT_BYTES)
}

fn esp_least_bytes(image: &Image) -> Result<u64> {
    let bytes = match image.disk.esp_size {
        Size::Bytes(bytes, _) => bytes,
        Size::Minimal => fat::lacking(&esp::tree(&[])?, esp::LABEL, 0)?.unwrap_or(0),
    };
    Ok(aligned(bytes))
}

/// The least that a root takes; without a tree, of an architecture whose tree is not known here.
/// The last root need not keep `root.free` where it takes what the disk has left.
fn root_least_bytes(image: &Image, tree: Option<&FileTree>, is_last: bool) -> Result<u64> {
    let takes_the_rest = is_last && !image.has_data;
    let size = match image.root.size {
        Size::Bytes(bytes, _) => return Ok(bytes),
        Size::Minimal if takes_the_rest => Ext4Size::Fit { free_bytes: 0 },
        Size::Minimal => Ext4Size::Fit { free_bytes: image.root.free_bytes },
    };
    tree.map_or(Ok(ext4::SIZE_MIN_BYTES), |tree| ext4::needed_bytes(tree, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::testing;
    use crate::tree::{Content, Node, NodeKind, TreePath};

    /// What a disk of so many MiB says of a tree with a file of 32 MiB.
    fn said(disk_mib: u64, more: &str) -> Option<String> {
        let text = format!("outputs = [\"disk\"]\ndisk.size = \"{disk_mib}MiB\"\n{more}");
        let image = testing::image(&text).unwrap();
        let mut tree = FileTree::new();
        let file = NodeKind::File(Content::HostFile { path: "/x".into(), size_bytes: 32 << 20 });
        tree.insert(TreePath::new("/x").unwrap(), Node::new(file, 0o644, "test")).unwrap();
        let finding = shortage(&image, Arch::X86_64, &tree, "its files").unwrap()?;
        assert_eq!(finding.place.to_string(), "images/a.toml:2:13");
        Some(finding.message)
    }

    #[test]
    fn the_least_that_a_disk_needs_is_what_its_parts_need() {
        // Two MiB of partition table, the ESP, and the root: 32 MiB and 5 of ext4's own.
        for (more, needed) in [
            ("", 2 + 4 + 37),
            ("disk.esp-size = \"9MiB\"\n", 2 + 9 + 37),
            ("root.size = \"50MiB\"\n", 2 + 4 + 50),
            ("root.size = \"50172KiB\"\n", 2 + 4 + 49),
            ("root.free = \"1MiB\"\n[data]\nwhere = \"/data\"\n", 2 + 4 + 38),
            ("root.free = \"8MiB\"\n", 2 + 4 + 37),
            ("disk.arch = [\"aarch64\"]\n", 2 + 4 + 37 + 16 + 16),
            ("disk.initramfs = \"system\"\n", 2 + 4),
        ] {
            let least = needed - 1;
            let expected = format!(
                "the disk is too small for its files: it needs {needed} MiB and has {least} MiB"
            );
            assert_eq!(said(least, more), Some(expected), "{more}");
            assert_eq!(said(needed, more), None, "{more}");
        }
    }
}
