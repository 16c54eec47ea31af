//! Crates that are not of the workspace: pinned ones of the registry, and those
//! in directories of their own.
//!
//! A pinned crate is built with the lock file its author published, so its key
//! needs no more than name, version, features, compiler and recipe.

use std::fs;
use std::path::Path;

use super::cargo::{CargoCall, RELEASE_PROFILE};
use super::{BuiltBinary, Userland, snapshot};
use crate::cache::{Key, KeyBuilder, hex, lock};
use crate::definition::resolved::{Crate, CrateSource};
use crate::error::{Context, IoContext, Result};
use crate::host_needs;

/// Raise the number when the recipe changes in a way its inputs do not show.
const RECIPE: &str = "crate 1";
/// The cache's name for finished crates.
const CACHE_KIND: &str = "crate";

impl Userland<'_> {
    /// Builds a crate's binaries if they are not in the cache, in the definition's order.
    ///
    /// # Errors
    /// If the crate cannot be had, does not compile, lacks one of the binaries,
    /// or one of them is not static.
    pub fn foreign(&self, wanted: &Crate) -> Result<Vec<BuiltBinary>> {
        let key = self.crate_key(wanted)?;
        let directory = match self.cache.find(CACHE_KIND, &key) {
            Some(directory) => directory,
            None => self
                .build_crate(wanted, &key)
                .context(|| format!("{}: cannot build crate {}", wanted.place, wanted.name))?,
        };
        let built = |name: &String| BuiltBinary { name: name.clone(), path: directory.join(name) };
        Ok(wanted.binaries.iter().map(|binary| built(&binary.name)).collect())
    }

    fn crate_key(&self, wanted: &Crate) -> Result<Key> {
        let mut key = KeyBuilder::new(RECIPE)
            .part("name", &wanted.name)
            .part("features", wanted.features.join(" "))
            .part("default features", wanted.default_features.to_string())
            .part("compiler", self.compiler())
            .part("C compiler", &self.toolchain.c_identity)
            .part("profile", format!("{RELEASE_PROFILE:?}"));
        for binary in &wanted.binaries {
            key = key.part("binary", &binary.name);
        }
        Ok(match &wanted.source {
            CrateSource::Registry(version) => key.part("version", version),
            CrateSource::Directory(path) => add_sources(key, "source", path)?,
        }
        .finish())
    }

    fn build_crate(&self, wanted: &Crate, key: &Key) -> Result<std::path::PathBuf> {
        let triple = self.toolchain.triple();
        let work = match &wanted.source {
            CrateSource::Registry(_) => self.cache.workspace(&format!("crates-{triple}"))?,
            // Directories get a place each: Cargo must not mistake one for another.
            CrateSource::Directory(path) => {
                let place =
                    KeyBuilder::new("place").part("path", path.as_os_str().as_encoded_bytes());
                let short = place.finish().as_str()[..16].to_owned();
                self.cache.workspace(&format!("crate-{triple}-{short}"))?
            }
        };
        let _lock = lock(self.shell, &work.join("lock"))?;
        if let Some(directory) = self.cache.find(CACHE_KIND, key) {
            return Ok(directory);
        }
        let install = work.join("install");
        if install.exists() {
            fs::remove_dir_all(&install).at("remove", &install)?;
        }
        let mut arguments =
            vec!["install".to_owned(), "--locked".to_owned(), "--no-track".to_owned()];
        let mut prefixes = Vec::new();
        let version = match &wanted.source {
            CrateSource::Registry(version) => {
                arguments.extend([wanted.name.clone(), "--version".into(), format!("={version}")]);
                version.clone()
            }
            CrateSource::Directory(path) => {
                let source = work.join("source");
                snapshot::sync_entry(path, &source)?;
                arguments.extend(["--path".to_owned(), source.display().to_string()]);
                prefixes.push((source, "/source"));
                "of its own directory".to_owned()
            }
        };
        arguments.extend(["--root".to_owned(), install.display().to_string()]);
        if !wanted.default_features {
            arguments.push("--no-default-features".to_owned());
        }
        if !wanted.features.is_empty() {
            arguments.extend(["--features".to_owned(), wanted.features.join(",")]);
        }
        for binary in &wanted.binaries {
            arguments.extend(["--bin".to_owned(), binary.name.clone()]);
        }
        let call = CargoCall {
            shell: self.shell,
            compiler: self.toolchain,
            offline: self.offline,
            title: format!("compile {} {version} for {triple}", wanted.name),
            target_directory: work.join("target"),
            prefixes,
            directory: None,
        };
        call.run(&arguments).map_err(|error| {
            match host_needs::hint_for_crate(self.toolchain.arch) {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })?;
        let names = wanted.binaries.iter().map(|binary| binary.name.as_str());
        let files: Vec<_> = names.map(|name| (name, install.join("bin").join(name))).collect();
        self.keep(CACHE_KIND, key, &files)
    }
}

/// Adds every source file of a crate's directory but what Cargo makes there.
///
/// # Errors
/// If one cannot be read.
pub fn add_sources(mut key: KeyBuilder, name: &str, directory: &Path) -> Result<KeyBuilder> {
    let mut entries: Vec<_> = fs::read_dir(directory)
        .at("read", directory)?
        .map(|entry| Ok(entry.at("read", directory)?.path()))
        .collect::<Result<_>>()?;
    entries.sort();
    for path in entries {
        let file_name = path.file_name().unwrap_or_default();
        if snapshot::is_left_out(file_name) {
            continue;
        }
        let name = format!("{name}/{}", hex(file_name.as_encoded_bytes()));
        key = if path.is_dir() { add_sources(key, &name, &path)? } else { key.file(&name, &path)? };
    }
    Ok(key)
}
