//! Kernels: what their headers promise a boot loader
//! (Documentation/arch/x86/boot.rst, Documentation/arch/arm64/booting.rst).

use serde::Serialize;

use crate::error::{Error, Result};
use crate::format::compress::Format;
use crate::format::source::Source;

/// The longest release string that is read.
const RELEASE_MAX_BYTES: usize = 256;
const XLF_KERNEL_64: u16 = 1;
/// How much of an Image is searched for its release string at once.
const STEP_BYTES: usize = 1024 * 1024;
const BANNER: &[u8] = b"Linux version ";

/// A kernel for x86.
#[derive(Debug, Serialize)]
pub struct BzImageReport {
    /// Version and build, as `uname -rv` has them.
    pub release: Option<String>,
    /// Version of the boot protocol, such as "2.15".
    pub boot_protocol: String,
    /// Size of the file in bytes.
    pub size_bytes: u64,
    /// Whether it can be entered in 64-bit mode.
    pub is_64: bool,
    /// Whether UEFI can start it by itself.
    pub has_efi_stub: bool,
    /// Longest command line in bytes.
    pub command_line_max_bytes: u32,
    /// How the kernel proper is compressed, if that is known here.
    pub compression: Option<&'static str>,
    /// Memory it needs while it starts, in bytes.
    pub init_size_bytes: u32,
}

/// A kernel for 64-bit Arm.
#[derive(Debug, Serialize)]
pub struct ArmImageReport {
    /// What it says first when it starts.
    pub release: Option<String>,
    /// Size of the file in bytes.
    pub size_bytes: u64,
    /// Memory it takes once it runs, in bytes.
    pub image_size_bytes: u64,
    /// Whether UEFI can start it by itself.
    pub has_efi_stub: bool,
    /// Size of its pages in KiB, if it says.
    pub page_kib: Option<u32>,
    /// Whether it runs in big-endian mode.
    pub is_big_endian: bool,
}

fn cut(_: std::io::Error) -> Error {
    Error::failure("the kernel is damaged: it ends within its header")
}

fn half(source: &dyn Source, at: u64) -> Result<u16> {
    source.array_at(at).map(u16::from_le_bytes).map_err(cut)
}

fn word(source: &dyn Source, at: u64) -> Result<u32> {
    source.array_at(at).map(u32::from_le_bytes).map_err(cut)
}

/// Whether the file is a PE application too, whose header's place stands at `place_at`.
fn has_efi_stub(source: &dyn Source, place_at: u64) -> Result<bool> {
    if source.array_at::<2>(0).map_err(cut)? != *b"MZ" {
        return Ok(false);
    }
    let place = word(source, place_at)?.into();
    Ok(source.array_at::<4>(place).is_ok_and(|magic| magic == *b"PE\0\0"))
}

pub(super) fn inspect_bzimage(source: &dyn Source) -> Result<BzImageReport> {
    let version = half(source, 0x206)?;
    let release_at = u64::from(half(source, 0x20E)?);
    let setup_sectors: [u8; 1] = source.array_at(0x1F1).map_err(cut)?;
    // Zero means four, for the oldest of kernels.
    let setup_sectors = if setup_sectors[0] == 0 { 4 } else { u64::from(setup_sectors[0]) };
    let payload = (setup_sectors + 1) * 512 + u64::from(word(source, 0x248)?);
    let beginning = source.array_at::<6>(payload).unwrap_or_default();
    let has = |since: u16| version >= since;
    Ok(BzImageReport {
        release: (release_at != 0).then(|| text_at(source, release_at + 0x200)).flatten(),
        boot_protocol: format!("{}.{:02}", version >> 8, version & 0xFF),
        size_bytes: source.len_bytes(),
        is_64: has(0x20C) && half(source, 0x236)? & XLF_KERNEL_64 != 0,
        has_efi_stub: has_efi_stub(source, 0x3C)?,
        command_line_max_bytes: if has(0x206) { word(source, 0x238)? } else { 255 },
        compression: Format::detect(&beginning).map(Format::as_str),
        init_size_bytes: if has(0x20A) { word(source, 0x260)? } else { 0 },
    })
}

/// A text that ends with a NUL.
fn text_at(source: &dyn Source, at: u64) -> Option<String> {
    let len = source.len_bytes().checked_sub(at)?.min(RELEASE_MAX_BYTES as u64);
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    source.read_at(at, &mut bytes).ok()?;
    let end = bytes.iter().position(|byte| matches!(byte, 0 | b'\n'))?;
    Some(String::from_utf8_lossy(&bytes[..end]).trim().to_owned())
}

pub(super) fn inspect_arm_image(source: &dyn Source) -> Result<ArmImageReport> {
    let flags = u64::from_le_bytes(source.array_at(24).map_err(cut)?);
    Ok(ArmImageReport {
        release: banner(source)?,
        size_bytes: source.len_bytes(),
        image_size_bytes: u64::from_le_bytes(source.array_at(16).map_err(cut)?),
        has_efi_stub: has_efi_stub(source, 60)?,
        page_kib: match flags >> 1 & 3 {
            1 => Some(4),
            2 => Some(16),
            3 => Some(64),
            _ => None,
        },
        is_big_endian: flags & 1 != 0,
    })
}

/// The first line the kernel prints, which an Image holds uncompressed.
fn banner(source: &dyn Source) -> Result<Option<String>> {
    let mut at = 0;
    while at < source.len_bytes() {
        // The steps overlap, so that the text is whole in one of them.
        let len = (source.len_bytes() - at).min((STEP_BYTES + BANNER.len()) as u64);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        source.read_at(at, &mut bytes).map_err(cut)?;
        for found in bytes.windows(BANNER.len()).enumerate().filter(|(_, part)| *part == BANNER) {
            let start = at + (found.0 + BANNER.len()) as u64;
            // The same words stand in a format string, where no number follows.
            let text = text_at(source, start);
            if text.as_ref().is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit())) {
                return Ok(text);
            }
        }
        at += STEP_BYTES as u64;
    }
    Ok(None)
}
