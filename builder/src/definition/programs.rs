//! What Cargo builds: `[[tool]]` from the `services` package, `[[crate]]` from elsewhere.

use init_core::diagnostic::Place;

use super::checker::Checker;
use super::raw::{Table, Value};
use super::resolved::{Binary, Crate, CrateSource, Tool};

/// The entries of `[[tool]]`.
pub(super) fn tools(checker: &mut Checker<'_>, table: &Table) -> Vec<Tool> {
    let entries = table.tables("tool").iter();
    let tool = |entry| {
        let binary = binary(checker, entry)?;
        Some(Tool { binary, place: entry.place.clone() })
    };
    entries.filter_map(tool).collect()
}

/// A binary of a crate or of the `services` package: `/usr/bin/NAME` unless it says where.
fn binary(checker: &mut Checker<'_>, table: &Table) -> Option<Binary> {
    let name = table.text("name")?;
    cargo_name(checker, name, &table.place_of("name"));
    let default_path = format!("/usr/bin/{name}");
    let path = table.text("path").unwrap_or(&default_path);
    let path = checker.target_path(path, &table.place_of("path"));
    let mut links = Vec::new();
    for link in table.list("links") {
        links.extend(checker.target_path(&link.value, &link.place));
    }
    Some(Binary { name: name.to_owned(), path: path?, links })
}

fn cargo_name(checker: &mut Checker<'_>, name: &str, place: &Place) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(allowed) {
        checker.find(place.clone(), format!("{name:?} is no name Cargo knows"));
    }
}

/// The entries of `[[crate]]`.
pub(super) fn crates(checker: &mut Checker<'_>, table: &Table) -> Vec<Crate> {
    table.tables("crate").iter().filter_map(|entry| crate_(checker, entry)).collect()
}

fn crate_(checker: &mut Checker<'_>, table: &Table) -> Option<Crate> {
    let name = table.text("name")?;
    cargo_name(checker, name, &table.place_of("name"));
    let source = crate_source(checker, table);
    let mut features: Vec<String> =
        table.list("features").iter().map(|feature| feature.value.clone()).collect();
    let mut binaries: Vec<Binary> =
        table.tables("binaries").iter().filter_map(|entry| binary(checker, entry)).collect();
    if matches!(table.get("binaries"), Some(located) if located.value == Value::Tables(vec![])) {
        let place = table.place_of("binaries");
        let hint = "add binaries = [{ name = \"…\", path = \"/usr/bin/…\" }]";
        checker.find_with_hint(place, format!("crate {name} has no binaries"), hint);
    }
    if let Some(first) = binaries.first_mut() {
        for command in table.list("commands") {
            cargo_name(checker, &command.value, &command.place);
            features.push(command.value.clone());
            let directory = first.path.parent()?;
            let link = format!("{directory}/{}", command.value);
            first.links.extend(checker.target_path(&link, &command.place));
        }
    }
    features.sort();
    features.dedup();
    let mut descriptions = Vec::new();
    for file in table.list("descriptions") {
        descriptions.extend(checker.host_path(&file.value, &file.place));
    }
    Some(Crate {
        name: name.to_owned(),
        source: source?,
        features,
        default_features: table.flag("default-features"),
        binaries,
        descriptions,
        place: table.place.clone(),
    })
}

fn crate_source(checker: &mut Checker<'_>, table: &Table) -> Option<CrateSource> {
    match (table.text("version"), table.text("path")) {
        (Some(version), None) => {
            let exact = version.strip_prefix('=').map(str::trim).filter(|rest| {
                rest.split('.').count() >= 3 && rest.starts_with(|c: char| c.is_ascii_digit())
            });
            if exact.is_none() {
                let message = format!("the version {version:?} is not exact");
                let hint = "pin it, so that every build gets the same: \"=1.2.3\"";
                checker.find_with_hint(table.place_of("version"), message, hint);
            }
            Some(CrateSource::Registry(exact?.to_owned()))
        }
        (None, Some(path)) => {
            let directory = checker.host_path(path, &table.place_of("path"))?;
            for file in ["Cargo.toml", "Cargo.lock"] {
                if !directory.join(file).is_file() {
                    checker.find(table.place_of("path"), format!("{path} has no {file}"));
                }
            }
            Some(CrateSource::Directory(directory))
        }
        _ => {
            let message = "a crate has either a `version` or a `path`";
            checker.find(table.place.clone(), message);
            None
        }
    }
}
