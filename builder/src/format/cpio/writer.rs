//! The newc writer: a header, a name and a content per entry, in tree order.

use std::collections::HashMap;
use std::io::Write;

use super::{HEADER_LEN, MAGIC, PATH_LEN_MAX, TRAILER, file_type};
use crate::error::{Error, Result};
use crate::format::pack::Plan;
use crate::format::sink::ImageSink;
use crate::tree::{Content, FileTree, Node, NodeKind, TreePath};

/// What messages call the output.
const OUTPUT: &str = "cpio archive";
/// The archive's length is a multiple of this, as `cpio -o` pads it, so that
/// another archive or a bootconfig can follow.
const ARCHIVE_ALIGNMENT_BYTES: u64 = 512;

/// What to do with extended attributes, which newc cannot hold.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum XattrPolicy {
    /// An entry that has one is an error.
    #[default]
    Refuse,
    /// They are left out, because the author said so.
    Drop,
}

/// Parameters of [`write()`].
#[derive(Clone, Debug)]
pub struct CpioOptions {
    /// Modification time of every entry, in seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub mtime_s: u32,
    /// What to do with extended attributes.
    pub xattrs: XattrPolicy,
}

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpioSummary {
    /// Entries, without the trailer.
    pub entries: u64,
    /// Length of the archive in bytes.
    pub len_bytes: u64,
}

/// Writes the tree as one archive, with its trailer, padded to 512 bytes. The
/// root directory is the entry `.`; names have no leading slash. Inode numbers
/// count from 1 in tree order. The first name of a file with several carries its content.
///
/// # Errors
/// If entries do not fit the format, all of them at once; if a file cannot be
/// read or has changed since it was added; if `out` fails.
pub fn write(tree: &FileTree, options: &CpioOptions, out: &mut impl Write) -> Result<CpioSummary> {
    let plan = plan(tree, options)?;
    plan.stream(OUTPUT, |bytes| out.write_all(bytes))?;
    out.flush().map_err(|error| crate::format::write_failed(OUTPUT, &error))?;
    Ok(CpioSummary { entries: tree.len() as u64, len_bytes: plan.position_bytes() })
}

/// The same archive, written into a file by several threads, which is faster
/// where nothing compresses it.
///
/// # Errors
/// See [`write()`].
pub fn write_image(
    tree: &FileTree,
    options: &CpioOptions,
    sink: &mut impl ImageSink,
) -> Result<CpioSummary> {
    let plan = plan(tree, options)?;
    let len_bytes = plan.position_bytes();
    sink.set_len(len_bytes).map_err(|error| crate::format::write_failed(OUTPUT, &error))?;
    plan.write(OUTPUT, sink)?;
    Ok(CpioSummary { entries: tree.len() as u64, len_bytes })
}

fn plan<'a>(tree: &'a FileTree, options: &'a CpioOptions) -> Result<Plan<'a>> {
    let links = LinkGroups::new(tree)?;
    check(tree, options)?;
    let mut layout = Layout { options, links, plan: Plan::default(), next_inode: 1 };
    for (path, node) in tree.iter() {
        layout.entry(path, node);
    }
    let trailer = Header { nlink: 1, ..Header::default() };
    layout.header(&trailer, TRAILER);
    layout.plan.align(ARCHIVE_ALIGNMENT_BYTES);
    Ok(layout.plan)
}

/// Everything that newc or the kernel's unpacker cannot take.
fn check(tree: &FileTree, options: &CpioOptions) -> Result<()> {
    let mut problems = Vec::new();
    for (path, node) in tree.iter() {
        if path.as_bytes().len() >= PATH_LEN_MAX {
            problems.push(format!("{path}: the path has {PATH_LEN_MAX} bytes or more"));
        }
        if path.as_bytes() == TRAILER {
            problems.push(format!("{path}: this name ends a cpio archive"));
        }
        match &node.kind {
            NodeKind::File(content) if u32::try_from(content.len()).is_err() => {
                problems.push(format!("{path}: the file has 4 GiB or more"));
            }
            NodeKind::Symlink(target) if target.is_empty() || target.len() >= PATH_LEN_MAX => {
                problems.push(format!(
                    "{path}: a link target has 1 to {} bytes, this one {}",
                    PATH_LEN_MAX - 1,
                    target.len()
                ));
            }
            _ => {}
        }
        if options.xattrs == XattrPolicy::Refuse && !node.xattrs.is_empty() {
            let names: Vec<_> =
                node.xattrs.keys().map(|name| String::from_utf8_lossy(name)).collect();
            problems.push(format!("{path} ({}): has {}", node.origin, names.join(", ")));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    let error = Error::definition(format!(
        "the tree does not fit the cpio format:\n  {}",
        problems.join("\n  ")
    ));
    if options.xattrs == XattrPolicy::Refuse && tree.iter().any(|(_, node)| !node.xattrs.is_empty())
    {
        return Err(error.hint(
            "an initramfs holds no extended attributes: use an ext4 root for file capabilities, \
             or grant them in the service description",
        ));
    }
    Err(error)
}

/// The names of files that have several.
struct LinkGroups<'a>(HashMap<&'a TreePath, LinkGroup<'a>>);

struct LinkGroup<'a> {
    node: &'a Node,
    count: u32,
    /// Set when the first name has been written.
    inode: Option<u32>,
}

impl<'a> LinkGroups<'a> {
    fn new(tree: &'a FileTree) -> Result<Self> {
        let mut groups = HashMap::new();
        for (_, node) in tree.iter() {
            if let NodeKind::HardLink(target) = &node.kind {
                let (target, node) = tree.hard_link_target(target, node)?;
                groups.entry(target).or_insert(LinkGroup { node, count: 1, inode: None }).count +=
                    1;
            }
        }
        Ok(Self(groups))
    }
}

/// The fields of a header that vary here; devices of the archive itself are 0:0.
#[derive(Default)]
struct Header {
    inode: u32,
    mode: u32,
    uid: u32,
    gid: u32,
    nlink: u32,
    mtime_s: u32,
    size_bytes: u32,
    rdev: (u32, u32),
}

struct Layout<'a> {
    options: &'a CpioOptions,
    links: LinkGroups<'a>,
    plan: Plan<'a>,
    next_inode: u32,
}

impl<'a> Layout<'a> {
    fn entry(&mut self, path: &'a TreePath, node: &'a Node) {
        let named = match &node.kind {
            NodeKind::HardLink(target) => target,
            _ => path,
        };
        let group = self.links.0.get_mut(named);
        let nlink = group.as_ref().map_or(1, |group| group.count);
        // Owner, mode and content are the file's, whichever of its names comes first.
        let node = group.as_ref().map_or(node, |group| group.node);
        let first_inode = group.as_ref().and_then(|group| group.inode);
        let inode = first_inode.unwrap_or(self.next_inode);
        if first_inode.is_none() {
            self.next_inode += 1;
            if let Some(group) = group {
                group.inode = Some(inode);
            }
        }
        let mut header = self.header_of(node, inode, nlink);
        if first_inode.is_some() {
            header.size_bytes = 0;
        }
        let name = if path.as_bytes().is_empty() { b"." } else { path.as_bytes() };
        self.header(&header, name);
        match &node.kind {
            NodeKind::File(content) if first_inode.is_none() => self.content(path, content),
            NodeKind::Symlink(target) => {
                self.plan.bytes(target);
                self.plan.align(4);
            }
            _ => {}
        }
    }

    fn header_of(&self, node: &Node, inode: u32, nlink: u32) -> Header {
        let (kind, size, rdev) = match &node.kind {
            NodeKind::Directory => (file_type::DIRECTORY, 0, (0, 0)),
            NodeKind::File(content) => (file_type::REGULAR, content.len(), (0, 0)),
            NodeKind::Symlink(target) => (file_type::SYMLINK, target.len() as u64, (0, 0)),
            NodeKind::CharDevice { major, minor } => (file_type::CHAR_DEVICE, 0, (*major, *minor)),
            NodeKind::BlockDevice { major, minor } => {
                (file_type::BLOCK_DEVICE, 0, (*major, *minor))
            }
            NodeKind::Fifo => (file_type::FIFO, 0, (0, 0)),
            // A link is written with its target's node.
            NodeKind::HardLink(_) => (file_type::REGULAR, 0, (0, 0)),
        };
        Header {
            inode,
            mode: kind | u32::from(node.mode),
            uid: node.uid,
            gid: node.gid,
            nlink,
            mtime_s: self.options.mtime_s,
            // `check` has refused what is longer.
            size_bytes: u32::try_from(size).unwrap_or(u32::MAX),
            rdev,
        }
    }

    fn header(&mut self, header: &Header, name: &[u8]) {
        // `check` has refused longer names.
        let name_len = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        let fields = [
            header.inode,
            header.mode,
            header.uid,
            header.gid,
            header.nlink,
            header.mtime_s,
            header.size_bytes,
            0,
            0,
            header.rdev.0,
            header.rdev.1,
            name_len,
            0,
        ];
        let mut bytes = [0; HEADER_LEN];
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        for (digits, field) in bytes[MAGIC.len()..].chunks_exact_mut(8).zip(fields) {
            put_hex(digits, field);
        }
        self.plan.bytes(&bytes);
        self.plan.bytes(name);
        self.plan.bytes(&[0]);
        self.plan.align(4);
    }

    fn content(&mut self, path: &'a TreePath, content: &'a Content) {
        self.plan.content(path, content, 0, content.len());
        self.plan.align(4);
    }
}

/// Eight upper-case hexadecimal digits, as `cpio -o` writes them.
fn put_hex(digits: &mut [u8], value: u32) {
    for (digit, shift) in digits.iter_mut().zip((0..32).step_by(4).rev()) {
        *digit = b"0123456789ABCDEF"[(value >> shift) as usize & 0xF];
    }
}
