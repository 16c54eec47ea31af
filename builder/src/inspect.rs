//! Looks into images and kernels: recognises a file by its content, lists what
//! is in it and takes single files out of it.
//!
//! Nothing is believed: every reader below is bounded, so hostile bytes end in
//! an error. What is damaged is reported, not mended.

mod archive;
mod bios;
mod difference;
mod disk;
mod entry;
mod kernel;
mod pe;
mod text;

use std::io::Write;

use serde::Serialize;
use serde_json::Value;

use crate::elf;
use crate::error::{Error, Result};
use crate::format::compress;
use crate::format::pe::machine_of;
use crate::format::source::{Source, SourceReader};

pub use archive::{ArchiveReport, BootconfigReport, Member};
pub use bios::{BiosLoaderReport, ExtentReport};
pub use difference::{Difference, differences};
pub use disk::{EfiFileReport, Ext4Report, FatReport, GptReport, PartitionReport};
pub use entry::Entry;
pub use kernel::{ArmImageReport, BzImageReport};
pub use pe::{PeReport, SectionReport};

/// A JSON file of more bytes than this is not looked into.
const JSON_MAX_BYTES: u64 = 16 * 1024 * 1024;
/// The most entries listed of one archive or file system.
const ENTRIES_MAX: usize = 4 * 1024 * 1024;

/// What a file turned out to be.
#[derive(Debug, Serialize)]
#[serde(tag = "format", rename_all = "kebab-case")]
pub enum Report {
    /// An initramfs: cpio archives, perhaps compressed, perhaps several.
    Cpio(ArchiveReport),
    /// An ext4 file system.
    Ext4(Ext4Report),
    /// A FAT file system.
    Fat(FatReport),
    /// A disk with a GUID partition table.
    Gpt(GptReport),
    /// A kernel for x86.
    BzImage(BzImageReport),
    /// A kernel for 64-bit Arm.
    ArmImage(ArmImageReport),
    /// A UEFI application, such as a unified kernel image.
    Pe(PeReport),
    /// An ELF file.
    Elf(ElfReport),
    /// A JSON document, such as an image's manifest.
    Json {
        /// The document.
        content: Value,
    },
}

/// What the headers of an ELF file say.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are those of `elf::Facts`")]
pub struct ElfReport {
    pub machine: String,
    pub is_static: bool,
    pub interpreter: Option<String>,
    pub needed: Vec<String>,
    pub soname: Option<String>,
    pub rpath: Vec<String>,
    pub runpath: Vec<String>,
}

/// How far the files inside an image are looked into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Detail {
    /// What the format says of them.
    Listing,
    /// Their content too, for its digest.
    Digests,
}

/// What a file begins like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Gpt,
    Ext4,
    Fat,
    BzImage,
    ArmImage,
    Pe,
    Elf,
    Archive,
    Json,
}

/// Looks into a file.
///
/// # Errors
/// If it is nothing that is known here, or is damaged.
pub fn inspect(source: &dyn Source) -> Result<Report> {
    look_into(source, Detail::Listing)
}

/// Looks into a file, and reads the content of all that is in it for its digests.
///
/// # Errors
/// Those of [`inspect`], and if that content cannot be read.
pub fn inspect_content(source: &dyn Source) -> Result<Report> {
    look_into(source, Detail::Digests)
}

/// The SHA-256 of a whole file or block device.
///
/// # Errors
/// If it cannot be read.
pub fn sha256(source: &dyn Source) -> Result<String> {
    entry::sha256_of(|hasher| {
        let copied = std::io::copy(&mut SourceReader::new(source), hasher);
        copied.map_err(|error| Error::failure(format!("cannot read it: {error}")))?;
        Ok(())
    })
}

/// Whether a file is something that is known here.
#[must_use]
pub fn is_known(source: &dyn Source) -> bool {
    recognise(source).is_ok()
}

fn look_into(source: &dyn Source, detail: Detail) -> Result<Report> {
    match recognise(source)? {
        Kind::Gpt => disk::inspect_gpt(source, detail).map(Report::Gpt),
        Kind::Ext4 => disk::inspect_ext4(source, detail).map(Report::Ext4),
        Kind::Fat => disk::inspect_fat(source, detail).map(Report::Fat),
        Kind::BzImage => kernel::inspect_bzimage(source).map(Report::BzImage),
        Kind::ArmImage => kernel::inspect_arm_image(source).map(Report::ArmImage),
        Kind::Pe => pe::inspect(source).map(Report::Pe),
        Kind::Elf => inspect_elf(source).map(Report::Elf),
        Kind::Archive => archive::inspect(source, detail).map(Report::Cpio),
        Kind::Json => inspect_json(source),
    }
}

/// Writes the content of a file inside an image to `out`, its links followed.
/// In a disk the path may begin with a partition's name or number and a colon;
/// without, the partitions are searched in order. In a PE file it is a section's name.
///
/// # Errors
/// If the image has no such file, or nothing can be taken out of it.
pub fn extract(source: &dyn Source, path: &str, out: &mut dyn Write) -> Result<()> {
    match recognise(source)? {
        Kind::Gpt => disk::extract_gpt(source, path, out),
        Kind::Ext4 => disk::extract_ext4(source, path, out),
        Kind::Fat => disk::extract_fat(source, path, out),
        Kind::Archive => archive::extract(source, path, out),
        Kind::Pe => pe::extract(source, path, out),
        Kind::BzImage | Kind::ArmImage | Kind::Elf | Kind::Json => {
            Err(Error::definition(format!("{path}: the file holds no files"))
                .hint("leave the path out to see what it is"))
        }
    }
}

fn no_such_file(path: &str) -> Error {
    Error::definition(format!("the image has no file {path}"))
        .hint("leave the path out to list what it has")
}

fn recognise(source: &dyn Source) -> Result<Kind> {
    if source.len_bytes() == 0 {
        return Err(Error::definition("the file is empty"));
    }
    let mut beginning = [0; 2048];
    let len = beginning.len().min(usize::try_from(source.len_bytes()).unwrap_or(usize::MAX));
    source
        .read_at(0, &mut beginning[..len])
        .map_err(|error| Error::failure(format!("cannot read its beginning: {error}")))?;
    let at = |offset: usize, magic: &[u8]| beginning[offset..].starts_with(magic);
    // A bootable disk or partition may begin with code of any kind, so that what
    // has its mark further in is asked first.
    if at(512, b"EFI PART") {
        return Ok(Kind::Gpt);
    }
    if at(0x202, b"HdrS") {
        return Ok(Kind::BzImage);
    }
    if at(56, b"ARM\x64") {
        return Ok(Kind::ArmImage);
    }
    if machine_of(source).is_some() {
        return Ok(Kind::Pe);
    }
    if at(1024 + 0x38, &[0x53, 0xEF]) {
        return Ok(Kind::Ext4);
    }
    if at(510, &[0x55, 0xAA]) && (at(54, b"FAT") || at(82, b"FAT")) {
        return Ok(Kind::Fat);
    }
    if at(0, b"QFI\xFB") {
        return Err(Error::definition("a disk in QEMU's qcow2 format is not read here")
            .hint("`qemu-img convert -O raw FILE disk.img` makes one that is"));
    }
    if at(0, b"\x7FELF") {
        return Ok(Kind::Elf);
    }
    if at(0, b"07070") || compress::Format::detect(&beginning).is_some() {
        return Ok(Kind::Archive);
    }
    if beginning[..len].trim_ascii_start().starts_with(b"{") {
        return Ok(Kind::Json);
    }
    // The backup table of a disk whose beginning is lost.
    let last = source.len_bytes().saturating_sub(512);
    if source.array_at::<8>(last).ok() == Some(*b"EFI PART") {
        return Ok(Kind::Gpt);
    }
    Err(Error::failure("the file is nothing that is known here").hint(
        "known are cpio archives (also compressed by gzip or zstd), ext4, FAT, GPT disks, \
         bzImage and Image kernels, UEFI applications, ELF and JSON",
    ))
}

fn inspect_elf(source: &dyn Source) -> Result<ElfReport> {
    let damaged = |why| Error::failure(format!("the ELF file is damaged: {why}"));
    let facts = elf::reader_facts(SourceReader::new(source))
        .map_err(damaged)?
        .ok_or_else(|| damaged("its class or version is unknown".into()))?;
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    Ok(ElfReport {
        machine: facts.machine_name(),
        is_static: facts.is_static(),
        interpreter: facts.interpreter.as_ref().map(text),
        needed: facts.needed.iter().map(text).collect(),
        soname: facts.soname.as_ref().map(text),
        rpath: facts.rpath.iter().map(text).collect(),
        runpath: facts.runpath.iter().map(text).collect(),
    })
}

fn inspect_json(source: &dyn Source) -> Result<Report> {
    if source.len_bytes() > JSON_MAX_BYTES {
        return Err(Error::failure(format!("the JSON file has more than {JSON_MAX_BYTES} bytes")));
    }
    let content = serde_json::from_reader(std::io::BufReader::new(SourceReader::new(source)))
        .map_err(|error| {
            Error::failure(format!("the file begins like JSON and is not: {error}"))
        })?;
    Ok(Report::Json { content })
}

#[cfg(test)]
mod tests;
