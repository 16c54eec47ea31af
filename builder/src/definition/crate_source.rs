//! Where a crate comes from: the registry, or a directory of the host, which is the package
//! itself or a Cargo workspace with the package in it.

use std::fs;
use std::path::{Component, Path, PathBuf};

use init_core::diagnostic::Place;

use super::checker::Checker;
use super::raw::Table;
use super::resolved::CrateSource;

/// What every directory of a crate has.
const FILES: [&str; 2] = ["Cargo.toml", "Cargo.lock"];
/// The keys of a manifest whose tables name what a package is linked with.
const DEPENDENCIES: [&str; 2] = ["dependencies", "build-dependencies"];

/// The source of the package `name`, an entry of `[[crate]]`.
pub(super) fn crate_source(
    checker: &mut Checker<'_>,
    table: &Table,
    name: &str,
) -> Option<CrateSource> {
    match (table.text("version"), table.text("path")) {
        (Some(version), None) => registry(checker, version, &table.place_of("version")),
        (None, Some(path)) => {
            let place = table.place_of("path");
            let directory = checker.host_path(path, &place)?;
            let mut is_whole = true;
            for file in FILES.iter().filter(|file| !directory.join(file).is_file()) {
                let hint = "`cargo generate-lockfile` makes the lock file; of a member of a \
                            workspace, name the workspace's directory";
                checker.find_with_hint(place.clone(), format!("{path} has no {file}"), hint);
                is_whole = false;
            }
            let package = is_whole.then(|| find_package(&directory, name))?;
            let checked = package.and_then(|package| {
                stays_inside(&directory, &package)?;
                Ok(CrateSource::Directory { root: directory, package })
            });
            checked.map_err(|(why, hint)| checker.find_with_hint(place, why, hint)).ok()
        }
        _ => {
            let message = "a crate has either a `version` or a `path`";
            checker.find(table.place.clone(), message);
            None
        }
    }
}

fn registry(checker: &mut Checker<'_>, version: &str, place: &Place) -> Option<CrateSource> {
    let exact = version.strip_prefix('=').map(str::trim).filter(|rest| {
        rest.split('.').count() >= 3 && rest.starts_with(|c: char| c.is_ascii_digit())
    });
    if exact.is_none() {
        let message = format!("the version {version:?} is not exact");
        let hint = "pin it, so that every build gets the same: \"=1.2.3\"";
        checker.find_with_hint(place.clone(), message, hint);
    }
    Some(CrateSource::Registry(exact?.to_owned()))
}

/// What is wrong with a directory, and what to do.
type Wrong = (String, String);

/// The directory of the package `name`, from `root` on: of itself or a member of its workspace.
fn find_package(root: &Path, name: &str) -> Result<PathBuf, Wrong> {
    let manifest = manifest(root)?;
    let own = package_name(&manifest);
    if own == Some(name) {
        return Ok(PathBuf::new());
    }
    let place = root.display();
    if !manifest.contains_key("workspace") {
        let own = own.unwrap_or("none");
        let hint = format!("say name = {own:?}, or name another directory");
        return Err((format!("{place} has the package {own:?}, not {name:?}"), hint));
    }
    let mut packages = Vec::new();
    collect_packages(root, Path::new(""), &mut packages);
    packages.sort();
    let found: Vec<_> = packages.iter().filter(|(known, _)| known == name).collect();
    match &found[..] {
        [(_, directory)] => Ok(directory.clone()),
        [] => {
            let names: Vec<_> = packages.iter().map(|(known, _)| known.as_str()).collect();
            let message = format!("the workspace {place} has no package {name:?}");
            Err((message, format!("it has {}", names.join(", "))))
        }
        [(_, one), (_, other), ..] => {
            let (one, other) = (one.display(), other.display());
            let message = format!("{place} has the package {name:?} in {one} and in {other}");
            Err((message, format!("name one of them: path = \"…/{one}\"")))
        }
    }
}

/// Adds the packages below `root`/`directory` with their directories. Where Cargo compiles is
/// passed over, as hidden directories and links are; a manifest that cannot be read is Cargo's
/// to tell.
fn collect_packages(root: &Path, directory: &Path, packages: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(root.join(directory)).into_iter().flatten().flatten() {
        let file_name = entry.file_name();
        let is_passed_over =
            file_name == "target" || file_name.as_encoded_bytes().starts_with(b".");
        if is_passed_over || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let below = directory.join(file_name);
        if let Ok(manifest) = manifest(&root.join(&below))
            && let Some(name) = package_name(&manifest)
        {
            packages.push((name.to_owned(), below.clone()));
        }
        collect_packages(root, &below, packages);
    }
}

/// Refuses a package that names another one by a path out of `root`: only what is below that is
/// built.
fn stays_inside(root: &Path, package: &Path) -> Result<(), Wrong> {
    let manifest = manifest(&root.join(package))?;
    for (name, path) in DEPENDENCIES.iter().flat_map(|key| paths(&manifest, key)) {
        if leaves(&package.join(path)) {
            let root = root.display();
            let message = format!("its dependency {name:?} at {path:?} is outside of {root}");
            let hint = "name a directory that holds both: a Cargo workspace";
            return Err((message, hint.to_owned()));
        }
    }
    Ok(())
}

/// The dependencies of the table `key` that are named by a path.
fn paths<'a>(
    manifest: &'a toml::Table,
    key: &str,
) -> impl Iterator<Item = (&'a String, &'a str)> + use<'a> {
    let table = manifest.get(key).and_then(toml::Value::as_table);
    table
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name, value.get("path")?.as_str()?)))
}

/// Whether a path leads out of where it begins, link or no link.
fn leaves(path: &Path) -> bool {
    let mut depth = 0_usize;
    for component in path.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return true,
        }
    }
    false
}

fn manifest(directory: &Path) -> Result<toml::Table, Wrong> {
    let path = directory.join("Cargo.toml");
    let unreadable = |why: &dyn std::fmt::Display| {
        let message = format!("cannot read {}: {why}", path.display());
        (message, "`cargo metadata` there shows what Cargo makes of it".to_owned())
    };
    let text = fs::read_to_string(&path).map_err(|error| unreadable(&error))?;
    text.parse().map_err(|error: toml::de::Error| unreadable(&error.message()))
}

fn package_name(manifest: &toml::Table) -> Option<&str> {
    manifest.get("package")?.get("name")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with manifests at these places.
    fn crates(manifests: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (place, text) in manifests {
            fs::create_dir_all(root.path().join(place)).unwrap();
            fs::write(root.path().join(place).join("Cargo.toml"), text).unwrap();
        }
        root
    }

    fn package(name: &str) -> String {
        format!("[package]\nname = \"{name}\"\n")
    }

    const WORKSPACE: &str = "[workspace]\nmembers = [\"*\"]\n";

    #[test]
    fn a_package_is_the_directory_or_a_member_of_its_workspace() {
        let (a, b, lib) = (package("a"), package("b"), package("lib"));
        let root = crates(&[
            ("", WORKSPACE),
            ("a", &a),
            ("deep/b", &b),
            ("target/package/a", &a),
            (".vendor/b", &b),
            ("twice/1", &lib),
            ("twice/2", &lib),
        ]);
        let find = |name| find_package(root.path(), name).map_err(|(why, hint)| why + "; " + &hint);
        assert_eq!(find("a"), Ok("a".into()));
        assert_eq!(find("b"), Ok("deep/b".into()));
        let none = find("c").unwrap_err();
        assert!(none.ends_with("has no package \"c\"; it has a, b, lib, lib"), "{none}");
        let twice = find("lib").unwrap_err();
        assert!(twice.contains("\"lib\" in twice/1 and in twice/2; name one"), "{twice}");

        let alone = crates(&[("", &a), ("b", &b)]);
        assert_eq!(find_package(alone.path(), "a"), Ok(PathBuf::new()));
        let (why, hint) = find_package(alone.path(), "b").unwrap_err();
        assert!(why.ends_with("has the package \"a\", not \"b\""), "{why}");
        assert_eq!(hint, "say name = \"a\", or name another directory");
        let (why, _) = find_package(crates(&[("", "[package\n")]).path(), "a").unwrap_err();
        assert!(why.starts_with("cannot read ") && why.contains("Cargo.toml: "), "{why}");
    }

    #[test]
    fn what_is_not_copied_cannot_be_depended_on() {
        let check = |path: &str| {
            let text =
                format!("[package]\nname = \"a\"\n[dependencies]\nlib = {{ path = \"{path}\" }}\n");
            let root = crates(&[("", WORKSPACE), ("in/a", &text)]);
            stays_inside(root.path(), Path::new("in/a")).map_err(|(why, _)| why)
        };
        for inside in ["../lib", "../../lib", "./lib/../other"] {
            assert_eq!(check(inside), Ok(()), "{inside}");
        }
        for outside in ["../../../lib", "/usr/lib", "../../in/../../lib"] {
            let why = check(outside).unwrap_err();
            assert!(why.starts_with("its dependency \"lib\" at "), "{why}");
        }
    }
}
