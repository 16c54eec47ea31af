//! The root tree of an image, put together from all that goes into it.
//!
//! Order: skeleton, device table, generated files, programs, descriptions,
//! homes, packages, then what the definition lists one by one, and overlays;
//! last what programs need of packages that others depend on. Only packages,
//! listed things and overlays may take the place of what is there, and only
//! when they say so; an overlay says so by being one.

use std::fs;

use crate::arch::Arch;
use crate::definition::Image;
use crate::definition::resolved::{FileContent, User};
use crate::error::{Context, Error, IoContext, Result};
use crate::project::Project;
use crate::tree::skeleton::Conflict;
use crate::tree::{Content, FileTree, Node, NodeKind, TreePath, device_table, links, skeleton};

use super::base_files;
use super::descriptions::{DIRECTORIES, Description};
use super::packages::Packages;
use super::programs::BuiltProgram;

/// Puts the tree together.
///
/// # Errors
/// If something cannot be read, or two things want the same place.
pub fn compose(
    project: &Project,
    image: &Image,
    arch: Arch,
    descriptions: &[Description],
    programs: &[BuiltProgram],
    packages: &Packages,
) -> Result<FileTree> {
    let mut tree = FileTree::new();
    add_skeleton(&mut tree, project)?;
    base_files::add(&mut tree, image)?;
    for program in programs {
        add_program(&mut tree, program)?;
    }
    for description in descriptions {
        let origin = format!("service {}", description.name);
        let node = host_file(&description.path, 0o644, &origin)?;
        insert(&mut tree, &description.target()?, node, false)?;
    }
    for user in &image.users {
        add_home(&mut tree, user)?;
    }
    packages.add_named(&mut tree)?;
    add_listed(&mut tree, image)?;
    for overlay in &image.overlays {
        let origin = format!("{}: overlay {}", overlay.place, project.show(&overlay.value));
        skeleton::add(&mut tree, &overlay.value, &origin, Conflict::Replace, &|_| true)?;
    }
    packages.add_needed(&mut tree, image, arch)?;
    Ok(tree)
}

/// The skeleton without its service descriptions, which are chosen by name,
/// and the device table.
fn add_skeleton(tree: &mut FileTree, project: &Project) -> Result<()> {
    let directory = project.rootfs().join("skeleton");
    let chosen_by_name = TreePath::new(DIRECTORIES[0])?;
    let wanted = |path: &TreePath| path.parent().as_ref() != Some(&chosen_by_name);
    skeleton::add(tree, &directory, "rootfs/skeleton", Conflict::Refuse, &wanted)?;
    let table = project.rootfs().join("device_table.txt");
    let text = fs::read_to_string(&table).at("read", &table)?;
    device_table::apply(&device_table::parse(&project.show(&table), &text)?, tree)
}

fn add_program(tree: &mut FileTree, built: &BuiltProgram) -> Result<()> {
    let program = &built.program;
    let node = match &built.file {
        Some(file) => host_file(file, 0o755, &program.origin)?,
        None => {
            let nothing = NodeKind::File(Content::Bytes([].into()));
            Node::new(nothing, 0o755, &*program.origin)
        }
    };
    insert(tree, &program.binary.path, node, false)?;
    for link in &program.binary.links {
        let target = relative(link, &program.binary.path);
        let node = Node::new(NodeKind::Symlink(target.into()), 0o777, &*program.origin);
        insert(tree, link, node, false)?;
    }
    Ok(())
}

fn add_home(tree: &mut FileTree, user: &User) -> Result<()> {
    let home = links::resolve(tree, &user.home)?;
    if tree.get(&home).is_some() {
        return Ok(());
    }
    let origin = format!("home of user {}", user.name);
    let node = Node::new(NodeKind::Directory, 0o700, origin);
    tree.insert(home, Node { uid: user.uid, gid: user.gid, ..node })
}

/// What the definition lists one by one: directories first, so that files find their owner right.
fn add_listed(tree: &mut FileTree, image: &Image) -> Result<()> {
    for directory in &image.directories {
        let node = Node::new(NodeKind::Directory, directory.mode, directory.place.to_string());
        let node = Node { uid: directory.uid, gid: directory.gid, ..node };
        let path = links::resolve(tree, &directory.path)?;
        tree.insert(path, node)?;
    }
    for file in &image.files {
        let origin = file.place.to_string();
        let node = match &file.content {
            FileContent::Text(text) => {
                let content = Content::Bytes(text.as_bytes().into());
                Node::new(NodeKind::File(content), file.mode, origin)
            }
            FileContent::Source(path) => {
                host_file(path, file.mode, &origin).context(|| file.place.to_string())?
            }
        };
        let node = Node { uid: file.uid, gid: file.gid, ..node };
        insert(tree, &file.path, node, file.replace)?;
    }
    for symlink in &image.symlinks {
        let target = symlink.target.as_bytes().into();
        let node = Node::new(NodeKind::Symlink(target), 0o777, symlink.place.to_string());
        insert(tree, &symlink.path, node, symlink.replace)?;
    }
    Ok(())
}

/// Adds an entry where the links of the tree lead.
fn insert(tree: &mut FileTree, path: &TreePath, node: Node, replace: bool) -> Result<()> {
    let path = links::behind(tree, path)?;
    if replace { tree.replace(path, node) } else { tree.insert(path, node) }
}

fn host_file(path: &std::path::Path, mode: u16, origin: &str) -> Result<Node> {
    let metadata = fs::metadata(path).at("read", path)?;
    if !metadata.is_file() {
        return Err(Error::definition(format!("{} is no file", path.display())));
    }
    let content = Content::HostFile { path: path.to_owned(), size_bytes: metadata.len() };
    Ok(Node::new(NodeKind::File(content), mode, origin))
}

/// The target of a symbolic link at `link` to `path`: a bare name within one
/// directory, else absolute.
fn relative(link: &TreePath, path: &TreePath) -> Vec<u8> {
    if link.parent() == path.parent() {
        path.file_name().to_vec()
    } else {
        [b"/", path.as_bytes()].concat()
    }
}
