//! Declares a tree to `mkext4`, writes the metadata it seals and then streams
//! the files' contents to the places it gave them.

use std::collections::{BTreeMap, HashMap};
use std::io;

use mkext4::spec::Superblock;
use mkext4::{FsBuilder, InodeCount, InodeHandle, Layout, Meta, ROOT, SpecialKind};

use super::size::{Content, Geometry};
use super::{BLOCK_BYTES, Ext4Options, Ext4Summary};
use crate::error::{Error, Result};
use crate::format::pack::Plan;
use crate::format::sink::ImageSink;
use crate::tree::{self, FileTree, Node, NodeKind, TreePath};

/// Metadata is gathered into writes of up to so many bytes.
const GATHER_BYTES: usize = 1024 * 1024;

/// Writes the tree as an ext4 file system.
///
/// # Errors
/// If the image is too small, saying what it needs; if entries do not fit the
/// format, all at once; if a file cannot be read or has changed since it was
/// added; if the sink fails.
pub fn write(
    tree: &FileTree,
    options: &Ext4Options,
    sink: &mut impl ImageSink,
) -> Result<Ext4Summary> {
    super::check::check(tree, options)?;
    let geometry = Geometry::settle(Content::of(tree), options.size)?;
    let mut declared = Declaration::new(options, geometry)?;
    for (path, node) in tree.iter() {
        declared.entry(tree, path, node).map_err(|error| refused(path, &error))?;
    }
    declared.hard_links(tree)?;
    let Declaration { builder, files, .. } = declared;
    let layout = builder.seal().map_err(|error| {
        Error::internal(format!("a tree that was measured to fit does not: {error}"))
    })?;
    let failed = |error: &io::Error| crate::format::write_failed("ext4 image", error);
    sink.set_len(layout.image_len()).map_err(|error| failed(&error))?;
    let superblock = write_metadata(&layout, sink)?;
    write_contents(&layout, &files, sink)?;
    Ok(Ext4Summary {
        size_bytes: layout.image_len(),
        free_bytes: superblock.free_blocks_count * BLOCK_BYTES,
        inodes_used: superblock.inodes_count - superblock.free_inodes_count,
        inodes: superblock.inodes_count,
    })
}

fn refused(path: &TreePath, error: &mkext4::Error) -> Error {
    Error::definition(format!("{path} does not fit ext4: {error}"))
}

/// What has been declared so far.
struct Declaration<'a> {
    builder: FsBuilder,
    mtime: (i64, u32),
    directories: HashMap<&'a [u8], InodeHandle>,
    /// Files that have content, with it, in tree order, which is disk order.
    files: Vec<(InodeHandle, &'a TreePath, &'a tree::Content)>,
    /// Files that further names may refer to.
    linked: BTreeMap<&'a TreePath, InodeHandle>,
    links: Vec<(&'a TreePath, &'a TreePath, &'a Node)>,
}

impl<'a> Declaration<'a> {
    fn new(options: &Ext4Options, geometry: Geometry) -> Result<Self> {
        let epoch = i64::from(options.epoch_s);
        let mut parameters =
            mkext4::Options::new(geometry.size_bytes, *options.uuid.as_bytes(), epoch);
        let seed = options.hash_seed.as_bytes();
        for (word, bytes) in parameters.hash_seed.iter_mut().zip(seed.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        parameters.inodes = InodeCount::Exact(geometry.inodes);
        parameters.label = (!options.label.is_empty()).then(|| options.label.clone());
        parameters.reserved_percent = options.reserved_percent;
        let builder = FsBuilder::new(parameters)
            .map_err(|error| Error::definition(format!("cannot make an ext4 image: {error}")))?;
        Ok(Self {
            builder,
            mtime: (epoch, 0),
            directories: HashMap::from([(b"".as_slice(), ROOT)]),
            files: Vec::new(),
            linked: BTreeMap::new(),
            links: Vec::new(),
        })
    }

    fn entry(
        &mut self,
        tree: &'a FileTree,
        path: &'a TreePath,
        node: &'a Node,
    ) -> mkext4::Result<()> {
        let meta = Meta::new(node.mode, node.uid, node.gid, self.mtime);
        let handle = if path.as_bytes().is_empty() {
            self.builder.set_meta(ROOT, meta)?;
            ROOT
        } else {
            if super::check::is_own_lost_found(tree, path) {
                return Ok(());
            }
            let Some((parent, name)) = self.place(path) else {
                return Err(mkext4::Error::Invalid("its directory is not there".into()));
            };
            match &node.kind {
                NodeKind::Directory => {
                    let handle = self.builder.mkdir(parent, name, meta)?;
                    self.directories.insert(path.as_bytes(), handle);
                    handle
                }
                NodeKind::File(content) => {
                    let handle = self.builder.file(parent, name, meta, content.len())?;
                    self.files.push((handle, path, content));
                    self.linked.insert(path, handle);
                    handle
                }
                NodeKind::Symlink(target) => {
                    self.builder.symlink(parent, name, text(target)?, meta)?
                }
                NodeKind::HardLink(target) => {
                    self.links.push((path, target, node));
                    return Ok(());
                }
                NodeKind::CharDevice { major, minor } => {
                    let kind = SpecialKind::Char { major: *major, minor: *minor };
                    self.builder.mknod(parent, name, meta, kind)?
                }
                NodeKind::BlockDevice { major, minor } => {
                    let kind = SpecialKind::Block { major: *major, minor: *minor };
                    self.builder.mknod(parent, name, meta, kind)?
                }
                NodeKind::Fifo => self.builder.mknod(parent, name, meta, SpecialKind::Fifo)?,
            }
        };
        for (name, value) in &node.xattrs {
            self.builder.set_xattr(handle, text(name)?, value)?;
        }
        Ok(())
    }

    /// Further names, once every file has its inode.
    fn hard_links(&mut self, tree: &FileTree) -> Result<()> {
        for (path, target, node) in std::mem::take(&mut self.links) {
            let (target, _) = tree.hard_link_target(target, node)?;
            let place = self.place(path).zip(self.linked.get(target).copied());
            let Some(((parent, name), handle)) = place else {
                return Err(Error::internal(format!("{path} was declared before {target}")));
            };
            self.builder.hardlink(parent, name, handle).map_err(|error| refused(path, &error))?;
        }
        Ok(())
    }

    fn place<'p>(&self, path: &'p TreePath) -> Option<(InodeHandle, &'p str)> {
        let bytes = path.as_bytes();
        let end = bytes.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let parent = self.directories.get(&bytes[..end])?;
        Some((*parent, std::str::from_utf8(path.file_name()).ok()?))
    }
}

fn text(bytes: &[u8]) -> mkext4::Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| mkext4::Error::Invalid("it is not UTF-8".into()))
}

/// Writes everything but the files' contents and returns the superblock.
fn write_metadata(layout: &Layout, sink: &mut impl ImageSink) -> Result<Superblock> {
    let failed = |error: mkext4::Error| match error {
        mkext4::Error::Io(error) => crate::format::write_failed("ext4 image", &error),
        other => Error::internal(format!("cannot lay out the ext4 image: {other}")),
    };
    let mut gather = Gather { sink, start_bytes: 0, bytes: Vec::new(), superblock: None };
    // The writer emits all metadata when it is made. It is not used to fill in the
    // contents: `write_contents` reads those in parallel.
    drop(layout.writer(&mut gather).map_err(failed)?);
    gather.flush().map_err(|error| failed(error.into()))?;
    gather
        .superblock
        .as_deref()
        .and_then(|block| Superblock::decode(block.get(1024..2048)?).ok())
        .ok_or_else(|| Error::internal("the ext4 image has no superblock"))
}

/// Joins the writer's single blocks into large writes and leaves zeros as holes.
struct Gather<'a, S> {
    sink: &'a mut S,
    start_bytes: u64,
    bytes: Vec<u8>,
    superblock: Option<Vec<u8>>,
}

impl<S: ImageSink> Gather<'_, S> {
    fn flush(&mut self) -> io::Result<()> {
        if !self.bytes.is_empty() {
            self.sink.write_at(self.start_bytes, &self.bytes)?;
            self.bytes.clear();
        }
        Ok(())
    }
}

impl<S: ImageSink> mkext4::RegionSink for Gather<'_, S> {
    fn data(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset == 0 {
            self.superblock = Some(bytes.to_vec());
        }
        let end = self.start_bytes + self.bytes.len() as u64;
        if offset != end || self.bytes.len() >= GATHER_BYTES {
            self.flush()?;
            self.start_bytes = offset;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn zeros(&mut self, _offset: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }
}

fn write_contents(
    layout: &Layout,
    files: &[(InodeHandle, &TreePath, &tree::Content)],
    sink: &mut impl ImageSink,
) -> Result<()> {
    let mut plan = Plan::default();
    for (handle, path, content) in files {
        let mut offset_bytes = 0;
        for (place, len) in layout.extents(*handle) {
            plan.seek(place);
            plan.content(path, content, offset_bytes, len);
            plan.align(BLOCK_BYTES);
            offset_bytes += len;
        }
        if content.is_empty() {
            plan.content(path, content, 0, 0);
        }
    }
    plan.write("ext4 image", sink)
}
