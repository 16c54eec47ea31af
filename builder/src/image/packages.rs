//! The Debian packages of an image: locked, fetched, and put into its tree.

mod relock;

pub use relock::relock;

use std::fs;
use std::path::{Path, PathBuf};

use init_core::diagnostic::Finding;

use crate::arch::Arch;
use crate::cache::Cache;
use crate::debian::lock::{Lock, Locked, Role};
use crate::debian::place::{self, Store};
use crate::debian::store::{self, Unpacked};
use crate::definition::Image;
use crate::definition::resolved::Package;
use crate::elf::machine::Machine;
use crate::error::{Error, Result};
use crate::project::Project;
use crate::shell::Shell;
use crate::tree::pattern::Pattern;
use crate::tree::{FileTree, Node, NodeKind, links};

/// What a build may do to have its packages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Access {
    /// Nothing that is not on this host.
    pub is_offline: bool,
    /// Nothing that the lock file does not say.
    pub is_locked: bool,
}

/// The packages of one architecture's system.
#[derive(Clone, Debug, Default)]
pub struct Packages {
    /// Those the definition names, by its order.
    named: Vec<(Package, Unpacked)>,
    /// The others that may give what programs need.
    dependencies: Vec<Unpacked>,
}

/// Where the lock file of an image is: beside its definition.
#[must_use]
pub fn lock_path(image: &Image) -> PathBuf {
    image.sources.last().map(|path| path.with_extension("lock")).unwrap_or_default()
}

/// The lock of an image, brought up to date where that is allowed and needed.
///
/// # Errors
/// If the file is wrong, or lacks something that cannot or may not be added.
pub fn lock(
    shell: &Shell,
    cache: &Cache,
    project: &Project,
    image: &Image,
    access: Access,
) -> Result<Lock> {
    if image.packages.is_empty() {
        return Ok(Lock::default());
    }
    let path = lock_path(image);
    let old = read(project, &path)?;
    let lacking = lacking(image, &old);
    if lacking.is_empty() {
        return Ok(old);
    }
    if access.is_offline || access.is_locked {
        let mut names: Vec<&str> = lacking.iter().map(|(_, one)| one.name.as_str()).collect();
        names.dedup();
        let option = if access.is_locked { "--locked" } else { "--offline" };
        let message = format!("{} does not lock {}", project.show(&path), names.join(", "));
        return Err(Error::definition(format!("{message}, and {option} keeps it as it is"))
            .hint(format!("`cargo builder lock {}` adds what it lacks", image.name)));
    }
    relock(shell, cache, project, image, false)
}

fn read(project: &Project, path: &Path) -> Result<Lock> {
    match fs::read_to_string(path) {
        Ok(text) => Lock::parse(&project.show(path), &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Lock::default()),
        Err(error) => Err(Error::io("read", path, &error)),
    }
}

const fn role_of(package: &Package) -> Role {
    if package.depends { Role::NamedWithDependencies } else { Role::Named }
}

/// What a lock has not of what the image names, for every architecture of the
/// image, so that one file serves them all.
fn lacking<'i>(image: &'i Image, lock: &Lock) -> Vec<(Machine, &'i Package)> {
    let mut lacking = Vec::new();
    for arch in &image.arches {
        for package in &image.packages {
            let Some(machine) = package.machine(*arch) else { continue };
            if find(lock, machine, package).is_none() {
                lacking.push((machine, package));
            }
        }
    }
    lacking.sort_by_key(|(machine, _)| *machine);
    lacking
}

fn find<'l>(lock: &'l Lock, machine: Machine, package: &Package) -> Option<&'l Locked> {
    let version = package.version.as_deref();
    lock.find(machine.debian(), &package.name, version, role_of(package))
}

/// The packages of the system for `arch`, fetched where the cache lacks them.
///
/// # Errors
/// If the lock lacks one, or one cannot be had.
pub fn fetch(
    shell: &Shell,
    cache: &Cache,
    image: &Image,
    lock: &Lock,
    arch: Arch,
    access: Access,
) -> Result<Packages> {
    let mut packages = Packages::default();
    for machine in image.machines(arch).iter() {
        let named: Vec<&Package> =
            image.packages.iter().filter(|one| one.machine(arch) == Some(machine)).collect();
        let mut wanted = Vec::new();
        for package in &named {
            wanted.push(find(lock, machine, package).ok_or_else(|| {
                Error::internal(format!("the package {} is not locked", package.name))
            })?);
        }
        if named.iter().any(|package| package.depends) {
            let is_other = |locked: &&Locked| {
                locked.arch == machine.debian()
                    && locked.role != Role::Named
                    && !named.iter().any(|package| package.name == locked.name)
            };
            wanted.extend(lock.iter().filter(is_other));
        }
        let mut unpacked =
            store::fetch(shell, cache, machine, &wanted, access.is_offline)?.into_iter();
        packages.named.extend(named.into_iter().cloned().zip(unpacked.by_ref()));
        packages.dependencies.extend(unpacked);
    }
    Ok(packages)
}

fn patterns(package: &Package) -> Vec<Pattern> {
    package.paths.iter().map(|pattern| pattern.value.clone()).collect()
}

impl Packages {
    /// Adds what the definition names of them to the tree.
    ///
    /// # Errors
    /// If something is there already, or a pattern fits nothing.
    pub fn add_named(&self, tree: &mut FileTree) -> Result<()> {
        let mut findings = Vec::new();
        for (package, unpacked) in &self.named {
            let (name, version) = (&package.name, &unpacked.locked.version);
            let origin = format!("{}: package {name} {version}", package.place);
            for index in place::add(tree, unpacked, &patterns(package), &origin, package.replace)? {
                let place = package.paths[index].place.clone();
                let arch = &unpacked.locked.arch;
                let message = format!("the package {name} {version} for {arch} has no such path");
                let hint = format!("`dpkg -c` or packages.debian.org list what {name} holds");
                findings.push(Finding::new(place, message).with_hint(hint));
            }
            for (link, program) in &package.commands {
                let target = program.file_name().to_vec();
                let node = Node::new(NodeKind::Symlink(target.into()), 0o777, &*origin);
                let link = links::behind(tree, link)?;
                tree.insert_or_replace(link, node, package.replace)?;
            }
        }
        if findings.is_empty() {
            return Ok(());
        }
        Err(Error::findings("the packages do not hold what is asked for", findings))
    }

    /// Adds what programs of the tree need out of the packages that the named ones depend on,
    /// which may be named too.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn add_needed(&self, tree: &mut FileTree, image: &Image, arch: Arch) -> Result<()> {
        let mut stores: Vec<Store<'_>> =
            self.dependencies.iter().map(|unpacked| Store::new(unpacked, &[])).collect();
        for (package, unpacked) in &self.named {
            let depends = |(one, of): &(Package, Unpacked)| {
                one.depends && of.locked.arch == unpacked.locked.arch
            };
            if self.named.iter().any(depends) {
                stores.push(Store::new(unpacked, &patterns(package)));
            }
        }
        if stores.is_empty() {
            return Ok(());
        }
        place::add_needed(tree, image.machines(arch), &stores).map(|_used| ())
    }

    /// Every package that may have given something.
    pub fn iter(&self) -> impl Iterator<Item = &Locked> {
        let named = self.named.iter().map(|(_, unpacked)| &unpacked.locked);
        named.chain(self.dependencies.iter().map(|unpacked| &unpacked.locked))
    }
}
