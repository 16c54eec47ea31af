//! The compiler a kernel is built with, and who it is.
//!
//! The distribution's gcc (a cross gcc for the other architecture), or LLVM
//! where that gcc is missing (Documentation/kbuild/llvm.rst).

use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::cache::{Cache, KeyBuilder};
use crate::error::Result;
use crate::host::{Invocation, find_program, gnu};
use crate::host_needs::{self, Needs};
use crate::shell::Shell;

use super::memo;

/// A compiler with its linker, as the kernel's `make` is told of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Toolchain {
    /// What it says of itself: the versions of compiler, linker and, where it is
    /// installed, pahole, which is in the configuration. Part of the cache key.
    pub identity: String,
    /// Variables for `make`.
    pub variables: Vec<(&'static str, String)>,
    /// Whether it is gcc, not LLVM.
    pub is_gnu: bool,
}

/// LLVM's compiler and linker.
const LLVM_PROGRAMS: [&str; 2] = ["clang", "ld.lld"];

/// The GNU compiler and linker for `arch`.
fn gnu_programs(arch: Arch) -> [String; 2] {
    ["gcc", "ld"].map(|name| format!("{}{name}", gnu::prefix(arch)))
}

/// Files whose change means that [`find`] may answer differently.
#[must_use]
pub fn fingerprint_files(arch: Arch) -> Vec<PathBuf> {
    let names = gnu_programs(arch).into_iter().chain(LLVM_PROGRAMS.map(str::to_owned));
    names.filter_map(|name| find_program(&name)).collect()
}

/// The toolchain for `arch`.
///
/// # Errors
/// If the host has none: then all is named that a kernel needs and the host lacks.
pub fn find(shell: &Shell, cache: &Cache, arch: Arch) -> Result<Toolchain> {
    let prefix = gnu::prefix(arch);
    let [compiler, linker] = gnu_programs(arch).map(|name| find_program(&name));
    if let Some((compiler, linker)) = compiler.zip(linker) {
        let identity = identity(shell, cache, &[compiler, linker])?;
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
    programs.extend(find_program("pahole"));
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

fn version(program: &Path) -> Result<String> {
    let text = Invocation::new(program).arg("--version").read_text()?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
