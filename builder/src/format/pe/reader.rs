//! Reads a file's headers and section table.

use super::{DOS_MAGIC, PE_MAGIC, PE_OFFSET_AT, coff, entry, half, optional, word};
use crate::error::{Error, Result};
use crate::format::source::{Region, Source};

/// The most sections a file may have, as the format's own loader has it.
const SECTIONS_MAX: u16 = 96;
/// The most data directories that are looked at; the format defines 16.
const DIRECTORIES_MAX: usize = 16;

/// What a file's headers say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Headers {
    /// What it runs on; see [`super::machine`].
    pub machine: u16,
    /// What it runs under; see [`super::SUBSYSTEM_EFI_APPLICATION`].
    pub subsystem: u16,
    /// When it was linked, in seconds since 1970, or a number that says nothing.
    pub time_s: u32,
    /// Sections begin in memory at multiples of this, in bytes.
    pub section_alignment_bytes: u32,
    /// Sections begin in the file at multiples of this, in bytes.
    pub file_alignment_bytes: u32,
    /// Length in memory, in bytes.
    pub image_bytes: u32,
    /// Length of all headers in the file, in bytes.
    pub headers_bytes: u32,
    /// The sections, in the table's order.
    pub sections: Vec<Section>,
    /// Whether it has a COFF symbol table.
    pub has_symbols: bool,
    /// Whether it is signed.
    pub has_signature: bool,
    /// Whether it has a debug directory.
    pub has_debug_directory: bool,
    /// Where the PE signature is in the file.
    pub(super) pe_at: u64,
    /// Where the section table is in the file.
    pub(super) table_at: u64,
}

/// A section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Its name, at most 8 bytes; what is not UTF-8 is shown as `\u{FFFD}`.
    pub name: String,
    /// Where it begins in memory, in bytes from the image's start.
    pub address_bytes: u32,
    /// Length in memory, in bytes.
    pub memory_bytes: u32,
    /// Where it begins in the file, in bytes.
    pub offset_bytes: u32,
    /// Length in the file with its padding, in bytes.
    pub raw_bytes: u32,
}

impl Section {
    /// Its content in the file, without padding.
    #[must_use]
    pub fn content<'a>(&self, file: &'a dyn Source) -> Region<&'a dyn Source> {
        let len_bytes = self.raw_bytes.min(self.memory_bytes);
        Region::new(file, self.offset_bytes.into(), len_bytes.into())
    }
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::failure(format!("the PE file is damaged: {why}"))
}

fn cut(_: std::io::Error) -> Error {
    damaged("it ends within its headers")
}

/// What a file runs on, if it is a PE file at all, of whatever kind.
#[must_use]
pub fn machine_of(file: &dyn Source) -> Option<u16> {
    let pe_at = pe_offset(file)?;
    let header: [u8; coff::LEN] = file.array_at(pe_at).ok()?;
    Some(half(&header, coff::MACHINE_AT))
}

fn pe_offset(file: &dyn Source) -> Option<u64> {
    if file.array_at(0).ok()? != DOS_MAGIC {
        return None;
    }
    let pe_at = u32::from_le_bytes(file.array_at(PE_OFFSET_AT).ok()?).into();
    (file.array_at(pe_at).ok()? == PE_MAGIC).then_some(pe_at)
}

impl Headers {
    /// Reads the headers of a PE32+ file.
    ///
    /// # Errors
    /// If it is none, or is damaged.
    pub fn read(file: &dyn Source) -> Result<Self> {
        let pe_at = pe_offset(file).ok_or_else(|| Error::failure("the file is no PE file"))?;
        let header: [u8; coff::LEN] = file.array_at(pe_at).map_err(cut)?;
        let optional_at = pe_at + coff::LEN as u64;
        let optional_bytes = usize::from(half(&header, coff::OPTIONAL_BYTES_AT));
        if optional_bytes < optional::DIRECTORIES_AT {
            return Err(damaged(format!("its optional header has {optional_bytes} bytes")));
        }
        let mut optional_header = vec![0; optional_bytes];
        file.read_at(optional_at, &mut optional_header).map_err(cut)?;
        if half(&optional_header, 0) != optional::MAGIC {
            return Err(Error::failure("the PE file is not of the 64-bit kind (PE32+)"));
        }
        let has_directory = |index: usize| directory_bytes(&optional_header, index) != 0;
        let table_at = optional_at + optional_bytes as u64;
        let sections = sections(file, table_at, half(&header, coff::SECTION_COUNT_AT))?;
        Ok(Self {
            machine: half(&header, coff::MACHINE_AT),
            subsystem: half(&optional_header, optional::SUBSYSTEM_AT),
            time_s: word(&header, coff::TIME_AT),
            section_alignment_bytes: word(&optional_header, optional::SECTION_ALIGNMENT_AT),
            file_alignment_bytes: word(&optional_header, optional::FILE_ALIGNMENT_AT),
            image_bytes: word(&optional_header, optional::IMAGE_BYTES_AT),
            headers_bytes: word(&optional_header, optional::HEADERS_BYTES_AT),
            sections,
            has_symbols: word(&header, coff::SYMBOLS_AT) != 0,
            has_signature: has_directory(optional::CERTIFICATES),
            has_debug_directory: has_directory(optional::DEBUG),
            pe_at,
            table_at,
        })
    }

    /// The first section of this name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }
}

/// The size that a data directory gives; 0 where there is no such directory.
fn directory_bytes(optional_header: &[u8], index: usize) -> u32 {
    let count = word(optional_header, optional::DIRECTORY_COUNT_AT);
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(DIRECTORIES_MAX);
    let at = optional::DIRECTORIES_AT + index * optional::DIRECTORY_BYTES;
    match optional_header.get(at..at + optional::DIRECTORY_BYTES) {
        Some(directory) if index < count => word(directory, 4),
        _ => 0,
    }
}

fn sections(file: &dyn Source, table_at: u64, count: u16) -> Result<Vec<Section>> {
    if count > SECTIONS_MAX {
        return Err(damaged(format!("it has {count} sections")));
    }
    let mut table = vec![0; usize::from(count) * entry::LEN];
    file.read_at(table_at, &mut table).map_err(cut)?;
    let mut sections = Vec::with_capacity(count.into());
    for bytes in table.chunks_exact(entry::LEN) {
        let name = &bytes[..entry::NAME_BYTES];
        let len = name.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let section = Section {
            name: String::from_utf8_lossy(&name[..len]).into_owned(),
            address_bytes: word(bytes, entry::VIRTUAL_ADDRESS_AT),
            memory_bytes: word(bytes, entry::VIRTUAL_BYTES_AT),
            offset_bytes: word(bytes, entry::RAW_OFFSET_AT),
            raw_bytes: word(bytes, entry::RAW_BYTES_AT),
        };
        let end = u64::from(section.offset_bytes) + u64::from(section.raw_bytes);
        if section.raw_bytes > 0 && end > file.len_bytes() {
            let name = section.name.escape_debug();
            return Err(damaged(format!("section {name} reaches past its end")));
        }
        sections.push(section);
    }
    Ok(sections)
}
