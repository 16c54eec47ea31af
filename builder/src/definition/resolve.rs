//! From merged tables to a checked [`Image`]: names, numbers, paths and mentions.
//!
//! Everything wrong is added to the findings; the caller refuses the image if
//! there are any, so a value that replaces a wrong one here is never used.

use std::path::{Path, PathBuf};

use init_core::diagnostic::{Finding, Place, suggest};
use init_core::name::ServiceName;

use super::raw::{Located, Table, Value};
use super::resolved::{ArchKernel, Binary, Crate, CrateSource, Fragment, Image, Kernel, Tool};
use super::{accounts, files, mounts, outputs, packages};
use crate::arch::Arch;
use crate::project::Project;
use crate::tree::TreePath;

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
    checker.image_name(name, table);
    let (users, groups) = accounts::resolve(&mut checker, table);
    let owners = files::Owners { users: &users, groups: &groups };
    let arches = checker.arches(table);
    let mut image = Image {
        name: name.to_owned(),
        description: table.text("description")?.to_owned(),
        arches: arches.clone(),
        hostname: checker.hostname(table)?,
        outputs: outputs::chosen(table),
        services: checker.services(table),
        overlays: checker.host_paths(table, "overlays"),
        kernel: checker.kernel(table.table("kernel")?),
        initramfs: outputs::initramfs(&mut checker, table.table("initramfs")?)?,
        root: outputs::root(&mut checker, table.table("root")?)?,
        disk: outputs::disk(&mut checker, table.table("disk")?, &arches)?,
        tools: checker.tools(table),
        crates: table.tables("crate").iter().filter_map(|entry| checker.crate_(entry)).collect(),
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

/// What all checks share.
pub(super) struct Checker<'a> {
    project: &'a Project,
    findings: &'a mut Vec<Finding>,
}

impl Checker<'_> {
    /// Adds a finding.
    pub(super) fn find(&mut self, place: Place, message: impl Into<String>) {
        self.findings.push(Finding::new(place, message));
    }

    /// Adds a finding with a remedy.
    pub(super) fn find_with_hint(
        &mut self,
        place: Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.findings.push(Finding::new(place, message).with_hint(hint));
    }

    /// An absolute path on the target, other than its root.
    pub(super) fn target_path(&mut self, text: &str, place: &Place) -> Option<TreePath> {
        if !text.starts_with('/') {
            self.find(place.clone(), format!("{text:?} must be an absolute path on the target"));
            return None;
        }
        match TreePath::new(text) {
            Ok(path) if path.as_bytes().is_empty() => {
                self.find(place.clone(), "the root directory cannot be named here");
                None
            }
            Ok(path) => Some(path),
            Err(error) => {
                self.find(place.clone(), error.to_string());
                None
            }
        }
    }

    /// A path on the host, relative to the file it is written in, which must exist.
    pub(super) fn host_path(&mut self, text: &str, place: &Place) -> Option<PathBuf> {
        let file = self.project.root().join(&place.file);
        let path = file.parent().unwrap_or(Path::new("/")).join(text);
        match path.canonicalize() {
            Ok(path) => Some(path),
            Err(error) => {
                let hint = "the path is relative to the file it stands in";
                self.find_with_hint(place.clone(), format!("cannot find {text:?}: {error}"), hint);
                None
            }
        }
    }

    /// The name mentioned, if it is among those known.
    pub(super) fn mention<'n>(
        &mut self,
        what: &str,
        name: &str,
        place: &Place,
        known: impl Iterator<Item = &'n str>,
    ) {
        let known: Vec<&str> = known.collect();
        if known.contains(&name) {
            return;
        }
        let hint = match suggest(name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("describe it with [[{what}]]"),
        };
        self.find_with_hint(place.clone(), format!("there is no {what} {name:?}"), hint);
    }

    fn image_name(&mut self, name: &str, table: &Table) {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(allowed) {
            let place = table.place_of("description");
            self.find(place, format!("{name:?} is no image name: use letters, digits, - _ and ."));
        }
    }

    fn arches(&mut self, table: &Table) -> Vec<Arch> {
        let named = |arch: &Arch| table.list("arch").iter().any(|word| word.value == arch.as_str());
        let arches: Vec<Arch> = Arch::ALL.into_iter().filter(named).collect();
        if arches.is_empty() {
            self.find(table.place_of("arch"), "`arch` names no architecture");
        }
        arches
    }

    fn hostname(&mut self, table: &Table) -> Option<String> {
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
            self.find(table.place_of("hostname"), message);
        }
        Some(name.to_owned())
    }

    fn services(&mut self, table: &Table) -> Vec<Located<ServiceName>> {
        let mut services = Vec::new();
        for entry in table.list("services") {
            match ServiceName::new(&entry.value) {
                Ok(value) => services.push(Located { value, place: entry.place.clone() }),
                Err(error) => self.find(entry.place.clone(), error.to_string()),
            }
        }
        services
    }

    fn host_paths(&mut self, table: &Table, key: &str) -> Vec<Located<PathBuf>> {
        let mut paths = Vec::new();
        for entry in table.list(key) {
            if let Some(value) = self.host_path(&entry.value, &entry.place) {
                paths.push(Located { value, place: entry.place.clone() });
            }
        }
        paths
    }

    fn kernel(&mut self, table: &Table) -> Kernel {
        let empty = Table::new(table.place.clone());
        let per_arch = Arch::ALL.map(|arch| {
            let table = table.table(arch.as_str()).unwrap_or(&empty);
            ArchKernel { fragments: self.fragments(table), command_line: self.command_line(table) }
        });
        Kernel {
            fragments: self.fragments(table),
            options: table.list("options").to_vec(),
            command_line: self.command_line(table),
            per_arch,
        }
    }

    /// `default`, the name of a file `kernel-config/NAME.config`, or a path.
    fn fragments(&mut self, table: &Table) -> Vec<Located<Fragment>> {
        let mut fragments = Vec::new();
        for entry in table.list("fragments") {
            let place = entry.place.clone();
            let value = if entry.value == "default" {
                Fragment::Default
            } else if entry.value.contains(['/', '.']) {
                match self.host_path(&entry.value, &place) {
                    Some(path) => Fragment::File(path),
                    None => continue,
                }
            } else {
                let directory = self.project.kernel_config();
                let path = directory.join(format!("{}.config", entry.value));
                if !path.is_file() {
                    let message = format!("there is no kernel fragment {:?}", entry.value);
                    let shown = self.project.show(&directory);
                    let hint = format!("name a file {shown}/NAME.config, or give a path");
                    self.find_with_hint(place, message, hint);
                    continue;
                }
                Fragment::File(path)
            };
            fragments.push(Located { value, place });
        }
        fragments
    }

    fn command_line(&mut self, table: &Table) -> Vec<Located<String>> {
        for word in table.list("command-line") {
            let (key, value) = word.value.split_once('=').unwrap_or((&word.value, ""));
            let good_key = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if key.is_empty() || !key.chars().all(good_key) {
                let message = format!("{:?} is no kernel parameter", word.value);
                let hint = "each entry is one word: \"panic=10\"";
                self.find_with_hint(word.place.clone(), message, hint);
            }
            if value.contains(['"', '\'', '\n']) {
                let message = format!("the value of {key:?} has a quote or a line break");
                self.find(word.place.clone(), message);
            }
        }
        table.list("command-line").to_vec()
    }

    fn tools(&mut self, table: &Table) -> Vec<Tool> {
        let entries = table.tables("tool").iter();
        let tool = |entry| {
            let binary = self.binary(entry)?;
            Some(Tool { binary, place: entry.place.clone() })
        };
        entries.filter_map(tool).collect()
    }

    /// A binary of a crate or of the `services` package: `/usr/bin/NAME` unless it says where.
    fn binary(&mut self, table: &Table) -> Option<Binary> {
        let name = table.text("name")?;
        self.cargo_name(name, &table.place_of("name"));
        let default_path = format!("/usr/bin/{name}");
        let path = table.text("path").unwrap_or(&default_path);
        let path = self.target_path(path, &table.place_of("path"));
        let mut links = Vec::new();
        for link in table.list("links") {
            links.extend(self.target_path(&link.value, &link.place));
        }
        Some(Binary { name: name.to_owned(), path: path?, links })
    }

    fn cargo_name(&mut self, name: &str, place: &Place) {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || name.starts_with('-') || !name.chars().all(allowed) {
            self.find(place.clone(), format!("{name:?} is no name Cargo knows"));
        }
    }

    fn crate_(&mut self, table: &Table) -> Option<Crate> {
        let name = table.text("name")?;
        self.cargo_name(name, &table.place_of("name"));
        let source = self.crate_source(table);
        let mut features: Vec<String> =
            table.list("features").iter().map(|feature| feature.value.clone()).collect();
        let mut binaries: Vec<Binary> =
            table.tables("binaries").iter().filter_map(|entry| self.binary(entry)).collect();
        if matches!(table.get("binaries"), Some(located) if located.value == Value::Tables(vec![]))
        {
            let place = table.place_of("binaries");
            let hint = "add binaries = [{ name = \"…\", path = \"/usr/bin/…\" }]";
            self.find_with_hint(place, format!("crate {name} has no binaries"), hint);
        }
        if let Some(first) = binaries.first_mut() {
            for command in table.list("commands") {
                self.cargo_name(&command.value, &command.place);
                features.push(command.value.clone());
                let directory = first.path.parent()?;
                let link = format!("{directory}/{}", command.value);
                first.links.extend(self.target_path(&link, &command.place));
            }
        }
        features.sort();
        features.dedup();
        let mut descriptions = Vec::new();
        for file in table.list("descriptions") {
            descriptions.extend(self.host_path(&file.value, &file.place));
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

    fn crate_source(&mut self, table: &Table) -> Option<CrateSource> {
        match (table.text("version"), table.text("path")) {
            (Some(version), None) => {
                let exact = version.strip_prefix('=').map(str::trim).filter(|rest| {
                    rest.split('.').count() >= 3 && rest.starts_with(|c: char| c.is_ascii_digit())
                });
                if exact.is_none() {
                    let message = format!("the version {version:?} is not exact");
                    let hint = "pin it, so that every build gets the same: \"=1.2.3\"";
                    self.find_with_hint(table.place_of("version"), message, hint);
                }
                Some(CrateSource::Registry(exact?.to_owned()))
            }
            (None, Some(path)) => {
                let directory = self.host_path(path, &table.place_of("path"))?;
                for file in ["Cargo.toml", "Cargo.lock"] {
                    if !directory.join(file).is_file() {
                        self.find(table.place_of("path"), format!("{path} has no {file}"));
                    }
                }
                Some(CrateSource::Directory(directory))
            }
            _ => {
                let message = "a crate has either a `version` or a `path`";
                self.find(table.place.clone(), message);
                None
            }
        }
    }
}

/// A key's number, which the reader checked.
pub(super) fn number(table: &Table, key: &str) -> Option<i64> {
    match table.get(key)?.value {
        Value::Number(number) => Some(number),
        _ => None,
    }
}
