//! Unified kernel images (UAPI group, UAPI.5 "Unified Kernel Image"): one UEFI
//! application that carries a kernel, its command line and its initramfs.
//!
//! The stub is given; it comes from `builder/boot/uefi`. Sections are `.osrel`,
//! `.cmdline`, `.uname`, `.initrd` and `.linux`, in that order, the last two at
//! multiples of 2,048 bytes, where a BIOS loader reads them from the same file.
//! Not written: signatures, device trees, splash screens, several profiles.

use std::ops::Range;

use super::pe::{self, Addition, machine_of};
use super::sink::ImageSink;
use super::source::Source;
use crate::error::{Error, Result};

/// The longest command line in bytes, without a NUL: `COMMAND_LINE_SIZE` of both
/// architectures less one (arch/x86/include/asm/setup.h,
/// arch/arm64/include/uapi/asm/setup.h).
pub const COMMAND_LINE_MAX_BYTES: usize = 2047;

/// Names of sections.
pub mod section {
    /// The system's os-release(5).
    pub const OS_RELEASE: &str = ".osrel";
    /// The kernel command line.
    pub const COMMAND_LINE: &str = ".cmdline";
    /// The kernel's release, as `uname -r` has it.
    pub const RELEASE: &str = ".uname";
    /// The initramfs.
    pub const INITRAMFS: &str = ".initrd";
    /// The kernel.
    pub const KERNEL: &str = ".linux";
}

/// Where the setup header of a kernel for x86 has what is looked at
/// (Documentation/arch/x86/boot.rst).
mod setup_header {
    pub(super) const MAGIC_AT: u64 = 0x202;
    pub(super) const MAGIC: [u8; 4] = *b"HdrS";
    pub(super) const VERSION_AT: u64 = 0x206;
    pub(super) const COMMAND_LINE_MAX_AT: u64 = 0x238;
    /// The first version that has that field.
    pub(super) const COMMAND_LINE_MAX_SINCE: u16 = 0x206;
    /// What the versions before allow, in bytes.
    pub(super) const COMMAND_LINE_MAX_BEFORE: u32 = 255;
}

/// What goes into an image.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// The UEFI stub, a PE file.
    pub stub: &'a [u8],
    /// bzImage or Image, an EFI application itself.
    pub kernel: &'a dyn Source,
    /// The initramfs, if there is one.
    pub initramfs: Option<&'a dyn Source>,
    /// The kernel's parameters; may be empty.
    pub command_line: &'a str,
    /// The kernel's release, as `uname -r` has it.
    pub release: &'a str,
    /// The system's os-release(5).
    pub os_release: &'a str,
}

/// What was written, and where in the file a loader finds what it needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Length of the file in bytes.
    pub len_bytes: u64,
    /// The kernel's bytes; the start is a multiple of 2,048.
    pub kernel: Range<u64>,
    /// The initramfs' bytes; the start is a multiple of 2,048.
    pub initramfs: Option<Range<u64>>,
}

/// Writes an image.
///
/// # Errors
/// If the command line is one that the kernel would not get whole, the kernel
/// has no EFI stub or is for another machine than the UEFI stub (all such at
/// once); if the whole is 4 GiB or more; if a part cannot be read or the sink
/// fails.
pub fn write(parts: &Parts<'_>, sink: &mut dyn ImageSink) -> Result<Layout> {
    check(parts)?;
    let texts = [
        (section::OS_RELEASE, parts.os_release.as_bytes().to_vec()),
        (section::COMMAND_LINE, parts.command_line.as_bytes().to_vec()),
        (section::RELEASE, parts.release.as_bytes().to_vec()),
    ];
    let initramfs = parts.initramfs.filter(|content| content.len_bytes() > 0);
    let mut additions: Vec<Addition<'_>> = Vec::new();
    // A section without content is no section.
    for (name, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        additions.push(Addition { name, content: text });
    }
    additions.extend(initramfs.map(|content| Addition { name: section::INITRAMFS, content }));
    additions.push(Addition { name: section::KERNEL, content: parts.kernel });
    let layout = pe::append(parts.stub, &additions, sink)?;
    let range = |name: &str| {
        let placed = layout.sections.iter().find(|placed| placed.name == name)?;
        Some(placed.offset_bytes..placed.offset_bytes + placed.len_bytes)
    };
    let kernel = range(section::KERNEL)
        .ok_or_else(|| Error::internal("a unified kernel image was written without a kernel"))?;
    Ok(Layout { len_bytes: layout.len_bytes, kernel, initramfs: range(section::INITRAMFS) })
}

fn check(parts: &Parts<'_>) -> Result<()> {
    let mut problems = Problems::default();
    match (machine_of(parts.kernel), machine_of(&parts.stub)) {
        (None, _) => problems.add(
            "the kernel has no EFI stub",
            Some("set CONFIG_EFI_STUB=y in the kernel's options".to_owned()),
        ),
        (Some(kernel), Some(stub)) if kernel != stub => {
            let name = |value| pe::machine::name(value).unwrap_or("another machine");
            let (kernel, stub) = (name(kernel), name(stub));
            problems.add(format!("the kernel is for {kernel} and the UEFI stub for {stub}"), None);
        }
        // What is no stub is told when it is read.
        _ => {}
    }
    let max_bytes = COMMAND_LINE_MAX_BYTES.min(command_line_max(parts.kernel));
    if let Err((problem, hint)) = judge_command_line(parts.command_line, max_bytes) {
        problems.add(problem, hint);
    }
    problems.into_result()
}

/// Finds out, before there is a kernel, whether any kernel would get the whole
/// of a command line.
///
/// # Errors
/// If it is longer than [`COMMAND_LINE_MAX_BYTES`] or has a control character.
pub fn check_command_line(command_line: &str) -> Result<()> {
    let mut problems = Problems::default();
    if let Err((problem, hint)) = judge_command_line(command_line, COMMAND_LINE_MAX_BYTES) {
        problems.add(problem, hint);
    }
    problems.into_result()
}

fn judge_command_line(text: &str, max_bytes: usize) -> Result<(), (String, Option<String>)> {
    if text.len() > max_bytes {
        let problem = format!("the command line has {} bytes, not at most {max_bytes}", text.len());
        let hint = "leave parameters out, or give them in the initramfs' boot configuration";
        return Err((problem, Some(hint.to_owned())));
    }
    // The kernel's EFI stub stops at a newline, and everyone at a NUL.
    if text.contains(char::is_control) {
        return Err(("the command line has a control character in it".to_owned(), None));
    }
    Ok(())
}

/// The longest command line that the kernel says it takes, in bytes. Only
/// kernels for x86 say.
fn command_line_max(kernel: &dyn Source) -> usize {
    use setup_header as header;
    if kernel.array_at(header::MAGIC_AT).ok() != Some(header::MAGIC) {
        return COMMAND_LINE_MAX_BYTES;
    }
    let version = kernel.array_at(header::VERSION_AT).map(u16::from_le_bytes).unwrap_or(0);
    let max = if version >= header::COMMAND_LINE_MAX_SINCE {
        kernel.array_at(header::COMMAND_LINE_MAX_AT).map(u32::from_le_bytes).unwrap_or(0)
    } else {
        header::COMMAND_LINE_MAX_BEFORE
    };
    usize::try_from(max).unwrap_or(usize::MAX)
}

/// What is wrong with the parts, and what helps.
#[derive(Default)]
struct Problems {
    problems: Vec<String>,
    hints: Vec<String>,
}

impl Problems {
    fn add(&mut self, problem: impl Into<String>, hint: Option<String>) {
        self.problems.push(problem.into());
        self.hints.extend(hint);
    }

    fn into_result(self) -> Result<()> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let error = Error::definition(self.problems.join("; "));
        Err(self.hints.into_iter().fold(error, Error::hint))
    }
}

#[cfg(test)]
pub(crate) mod tests;
