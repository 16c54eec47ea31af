//! The compiler a kernel is built with, and who it is.
//!
//! The distribution's gcc (a cross gcc for the other architecture), or LLVM
//! where that gcc is missing (Documentation/kbuild/llvm.rst).

use std::fs;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::cache::{Cache, KeyBuilder, memo};
use crate::error::Result;
use crate::host::{Invocation, find_program, gnu};
use crate::host_needs::{self, Needs};
use crate::shell::Shell;

/// A compiler with its linker, as the kernel's `make` is told of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Toolchain {
    /// What it says of itself, as far as it is in the configuration: the versions of
    /// compiler, linker and, where it is installed, pahole; and whether gcc has the
    /// headers for plugins. Part of the cache key.
    pub identity: String,
    /// Variables for `make`.
    pub variables: Vec<(&'static str, String)>,
    /// Whether it is gcc, not LLVM.
    pub is_gnu: bool,
}

/// Writes the types of a kernel for BPF; its version is in the configuration.
const PAHOLE: &str = "pahole";
/// LLVM's compiler and linker.
const LLVM_PROGRAMS: [&str; 2] = ["clang", "ld.lld"];
/// What makes the kernel's configuration know plugins for gcc, below gcc's own directory
/// (scripts/gcc-plugins/Kconfig). It comes in a package of its own.
const PLUGIN_HEADER: &str = "plugin/include/plugin-version.h";
/// Where Debian has gcc's own directories, by target and version.
const GCC_DIRECTORIES: [&str; 2] = ["/usr/lib/gcc", "/usr/lib/gcc-cross"];

/// The GNU compiler and linker for `arch`.
fn gnu_programs(arch: Arch) -> [String; 2] {
    ["gcc", "ld"].map(|name| format!("{}{name}", gnu::prefix(arch)))
}

/// Files whose change means that [`find`] may answer differently.
#[must_use]
pub fn fingerprint_files(arch: Arch) -> Vec<PathBuf> {
    let names = gnu_programs(arch).into_iter().chain(LLVM_PROGRAMS.map(str::to_owned));
    let programs = names.chain([PAHOLE.to_owned()]).filter_map(|name| find_program(&name));
    let triplet = gnu::CrossTools::of(arch).triplet;
    let places = GCC_DIRECTORIES.map(|directory| Path::new(directory).join(triplet));
    programs.chain(places.iter().flat_map(|place| plugin_headers(place))).collect()
}

/// Where the headers for plugins are, or would be, of every gcc whose directory is in `place`.
fn plugin_headers(place: &Path) -> Vec<PathBuf> {
    // Where there is no such directory there is no such gcc.
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let mut headers: Vec<PathBuf> =
        entries.map(|version| version.path().join(PLUGIN_HEADER)).collect();
    headers.sort();
    headers
}

/// The toolchain for `arch`.
///
/// # Errors
/// If the host has none: then all is named that a kernel needs and the host lacks.
pub fn find(shell: &Shell, cache: &Cache, arch: Arch) -> Result<Toolchain> {
    let prefix = gnu::prefix(arch);
    let [compiler, linker] = gnu_programs(arch).map(|name| find_program(&name));
    if let Some((compiler, linker)) = compiler.zip(linker) {
        let mut identity = identity(shell, cache, &[compiler.clone(), linker])?;
        if has_plugin_headers(shell, cache, &compiler)? {
            identity.push_str(", headers for gcc plugins");
        }
        let variables = match prefix {
            "" => Vec::new(),
            _ => vec![("CROSS_COMPILE", prefix.to_owned())],
        };
        return Ok(Toolchain { identity, variables, is_gnu: true });
    }
    let [compiler, linker] = LLVM_PROGRAMS.map(find_program);
    if let Some((compiler, linker)) = compiler.zip(linker) {
        let identity = identity(shell, cache, &[compiler, linker])?;
        let variables = vec![("LLVM", "1".into())];
        return Ok(Toolchain { identity, variables, is_gnu: false });
    }
    let needs = Needs::new().kernel(arch);
    Err(host_needs::lacking(&needs.missing(), host_needs::can_install()))
}

/// The first line each program prints for `--version`, remembered while the
/// program's file stays the same.
fn identity(shell: &Shell, cache: &Cache, programs: &[PathBuf; 2]) -> Result<String> {
    let mut programs = programs.to_vec();
    programs.extend(find_program(PAHOLE));
    let mut key = KeyBuilder::new("toolchain 2");
    for program in &programs {
        key = memo::identity(key, program)?;
    }
    memo::recall(shell, cache, &key.finish(), || {
        let lines: Vec<String> =
            programs.iter().map(|program| version(program)).collect::<Result<_>>()?;
        Ok(lines.join(", "))
    })
}

/// Whether gcc's headers for plugins are installed. They come and go without gcc, so where
/// they would be is remembered, and looked at each time.
fn has_plugin_headers(shell: &Shell, cache: &Cache, gcc: &Path) -> Result<bool> {
    let key = memo::identity(KeyBuilder::new("gcc directory 1"), gcc)?.finish();
    // Not `-print-file-name=plugin`, which says nothing before the directory is there.
    let library = memo::recall(shell, cache, &key, || {
        Invocation::new(gcc).arg("-print-libgcc-file-name").read_text()
    })?;
    let directory = Path::new(&library).parent();
    Ok(directory.is_some_and(|directory| directory.join(PLUGIN_HEADER).is_file()))
}

fn version(program: &Path) -> Result<String> {
    let text = Invocation::new(program).arg("--version").read_text()?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_of_every_gcc_are_looked_at_before_they_are_there() {
        let place = tempfile::tempdir().unwrap();
        for version in ["12", "10"] {
            fs::create_dir(place.path().join(version)).unwrap();
        }
        let header = |version: &str| place.path().join(version).join(PLUGIN_HEADER);
        assert_eq!(plugin_headers(place.path()), [header("10"), header("12")]);
        assert_eq!(plugin_headers(&place.path().join("none")), [""; 0].map(PathBuf::from));
    }
}
