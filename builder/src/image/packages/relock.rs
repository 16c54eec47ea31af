//! Writing the lock file of an image: what it lacks comes in, what is not asked for any more
//! goes, and the rest stays as it is.
//!
//! What packages need of each other holds for the versions that apt found together. So nothing
//! comes in whose dependencies are locked at other versions than apt now gives them.

use std::collections::BTreeSet;

use init_core::diagnostic::Finding;

use super::{lacking, lock_path, read, role_of};
use crate::arch::Arch;
use crate::cache::Cache;
use crate::debian::apt::{Apt, Record, Wish};
use crate::debian::lock::{Lock, Locked, Role};
use crate::definition::Image;
use crate::definition::resolved::Package;
use crate::elf::machine::Machine;
use crate::error::{Error, Result};
use crate::project::Project;
use crate::shell::Shell;
use crate::whole_file;

/// Writes the lock file of an image: what it lacks is added and what is not
/// asked for any more goes. With `is_update` every package is taken at the best
/// version that the archive has.
///
/// # Errors
/// If the archive lacks a package or cannot be asked, a name is no package's, what is added needs
/// other versions than are locked, or the file cannot be written. The file is then as it was.
pub fn relock(
    shell: &Shell,
    cache: &Cache,
    project: &Project,
    image: &Image,
    is_update: bool,
) -> Result<Lock> {
    let path = lock_path(image);
    let old = read(project, &path)?;
    let mut lock = if is_update { Lock::default() } else { old.clone() };
    prune(image, &mut lock);
    let lacking = lacking(image, &lock);
    let mut machines: Vec<Machine> = lacking.iter().map(|(machine, _)| *machine).collect();
    machines.dedup();
    for machine in machines {
        let apt = Apt::open(shell, cache, machine.debian())?;
        if is_update {
            apt.update()?;
        }
        let step = shell.step(format!("resolve packages for {}", machine.debian()));
        let wanted = |depends| -> Vec<&Package> {
            let wanted =
                lacking.iter().filter(|(of, one)| *of == machine && one.depends == depends);
            wanted.map(|(_, one)| *one).collect()
        };
        for record in resolve(&apt, &wanted(false), false)? {
            lock.add(Lock::entry(machine.debian(), record, Role::Named));
        }
        add_with_dependencies(&mut lock, image, &apt, machine, &wanted(true))?;
        step.done("");
    }
    if lock != old {
        whole_file::replace(&path, lock.text(&image.name))?;
        shell.note(format_args!("{} is written", project.show(&path)));
    }
    Ok(lock)
}

/// Takes out what the definition does not ask for any more, or asks for at another version.
fn prune(image: &Image, lock: &mut Lock) {
    lock.retain(|locked| {
        let version = named(image, locked).and_then(|package| package.version.as_ref());
        version.is_none_or(|version| *version == locked.version)
    });
    lock.prune(|locked| named(image, locked).map(role_of));
}

/// What the definition says of a locked package, if it names it.
fn named<'i>(image: &'i Image, locked: &Locked) -> Option<&'i Package> {
    image.packages.iter().find(|package| {
        let arch = |arch: &Arch| package.machine(*arch).map(Machine::debian);
        package.name == locked.name
            && image.arches.iter().any(|one| arch(one) == Some(locked.arch.as_str()))
    })
}

fn add_with_dependencies(
    lock: &mut Lock,
    image: &Image,
    apt: &Apt<'_>,
    machine: Machine,
    wanted: &[&Package],
) -> Result<()> {
    let records = resolve(apt, wanted, true)?;
    refuse_mixture(lock, image, machine, &records)?;
    let wishes = wishes(wanted);
    for (name, packages) in needs(apt, &wishes, &records) {
        lock.set_needs(machine.debian(), name, packages);
    }
    for record in records {
        let is_named = wishes.iter().any(|wish| wish.name == record.name);
        let role = if is_named { Role::NamedWithDependencies } else { Role::Dependency };
        lock.add(Lock::entry(machine.debian(), record, role));
    }
    Ok(())
}

fn wishes(wanted: &[&Package]) -> Vec<Wish> {
    let wish = |one: &&Package| Wish { name: one.name.clone(), version: one.version.clone() };
    wanted.iter().map(wish).collect()
}

/// What the archive has for the packages that are wanted.
fn resolve(apt: &Apt<'_>, wanted: &[&Package], with_dependencies: bool) -> Result<Vec<Record>> {
    let records = apt.resolve(&wishes(wanted), with_dependencies)?;
    let is_told = |one: &Package| records.iter().any(|record| record.name == one.name);
    let others = wanted.iter().filter(|one| !is_told(one));
    let findings: Vec<Finding> = others.map(|one| no_package(one, &records)).collect();
    if findings.is_empty() {
        return Ok(records);
    }
    Err(Error::findings("the definition names what is no package", findings))
}

/// What is wrong with a name for which apt gives other packages.
fn no_package(Package { name, place, .. }: &Package, records: &[Record]) -> Finding {
    let provides = |record: &&Record| record.provides.contains(name);
    let providers: Vec<&str> =
        records.iter().filter(provides).map(|record| record.name.as_str()).collect();
    if providers.is_empty() {
        return Finding::new(place.clone(), format!("apt gives no package of the name {name}"))
            .with_hint("packages.debian.org lists the names that there are");
    }
    let message = format!("{name} is no package but a name that others provide");
    let hint = format!("name the one that is wanted: {}", providers.join(" or "));
    Finding::new(place.clone(), message).with_hint(hint)
}

/// Fails if apt gives something another version than the lock has. One that the definition
/// itself fixes without its dependencies is its author's choice.
fn refuse_mixture(lock: &Lock, image: &Image, machine: Machine, records: &[Record]) -> Result<()> {
    let is_fixed = |locked: &Locked| {
        named(image, locked).is_some_and(|package| package.version.is_some() && !package.depends)
    };
    let arch = machine.debian();
    let mut list = String::new();
    for Record { name, version, .. } in records {
        let locked = lock.find(arch, name, None, Role::Dependency);
        if let Some(old) = locked.filter(|old| old.version != *version && !is_fixed(old)) {
            let old = &old.version;
            list.push_str(&format!("\n  {name} for {arch}: {old} is locked, {version} is needed"));
        }
    }
    if list.is_empty() {
        return Ok(());
    }
    let Image { name, .. } = image;
    let message = format!("the lock of image {name} has other versions than what is new in it");
    Err(Error::failure(format!("{message}:{list}")).hint(format!(
        "`cargo builder lock {name} --update` takes every package as the archive has it now"
    )))
}

/// The names among `records` that each of `wishes` needs. What apt has chosen for several
/// together, and for none of them by itself, counts for all.
fn needs<'w>(
    apt: &Apt<'_>,
    wishes: &'w [Wish],
    records: &[Record],
) -> Vec<(&'w str, BTreeSet<String>)> {
    let all: BTreeSet<String> = records.iter().map(|record| record.name.clone()).collect();
    if let [only] = wishes {
        return vec![(&only.name, all)];
    }
    let alone: Vec<BTreeSet<String>> =
        wishes.iter().map(|wish| apt.needs(wish).unwrap_or_else(|| all.clone())).collect();
    let is_shared = |name: &&String| !alone.iter().any(|names| names.contains(*name));
    let shared: BTreeSet<String> = all.iter().filter(is_shared).cloned().collect();
    let of = |(wish, names): (&'w Wish, &BTreeSet<String>)| {
        (wish.name.as_str(), names.intersection(&all).chain(&shared).cloned().collect())
    };
    wishes.iter().zip(&alone).map(of).collect()
}
