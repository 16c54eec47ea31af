//! Crates that are not of the workspace: pinned ones of the registry, and those
//! in directories of their own.
//!
//! A pinned crate is built with the lock file its author published, so its key
//! needs no more than name, version, features, compiler and recipe.

use std::fs;
use std::path::{Path, PathBuf};

use super::cargo::{CargoCall, RELEASE_PROFILE};
use super::{BuiltBinary, Userland, snapshot, sources};
use crate::cache::{Key, KeyBuilder, lock};
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
        let key = self.crate_key(wanted, &wanted.source)?;
        let directory = match self.cache.find(CACHE_KIND, &key) {
            Some(directory) => directory,
            None => self
                .build_crate(wanted)
                .context(|| format!("{}: cannot build crate {}", wanted.place, wanted.name))?,
        };
        let built = |name: &String| BuiltBinary { name: name.clone(), path: directory.join(name) };
        Ok(wanted.binaries.iter().map(|binary| built(&binary.name)).collect())
    }

    /// The key of what is wanted, made from `source`: where that is a directory, its place does
    /// not show.
    fn crate_key(&self, wanted: &Crate, source: &CrateSource) -> Result<Key> {
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
        Ok(match source {
            CrateSource::Registry(version) => key.part("version", version),
            CrateSource::Directory { root, package } => {
                let key = key.part("package", package.as_os_str().as_encoded_bytes());
                sources::add(key, "source", root)?
            }
        }
        .finish())
    }

    fn build_crate(&self, wanted: &Crate) -> Result<PathBuf> {
        let work = self.workspace_of(&wanted.source)?;
        let _lock = lock(self.shell, &work.join("lock"))?;
        // From here on the copy counts: the original may change while Cargo works.
        let source = match &wanted.source {
            CrateSource::Registry(version) => CrateSource::Registry(version.clone()),
            CrateSource::Directory { root, package } => {
                let copy = work.join("source");
                snapshot::sync_entry(root, &copy)?;
                CrateSource::Directory { root: copy, package: package.clone() }
            }
        };
        let key = self.crate_key(wanted, &source)?;
        if let Some(directory) = self.cache.find(CACHE_KIND, &key) {
            return Ok(directory);
        }
        let install = work.join("install");
        if install.exists() {
            fs::remove_dir_all(&install).at("remove", &install)?;
        }
        self.install(wanted, source, &work, &install)?;
        let names = wanted.binaries.iter().map(|binary| binary.name.as_str());
        let files: Vec<_> = names.map(|name| (name, install.join("bin").join(name))).collect();
        self.keep(CACHE_KIND, &key, &files)
    }

    /// Where Cargo works on a crate.
    fn workspace_of(&self, source: &CrateSource) -> Result<PathBuf> {
        let triple = self.toolchain.triple();
        match source {
            CrateSource::Registry(_) => self.cache.workspace(&format!("crates-{triple}")),
            // Directories get a place each: Cargo must not mistake one for another.
            CrateSource::Directory { root, .. } => {
                let place =
                    KeyBuilder::new("place").part("path", root.as_os_str().as_encoded_bytes());
                let short = place.finish().as_str()[..16].to_owned();
                self.cache.workspace(&format!("crate-{triple}-{short}"))
            }
        }
    }

    /// Has Cargo compile what is wanted from `source` and put it below `install`.
    fn install(
        &self,
        wanted: &Crate,
        source: CrateSource,
        work: &Path,
        install: &Path,
    ) -> Result<()> {
        let mut arguments =
            vec!["install".to_owned(), "--locked".to_owned(), "--no-track".to_owned()];
        let mut prefixes = Vec::new();
        let version = match source {
            CrateSource::Registry(version) => {
                arguments.extend([wanted.name.clone(), "--version".into(), format!("={version}")]);
                version
            }
            CrateSource::Directory { root, package } => {
                let path = root.join(package);
                arguments.extend(["--path".to_owned(), path.display().to_string()]);
                prefixes.push((root, "/source"));
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
            title: format!("compile {} {version} for {}", wanted.name, self.toolchain.triple()),
            target_directory: self.target_directory(work)?,
            prefixes,
            directory: None,
        };
        call.run(&arguments).map_err(|error| {
            match host_needs::hint_for_crate(self.toolchain.arch) {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use init_core::diagnostic::Place;

    use super::*;
    use crate::arch::Arch;
    use crate::cache::Cache;
    use crate::definition::resolved::Binary;
    use crate::project::Project;
    use crate::shell::Shell;
    use crate::tree::TreePath;
    use crate::userland::Toolchain;

    /// A crate of one binary that prints `text`.
    fn write_crate(directory: &Path, text: &str) -> Crate {
        let manifest = "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
        let lock = "version = 4\n[[package]]\nname = \"tiny\"\nversion = \"0.1.0\"\n";
        fs::create_dir_all(directory.join("src")).unwrap();
        fs::write(directory.join("Cargo.toml"), manifest).unwrap();
        fs::write(directory.join("Cargo.lock"), lock).unwrap();
        let main = format!("fn main() {{ println!(\"{text}\"); }}\n");
        fs::write(directory.join("src/main.rs"), main).unwrap();
        tiny(CrateSource::Directory { root: directory.to_owned(), package: PathBuf::new() })
    }

    /// The crate `tiny` with its one binary.
    fn tiny(source: CrateSource) -> Crate {
        let path = TreePath::new("usr/bin/tiny").unwrap();
        Crate {
            name: "tiny".into(),
            source,
            features: Vec::new(),
            default_features: true,
            binaries: vec![Binary { name: "tiny".into(), path, links: Vec::new() }],
            descriptions: Vec::new(),
            place: Place { file: "test".into(), line: 1, column: 1 },
        }
    }

    /// Hands over a userland for the host's own architecture, with a cache below `directory`.
    fn on_host(directory: &Path, act: impl FnOnce(&Userland<'_>)) {
        let shell = Shell::new(true);
        let toolchain = match Toolchain::find(&shell, Arch::host().unwrap(), true) {
            Ok(toolchain) => toolchain,
            Err(error) => return println!("skipped: {error}"),
        };
        let cache = Cache::at(directory.join("cache")).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let project = Project::at(root).unwrap();
        act(&Userland {
            shell: &shell,
            cache: &cache,
            project: &project,
            toolchain: &toolchain,
            offline: true,
        });
    }

    #[test]
    fn what_is_built_is_kept_under_what_it_was_made_of() {
        let directory = tempfile::tempdir().unwrap();
        on_host(directory.path(), |userland| {
            let source = directory.path().join("tiny");
            let wanted = write_crate(&source, "one");
            let old = userland.crate_key(&wanted, &wanted.source).unwrap();
            let work = userland.workspace_of(&wanted.source).unwrap();
            let held = lock(userland.shell, &work.join("lock")).unwrap();
            let built = std::thread::scope(|scope| {
                let building = scope.spawn(|| userland.foreign(&wanted).unwrap());
                // Long enough for it to look at the crate and wait for the lock.
                std::thread::sleep(Duration::from_millis(300));
                write_crate(&source, "two");
                drop(held);
                building.join().unwrap()
            });
            let new = userland.crate_key(&wanted, &wanted.source).unwrap();
            assert_eq!(
                userland.cache.find(CACHE_KIND, &old),
                None,
                "nothing was made of the old source"
            );
            let place = userland.cache.find(CACHE_KIND, &new).unwrap();
            assert_eq!(built[0].path, place.join("tiny"));
            let bytes = fs::read(place.join("tiny")).unwrap();
            assert!(bytes.windows(4).any(|window| window == b"two\n"));
        });
    }

    #[test]
    fn a_member_of_a_workspace_is_built_with_what_it_depends_on() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("space");
        for (path, text) in [
            ("Cargo.toml", "[workspace]\nmembers = [\"in/*\", \"text\"]\n"),
            (
                "Cargo.lock",
                "version = 4\n[[package]]\nname = \"text\"\nversion = \"0.1.0\"\n\
                 [[package]]\nname = \"tiny\"\nversion = \"0.1.0\"\ndependencies = [\"text\"]\n",
            ),
            (
                "in/tiny/Cargo.toml",
                "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\n\
                 [dependencies]\ntext = { path = \"../../text\" }\n",
            ),
            ("in/tiny/src/main.rs", "fn main() { println!(\"{}\", text::TEXT); }\n"),
            ("text/Cargo.toml", "[package]\nname = \"text\"\nversion = \"0.1.0\"\n"),
            ("text/src/lib.rs", "pub const TEXT: &str = \"of a neighbour\";\n"),
        ] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        }
        let wanted = tiny(CrateSource::Directory { root, package: "in/tiny".into() });
        on_host(directory.path(), |userland| {
            let built = userland.foreign(&wanted).unwrap();
            let bytes = fs::read(&built[0].path).unwrap();
            assert!(bytes.windows(14).any(|window| window == b"of a neighbour"));
        });
    }

    #[test]
    fn what_another_compiler_of_c_has_made_is_not_linked() {
        let directory = tempfile::tempdir().unwrap();
        on_host(directory.path(), |userland| {
            let work = directory.path();
            let former = userland.target_directory(work).unwrap();
            fs::create_dir(&former).unwrap();
            assert_eq!(userland.target_directory(work).unwrap(), former);
            assert!(former.exists());
            let mut toolchain = userland.toolchain.clone();
            toolchain.c_identity = "newer".into();
            let newer = Userland { toolchain: &toolchain, ..*userland };
            assert_ne!(newer.target_directory(work).unwrap(), former);
            assert!(!former.exists());
        });
    }

    #[test]
    fn a_copy_has_the_key_of_its_original() {
        let directory = tempfile::tempdir().unwrap();
        let (source, copy) = (directory.path().join("source"), directory.path().join("copy"));
        write_crate(&source, "one");
        fs::create_dir_all(source.join("target")).unwrap();
        let script = source.join("src/generate.sh");
        fs::write(&script, "").unwrap();
        let key = |place: &Path| sources::add(KeyBuilder::new("test 1"), "s", place).unwrap();
        for mode in [0o644, 0o755, 0o644] {
            fs::set_permissions(&script, Permissions::from_mode(mode)).unwrap();
            let before = fs::metadata(copy.join("src/generate.sh")).and_then(|was| was.modified());
            snapshot::sync_entry(&source, &copy).unwrap();
            assert_eq!(key(&copy).finish(), key(&source).finish(), "{mode:o}");
            let after = fs::metadata(copy.join("src/generate.sh")).unwrap().modified().unwrap();
            assert!(before.is_err() || before.unwrap() < after, "Cargo sees it too");
        }
    }
}
