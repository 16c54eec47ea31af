//! The service descriptions of an image: those its definition names, found in
//! the repository, and the check of all that are in the finished tree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use init_core::description::{DIRECTORIES, ServiceDescription};
use init_core::diagnostic::{Finding, Place, suggest};
use init_core::graph::{Loaded, Severity, check_loaded};
use init_core::name::ServiceName;
use init_core::parse::{locate, parse_description_bytes};

use crate::definition::Image;
use crate::error::{Error, IoContext, Result};
use crate::project::Project;
use crate::tree::{Content, FileTree, NodeKind, TreePath, links};

/// A description that a definition asks for.
#[derive(Clone, Debug)]
pub struct Description {
    /// The service's name.
    pub name: ServiceName,
    /// The host file.
    pub path: PathBuf,
    /// What it says, if it is right: what is wrong is said when the tree is checked.
    pub content: Option<ServiceDescription>,
}

impl Description {
    /// The program it starts.
    #[must_use]
    pub fn program(&self) -> Option<&str> {
        self.content.as_ref()?.command.first().map(AsRef::as_ref)
    }

    /// Where it goes on the target.
    ///
    /// # Errors
    /// None for a checked name.
    pub fn target(&self) -> Result<TreePath> {
        TreePath::new(format!("{}/{}.toml", DIRECTORIES[0], self.name))
    }
}

/// Finds the descriptions of the services that `image` names, and of its crates.
///
/// # Errors
/// If the repository has no such service, naming all of them, or a file cannot be read.
pub fn find(project: &Project, image: &Image) -> Result<Vec<Description>> {
    let directory = project.rootfs().join("skeleton").join(DIRECTORIES[0].trim_start_matches('/'));
    let mut descriptions = Vec::new();
    let mut findings = Vec::new();
    for service in &image.services {
        let path = directory.join(format!("{}.toml", service.value));
        if path.is_file() {
            descriptions.push(read(project, service.value.clone(), path)?);
        } else {
            findings.push(unknown(&directory, service.value.as_str(), service.place.clone()));
        }
    }
    for wanted in &image.crates {
        for path in &wanted.descriptions {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            match ServiceName::new(&stem) {
                Ok(name) => descriptions.push(read(project, name, path.clone())?),
                Err(error) => findings.push(Finding::new(wanted.place.clone(), error.to_string())),
            }
        }
    }
    if findings.is_empty() {
        Ok(descriptions)
    } else {
        Err(Error::findings(format!("the services of image {} are wrong", image.name), findings))
    }
}

fn read(project: &Project, name: ServiceName, path: PathBuf) -> Result<Description> {
    let bytes = std::fs::read(&path).at("read", &path)?;
    let content = parse_description_bytes(&name, &project.show(&path), &bytes).ok();
    Ok(Description { name, path, content })
}

fn unknown(directory: &Path, name: &str, place: Place) -> Finding {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut known: Vec<String> = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".toml").map(str::to_owned))
        .collect();
    known.sort();
    let finding = Finding::new(place, format!("there is no service {name:?}"));
    match suggest(name, known.iter().map(String::as_str)) {
        Some(near) => finding.with_hint(format!("did you mean \"{near}\"?")),
        None => finding.with_hint(format!("the services are {}", known.join(", "))),
    }
}

/// What PID 1 will say about the descriptions in the finished tree: findings
/// that keep a service from starting, and warnings.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What keeps a service from starting.
    pub errors: Vec<Finding>,
    /// What is ignored.
    pub warnings: Vec<Finding>,
}

/// Reads every description as PID 1 will, and checks each and all together.
///
/// # Errors
/// If a file of the tree cannot be read, or a description is no file.
pub fn check(project: &Project, tree: &FileTree) -> Result<Verdict> {
    let mut files: Vec<(ServiceName, String, String)> = Vec::new();
    let mut verdict = Verdict::default();
    let mut loaded = Vec::new();
    for (path, content) in described(tree, &DIRECTORIES)? {
        let file = shown(project, &path, content);
        let stem = path.file_name().strip_suffix(b".toml").unwrap_or_default();
        let name = match ServiceName::new(&String::from_utf8_lossy(stem)) {
            Ok(name) => name,
            Err(error) => {
                let place = Place { file, line: 1, column: 1 };
                verdict.errors.push(Finding::new(place, error.to_string()));
                continue;
            }
        };
        let bytes = bytes(content)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // A file of the later directory takes the place of the one of the same name.
        files.retain(|(other, ..)| *other != name);
        loaded.retain(|other: &Loaded| *other.name() != name);
        match parse_description_bytes(&name, &file, &bytes) {
            Ok(description) => {
                check_accounts_and_program(tree, &file, &text, &description, &mut verdict)?;
                loaded.push(Loaded::from(description));
            }
            Err(findings) => {
                loaded.push(Loaded::broken(name.clone(), &findings));
                verdict.errors.extend(findings);
            }
        }
        files.push((name, file, text));
    }
    for problem in check_loaded(loaded) {
        let Some((_, file, text)) = files.iter().find(|(name, ..)| *name == problem.service) else {
            continue;
        };
        let finding = problem.finding(file, text);
        match problem.severity {
            Severity::Error => verdict.errors.push(finding),
            Severity::Warning => verdict.warnings.push(finding),
        }
    }
    Ok(verdict)
}

/// The services of a tree that start at boot, by name. Descriptions that are wrong are
/// left out: [`check`] says what is wrong with them.
///
/// # Errors
/// If a file of the tree cannot be read.
pub(super) fn starting_at_boot(tree: &FileTree) -> Result<Vec<ServiceName>> {
    let mut services = BTreeMap::new();
    for (path, content) in described(tree, &DIRECTORIES)? {
        let stem = path.file_name().strip_suffix(b".toml").unwrap_or_default();
        let Ok(name) = ServiceName::new(&String::from_utf8_lossy(stem)) else { continue };
        let description = parse_description_bytes(&name, "", &bytes(content)?);
        services.insert(name, description.is_ok_and(|description| description.autostart));
    }
    Ok(services.into_iter().filter(|(_, starts)| *starts).map(|(name, _)| name).collect())
}

/// The files of a tree that describe something, in the order in which they are read: one of
/// a later directory takes the place of one of the same name. Links are followed, as whoever
/// reads the files on the target does.
///
/// # Errors
/// If something that is to be such a file is none.
pub(super) fn described<'t>(
    tree: &'t FileTree,
    directories: &[&str],
) -> Result<Vec<(TreePath, &'t Content)>> {
    let mut found = Vec::new();
    for directory in directories {
        let directory = links::resolve(tree, &TreePath::new(*directory)?)?;
        for (path, _) in tree.iter() {
            let is_in_directory = path.parent().is_some_and(|parent| parent == directory);
            if is_in_directory && path.file_name().ends_with(b".toml") {
                found.push((path.clone(), content_behind(tree, path)?));
            }
        }
    }
    Ok(found)
}

/// The content of the file that a path leads to.
fn content_behind<'t>(tree: &'t FileTree, path: &TreePath) -> Result<&'t Content> {
    let mut node = tree.get(&links::resolve(tree, path)?);
    if let Some(link) = node
        && let NodeKind::HardLink(target) = &link.kind
    {
        node = Some(tree.hard_link_target(target, link)?.1);
    }
    match node.map(|node| &node.kind) {
        Some(NodeKind::File(content)) => Ok(content),
        _ => Err(Error::definition(format!("{path} is no file, and leads to none of the image"))
            .hint("let it be a description, or a link to one that is in the image")),
    }
}

fn shown(project: &Project, path: &TreePath, content: &Content) -> String {
    match content {
        Content::HostFile { path, .. } => project.show(path),
        Content::Bytes(_) => path.to_string(),
    }
}

/// What is in a file of the tree.
///
/// # Errors
/// If it is a host file that cannot be read.
pub(super) fn bytes(content: &Content) -> Result<Vec<u8>> {
    match content {
        Content::Bytes(bytes) => Ok(bytes.to_vec()),
        Content::HostFile { path, .. } => std::fs::read(path).at("read", path),
    }
}

/// What only the tree can tell: whether the program is there and the user and group exist.
fn check_accounts_and_program(
    tree: &FileTree,
    file: &str,
    text: &str,
    description: &ServiceDescription,
    verdict: &mut Verdict,
) -> Result<()> {
    if let Some(command) = description.command.first() {
        let path = links::resolve(tree, &TreePath::new(command.as_bytes())?)?;
        let what = match tree.get(&path) {
            Some(node) if !matches!(node.kind, NodeKind::File(_) | NodeKind::HardLink(_)) => {
                Some("is no file")
            }
            Some(node) if node.mode & 0o111 == 0 => Some("is not executable"),
            Some(_) => None,
            None => Some("is not in the image"),
        };
        if let Some(what) = what {
            let place = locate(file, text, "command", Some(command));
            verdict.errors.push(Finding::new(place, format!("the program {command} {what}")));
        }
    }
    for (key, table, name) in
        [("user", "etc/passwd", &description.user), ("group", "etc/group", &description.group)]
    {
        let Some(name) = name else { continue };
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number && !has_account(tree, table, name)? {
            let place = locate(file, text, key, Some(name));
            let finding = Finding::new(place, format!("there is no {key} {name:?} in the image"));
            verdict.errors.push(finding.with_hint(format!("describe it with [[{key}]]")));
        }
    }
    Ok(())
}

fn has_account(tree: &FileTree, table: &str, name: &str) -> Result<bool> {
    let Some(NodeKind::File(content)) = tree.get(&TreePath::new(table)?).map(|node| &node.kind)
    else {
        return Ok(false);
    };
    let text = bytes(content)?;
    Ok(String::from_utf8_lossy(&text).lines().any(|line| line.split(':').next() == Some(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Node;

    fn tree(entries: &[(&str, NodeKind)]) -> FileTree {
        let mut tree = FileTree::new();
        for (path, kind) in entries {
            let node = Node::new(kind.clone(), 0o644, "test");
            tree.insert(TreePath::new(*path).unwrap(), node).unwrap();
        }
        tree
    }

    fn link(target: &str) -> NodeKind {
        NodeKind::Symlink(target.as_bytes().into())
    }

    fn file(text: &str) -> NodeKind {
        NodeKind::File(Content::Bytes(text.as_bytes().into()))
    }

    #[test]
    fn descriptions_are_found_behind_links() {
        let tree = tree(&[
            ("usr/share/a", file("of a")),
            ("usr/lib/services.d/a.toml", link("../../share/a")),
            ("usr/lib/services.d/b.toml", file("of b")),
            ("usr/lib/services.d/c.txt", file("")),
            ("usr/share/etc/d.toml", NodeKind::HardLink(TreePath::new("usr/share/a").unwrap())),
            ("etc/services.d", link("/usr/share/etc")),
        ]);
        let found: Vec<String> = described(&tree, &DIRECTORIES)
            .unwrap()
            .into_iter()
            .map(|(path, content)| {
                format!("{path}: {}", String::from_utf8(bytes(content).unwrap()).unwrap())
            })
            .collect();
        assert_eq!(
            found,
            [
                "/usr/lib/services.d/a.toml: of a",
                "/usr/lib/services.d/b.toml: of b",
                "/usr/share/etc/d.toml: of a"
            ]
        );
    }

    #[test]
    fn what_is_to_be_a_description_and_is_no_file_is_an_error() {
        for kind in [link("/dev/null"), link("nowhere"), NodeKind::Directory] {
            let tree = tree(&[("etc/services.d/web.toml", kind)]);
            let error = described(&tree, &DIRECTORIES).unwrap_err().to_string();
            assert!(error.contains("etc/services.d/web.toml is no file, and leads"), "{error}");
        }
    }
}
