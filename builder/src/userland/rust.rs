//! The Rust compilers of the host: which has a target's standard library, and
//! what a call of one must say so that no host path shows in what it makes.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::host::{Invocation, find_program};
use crate::shell::Shell;

/// Debian's compiler and Cargo, apart from those rustup puts into `PATH`.
pub(super) const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
pub(super) const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// A compiler that has a target's standard library.
#[derive(Clone, Debug)]
pub(crate) struct RustCompiler {
    /// Cargo's name for the target.
    pub(crate) triple: String,
    /// The compiler's own words about its version.
    pub(crate) version: String,
    cargo: PathBuf,
    rustc: PathBuf,
    sysroot: PathBuf,
}

/// A Rust compiler with all that it links for a target.
pub(crate) trait Compiler {
    /// The compiler.
    fn rust(&self) -> &RustCompiler;

    /// Flags for every target crate.
    fn flags(&self) -> Vec<String>;

    /// What a crate's build script is told about C, by variable, where host
    /// directories have other names in what is made.
    fn c_variables(&self, prefixes: &[(PathBuf, &str)]) -> Vec<(String, String)>;
}

impl RustCompiler {
    /// The compiler that rustup puts into `PATH`, with the target added if it is
    /// missing and `offline` is not set.
    ///
    /// # Errors
    /// If there is none, or it does not have the target.
    pub(crate) fn of_rustup(shell: &Shell, triple: &str, offline: bool) -> Result<Self> {
        let (rustc, cargo) = (program("rustc")?, program("cargo")?);
        let sysroot = sysroot(&rustc)?;
        if !has_target(&sysroot, triple) {
            add_target(shell, triple, offline)?;
        }
        Self::with_target(rustc, cargo, sysroot, triple)?.ok_or_else(|| {
            Error::host(format!("the Rust target {triple} is not installed"))
                .hint(format!("run `rustup target add {triple}`"))
        })
    }

    /// The first of the compilers in `PATH` and of Debian that has the target.
    ///
    /// # Errors
    /// If a compiler that is there does not answer.
    pub(super) fn of_any(triple: &str) -> Result<Option<Self>> {
        if let (Ok(rustc), Ok(cargo)) = (program("rustc"), program("cargo"))
            && let Ok(sysroot) = sysroot(&rustc)
            && let Some(found) = Self::with_target(rustc, cargo, sysroot, triple)?
        {
            return Ok(Some(found));
        }
        let (rustc, cargo) = (PathBuf::from(DEBIAN_RUSTC), PathBuf::from(DEBIAN_CARGO));
        if !rustc.is_file() {
            return Ok(None);
        }
        let sysroot = sysroot(&rustc)?;
        Self::with_target(rustc, cargo, sysroot, triple)
    }

    fn with_target(
        rustc: PathBuf,
        cargo: PathBuf,
        sysroot: PathBuf,
        triple: &str,
    ) -> Result<Option<Self>> {
        if !has_target(&sysroot, triple) {
            return Ok(None);
        }
        let version = Invocation::new(&rustc).arg("-vV").read_text()?;
        Ok(Some(Self { triple: triple.to_owned(), version, cargo, rustc, sysroot }))
    }

    /// A call of its Cargo.
    pub(super) fn cargo(&self) -> Invocation {
        Invocation::new(&self.cargo).env("RUSTC", &self.rustc)
    }

    /// Flags that give host directories, and the standard library's sources,
    /// other names in what is made.
    pub(super) fn path_flags(&self, prefixes: &[(PathBuf, &str)]) -> Vec<String> {
        let library = self.sysroot.join("lib/rustlib/src/rust");
        let prefixes = prefixes.iter().cloned().chain([(library, "/rust")]);
        prefixes
            .map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display()))
            .collect()
    }
}

fn program(name: &str) -> Result<PathBuf> {
    find_program(name).ok_or_else(|| {
        Error::host(format!("{name} is not installed")).hint("install Rust from https://rustup.rs")
    })
}

fn sysroot(rustc: &Path) -> Result<PathBuf> {
    Ok(PathBuf::from(Invocation::new(rustc).args(["--print", "sysroot"]).read_text()?))
}

fn has_target(sysroot: &Path, triple: &str) -> bool {
    sysroot.join("lib/rustlib").join(triple).join("lib").is_dir()
}

/// Failing is no error here: the caller looks at what is there afterwards.
fn add_target(shell: &Shell, triple: &str, offline: bool) -> Result<()> {
    if offline || find_program("rustup").is_none() {
        return Ok(());
    }
    let step = shell.step(format!("add the Rust target {triple}"));
    match Invocation::new("rustup").args(["target", "add", triple]).run() {
        Ok(()) => step.done(""),
        Err(error) => {
            drop(step);
            shell.warn(error);
        }
    }
    Ok(())
}
