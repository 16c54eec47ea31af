//! The compiler a kernel is built with, and who it is.
//!
//! The distribution's gcc (a cross gcc for the other architecture), or LLVM
//! where that gcc is missing (Documentation/kbuild/llvm.rst).

use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::cache::{Cache, KeyBuilder};
use crate::error::Result;
use crate::host::{Invocation, find_program};
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

/// The prefix of the GNU tools' names for an architecture.
#[must_use]
pub const fn gnu_prefix(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "x86_64-linux-gnu-",
        Arch::Aarch64 => "aarch64-linux-gnu-",
    }
}

/// The toolchain for `arch`.
///
/// # Errors
/// If the host has none: then all is named that a kernel needs and the host lacks.
pub fn find(shell: &Shell, cache: &Cache, arch: Arch) -> Result<Toolchain> {
    let prefix = if Arch::host() == Some(arch) { "" } else { gnu_prefix(arch) };
    let gcc = find_program(&format!("{prefix}gcc")).zip(find_program(&format!("{prefix}ld")));
    if let Some((compiler, linker)) = gcc {
        let identity = identity(shell, cache, &[compiler, linker])?;
        let variables = match prefix {
            "" => Vec::new(),
            _ => vec![("CROSS_COMPILE", prefix.to_owned())],
        };
        return Ok(Toolchain { identity, variables, is_gnu: true });
    }
    if let Some((compiler, linker)) = find_program("clang").zip(find_program("ld.lld")) {
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
