//! The binaries of the packages `init`, `services` and `sshd`.
//!
//! Each binary has a key of its own: the sources it is made of, the manifests,
//! the lock file, the compiler and the recipe. One changed service is one
//! changed key. All that are missing are built by one call of Cargo per package
//! and set of features; two of those never share a call, because Cargo would then
//! unite the features of what they depend on, and the bytes would depend on the
//! company.

use std::fs;
use std::path::{Path, PathBuf};

use super::cargo::{CargoCall, FREESTANDING_PROFILE, GUEST_PROFILE};
use super::features::by_features;
use super::{BuiltBinary, Userland};
use super::{snapshot, sources};
use crate::cache::{Key, KeyBuilder, lock};
use crate::elf;
use crate::error::{Error, IoContext, Result};

/// Raise the number when the recipe changes in a way its inputs do not show.
const RECIPE: &str = "workspace binary 2";
/// The cache's name for finished binaries.
const CACHE_KIND: &str = "binary";

/// How the names of Cargo's own directories begin.
const TARGET: &str = "target";

/// A package of the workspace that runs on the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Package {
    /// PID 1.
    Init,
    /// The daemons and tools.
    Services,
    /// The SSH server: apart, for the crates that it alone needs.
    Sshd,
}

impl Package {
    /// Every package, in the order in which they are built.
    pub const ALL: [Self; 3] = [Self::Init, Self::Services, Self::Sshd];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Services => "services",
            Self::Sshd => "sshd",
        }
    }

    /// Its profile in the workspace's `Cargo.toml`.
    const fn profile(self) -> &'static str {
        match self {
            Self::Init => FREESTANDING_PROFILE,
            Self::Services | Self::Sshd => GUEST_PROFILE,
        }
    }

    /// Its directory in the repository.
    const fn directory(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Services => "services",
            Self::Sshd => "services/sshd",
        }
    }
}

/// The binaries of the `services` package, sorted: one per file or directory in `src/bin`.
///
/// # Errors
/// If the directory cannot be read.
pub fn service_binaries(root: &Path) -> Result<Vec<String>> {
    let directory = root.join("services/src/bin");
    let mut names = Vec::new();
    for path in sources::entries(&directory)? {
        let is_binary = match path.extension() {
            Some(extension) => extension == "rs",
            None => path.join("main.rs").is_file(),
        };
        if is_binary {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// The key of one binary of the workspace at `root`. `compiler` says by what
/// and for what it is compiled.
///
/// # Errors
/// If a source cannot be read.
pub fn binary_key(root: &Path, package: Package, name: &str, compiler: &str) -> Result<Key> {
    let mut key = KeyBuilder::new(RECIPE)
        .part("binary", name)
        .part("compiler", compiler)
        .file("Cargo.toml", &root.join("Cargo.toml"))?
        .file("Cargo.lock", &root.join("Cargo.lock"))?
        .file("init/core/Cargo.toml", &root.join("init/core/Cargo.toml"))?;
    key = sources::add(key, "init/core/src", &root.join("init/core/src"))?;
    let directory = root.join(package.directory());
    key = key.file("manifest", &directory.join("Cargo.toml"))?;
    match package {
        Package::Init => key = sources::add(key, "src", &directory.join("src"))?,
        Package::Sshd => {
            let library = root.join(Package::Services.directory());
            key = sources::add(key, "src", &directory.join("src"))?;
            key = key.file("library manifest", &library.join("Cargo.toml"))?;
            key = add_library(key, &library)?;
        }
        Package::Services => {
            key = add_library(key, &directory)?;
            let binaries = directory.join("src/bin");
            for entry in [binaries.join(format!("{name}.rs")), binaries.join(name)] {
                if entry.exists() {
                    key = sources::add_entry(key, "src/bin", &entry)?;
                }
            }
        }
    }
    Ok(key.finish())
}

/// Adds what of the package `services` is no binary.
fn add_library(mut key: KeyBuilder, directory: &Path) -> Result<KeyBuilder> {
    for entry in sources::entries(&directory.join("src"))? {
        if entry.file_name().is_none_or(|entry_name| entry_name != "bin") {
            key = sources::add_entry(key, "src", &entry)?;
        }
    }
    Ok(key)
}

/// Adds every source that any binary of the workspace at `root` is made of.
///
/// # Errors
/// If one cannot be read.
pub fn add_sources(mut key: KeyBuilder, root: &Path) -> Result<KeyBuilder> {
    for file in ["Cargo.toml", "Cargo.lock"] {
        key = key.file(file, &root.join(file))?;
    }
    // The directory of `services` has `sshd` in it.
    for package in [Package::Init, Package::Services] {
        key = sources::add(key, package.as_str(), &root.join(package.as_str()))?;
    }
    Ok(key)
}

impl Userland<'_> {
    /// Builds what is missing of the named binaries of `package`, in the order given.
    ///
    /// # Errors
    /// If one does not compile or is not static.
    pub fn workspace(&self, package: Package, names: &[&str]) -> Result<Vec<BuiltBinary>> {
        if let Some(found) = self.find_all(self.project.root(), package, names)? {
            return Ok(found);
        }
        let toolchain = self.toolchain;
        let work = self.cache.workspace(&format!("userland-{}", toolchain.triple()))?;
        let _lock = lock(self.shell, &work.join("lock"))?;
        let source = work.join("source");
        snapshot::sync(self.project.root(), &source)?;
        // From here on the copy counts: the originals may change while Cargo works.
        if let Some(found) = self.find_all(&source, package, names)? {
            return Ok(found);
        }
        let missing: Vec<&str> = self.missing(&source, package, names)?;
        let manifest = source.join(package.directory()).join("Cargo.toml");
        for (features, names) in by_features(&manifest, &missing)? {
            self.compile(&work, package, &features, &names)?;
        }
        self.find_all(&source, package, names)?
            .ok_or_else(|| Error::internal("a binary that was just built is not in the cache"))
    }

    /// Has Cargo compile the named binaries of `package` with `features`, from the copy of the
    /// sources in `work`, and keeps them.
    fn compile(
        &self,
        work: &Path,
        package: Package,
        features: &[String],
        names: &[&str],
    ) -> Result<()> {
        let source = work.join("source");
        let triple = self.toolchain.triple();
        let profile = package.profile();
        let words = ["build", "--locked", "--profile", profile, "--package", package.as_str()];
        let mut arguments = words.map(str::to_owned).to_vec();
        arguments.extend(["--no-default-features".to_owned(), "--features".to_owned()]);
        arguments.push(features.join(","));
        for name in names {
            arguments.extend(["--bin".to_owned(), (*name).to_owned()]);
        }
        let target_directory = self.target_directory(work)?;
        let call = CargoCall {
            shell: self.shell,
            compiler: self.toolchain,
            offline: self.offline,
            title: format!("compile {} for {triple}", names.join(", ")),
            target_directory: target_directory.clone(),
            prefixes: vec![(source.clone(), "/keelson")],
            directory: Some(source.clone()),
        };
        call.run(&arguments)?;
        let built = target_directory.join(triple).join(profile);
        for name in names {
            let key = binary_key(&source, package, name, &self.compiler_of(package))?;
            self.keep(CACHE_KIND, &key, &[(*name, built.join(name))])?;
        }
        Ok(())
    }

    /// What compiles and for what: part of every key.
    pub(super) fn compiler(&self) -> String {
        format!("{}\n{}", self.toolchain.triple(), self.toolchain.identity)
    }

    /// The same for one package; among what `sshd` depends on is C.
    fn compiler_of(&self, package: Package) -> String {
        match package {
            Package::Sshd => format!("{}\n{}", self.compiler(), self.toolchain.c_identity),
            Package::Init | Package::Services => self.compiler(),
        }
    }

    /// Where Cargo compiles in `work`, which is locked: another place for another compiler of C,
    /// since Cargo does not ask what compiled the C that it has. The places of former ones go.
    pub(super) fn target_directory(&self, work: &Path) -> Result<PathBuf> {
        let key = KeyBuilder::new("target 1").part("C compiler", &self.toolchain.c_identity);
        let name = format!("{TARGET}-{}", &key.finish().as_str()[..16]);
        for entry in fs::read_dir(work).at("read", work)? {
            let entry = entry.at("read", work)?;
            let other = entry.file_name().to_string_lossy().into_owned();
            if other != name && other.starts_with(TARGET) && entry.path().is_dir() {
                fs::remove_dir_all(entry.path()).at("remove", &entry.path())?;
            }
        }
        Ok(work.join(name))
    }

    fn missing<'n>(
        &self,
        root: &Path,
        package: Package,
        names: &[&'n str],
    ) -> Result<Vec<&'n str>> {
        let mut missing = Vec::new();
        for name in names {
            let key = binary_key(root, package, name, &self.compiler_of(package))?;
            if self.cache.find(CACHE_KIND, &key).is_none() {
                missing.push(*name);
            }
        }
        Ok(missing)
    }

    fn find_all(
        &self,
        root: &Path,
        package: Package,
        names: &[&str],
    ) -> Result<Option<Vec<BuiltBinary>>> {
        let mut found = Vec::new();
        for name in names {
            let key = binary_key(root, package, name, &self.compiler_of(package))?;
            let Some(directory) = self.cache.find(CACHE_KIND, &key) else { return Ok(None) };
            found.push(BuiltBinary { name: (*name).to_owned(), path: directory.join(name) });
        }
        Ok(Some(found))
    }

    /// Puts finished binaries into the cache, once they are proven static.
    pub(super) fn keep(&self, kind: &str, key: &Key, files: &[(&str, PathBuf)]) -> Result<PathBuf> {
        self.cache.find_or_make(self.shell, kind, key, |directory| {
            for (name, path) in files {
                elf::prove_static(path, self.toolchain.arch)?;
                let copy = directory.join(name);
                fs::copy(path, &copy).at("write", &copy)?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The repository this is compiled from, copied so that it can be changed.
    fn copy() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        snapshot::sync(root, directory.path()).unwrap();
        directory
    }

    fn append(root: &Path, path: &str) {
        let path = root.join(path);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text + "\n// changed\n").unwrap();
    }

    /// The binaries of the copy whose key a change alters.
    fn altered(root: &Path, change: impl FnOnce()) -> Vec<String> {
        let keys = || -> Vec<(String, Key)> {
            let services = service_binaries(root).unwrap();
            let services = services.into_iter().map(|name| (Package::Services, name));
            services
                .chain([(Package::Init, "init".to_owned()), (Package::Sshd, "sshd".to_owned())])
                .map(|(package, name)| {
                    let key = binary_key(root, package, &name, "compiler").unwrap();
                    (name, key)
                })
                .collect()
        };
        let before = keys();
        change();
        let after = keys();
        before.into_iter().zip(after).filter(|(a, b)| a != b).map(|(_, (name, _))| name).collect()
    }

    #[test]
    fn a_change_alters_the_keys_of_what_it_goes_into_and_no_other() {
        let directory = copy();
        let root = directory.path();
        let services = service_binaries(root).unwrap();
        let first = services.first().expect("there are services").clone();
        let source = ["", "/main"]
            .map(|tail| format!("services/src/bin/{first}{tail}.rs"))
            .into_iter()
            .find(|path| root.join(path).is_file())
            .unwrap();
        assert_eq!(altered(root, || append(root, &source)), [first]);
        assert_eq!(altered(root, || append(root, "init/src/main.rs")), ["init"]);
        let with_library = [services.clone(), vec!["sshd".to_owned()]].concat();
        assert_eq!(altered(root, || append(root, "services/src/lib.rs")), with_library);
        assert_eq!(altered(root, || append(root, "services/sshd/src/main.rs")), ["sshd"]);
        let all = services.len() + 2;
        assert_eq!(altered(root, || append(root, "init/core/src/lib.rs")).len(), all);
        assert_eq!(altered(root, || append(root, "builder/src/lib.rs")), [""; 0]);
    }
}
