//! The ELF closure: every program of a tree must find its loader and all its
//! libraries inside the tree, for the right machine, and every script its
//! interpreter. What is missing would show on the target as ENOENT for a file
//! that is there; here it is found before anything is packed.
//!
//! Libraries are searched as the loader the program asks for does it (ld.so(8),
//! musl's `ldso/dynlink.c`). Not covered: what a program opens by itself at run time.

mod probe;
mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::machine::{Machine, Machines};
use super::{Facts, ObjectKind};
use crate::error::{Error, Result};
use crate::tree::{FileTree, NodeKind, TreePath, links};
use probe::Probe;
use search::{Configuration, Search};

/// A file that would not run on the target, and why.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Problem {
    /// The file.
    pub path: TreePath,
    /// What brought it into the tree.
    pub origin: Arc<str>,
    /// What is wrong, as a fragment that follows the path.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// What would have to be added, where that is what is wrong.
    pub missing: Option<Missing>,
}

/// A file that a program or library needs and the tree has not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Missing {
    /// What it must be made for.
    pub machine: Machine,
    /// The loader's path, or the library's name.
    pub name: Vec<u8>,
    /// The directories a library may be in; none for a loader, whose name is a path.
    pub directories: Vec<Vec<u8>>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (from {})\n  hint: {}", self.path, self.message, self.origin, self.hint)
    }
}

/// Checks every executable and library of the tree.
///
/// # Errors
/// If a file cannot be read. What is wrong with the tree is no error but the answer,
/// in tree order.
pub fn check(tree: &FileTree, machines: impl Into<Machines>) -> Result<Vec<Problem>> {
    let machines = machines.into();
    let configurations: Vec<Configuration> =
        machines.iter().map(|machine| Configuration::read(tree, machine)).collect::<Result<_>>()?;
    let mut closure = Closure {
        tree,
        machines,
        probes: probe::probe_all(tree)?,
        configurations: &configurations,
        problems: BTreeSet::new(),
        reached: BTreeSet::new(),
    };
    let paths: Vec<TreePath> = closure.probes.keys().cloned().collect();
    for path in &paths {
        match closure.probes.get(path).cloned() {
            Some(Probe::Script { interpreter }) => closure.script(path, &interpreter),
            Some(Probe::Damaged(why)) => {
                let hint = "build or copy the file again".to_owned();
                closure.report(path, format!("is a damaged ELF file: {why}"), hint);
            }
            Some(Probe::Elf(facts)) => closure.program(path, &facts),
            Some(Probe::Other) | None => {}
        }
    }
    // Libraries that no program needs are loaded at run time: their own needs count too.
    for path in &paths {
        if let Some(Probe::Elf(facts)) = closure.probes.get(path).cloned()
            && facts.interpreter.is_none()
            && let Some(configuration) = closure.configuration(&facts)
            && !closure.reached.contains(path)
        {
            closure.libraries(path, &facts, configuration);
        }
    }
    Ok(closure.problems.into_iter().collect())
}

/// [`check`] as a step of a build.
///
/// # Errors
/// If a file cannot be read, or there is a problem: then with all of them.
pub fn require(tree: &FileTree, machines: impl Into<Machines>) -> Result<()> {
    let problems = check(tree, machines)?;
    if problems.is_empty() {
        return Ok(());
    }
    let count = problems.len();
    let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let files = if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    Err(Error::definition(format!("{files} would not run on the target:\n{}", list.join("\n"))))
}

struct Closure<'a> {
    tree: &'a FileTree,
    machines: Machines,
    probes: BTreeMap<TreePath, Probe>,
    /// What the tree configures for each machine's loaders.
    configurations: &'a [Configuration],
    problems: BTreeSet<Problem>,
    /// Libraries that some program needs.
    reached: BTreeSet<TreePath>,
}

impl<'a> Closure<'a> {
    /// What counts for a file, if it is for one of the machines.
    fn configuration(&self, facts: &Facts) -> Option<&'a Configuration> {
        self.configurations.iter().find(|configuration| configuration.machine().fits(facts))
    }

    fn report(&mut self, path: &TreePath, message: String, hint: String) {
        self.report_missing(path, message, hint, None);
    }

    fn report_missing(
        &mut self,
        path: &TreePath,
        message: String,
        hint: String,
        missing: Option<Missing>,
    ) {
        let origin =
            self.tree.get(path).map_or_else(|| "the tree".into(), |node| Arc::clone(&node.origin));
        self.problems.insert(Problem { path: path.clone(), origin, message, hint, missing });
    }

    fn script(&mut self, path: &TreePath, interpreter: &[u8]) {
        let shown = String::from_utf8_lossy(interpreter).into_owned();
        if !interpreter.starts_with(b"/") {
            let message = format!("asks for the interpreter `{shown}`, which is no absolute path");
            self.report(path, message, "begin its first line with `#!/`".into());
        } else if !self.is_executable(interpreter) {
            let message = format!(
                "needs {shown}, which is not in the tree as a program: the kernel would answer ENOENT"
            );
            self.report(
                path,
                message,
                format!("add {shown} to the image, or leave the script out"),
            );
        }
    }

    /// Whether a path leads to a file that may be executed.
    fn is_executable(&self, path: &[u8]) -> bool {
        self.file_at(path)
            .is_some_and(|path| self.tree.get(&path).is_some_and(|node| node.mode & 0o111 != 0))
    }

    /// The regular file that a path leads to, its links followed.
    fn file_at(&self, path: &[u8]) -> Option<TreePath> {
        let path = links::resolve(self.tree, &TreePath::new(path).ok()?).ok()?;
        match &self.tree.get(&path)?.kind {
            NodeKind::File(_) => Some(path),
            NodeKind::HardLink(target) => Some(target.clone()),
            _ => None,
        }
    }

    fn program(&mut self, path: &TreePath, facts: &Facts) {
        if matches!(facts.kind, ObjectKind::Other) {
            return;
        }
        let Some(configuration) = self.configuration(facts) else {
            let arch = self.machines.arch;
            let message = format!("is for {}, and the image for {arch}", facts.machine_name());
            self.report(path, message, format!("build it for {arch}, or leave it out"));
            return;
        };
        let Some(interpreter) = &facts.interpreter else { return };
        let shown = String::from_utf8_lossy(interpreter);
        if !self.is_executable(interpreter) {
            let message =
                format!("needs {shown}, which is not in the tree: the kernel would answer ENOENT");
            let hint = format!("link it statically, or add the package that holds {shown}");
            let missing = Missing {
                machine: configuration.machine(),
                name: interpreter.clone(),
                directories: Vec::new(),
            };
            self.report_missing(path, message, hint, Some(missing));
        }
        self.libraries(path, facts, configuration);
    }

    /// Follows the needs of a program or library, and theirs.
    fn libraries(&mut self, root: &TreePath, facts: &Facts, configuration: &Configuration) {
        let search = Search::new(configuration, facts);
        let machine = configuration.machine();
        let mut seen = BTreeSet::new();
        // Each with the RPATHs of what needed it, which count for it too.
        let mut waiting = vec![(root.clone(), facts.clone(), Vec::new())];
        while let Some((path, facts, inherited)) = waiting.pop() {
            let directories = search.directories(&path, &facts, &inherited);
            for name in &facts.needed {
                if search.is_the_loaders(name) {
                    continue;
                }
                let Some(found) = self.find(name, &directories, machine) else {
                    let (name, directories) = (name.clone(), directories.clone());
                    self.missing(&path, Missing { machine, name, directories }, &search);
                    continue;
                };
                self.reached.insert(found.clone());
                if let Some(Probe::Elf(library)) = self.probes.get(&found)
                    && seen.insert(found.clone())
                {
                    let inherited = search.handed_down(&path, &facts, &inherited);
                    waiting.push((found, library.clone(), inherited));
                }
            }
        }
    }

    /// A library of the right machine, by name in directories or by path.
    fn find(&self, name: &[u8], directories: &[Vec<u8>], machine: Machine) -> Option<TreePath> {
        let candidates: Vec<Vec<u8>> = if name.contains(&b'/') {
            vec![name.to_vec()]
        } else {
            directories
                .iter()
                .map(|directory| [directory, b"/".as_slice(), name].concat())
                .collect()
        };
        // A loader passes over libraries of other machines.
        candidates.iter().filter_map(|path| self.file_at(path)).find(
            |path| matches!(self.probes.get(path), Some(Probe::Elf(facts)) if machine.fits(facts)),
        )
    }

    fn missing(&mut self, path: &TreePath, missing: Missing, search: &Search<'_>) {
        let shown = String::from_utf8_lossy(&missing.name).into_owned();
        let elsewhere = self.probes.keys().find(|other| other.file_name() == missing.name).cloned();
        let hint = match elsewhere {
            Some(other) if search.is_only_in_cache_directories(&other) => format!(
                "{other} is there, but its directory is found through /etc/ld.so.cache alone, \
                 which is not in the tree: add it with ldconfig -r"
            ),
            Some(other) => format!(
                "{other} is there, but not where its loader looks or not for {}: \
                 link with a DT_RUNPATH, or move the library",
                missing.machine.name()
            ),
            None => format!("add the package that holds {shown}, or link statically"),
        };
        let message = format!("needs the library {shown}, which is not in the tree");
        self.report_missing(path, message, hint, Some(missing));
    }
}

#[cfg(test)]
mod tests;
