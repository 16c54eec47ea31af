//! Where distributions keep UEFI firmware for guests: EDK II as OVMF and AAVMF.
//!
//! Secure Boot builds are left out: they refuse an unsigned kernel.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::arch::Arch;
use crate::error::{Error, IoContext, Result};

/// What becomes of the variables that a guest sets in its firmware.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Variables {
    /// They are written to a store of the guest's own, new for every run
    Writable,
    /// There is no store: the firmware holds them in memory until a reset
    None,
}

/// A firmware's two flash images.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Firmware {
    /// Its code.
    pub code: &'static str,
    /// Its variables as they leave the factory.
    pub variables: &'static str,
}

const fn firmware(code: &'static str, variables: &'static str) -> Firmware {
    Firmware { code, variables }
}

/// Debian and Ubuntu (4 MiB, then the older 2 MiB build), Fedora, Arch Linux.
const X86_64: &[Firmware] = &[
    firmware("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    firmware("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    firmware("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    firmware("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
];
/// Debian and Ubuntu, Fedora.
const AARCH64: &[Firmware] = &[
    firmware("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    firmware(
        "/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw",
        "/usr/share/edk2/aarch64/vars-template-pflash.raw",
    ),
];

/// The places to look, best first.
#[must_use]
pub const fn candidates(arch: Arch) -> &'static [Firmware] {
    match arch {
        Arch::X86_64 => X86_64,
        Arch::Aarch64 => AARCH64,
    }
}

/// The firmware of this host, if it has any.
#[must_use]
pub fn find(arch: Arch) -> Option<Firmware> {
    candidates(arch)
        .iter()
        .find(|firmware| {
            Path::new(firmware.code).is_file() && Path::new(firmware.variables).is_file()
        })
        .copied()
}

/// The firmware's code, and a copy of its variables in `directory` that a guest
/// may write, if it is to have one.
///
/// # Errors
/// If the host has no firmware for `arch`, or the copy cannot be made.
pub fn prepare(
    arch: Arch,
    variables: Variables,
    directory: &Path,
) -> Result<(PathBuf, Option<PathBuf>)> {
    let firmware = find(arch).ok_or_else(|| {
        let places: Vec<&str> = candidates(arch).iter().map(|firmware| firmware.code).collect();
        Error::host(format!("no UEFI firmware for {arch} in {}", places.join(", ")))
            .hint("run `cargo builder doctor --install`, or use `--boot direct`")
    })?;
    if variables == Variables::None {
        return Ok((firmware.code.into(), None));
    }
    let copy = directory.join("variables.fd");
    let bytes = std::fs::read(firmware.variables).at("read", Path::new(firmware.variables))?;
    // Written, not copied: the original may be read-only, and the copy must not be.
    std::fs::write(&copy, bytes).at("write", &copy)?;
    Ok((firmware.code.into(), Some(copy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_are_a_writable_copy_or_absent() {
        for arch in Arch::ALL {
            let Some(firmware) = find(arch) else {
                println!("skipped: UEFI firmware for {arch} is not installed");
                continue;
            };
            let directory = tempfile::tempdir().unwrap();
            let (code, none) = prepare(arch, Variables::None, directory.path()).unwrap();
            assert_eq!((code.as_path(), none), (Path::new(firmware.code), None));
            let (code, variables) = prepare(arch, Variables::Writable, directory.path()).unwrap();
            assert_eq!(code, Path::new(firmware.code));
            let variables = variables.unwrap();
            assert!(variables.starts_with(directory.path()));
            assert!(!std::fs::metadata(variables).unwrap().permissions().readonly());
        }
    }
}
