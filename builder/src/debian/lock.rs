//! `IMAGE.lock`: which version of every package an image takes, with its digest.
//!
//! It stands beside the definition and is committed with it, so that every
//! clone gets the same bytes. The format is TOML, read as strictly as any other
//! file that a person may edit. Pure: who reads and writes the file is elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use init_core::diagnostic::{Finding, Place};
use serde::Deserialize;

use super::apt::Record;
use crate::error::{Error, Result, toml_finding};

/// Raised when a field changes its meaning.
const FORMAT: u32 = 1;

/// A lock file.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Lock {
    /// By architecture and name.
    packages: Vec<Locked>,
    /// The names of what packages named with `depends = true` need, by their architecture and
    /// name. Locks that are older than this field have it for none of them.
    needs: BTreeMap<(String, String), BTreeSet<String>>,
}

/// What to do about a version that cannot be had.
pub(super) const UPDATE_HINT: &str =
    "`cargo builder lock IMAGE --update` takes what the archive has now";

/// A package at one version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Locked {
    /// Debian's name of the architecture it is for; not `all`, whatever its file says.
    pub arch: String,
    /// Its name.
    pub name: String,
    /// Its version (deb-version(7)).
    pub version: String,
    /// Length of its file, in bytes.
    pub size_bytes: u64,
    /// SHA-256 of its file, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Why it is here.
    pub role: Role,
}

/// Why a package is locked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The definition names it.
    Named,
    /// The definition names it with `depends = true`, and what it depends on is locked too.
    NamedWithDependencies,
    /// Another depends on it.
    Dependency,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    #[serde(default)]
    package: Vec<Locked>,
    #[serde(default)]
    needs: Vec<Needs>,
}

/// What a package needs, as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Needs {
    arch: String,
    name: String,
    packages: BTreeSet<String>,
}

impl Locked {
    /// Its name and version, for people.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::NamedWithDependencies => "named-with-dependencies",
            Self::Dependency => "dependency",
        }
    }

    /// Whether a definition that wants a package so finds what it needs in this one.
    fn serves(self, wanted: Self) -> bool {
        self == wanted || self == Self::NamedWithDependencies || wanted == Self::Dependency
    }

    /// The role of a package that has both.
    fn joined(self, other: Self) -> Self {
        if self.serves(other) { self } else { other }
    }
}

impl Lock {
    /// Reads a lock file, which messages call `file`.
    ///
    /// # Errors
    /// With the place of what is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let wrong_as = |finding: Finding| {
            let hint = "it is written by `cargo builder lock`: remove it, and run that again";
            Error::findings("the lock file is wrong", vec![finding.with_hint(hint)])
        };
        let wrong = |offset: usize, message: String| {
            wrong_as(Finding::new(Place::of_offset(file, text, offset), message))
        };
        let document: Document =
            toml::from_str(text).map_err(|error| wrong_as(toml_finding(file, text, &error)))?;
        if document.format != FORMAT {
            return Err(wrong(0, format!("its format is {}, not {FORMAT}", document.format)));
        }
        for locked in &document.package {
            if let Some(what) = fault(locked) {
                let offset = text.find(&format!("name = \"{}\"", locked.name)).unwrap_or(0);
                return Err(wrong(offset, format!("the {what} of {} is none", locked.name)));
            }
        }
        let mut lock = Self::default();
        document.package.into_iter().for_each(|locked| lock.add(locked));
        for Needs { arch, name, packages } in document.needs {
            if let Some(wrong_name) = packages.iter().chain([&name]).find(|name| !is_name(name)) {
                let offset = text.find(&format!("\"{wrong_name}\"")).unwrap_or(0);
                return Err(wrong(offset, format!("the name {wrong_name} is none")));
            }
            lock.set_needs(&arch, &name, packages);
        }
        Ok(lock)
    }

    /// The text of the file. Equal locks are equal bytes.
    #[must_use]
    pub fn text(&self, image: &str) -> String {
        let mut text = format!(
            "# Packages of image {image}, written by `cargo builder lock {image}`. Commit it, and\n\
             # change it with `cargo builder lock {image} --update` rather than by hand.\n\
             format = {FORMAT}\n"
        );
        for locked in &self.packages {
            let _never_fails = write!(
                text,
                "\n[[package]]\narch = \"{}\"\nname = \"{}\"\nversion = \"{}\"\nsize-bytes = {}\n\
                 sha256 = \"{}\"\nrole = \"{}\"\n",
                locked.arch,
                locked.name,
                locked.version,
                locked.size_bytes,
                locked.sha256,
                locked.role.as_str()
            );
        }
        for ((arch, name), packages) in &self.needs {
            let lines: String = packages.iter().map(|name| format!("    \"{name}\",\n")).collect();
            let _never_fails = write!(
                text,
                "\n[[needs]]\narch = \"{arch}\"\nname = \"{name}\"\npackages = [\n{lines}]\n"
            );
        }
        text
    }

    /// Adds a package, unless it is there: then it only may get a further role.
    pub fn add(&mut self, new: Locked) {
        let is_it = |old: &&mut Locked| old.arch == new.arch && old.name == new.name;
        match self.packages.iter_mut().find(is_it) {
            Some(old) => old.role = old.role.joined(new.role),
            None => {
                self.packages.push(new);
                self.packages.sort();
            }
        }
    }

    /// A package of the archive that is to be locked.
    #[must_use]
    pub fn entry(arch: &str, record: Record, role: Role) -> Locked {
        Locked {
            arch: arch.to_owned(),
            name: record.name,
            version: record.version,
            size_bytes: record.size_bytes,
            sha256: record.sha256,
            role,
        }
    }

    /// The package of this name, if it serves who wants it in this role and, if
    /// that counts, at this version.
    #[must_use]
    pub fn find(
        &self,
        arch: &str,
        name: &str,
        version: Option<&str>,
        role: Role,
    ) -> Option<&Locked> {
        self.packages.iter().find(|locked| {
            locked.arch == arch
                && locked.name == name
                && locked.role.serves(role)
                && version.is_none_or(|version| version == locked.version)
        })
    }

    /// Notes by name what a package that is named with `depends = true` needs.
    pub fn set_needs(&mut self, arch: &str, name: &str, packages: BTreeSet<String>) {
        self.needs.insert((arch.to_owned(), name.to_owned()), packages);
    }

    /// Leaves out packages that are not wanted.
    pub fn retain(&mut self, wanted: impl Fn(&Locked) -> bool) {
        self.packages.retain(wanted);
    }

    /// Leaves out what is neither named nor needed, and takes back roles that are no more;
    /// `named` says in which role the definition names a package. Where it is not noted what a
    /// package needs, every dependency may be.
    pub fn prune(&mut self, named: impl Fn(&Locked) -> Option<Role>) {
        let needing = |locked: &&Locked| named(locked) == Some(Role::NamedWithDependencies);
        let keys = self.packages.iter().filter(needing);
        let roots: BTreeSet<(String, String)> =
            keys.map(|locked| (locked.arch.clone(), locked.name.clone())).collect();
        let Self { packages, needs } = self;
        needs.retain(|root, _| roots.contains(root));
        let is_needed = |locked: &Locked| {
            roots.iter().filter(|(arch, _)| *arch == locked.arch).any(|root| {
                match needs.get(root) {
                    Some(names) => names.contains(&locked.name),
                    None => locked.role == Role::Dependency,
                }
            })
        };
        packages.retain_mut(|locked| {
            let role = named(locked);
            let stays = role.is_some() || is_needed(locked);
            // `NamedWithDependencies` says that they are locked, which naming it so does not do.
            if role != Some(Role::NamedWithDependencies) {
                locked.role = role.unwrap_or(Role::Dependency);
            }
            stays
        });
    }

    /// Every package, by architecture and name.
    pub fn iter(&self) -> impl Iterator<Item = &Locked> {
        self.packages.iter()
    }
}

/// The field that no archive would have given, if any. Names and versions go
/// onto apt's command line.
fn fault(locked: &Locked) -> Option<&'static str> {
    let is_digest = locked.sha256.len() == 64
        && locked.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_name(&locked.name) {
        Some("name")
    } else if !is_version(&locked.version) {
        Some("version")
    } else {
        (!is_digest).then_some("sha256")
    }
}

/// Whether Debian may name a package so (Debian Policy, 5.6.7).
#[must_use]
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() >= 2
        && name.bytes().next().is_some_and(allowed)
        && name.bytes().all(|byte| allowed(byte) || b"+-.".contains(&byte))
}

/// Whether it may be a version (deb-version(7)).
#[must_use]
pub fn is_version(version: &str) -> bool {
    version.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
        && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-~:".contains(&byte))
}

#[cfg(test)]
mod tests;
