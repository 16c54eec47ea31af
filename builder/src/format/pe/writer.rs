//! Adds sections to a finished file.
//!
//! The file's own sections keep their addresses in memory, so nothing in them
//! changes. New ones follow the last, in memory and in the file. Headers that
//! have no room for the longer section table grow, and all contents move up.

use super::{Headers, coff, entry, optional};
use crate::error::{Error, Result};
use crate::format::sink::ImageSink;
use crate::format::source::Source;
use crate::format::write_failed;

/// What sections begin at in the file at least: a disk's sector, so that a BIOS
/// loader can read a section by whole sectors.
const SECTOR_BYTES: u32 = 512;
/// Where added sections begin: at a sector of a CD, from which a BIOS cannot
/// read less.
const CONTENT_ALIGNMENT_BYTES: u32 = 2048;
/// The largest `FileAlignment` there is.
const FILE_ALIGNMENT_MAX: u32 = 64 * 1024;
/// The least `SectionAlignment` that a firmware can protect the pages of.
const SECTION_ALIGNMENT_MIN: u32 = 4096;
/// Content is copied in pieces of this length, in bytes.
const PIECE_BYTES: usize = 1024 * 1024;

/// A section to be added.
#[derive(Clone, Copy)]
pub struct Addition<'a> {
    /// Its name: 1 to 8 ASCII characters.
    pub name: &'a str,
    /// What is in it, at least one byte.
    pub content: &'a dyn Source,
}

/// Where an added section lies in the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// Its name.
    pub name: String,
    /// Where it begins, in bytes: a multiple of 2,048.
    pub offset_bytes: u64,
    /// Length without padding, in bytes.
    pub len_bytes: u64,
}

/// What was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Length of the file in bytes.
    pub len_bytes: u64,
    /// The added sections, in the order they were given.
    pub sections: Vec<Placed>,
}

/// Writes `file` with further sections of read-only data. What lies behind the
/// sections of `file` is left out, and the header's checksum, which firmware
/// does not look at, is 0.
///
/// # Errors
/// If `file` is no PE32+ file that can grow; if a name is none or taken, a
/// content empty or all of them too long for the format; if a content cannot be
/// read or the sink fails.
pub fn append(file: &[u8], additions: &[Addition<'_>], sink: &mut dyn ImageSink) -> Result<Layout> {
    let headers = Headers::read(&file)?;
    check_file(&headers, file.len())?;
    check_additions(&headers, additions)?;
    let plan = Plan::new(&headers, additions)?;
    let bytes = plan.headers(file, &headers, additions)?;
    let failed = |error: std::io::Error| write_failed("PE file", &error);
    sink.write_at(0, &bytes).map_err(failed)?;
    for section in &headers.sections {
        // Both ends are within the file: the reader has seen to that.
        let start = section.offset_bytes as usize;
        let content = file.get(start..start + section.raw_bytes as usize).unwrap_or_default();
        if !content.is_empty() {
            let at = u64::from(section.offset_bytes) + u64::from(plan.moved_bytes);
            sink.write_at(at, content).map_err(failed)?;
        }
    }
    for (addition, place) in additions.iter().zip(&plan.places) {
        copy(addition, place.offset_bytes.into(), sink)?;
    }
    sink.set_len(plan.end_bytes.into()).map_err(failed)?;
    let placed = |(addition, place): (&Addition<'_>, &Place)| Placed {
        name: addition.name.to_owned(),
        offset_bytes: place.offset_bytes.into(),
        len_bytes: place.len_bytes.into(),
    };
    let sections = additions.iter().zip(&plan.places).map(placed).collect();
    Ok(Layout { len_bytes: plan.end_bytes.into(), sections })
}

fn check_file(headers: &Headers, len_bytes: usize) -> Result<()> {
    let refused = |why: &str| Err(Error::failure(format!("sections cannot be added: {why}")));
    let (in_file, in_memory) = (headers.file_alignment_bytes, headers.section_alignment_bytes);
    if headers.has_signature {
        return refused("the file is signed");
    }
    if headers.has_symbols {
        return refused("the file has a COFF symbol table");
    }
    if !in_file.is_power_of_two() || !(SECTOR_BYTES..=FILE_ALIGNMENT_MAX).contains(&in_file) {
        return refused(&format!("the file's sections are aligned to {in_file} bytes"));
    }
    if !in_memory.is_power_of_two() || in_memory < SECTION_ALIGNMENT_MIN.max(in_file) {
        return refused(&format!("its sections are aligned to {in_memory} bytes in memory"));
    }
    if headers.headers_bytes as usize > len_bytes {
        return refused("the file ends within its headers");
    }
    Ok(())
}

fn check_additions(headers: &Headers, additions: &[Addition<'_>]) -> Result<()> {
    let mut problems = Vec::new();
    for (index, Addition { name, content }) in additions.iter().enumerate() {
        let is_name = (1..=entry::NAME_BYTES).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_name {
            problems.push(format!("{name:?} is no section's name"));
        }
        let is_repeated = additions[..index].iter().any(|earlier| earlier.name == *name);
        if headers.section(name).is_some() || is_repeated {
            problems.push(format!("there is a section {name} already"));
        }
        if content.len_bytes() == 0 {
            problems.push(format!("section {name} would be empty"));
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::failure(format!("sections cannot be added: {}", problems.join("; "))))
    }
}

/// Where an added section goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    address_bytes: u32,
    offset_bytes: u32,
    len_bytes: u32,
    raw_bytes: u32,
}

/// Where everything goes.
struct Plan {
    headers_bytes: u32,
    /// How far the file's own contents move up.
    moved_bytes: u32,
    places: Vec<Place>,
    image_bytes: u32,
    end_bytes: u32,
}

impl Plan {
    fn new(headers: &Headers, additions: &[Addition<'_>]) -> Result<Self> {
        let (in_file, in_memory) = (headers.file_alignment_bytes, headers.section_alignment_bytes);
        let count = headers.sections.len() + additions.len();
        let table_end = headers.table_at + (count * entry::LEN) as u64;
        let needed =
            u32::try_from(table_end).ok().and_then(|end| end.checked_next_multiple_of(in_file));
        let headers_bytes = needed.ok_or_else(too_large)?.max(headers.headers_bytes);
        let first = headers.sections.iter().map(|section| section.address_bytes).min();
        if first.is_some_and(|first| first < headers_bytes) {
            return Err(Error::failure(format!(
                "sections cannot be added: {count} section headers do not fit before the first section"
            )));
        }
        let moved_bytes = headers_bytes - headers.headers_bytes;
        if !moved_bytes.is_multiple_of(in_file) {
            return Err(Error::failure("sections cannot be added: its headers are not aligned"));
        }
        if moved_bytes > 0 && headers.has_debug_directory {
            let why = "its debug directory names places in the file that would move";
            return Err(Error::failure(format!("sections cannot be added: {why}")));
        }
        let mut address_bytes = headers_bytes;
        let mut end_bytes = headers_bytes;
        for section in &headers.sections {
            let end =
                section.address_bytes.checked_add(section.memory_bytes.max(section.raw_bytes));
            address_bytes = address_bytes.max(end.ok_or_else(too_large)?);
            let end = section.offset_bytes.checked_add(section.raw_bytes);
            let end = end.and_then(|end| end.checked_add(moved_bytes)).ok_or_else(too_large)?;
            end_bytes = end_bytes.max(end);
        }
        let mut places = Vec::with_capacity(additions.len());
        for addition in additions {
            let place = place(addition, address_bytes, end_bytes, headers).ok_or_else(too_large)?;
            // Both sums were made in `place`.
            address_bytes = place.address_bytes + place.len_bytes;
            end_bytes = place.offset_bytes + place.raw_bytes;
            places.push(place);
        }
        let image_bytes =
            address_bytes.checked_next_multiple_of(in_memory).ok_or_else(too_large)?;
        Ok(Self { headers_bytes, moved_bytes, places, image_bytes, end_bytes })
    }

    /// The new headers, padded to their length.
    fn headers(
        &self,
        file: &[u8],
        headers: &Headers,
        additions: &[Addition<'_>],
    ) -> Result<Vec<u8>> {
        let table_at = index(headers.table_at)?;
        let old_end = table_at + headers.sections.len() * entry::LEN;
        let new_end = old_end + additions.len() * entry::LEN;
        let is_used = |byte: &u8| *byte != 0;
        let behind = file.get(old_end..(headers.headers_bytes as usize).min(file.len()));
        if behind.is_some_and(|rest| rest.iter().any(is_used)) {
            let why = "something else lies behind its section table";
            return Err(Error::failure(format!("sections cannot be added: {why}")));
        }
        let mut bytes = file.get(..old_end).unwrap_or_default().to_vec();
        bytes.resize((self.headers_bytes as usize).max(new_end), 0);
        let pe_at = index(headers.pe_at)?;
        let optional_at = pe_at + coff::LEN;
        for (number, section) in headers.sections.iter().enumerate() {
            let at = table_at + number * entry::LEN + entry::RAW_OFFSET_AT;
            if section.raw_bytes > 0 {
                put(&mut bytes, at, section.offset_bytes + self.moved_bytes);
            }
        }
        for (number, (addition, place)) in additions.iter().zip(&self.places).enumerate() {
            let at = old_end + number * entry::LEN;
            bytes[at..at + addition.name.len()].copy_from_slice(addition.name.as_bytes());
            put(&mut bytes, at + entry::VIRTUAL_BYTES_AT, place.len_bytes);
            put(&mut bytes, at + entry::VIRTUAL_ADDRESS_AT, place.address_bytes);
            put(&mut bytes, at + entry::RAW_BYTES_AT, place.raw_bytes);
            put(&mut bytes, at + entry::RAW_OFFSET_AT, place.offset_bytes);
            put(&mut bytes, at + entry::CHARACTERISTICS_AT, entry::READ_ONLY_DATA);
        }
        let count = headers.sections.len() + additions.len();
        let count = u16::try_from(count).map_err(|_| too_large())?;
        let count_at = pe_at + coff::SECTION_COUNT_AT;
        bytes[count_at..count_at + 2].copy_from_slice(&count.to_le_bytes());
        let data_at = optional_at + optional::INITIALIZED_BYTES_AT;
        let added = self.places.iter().map(|place| place.raw_bytes);
        let data = added.fold(super::word(&bytes, data_at), u32::saturating_add);
        put(&mut bytes, data_at, data);
        put(&mut bytes, optional_at + optional::IMAGE_BYTES_AT, self.image_bytes);
        put(&mut bytes, optional_at + optional::HEADERS_BYTES_AT, self.headers_bytes);
        put(&mut bytes, optional_at + optional::CHECKSUM_AT, 0);
        Ok(bytes)
    }
}

/// The place of a section behind what ends at `address_bytes` in memory and at
/// `offset_bytes` in the file; `None` if that is more than the format can say.
fn place(
    addition: &Addition<'_>,
    address_bytes: u32,
    offset_bytes: u32,
    headers: &Headers,
) -> Option<Place> {
    let len_bytes = u32::try_from(addition.content.len_bytes()).ok()?;
    let raw_bytes = len_bytes.checked_next_multiple_of(headers.file_alignment_bytes)?;
    let alignment_bytes = headers.file_alignment_bytes.max(CONTENT_ALIGNMENT_BYTES);
    let offset_bytes = offset_bytes.checked_next_multiple_of(alignment_bytes)?;
    let address_bytes = address_bytes.checked_next_multiple_of(headers.section_alignment_bytes)?;
    address_bytes.checked_add(len_bytes)?;
    offset_bytes.checked_add(raw_bytes)?;
    Some(Place { address_bytes, offset_bytes, len_bytes, raw_bytes })
}

fn too_large() -> Error {
    Error::definition("what is to go into one PE file is 4 GiB or more")
        .hint("make the initramfs smaller")
}

/// A place in headers that were read from memory.
fn index(at: u64) -> Result<usize> {
    usize::try_from(at).map_err(|_| Error::failure("the PE file is larger than memory"))
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn copy(addition: &Addition<'_>, start_bytes: u64, sink: &mut dyn ImageSink) -> Result<()> {
    let len_bytes = addition.content.len_bytes();
    let mut done = 0;
    let mut buffer = vec![0; PIECE_BYTES];
    while done < len_bytes {
        let count = usize::try_from(len_bytes - done).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let piece = &mut buffer[..count];
        addition.content.read_at(done, piece).map_err(|error| {
            Error::failure(format!("cannot read what goes into section {}: {error}", addition.name))
        })?;
        sink.write_at(start_bytes + done, piece)
            .map_err(|error| write_failed("PE file", &error))?;
        done += count as u64;
    }
    Ok(())
}
