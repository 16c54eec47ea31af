//! The Debian packages of a definition.

use super::checker::Checker;
use super::raw::{Located, Table};
use super::resolved::{Package, PackageArch};
use crate::debian::lock::{is_name, is_version};
use crate::tree::TreePath;
use crate::tree::pattern::Pattern;

/// Every `[[package]]`.
pub(super) fn packages(checker: &mut Checker<'_>, table: &Table) -> Vec<Package> {
    table.tables("package").iter().filter_map(|entry| package(checker, entry)).collect()
}

fn package(checker: &mut Checker<'_>, table: &Table) -> Option<Package> {
    let name = table.text("name")?;
    if !is_name(name) {
        let message = format!("{name:?} is no name of a Debian package");
        checker.find(table.place_of("name"), message);
    }
    let version = table.text("version");
    if let Some(version) = version.filter(|version| !is_version(version)) {
        let message = format!("{version:?} is no version of a Debian package");
        let hint = "give it in full, as `apt-cache policy` shows it: \"1:1.35.0-4\"";
        checker.find_with_hint(table.place_of("version"), message, hint);
    }
    let mut paths = Vec::new();
    for path in table.list("paths") {
        match Pattern::parse(&path.value) {
            Ok(value) => paths.push(Located { value, place: path.place.clone() }),
            Err(message) => checker.find(path.place.clone(), message),
        }
    }
    Some(Package {
        name: name.to_owned(),
        arch: match table.text("arch") {
            Some("i386") => PackageArch::I386,
            _ => PackageArch::Native,
        },
        version: version.map(str::to_owned),
        paths,
        depends: table.flag("depends"),
        commands: commands(checker, table),
        replace: table.flag("replace"),
        place: table.place.clone(),
    })
}

/// Links to the program, each beside it.
fn commands(checker: &mut Checker<'_>, table: &Table) -> Vec<(TreePath, TreePath)> {
    let commands = table.list("commands");
    let Some(text) = table.text("program") else {
        if !commands.is_empty() {
            let message = "`commands` are names of a program: say which with `program`";
            checker.find(table.place_of("commands"), message);
        }
        return Vec::new();
    };
    let Some(program) = checker.target_path(text, &table.place_of("program")) else {
        return Vec::new();
    };
    let directory = program.parent().unwrap_or_default();
    let mut links = Vec::new();
    for command in commands {
        if command.value.is_empty() || command.value.contains('/') {
            let message = format!("{:?} is no name of a command", command.value);
            checker.find(command.place.clone(), message);
            continue;
        }
        let link = format!("{directory}/{}", command.value);
        if let Some(link) = checker.target_path(&link, &command.place) {
            links.push((link, program.clone()));
        }
    }
    links
}
