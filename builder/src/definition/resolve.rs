//! From merged tables to a checked [`Image`]: names, numbers, paths and mentions.
//!
//! Everything wrong is added to the findings; the caller refuses the image if
//! there are any, so a value that replaces a wrong one here is never used.

use std::path::PathBuf;

use init_core::diagnostic::Finding;
use init_core::name::ServiceName;

use super::checker::Checker;
use super::raw::{Located, Table};
use super::resolved::Image;
use super::{accounts, files, kernel, mounts, outputs, packages, programs};
use crate::arch::Arch;
use crate::project::Project;

/// Longest host name, in bytes (`__NEW_UTS_LEN`, sethostname(2)).
const HOSTNAME_LENGTH_MAX: usize = 64;

/// Checks the merged `table` of image `name`. `None` only if findings were added.
pub(super) fn resolve(
    project: &Project,
    name: &str,
    table: &Table,
    sources: Vec<PathBuf>,
    findings: &mut Vec<Finding>,
) -> Option<Image> {
    let mut checker = Checker { project, findings };
    image_name(&mut checker, name, table);
    let (users, groups) = accounts::resolve(&mut checker, table);
    let owners = files::Owners { users: &users, groups: &groups };
    let arches = arches(&mut checker, table);
    let mut image = Image {
        name: name.to_owned(),
        description: table.text("description")?.to_owned(),
        arches: arches.clone(),
        hostname: hostname(&mut checker, table)?,
        outputs: outputs::chosen(table),
        services: services(&mut checker, table),
        overlays: overlays(&mut checker, table),
        kernel: kernel::kernel(&mut checker, table.table("kernel")?),
        initramfs: outputs::initramfs(&mut checker, table.table("initramfs")?)?,
        root: outputs::root(&mut checker, table.table("root")?)?,
        disk: outputs::disk(&mut checker, table.table("disk")?, &arches)?,
        tools: programs::tools(&mut checker, table),
        crates: programs::crates(&mut checker, table),
        packages: packages::packages(&mut checker, table),
        files: files::files(&mut checker, &owners, table),
        directories: files::directories(&mut checker, &owners, table),
        symlinks: files::symlinks(&mut checker, table),
        mounts: Vec::new(),
        has_data: false,
        users,
        groups,
        sources,
    };
    mounts::add(&mut checker, table, &mut image);
    Some(image)
}

fn image_name(checker: &mut Checker<'_>, name: &str, table: &Table) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(allowed) {
        let place = table.place_of("description");
        checker.find(place, format!("{name:?} is no image name: use letters, digits, - _ and ."));
    }
}

fn arches(checker: &mut Checker<'_>, table: &Table) -> Vec<Arch> {
    let named = |arch: &Arch| table.list("arch").iter().any(|word| word.value == arch.as_str());
    let arches: Vec<Arch> = Arch::ALL.into_iter().filter(named).collect();
    if arches.is_empty() {
        checker.find(table.place_of("arch"), "`arch` names no architecture");
    }
    arches
}

fn hostname(checker: &mut Checker<'_>, table: &Table) -> Option<String> {
    let name = table.text("hostname")?;
    let good_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if name.len() > HOSTNAME_LENGTH_MAX || !name.split('.').all(good_label) {
        let message = format!("{name:?} is no host name (RFC 1123, section 2.1)");
        checker.find(table.place_of("hostname"), message);
    }
    Some(name.to_owned())
}

fn services(checker: &mut Checker<'_>, table: &Table) -> Vec<Located<ServiceName>> {
    let mut services = Vec::new();
    for entry in table.list("services") {
        match ServiceName::new(&entry.value) {
            Ok(value) => services.push(Located { value, place: entry.place.clone() }),
            Err(error) => checker.find(entry.place.clone(), error.to_string()),
        }
    }
    services
}

fn overlays(checker: &mut Checker<'_>, table: &Table) -> Vec<Located<PathBuf>> {
    let mut paths = Vec::new();
    for entry in table.list("overlays") {
        if let Some(value) = checker.host_directory(&entry.value, &entry.place) {
            paths.push(Located { value, place: entry.place.clone() });
        }
    }
    paths
}
