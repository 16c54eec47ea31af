//! What Cargo builds: `[[tool]]` from the `services` package, `[[crate]]` from elsewhere.

use init_core::diagnostic::Place;

use super::checker::Checker;
use super::crate_source::crate_source;
use super::raw::{Table, Value};
use super::resolved::{Binary, Crate, Tool};

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
    let source = crate_source(checker, table, name);
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
        descriptions.extend(checker.host_file(&file.value, &file.place));
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
