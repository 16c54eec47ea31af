//! What lies on the EFI system partition, and whether a partition of a fixed
//! size can hold it.
//!
//! The size is judged as soon as anything is known: without a kernel by what any
//! file system needs, and with one before a program is compiled.

use std::path::Path;

use init_core::diagnostic::Finding;

use crate::arch::Arch;
use crate::definition::Image;
use crate::definition::resolved::Size;
use crate::error::{IoContext, Result};
use crate::format::{MIB, fat, mib_ceil};
use crate::tree::{Content, FileTree, Node, NodeKind, TreePath};

/// The file system's label.
pub(super) const LABEL: &str = "ESP";

/// The tree that firmware finds: for each architecture what it starts.
///
/// # Errors
/// If a file cannot be read.
pub(super) fn tree(boot_files: &[(Arch, &Path)]) -> Result<FileTree> {
    let mut tree = FileTree::new();
    for &(arch, file) in boot_files {
        let size_bytes = std::fs::metadata(file).at("read", file)?.len();
        let content = Content::HostFile { path: file.to_owned(), size_bytes };
        let node = Node::new(NodeKind::File(content), 0o644, "the boot file");
        tree.insert(TreePath::new(arch.removable_path())?, node)?;
    }
    Ok(tree)
}

/// What a partition of a fixed size lacks for these kernels, with the line that
/// gives the size. No kernel means that none is known yet.
///
/// # Errors
/// If a kernel cannot be read, or no FAT file system holds it.
pub(super) fn shortage(image: &Image, kernels: &[(Arch, &Path)]) -> Result<Option<Finding>> {
    let (true, Size::Bytes(given_bytes, place)) = (image.outputs.has_disk(), &image.disk.esp_size)
    else {
        return Ok(None);
    };
    let needed_bytes = fat::lacking(&tree(kernels)?, LABEL, *given_bytes)?;
    Ok(needed_bytes.map(|needed_bytes| {
        let content = if kernels.is_empty() { "any file" } else { "the kernel" };
        let (needed, given) = (mib_ceil(needed_bytes), given_bytes / MIB);
        let message = format!(
            "the EFI system partition is too small for {content}: it needs {needed} MiB and has {given} MiB"
        );
        Finding::new(place.clone(), message)
            .with_hint(format!("give it a size of at least {needed} MiB, or leave the size out"))
    }))
}
