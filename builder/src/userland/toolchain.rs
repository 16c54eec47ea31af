//! Which Rust toolchain builds for the target, and how.
//!
//! The first choice is musl: self-contained, linked by `rust-lld`, the same from
//! any host. Where its standard library is not there and rustup cannot bring
//! it, glibc is linked statically instead: by the host's own toolchain for the
//! host's architecture, else by Debian's `rustc-web`, which has it for others.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::error::{Error, Result};
use crate::host::gnu::{self, CrossTools};
use crate::host::{Invocation, find_program};
use crate::shell::Shell;

use super::rust::{Compiler, DEBIAN_CARGO, DEBIAN_RUSTC, RustCompiler};

/// Forces the choice: `musl` or `gnu`.
pub const TARGET_VARIABLE: &str = "KEELSON_USERLAND_TARGET";

/// The C library that is linked into every binary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Libc {
    /// musl, which comes with the target's standard library.
    Musl,
    /// glibc, from the host's development package.
    Gnu,
}

/// A compiler for the target.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// What it builds for.
    pub arch: Arch,
    /// What it links.
    pub libc: Libc,
    /// What it is: the compiler's own words, and the linker's for glibc. Part of every key.
    pub identity: String,
    /// The C compiler's version, or that there is none: many crates need none.
    /// Part of the key of what may have C in it.
    pub c_identity: String,
    rust: RustCompiler,
}

impl Toolchain {
    /// Chooses the toolchain for `arch`, adding the musl target by rustup if it
    /// is missing and `offline` is not set.
    ///
    /// # Errors
    /// If the host has neither way, or the way that was forced is not there.
    pub fn find(shell: &Shell, arch: Arch, offline: bool) -> Result<Self> {
        let forced = std::env::var(TARGET_VARIABLE).ok().filter(|value| !value.is_empty());
        match forced.as_deref() {
            Some("musl") => Self::musl(shell, arch, offline),
            Some("gnu") => Self::gnu(arch),
            Some(other) => Err(Error::definition(format!(
                "{TARGET_VARIABLE} is {other:?}, not \"musl\" or \"gnu\""
            ))),
            None => Self::musl(shell, arch, offline).or_else(|musl_error| {
                let toolchain =
                    Self::gnu(arch).map_err(|error| error.context(musl_error.to_string()))?;
                shell.warn(format_args!(
                    "{musl_error}\nbuilding the userland for {} instead; the manifest records it",
                    toolchain.triple()
                ));
                Ok(toolchain)
            }),
        }
    }

    fn musl(shell: &Shell, arch: Arch, offline: bool) -> Result<Self> {
        let rust = RustCompiler::of_rustup(shell, &triple(arch, Libc::Musl), offline)?;
        let (identity, c_identity) = (rust.version.clone(), c_identity(arch));
        Ok(Self { arch, libc: Libc::Musl, identity, c_identity, rust })
    }

    fn gnu(arch: Arch) -> Result<Self> {
        let triple = triple(arch, Libc::Gnu);
        let packages = gnu_packages(arch);
        let lacks = |what: String| {
            Error::host(format!("{what}, which a static glibc build for {arch} needs"))
                .hint(format!("install {packages}"))
        };
        let Some(rust) = RustCompiler::of_any(&triple)? else {
            return Err(lacks(format!("no Rust toolchain here has the target {triple}")));
        };
        let linker = gnu::compiler(arch);
        if find_program(linker).is_none() {
            return Err(lacks(format!("the linker {linker} is not installed")));
        }
        let archive = Invocation::new(linker).arg("-print-file-name=libc.a").read_text()?;
        if !Path::new(&archive).is_absolute() {
            return Err(lacks("the static C library libc.a is not installed".to_owned()));
        }
        let linker_version = Invocation::new(linker).arg("--version").read_text()?;
        let libc = crate::cache::file_sha256(Path::new(&archive))?;
        let linker_version = linker_version.lines().next().unwrap_or_default();
        let identity = format!("{}\n{linker_version}\nlibc.a {libc}", rust.version);
        let c_identity = c_identity(arch);
        Ok(Self { arch, libc: Libc::Gnu, identity, c_identity, rust })
    }

    /// Cargo's name for the target.
    #[must_use]
    pub fn triple(&self) -> &str {
        &self.rust.triple
    }

    /// The compiler's version in one line, for the manifest.
    #[must_use]
    pub fn version(&self) -> &str {
        self.identity.lines().next().unwrap_or_default()
    }
}

impl Compiler for Toolchain {
    fn rust(&self) -> &RustCompiler {
        &self.rust
    }

    /// `--build-id` is off because its default depends on the linker's configuration.
    fn flags(&self) -> Vec<String> {
        let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
        match self.libc {
            Libc::Musl => flags.extend([
                "-Clinker=rust-lld".to_owned(),
                "-Clinker-flavor=ld.lld".to_owned(),
                "-Clink-arg=--build-id=none".to_owned(),
            ]),
            Libc::Gnu => flags.extend([
                format!("-Clinker={}", gnu::compiler(self.arch)),
                "-Clink-arg=-Wl,--build-id=none".to_owned(),
            ]),
        }
        flags
    }

    /// The variables are those of the `cc` crate ("External configuration via
    /// environment variables"). Where musl's own headers are not installed, which
    /// is the rule, the compiler of the host's distribution takes glibc's: code
    /// that only computes works, and what asks for more than musl has does not
    /// link. Checked variants of functions are glibc's alone, so they are off.
    fn c_variables(&self, prefixes: &[(PathBuf, &str)]) -> Vec<(String, String)> {
        let triple = self.triple().replace('-', "_");
        let mut flags = vec!["-U_FORTIFY_SOURCE".to_owned(), "-D_FORTIFY_SOURCE=0".to_owned()];
        flags.extend(
            prefixes
                .iter()
                .map(|(path, name)| format!("-ffile-prefix-map={}={name}", path.display())),
        );
        let flags: Vec<String> = flags.iter().map(|flag| shell_quoted(flag)).collect();
        vec![
            (format!("CC_{triple}"), gnu::compiler(self.arch).to_owned()),
            (format!("AR_{triple}"), gnu::archiver(self.arch).to_owned()),
            (format!("CFLAGS_{triple}"), flags.join(" ")),
            // Directories may have spaces in their names.
            ("CC_SHELL_ESCAPED_FLAGS".to_owned(), "1".to_owned()),
        ]
    }
}

impl Libc {
    /// `musl` or `gnu`, as in the target's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Musl => "musl",
            Self::Gnu => "gnu",
        }
    }
}

impl fmt::Display for Libc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Files and variables whose change means that [`Toolchain::find`] may answer
/// differently. Cheap to look at: a build with nothing to do asks no compiler.
#[must_use]
pub fn fingerprint_files(arch: Arch) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = ["rustc", "cargo"].into_iter().filter_map(find_program).collect();
    let home = |variable: &str, default: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(default)))
    };
    if let Some(rustup) = home("RUSTUP_HOME", ".rustup") {
        files.push(rustup.join("settings.toml"));
        if let Some(name) = std::env::var_os("RUSTUP_TOOLCHAIN") {
            files.push(rustup.join("toolchains").join(name).join("lib/rustlib/components"));
        }
    }
    files.extend([DEBIAN_RUSTC, DEBIAN_CARGO].map(PathBuf::from));
    files.extend(find_program(gnu::compiler(arch)));
    files.extend(static_libc_places(arch));
    files
}

/// Where Debian has the static glibc: for the host's own compiler and for a cross
/// compiler. Only the compiler knows which one it takes.
fn static_libc_places(arch: Arch) -> [PathBuf; 2] {
    let triplet = CrossTools::of(arch).triplet;
    [format!("/usr/lib/{triplet}/libc.a"), format!("/usr/{triplet}/lib/libc.a")].map(PathBuf::from)
}

fn triple(arch: Arch, libc: Libc) -> String {
    format!("{arch}-unknown-linux-{libc}")
}

/// One word of a shell, whatever is in it (POSIX.1-2024, XCU 2.2.2).
fn shell_quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn c_identity(arch: Arch) -> String {
    let version = Invocation::new(gnu::compiler(arch)).arg("--version").read_text();
    version.unwrap_or_else(|_| "none".to_owned())
}

/// What a Debian host needs for a static glibc build.
fn gnu_packages(arch: Arch) -> String {
    let Some(tools) = CrossTools::needed(Arch::host(), arch) else {
        return "gcc and libc6-dev".to_owned();
    };
    let (debian, compiler) = (arch.debian(), tools.compiler_package);
    format!(
        "rustc-web, cargo-web, libstd-rust-web-dev:{debian}, {compiler} and libc6-dev:{debian} \
         (after `dpkg --add-architecture {debian}`)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_static_c_library_is_looked_at() {
        for (arch, places) in [
            (
                Arch::X86_64,
                ["/usr/lib/x86_64-linux-gnu/libc.a", "/usr/x86_64-linux-gnu/lib/libc.a"],
            ),
            (
                Arch::Aarch64,
                ["/usr/lib/aarch64-linux-gnu/libc.a", "/usr/aarch64-linux-gnu/lib/libc.a"],
            ),
        ] {
            let files = fingerprint_files(arch);
            assert!(places.iter().all(|place| files.contains(&PathBuf::from(place))), "{files:?}");
        }
    }
}
