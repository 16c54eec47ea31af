//! PE files: UEFI applications and the unified kernel images among them.

use std::io::{Read, Write};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::cache::hex;
use crate::error::{Error, Result};
use crate::format::pe::{self, Headers, SUBSYSTEM_EFI_APPLICATION, Section};
use crate::format::source::{Source, SourceReader};
use crate::format::uki::section;

/// Sections whose content is text for people.
const TEXTS: [&str; 3] = [section::OS_RELEASE, section::COMMAND_LINE, section::RELEASE];
/// A text of more bytes than this is not shown.
const TEXT_MAX_BYTES: u64 = 64 * 1024;
/// How much of a section is read at once, in bytes.
const PIECE_BYTES: usize = 1024 * 1024;

/// A PE file.
#[derive(Debug, Serialize)]
pub struct PeReport {
    /// What it runs on: an architecture, or the header's number.
    pub machine: String,
    /// Whether UEFI starts it as an application.
    pub is_efi_application: bool,
    /// Whether it carries a kernel, as a unified kernel image does.
    pub is_unified_kernel_image: bool,
    /// Whether it is signed.
    pub is_signed: bool,
    /// Size of the file in bytes.
    pub size_bytes: u64,
    /// Its sections, in the table's order.
    pub sections: Vec<SectionReport>,
}

/// A section of a PE file.
#[derive(Debug, Serialize)]
pub struct SectionReport {
    /// Its name.
    pub name: String,
    /// Where it begins in the file, in bytes.
    pub offset_bytes: u64,
    /// Length of its content in the file, in bytes.
    pub len_bytes: u64,
    /// Where it begins in memory, in bytes from the image's start.
    pub address_bytes: u32,
    /// SHA-256 of its content.
    pub sha256: String,
    /// Its content, if that is text for people.
    pub text: Option<String>,
}

pub(super) fn inspect(source: &dyn Source) -> Result<PeReport> {
    let headers = Headers::read(source)?;
    let machine = headers.machine;
    let sections = headers.sections.iter().map(|section| report(source, section));
    Ok(PeReport {
        machine: pe::machine::name(machine)
            .map_or_else(|| format!("machine {machine:#06x}"), str::to_owned),
        is_efi_application: headers.subsystem == SUBSYSTEM_EFI_APPLICATION,
        is_unified_kernel_image: headers.section(section::KERNEL).is_some(),
        is_signed: headers.has_signature,
        size_bytes: source.len_bytes(),
        sections: sections.collect::<Result<_>>()?,
    })
}

fn report(source: &dyn Source, section: &Section) -> Result<SectionReport> {
    let content = section.content(source);
    let len_bytes = content.len_bytes();
    let mut digest = Sha256::new();
    let mut text = Vec::new();
    let is_text = TEXTS.contains(&section.name.as_str()) && len_bytes <= TEXT_MAX_BYTES;
    copy(&content, |piece| {
        digest.update(piece);
        if is_text {
            text.extend_from_slice(piece);
        }
        Ok(())
    })?;
    Ok(SectionReport {
        name: section.name.clone(),
        offset_bytes: section.offset_bytes.into(),
        len_bytes,
        address_bytes: section.address_bytes,
        sha256: hex(&digest.finalize()),
        text: is_text.then(|| String::from_utf8_lossy(&text).into_owned()),
    })
}

/// Writes the content of the section of this name.
pub(super) fn extract(source: &dyn Source, name: &str, out: &mut dyn Write) -> Result<()> {
    let headers = Headers::read(source)?;
    let section = headers.section(name).ok_or_else(|| {
        Error::definition(format!("the PE file has no section {name}"))
            .hint("leave the name out to list what it has")
    })?;
    copy(&section.content(source), |piece| {
        out.write_all(piece)
            .map_err(|error| Error::failure(format!("cannot write the section: {error}")))
    })
}

/// Hands over a source's content piece by piece.
fn copy(source: &dyn Source, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut reader = SourceReader::new(source);
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let count = reader
            .read(&mut buffer)
            .map_err(|error| Error::failure(format!("cannot read a section: {error}")))?;
        if count == 0 {
            return Ok(());
        }
        take(&buffer[..count])?;
    }
}
