//! Initramfs archives: the whole system, or PID 1 alone to find the root.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::definition::Image;
use crate::definition::resolved::Compression;
use crate::error::{Error, IoContext, Result};
use crate::format::sink::FileRegion;
use crate::format::{bootconfig, compress, cpio};
use crate::image::programs::INIT_PATH;
use crate::tree::{FileTree, Node, NodeKind, TreePath};

/// The mount points PID 1 needs before it has made anything.
const MOUNT_POINTS: [&str; 5] = ["dev", "proc", "run", "sys", "tmp"];
/// Takes the place of the parameters built into the kernel, where the command
/// line has all of them: the kernel reads one boot configuration, and this one
/// has nothing for it.
pub(super) const NEUTRAL_PARAMETERS: &str = "keelson.parameters = \"command line\"\n";

/// The name of the output.
pub(super) fn name(image: &Image) -> String {
    format!("initramfs.cpio{}", compression(image).suffix())
}

/// The tree with the link the kernel runs; without it, it would look for a root to mount.
///
/// # Errors
/// If there is a `/init` already.
pub(super) fn with_entry(tree: &FileTree) -> Result<FileTree> {
    let mut tree = tree.clone();
    let target = NodeKind::Symlink(INIT_PATH.as_bytes().into());
    tree.insert(TreePath::new("init")?, Node::new(target, 0o777, "the initramfs"))?;
    Ok(tree)
}

/// PID 1 of the system `tree`, and what it needs to find and mount the root.
///
/// # Errors
/// If the tree has no PID 1.
pub(super) fn switching(tree: &FileTree) -> Result<FileTree> {
    let path = TreePath::new(INIT_PATH)?;
    let init = tree.get(&path).ok_or_else(|| Error::internal("the system has no PID 1"))?;
    let mut small = FileTree::new();
    for name in MOUNT_POINTS {
        small
            .insert(TreePath::new(name)?, Node::new(NodeKind::Directory, 0o755, "the initramfs"))?;
    }
    small.insert(path, init.clone())?;
    with_entry(&small)
}

/// Packs a tree, with the boot configuration `parameters` as its end.
///
/// # Errors
/// If something cannot be read or written.
pub(super) fn write(
    image: &Image,
    tree: &FileTree,
    parameters: &str,
    epoch_s: u32,
    file: &File,
) -> Result<()> {
    let options = cpio::CpioOptions { mtime_s: epoch_s, xattrs: cpio::XattrPolicy::default() };
    let len_bytes = match compression(image) {
        compress::Compression::None => {
            cpio::write_image(tree, &options, &mut FileRegion::whole(file))?.len_bytes
        }
        compression => {
            let mut counter = Counter { out: file, count: 0 };
            let mut encoder = compress::Encoder::new(&mut counter, compression)?;
            cpio::write(tree, &options, &mut encoder)?;
            encoder.finish()?;
            counter.count
        }
    };
    let trailer = bootconfig::trailer(parameters, len_bytes)?;
    file.write_all_at(&trailer, len_bytes).at("write", Path::new("the boot configuration"))
}

fn compression(image: &Image) -> compress::Compression {
    let level = image.initramfs.level;
    match image.initramfs.compression {
        Compression::Zstd => compress::Compression::Zstd { level: i32::from(level) },
        Compression::Gzip => compress::Compression::Gzip { level: u32::from(level) },
        Compression::None => compress::Compression::None,
    }
}

/// Counts what is written.
struct Counter<W> {
    out: W,
    count: u64,
}

impl<W: Write> Write for Counter<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
