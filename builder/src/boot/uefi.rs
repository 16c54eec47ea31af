//! The UEFI stub of unified kernel images, compiled from `builder/boot/uefi` and
//! kept by content.
//!
//! Rust's UEFI targets come by rustup. Where they cannot be had, a disk does
//! without the stub: the kernel is an EFI application itself, and takes the
//! parameters that are built into it. `KEELSON_UEFI_STUB` decides otherwise.

use std::fs;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::cache::{Cache, Key, KeyBuilder, lock};
use crate::error::{Error, IoContext, Result};
use crate::format::pe::{self, Headers, SUBSYSTEM_EFI_APPLICATION};
use crate::project::Project;
use crate::shell::Shell;
use crate::userland::cargo::{CargoCall, FREESTANDING_PROFILE};
use crate::userland::rust::{Compiler, RustCompiler};
use crate::userland::snapshot;
use crate::userland::sources;

/// Decides whether there is a stub: `none` never, `own` always; without it, if
/// the target can be had.
pub const STUB_VARIABLE: &str = "KEELSON_UEFI_STUB";
/// Raise the number when the recipe changes in a way its inputs do not show.
const RECIPE: &str = "uefi stub 1";
/// The cache's name for finished stubs.
const CACHE_KIND: &str = "uefi-stub";
/// Its package, and the file that Cargo makes of it.
const PACKAGE: &str = "uefi-stub";
const FILE: &str = "uefi-stub.efi";
/// Its place in the repository.
const DIRECTORY: &str = "builder/boot/uefi";

/// The stub for one architecture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stub {
    /// The file, in the cache.
    pub path: PathBuf,
    /// What it was compiled for, in Cargo's words.
    pub target: String,
    /// The compiler's version in one line.
    pub compiler: String,
}

/// What the person says about the stub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Choice {
    IfPossible,
    Own,
    None,
}

impl Choice {
    fn parse(value: Option<&str>) -> Result<Self> {
        match value {
            None | Some("") => Ok(Self::IfPossible),
            Some("own") => Ok(Self::Own),
            Some("none") => Ok(Self::None),
            Some(other) => Err(Error::definition(format!(
                "{STUB_VARIABLE} is {other:?}, not \"own\" or \"none\""
            ))),
        }
    }
}

/// The stub, compiled if it is not in the cache; `None`, with a warning, where
/// it cannot be had: without the target, which rustup adds unless `offline`, or
/// offline without the crates it is made of.
///
/// # Errors
/// If it does not compile, or [`STUB_VARIABLE`] forces what is not there.
pub fn stub(
    shell: &Shell,
    cache: &Cache,
    project: &Project,
    arch: Arch,
    offline: bool,
) -> Result<Option<Stub>> {
    let value = std::env::var(STUB_VARIABLE).ok();
    let choice = Choice::parse(value.as_deref())?;
    if choice == Choice::None {
        return Ok(None);
    }
    let triple = triple(arch);
    let without = |reason: Error| {
        if choice == Choice::Own {
            return Err(reason.context(format!("there is no UEFI stub for {arch}")));
        }
        shell.warn(format_args!(
            "{reason}\nbooting by UEFI without a stub for {triple}: the kernel takes the \
             parameters built into it, and no initramfs"
        ));
        Ok(None)
    };
    let rust = match RustCompiler::of_rustup(shell, &triple, offline) {
        Ok(rust) => rust,
        Err(reason) => return without(reason),
    };
    match (Build { shell, cache, project, arch, offline, compiler: UefiCompiler { rust } }).run() {
        Ok(stub) => Ok(Some(stub)),
        Err(reason) if offline => without(reason),
        Err(reason) => Err(reason
            .context(format!("cannot make the UEFI stub for {arch}"))
            .hint(format!("with {STUB_VARIABLE}=none the kernel's own EFI stub is used"))),
    }
}

/// Adds every source that the stub is made of.
///
/// # Errors
/// If one cannot be read.
pub fn add_sources(mut key: KeyBuilder, root: &Path) -> Result<KeyBuilder> {
    for file in ["Cargo.toml", "Cargo.lock"] {
        key = key.file(file, &root.join(file))?;
    }
    sources::add(key, DIRECTORY, &root.join(DIRECTORY))
}

/// Cargo's name for the firmware of an architecture.
#[must_use]
pub fn triple(arch: Arch) -> String {
    format!("{arch}-unknown-uefi")
}

/// The compiler and what it links for firmware.
struct UefiCompiler {
    rust: RustCompiler,
}

impl Compiler for UefiCompiler {
    fn rust(&self) -> &RustCompiler {
        &self.rust
    }

    /// No time of linking and no debug directory: both would differ from build to build.
    fn flags(&self) -> Vec<String> {
        ["-Clinker=rust-lld", "-Clinker-flavor=lld-link", "-Clink-arg=/timestamp:0"]
            .into_iter()
            .chain(["-Clink-arg=/debug:none"])
            .map(str::to_owned)
            .collect()
    }

    /// There is no C in it.
    fn c_variables(&self, _prefixes: &[(PathBuf, &str)]) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// One build of the stub.
struct Build<'a> {
    shell: &'a Shell,
    cache: &'a Cache,
    project: &'a Project,
    arch: Arch,
    offline: bool,
    compiler: UefiCompiler,
}

impl Build<'_> {
    fn run(&self) -> Result<Stub> {
        let rust = &self.compiler.rust;
        let found = |directory: PathBuf| Stub {
            path: directory.join(FILE),
            target: rust.triple.clone(),
            compiler: rust.version.lines().next().unwrap_or_default().to_owned(),
        };
        let key = self.key(self.project.root())?;
        if let Some(directory) = self.cache.find(CACHE_KIND, &key) {
            return Ok(found(directory));
        }
        let work = self.cache.workspace(&format!("uefi-stub-{}", rust.triple))?;
        let _lock = lock(self.shell, &work.join("lock"))?;
        let source = work.join("source");
        snapshot::sync(self.project.root(), &source)?;
        // From here on the copy counts: the originals may change while Cargo works.
        let key = self.key(&source)?;
        let directory = self.cache.find_or_make(self.shell, CACHE_KIND, &key, |directory| {
            let built = self.compile(&work, &source)?;
            prove(&built, self.arch)?;
            let copy = directory.join(FILE);
            fs::copy(&built, &copy).at("write", &copy).map(|_bytes| ())
        })?;
        Ok(found(directory))
    }

    fn key(&self, root: &Path) -> Result<Key> {
        let rust = &self.compiler.rust;
        let key = KeyBuilder::new(RECIPE)
            .part("target", &rust.triple)
            .part("compiler", &rust.version)
            .part("flags", self.compiler.flags().join(" "));
        Ok(add_sources(key, root)?.finish())
    }

    fn compile(&self, work: &Path, source: &Path) -> Result<PathBuf> {
        let target_directory = work.join("target");
        let call = CargoCall {
            shell: self.shell,
            compiler: &self.compiler,
            offline: self.offline,
            title: format!("compile the UEFI stub for {}", self.arch),
            target_directory: target_directory.clone(),
            prefixes: vec![(source.to_owned(), "/keelson")],
            directory: Some(source.to_owned()),
        };
        let arguments =
            ["build", "--locked", "--profile", FREESTANDING_PROFILE, "--package", PACKAGE];
        call.run(&arguments.map(str::to_owned))?;
        Ok(target_directory.join(&self.compiler.rust.triple).join(FREESTANDING_PROFILE).join(FILE))
    }
}

/// Refuses a stub that firmware would not start or that tells of the build.
fn prove(path: &Path, arch: Arch) -> Result<()> {
    let file = fs::read(path).at("read", path)?;
    let headers = Headers::read(&file)?;
    let mut problems = Vec::new();
    if headers.machine != pe::machine::of(arch) {
        problems.push("is for another machine");
    }
    if headers.subsystem != SUBSYSTEM_EFI_APPLICATION {
        problems.push("is no UEFI application");
    }
    if headers.time_s != 0 {
        problems.push("holds the time it was linked");
    }
    if headers.has_debug_directory {
        problems.push("has a debug directory");
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::failure(format!("the UEFI stub {}", problems.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_takes_two_words() {
        for (value, choice) in [
            (None, Choice::IfPossible),
            (Some(""), Choice::IfPossible),
            (Some("own"), Choice::Own),
            (Some("none"), Choice::None),
        ] {
            assert_eq!(Choice::parse(value).unwrap(), choice, "{value:?}");
        }
        let error = Choice::parse(Some("yes")).unwrap_err();
        assert_eq!(error.kind().exit_code(), 2);
        assert!(error.to_string().contains("\"yes\""), "{error}");
    }

    #[test]
    fn a_changed_source_is_another_stub() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let copy = tempfile::tempdir().unwrap();
        snapshot::sync(root, copy.path()).unwrap();
        let key = || add_sources(KeyBuilder::new("test 1"), copy.path()).unwrap().finish();
        let append = |path: &str| {
            let path = copy.path().join(path);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text + "\n// changed\n").unwrap();
        };
        let before = key();
        append("builder/src/lib.rs");
        append("init/src/main.rs");
        assert_eq!(key(), before);
        append("builder/boot/uefi/src/sys/panic.rs");
        assert_ne!(key(), before);
    }

    #[test]
    fn a_stub_that_would_not_do_is_refused() {
        let prove_bytes = |bytes: &[u8], arch| {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), bytes).unwrap();
            prove(file.path(), arch).map_err(|error| error.to_string())
        };
        let mut file = pe::tests::application(pe::machine::X86_64);
        assert_eq!(prove_bytes(&file, Arch::X86_64), Ok(()));
        let error = prove_bytes(&file, Arch::Aarch64).unwrap_err();
        assert!(error.contains("another machine"), "{error}");
        // The time in the COFF header, and the subsystem in the optional header.
        file[0x80 + 8] = 1;
        file[0x80 + 24 + 68] = 11;
        let error = prove_bytes(&file, Arch::X86_64).unwrap_err();
        assert!(error.contains("no UEFI application, holds the time"), "{error}");
    }
}
