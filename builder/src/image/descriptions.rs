//! The service descriptions of an image: those its definition names, found in
//! the repository, and the check of all that are in the finished tree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use init_core::description::ServiceDescription;
use init_core::diagnostic::{Finding, Place, suggest};
use init_core::graph::{Loaded, Severity, check_loaded};
use init_core::name::ServiceName;
use init_core::parse::{locate, parse_description_bytes};

use crate::definition::Image;
use crate::error::{Error, IoContext, Result};
use crate::project::Project;
use crate::tree::{Content, FileTree, NodeKind, TreePath, links};

/// Where images keep descriptions, and where the machine's own override them.
pub const DIRECTORIES: [&str; 2] = ["usr/lib/services.d", "etc/services.d"];

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
    let directory = project.rootfs().join("skeleton").join(DIRECTORIES[0]);
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
/// If a file of the tree cannot be read.
pub fn check(project: &Project, tree: &FileTree) -> Result<Verdict> {
    let mut files: Vec<(ServiceName, String, String)> = Vec::new();
    let mut verdict = Verdict::default();
    let mut loaded = Vec::new();
    for (path, content) in described(tree, &DIRECTORIES) {
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
    for (path, content) in described(tree, &DIRECTORIES) {
        let stem = path.file_name().strip_suffix(b".toml").unwrap_or_default();
        let Ok(name) = ServiceName::new(&String::from_utf8_lossy(stem)) else { continue };
        let description = parse_description_bytes(&name, "", &bytes(content)?);
        services.insert(name, description.is_ok_and(|description| description.autostart));
    }
    Ok(services.into_iter().filter(|(_, starts)| *starts).map(|(name, _)| name).collect())
}

/// The files of a tree that describe something, in the order in which they are read: one of
/// a later directory takes the place of one of the same name.
pub(super) fn described<'a>(
    tree: &'a FileTree,
    directories: &'a [&str],
) -> impl Iterator<Item = (TreePath, &'a Content)> {
    directories.iter().flat_map(move |directory| {
        let directory = directory.trim_start_matches('/').as_bytes();
        tree.iter().filter_map(move |(path, node)| {
            let in_directory = path.parent()?.as_bytes() == directory;
            match &node.kind {
                NodeKind::File(content) if in_directory => {
                    path.file_name().ends_with(b".toml").then(|| (path.clone(), content))
                }
                _ => None,
            }
        })
    })
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
