//! The root tree of an image, put together from all that goes into it.
//!
//! Order: skeleton, device table, generated files, programs, descriptions,
//! homes, packages, then what the definition lists one by one, and overlays;
//! last what programs need of packages that others depend on. Only packages,
//! listed things and overlays may take the place of what is there, and only
//! when they say so; an overlay says so by being one.

use std::fs;

use init_core::description::DIRECTORIES;
use init_core::diagnostic::Place;

use crate::arch::Arch;
use crate::definition::Image;
use crate::definition::resolved::{File, FileContent, Symlink, User};
use crate::error::{Context, Error, IoContext, Result};
use crate::project::Project;
use crate::tree::skeleton::Conflict;
use crate::tree::{Content, FileTree, Node, NodeKind, TreePath, device_table, links, skeleton};

use super::base_files;
use super::descriptions::Description;
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
        insert(&mut tree, &description.target()?, node)?;
    }
    for user in &image.users {
        add_home(&mut tree, user)?;
    }
    packages.add_named(&mut tree)?;
    add_listed(&mut tree, project, image)?;
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
    insert(tree, &program.binary.path, node)?;
    for link in &program.binary.links {
        let target = relative(link, &program.binary.path);
        let node = Node::new(NodeKind::Symlink(target.into()), 0o777, &*program.origin);
        insert(tree, link, node)?;
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

/// What the definition lists one by one: directories first, so that files find their owner right,
/// then files and links in the order of the definitions they come from, so that what an heir says
/// to `replace` something counts.
fn add_listed(tree: &mut FileTree, project: &Project, image: &Image) -> Result<()> {
    for directory in &image.directories {
        let node = Node::new(NodeKind::Directory, directory.mode, directory.place.to_string());
        let node = Node { uid: directory.uid, gid: directory.gid, ..node };
        let path = links::resolve(tree, &directory.path)?;
        tree.insert(path, node)?;
    }
    let sources: Vec<String> = image.sources.iter().map(|path| project.show(path)).collect();
    let files = image.files.iter().map(Listed::File);
    let mut listed: Vec<Listed<'_>> =
        files.chain(image.symlinks.iter().map(Listed::Symlink)).collect();
    listed.sort_by_key(|entry| sources.iter().position(|file| *file == entry.place().file));
    listed.iter().try_for_each(|entry| entry.add(tree))
}

/// A single file or link of a definition.
#[derive(Clone, Copy)]
enum Listed<'a> {
    File(&'a File),
    Symlink(&'a Symlink),
}

impl Listed<'_> {
    fn place(&self) -> &Place {
        match self {
            Self::File(file) => &file.place,
            Self::Symlink(symlink) => &symlink.place,
        }
    }

    fn add(&self, tree: &mut FileTree) -> Result<()> {
        let origin = self.place().to_string();
        let (path, node, replace) = match self {
            Self::File(file) => (&file.path, file_node(file, &origin)?, file.replace),
            Self::Symlink(symlink) => {
                let target = symlink.target.as_bytes().into();
                let node = Node::new(NodeKind::Symlink(target), 0o777, origin);
                (&symlink.path, node, symlink.replace)
            }
        };
        let path = links::behind(tree, path)?;
        tree.insert_or_replace(path, node, replace)
    }
}

fn file_node(file: &File, origin: &str) -> Result<Node> {
    let node = match &file.content {
        FileContent::Text(text) => {
            let content = Content::Bytes(text.as_bytes().into());
            Node::new(NodeKind::File(content), file.mode, origin)
        }
        FileContent::Source(path) => {
            host_file(path, file.mode, origin).context(|| origin.to_owned())?
        }
    };
    Ok(Node { uid: file.uid, gid: file.gid, ..node })
}

/// Adds an entry where the links of the tree lead.
fn insert(tree: &mut FileTree, path: &TreePath, node: Node) -> Result<()> {
    let path = links::behind(tree, path)?;
    tree.insert(path, node)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::testing::{ACCOUNTS, project};

    /// The tree of `a`, which inherits `base`, both put on a tree with `/bin` for `/usr/bin` and
    /// something at `/etc/hosts`.
    fn listed(base: &str, heir: &str) -> Result<FileTree> {
        let directory = tempfile::tempdir().unwrap();
        let base = format!("{base}{ACCOUNTS}");
        let heir = format!("inherit = [\"base.toml\"]\n{heir}");
        let project = project(directory.path(), &[("base.toml", &base), ("a.toml", &heir)]);
        let image = crate::definition::load(&project, "a")?;
        let mut tree = FileTree::new();
        let link = NodeKind::Symlink(b"usr/bin".as_slice().into());
        tree.insert(TreePath::new("/bin")?, Node::new(link, 0o777, "skeleton"))?;
        let file = NodeKind::File(Content::Bytes([].into()));
        tree.insert(TreePath::new("/etc/hosts")?, Node::new(file, 0o644, "skeleton"))?;
        add_listed(&mut tree, &project, &image)?;
        Ok(tree)
    }

    const LINK: &str = "[[symlink]]\npath = \"PATH\"\ntarget = \"/x\"\nreplace = true\n";
    const FILE: &str = "[[file]]\npath = \"PATH\"\ncontent = \"\"\nreplace = true\n";

    #[test]
    fn an_heirs_file_or_link_takes_the_place_of_an_inherited_one() {
        for (base, heir, path, is_link) in [
            (LINK, FILE, "/etc/hosts", false),
            (FILE, LINK, "/etc/hosts", true),
            // Two ways to write one place.
            (LINK, FILE, "/bin/x", false),
            (FILE, LINK, "/bin/x", true),
        ] {
            let behind = path.replace("/bin", "/usr/bin");
            let tree = listed(&base.replace("PATH", &behind), &heir.replace("PATH", path)).unwrap();
            let node = tree.get(&TreePath::new(&behind).unwrap()).unwrap();
            assert!(node.origin.starts_with("images/a.toml:2:1"), "{path}: {}", node.origin);
            assert_eq!(matches!(node.kind, NodeKind::Symlink(_)), is_link, "{path}");
        }
    }

    #[test]
    fn an_heir_that_does_not_say_replace_is_told_how() {
        let heir = FILE.replace("PATH", "/bin/x").replace("replace = true\n", "");
        let error = listed(&LINK.replace("PATH", "/usr/bin/x"), &heir).unwrap_err().to_string();
        let expected = "/usr/bin/x comes both from images/base.toml:1:1 and from images/a.toml:2:1\n\
                        hint: let one of the two go, or mark the later one as `replace`";
        assert_eq!(error, expected);
    }
}
