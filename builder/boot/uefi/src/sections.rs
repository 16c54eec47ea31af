//! Where the sections of a loaded PE image lie in memory.
//!
//! Microsoft's "PE Format": the MS-DOS header names the place of the PE header,
//! behind whose optional header the section table stands. Headers are at the
//! image's start in memory as in the file, and a section begins at its virtual
//! address. Only what leads to the table is read; the firmware has judged the
//! rest when it loaded the image.

use core::fmt;
use core::ops::Range;

/// How much of an image's start is looked at, in bytes: the least that
/// sections are aligned to in memory, so that none can begin before it.
pub const HEADERS_MAX_BYTES: usize = 4096;

/// Place of the PE header's offset in the MS-DOS header.
const PE_OFFSET_AT: usize = 0x3C;
/// The PE signature and the COFF file header behind it.
const COFF_BYTES: usize = 24;
const SECTION_COUNT_AT: usize = 6;
const OPTIONAL_BYTES_AT: usize = 20;

const ENTRY_BYTES: usize = 40;
const NAME_BYTES: usize = 8;
const VIRTUAL_SIZE_AT: usize = 8;
const VIRTUAL_ADDRESS_AT: usize = 12;

/// Why an image's sections cannot be found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// A signature is missing.
    NotPe,
    /// The headers end before the section table does.
    Short,
    /// A section reaches past the image's end.
    Outside,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPe => "it has no PE header",
            Self::Short => "its headers are cut off",
            Self::Outside => "a section reaches past its end",
        })
    }
}

/// The section table of an image in memory.
#[derive(Clone, Copy, Debug)]
pub struct SectionTable<'a> {
    entries: &'a [u8],
    image_bytes: usize,
}

impl<'a> SectionTable<'a> {
    /// Finds the table in the image's first bytes. `image_bytes` is how long
    /// the image is in memory.
    ///
    /// # Errors
    /// If these are no PE headers, or the table is not wholly in them.
    pub fn read(headers: &'a [u8], image_bytes: usize) -> Result<Self, Damage> {
        if !headers.starts_with(b"MZ") {
            return Err(Damage::NotPe);
        }
        let at = word(headers, PE_OFFSET_AT)?;
        let coff = headers.get(at..).ok_or(Damage::Short)?;
        if !coff.starts_with(b"PE\0\0") {
            return Err(Damage::NotPe);
        }
        let count = half(coff, SECTION_COUNT_AT)?;
        let start = COFF_BYTES + half(coff, OPTIONAL_BYTES_AT)?;
        let entries = coff.get(start..start + count * ENTRY_BYTES).ok_or(Damage::Short)?;
        Ok(Self { entries, image_bytes })
    }

    /// The place in memory of the first section of this name, relative to the
    /// image's start; its length is what was put in, without padding.
    ///
    /// # Errors
    /// If it is not wholly in the image.
    pub fn find(&self, name: &str) -> Result<Option<Range<usize>>, Damage> {
        let is_wanted = |entry: &&[u8]| {
            let (found, _) = entry.split_at_checked(NAME_BYTES).unwrap_or((entry, &[]));
            let len = found.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            found.get(..len) == Some(name.as_bytes())
        };
        let Some(entry) = self.entries.chunks_exact(ENTRY_BYTES).find(is_wanted) else {
            return Ok(None);
        };
        let start = word(entry, VIRTUAL_ADDRESS_AT)?;
        let end = start.checked_add(word(entry, VIRTUAL_SIZE_AT)?).ok_or(Damage::Outside)?;
        if end > self.image_bytes {
            return Err(Damage::Outside);
        }
        Ok(Some(start..end))
    }
}

fn half(bytes: &[u8], at: usize) -> Result<usize, Damage> {
    let half = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Damage::Short)?;
    Ok(u16::from_le_bytes(*half).into())
}

fn word(bytes: &[u8], at: usize) -> Result<usize, Damage> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Damage::Short)?;
    usize::try_from(u32::from_le_bytes(*word)).map_err(|_| Damage::Outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PE_AT: usize = 0x80;
    const OPTIONAL_BYTES: u16 = 240;
    const TABLE_AT: usize = PE_AT + COFF_BYTES + OPTIONAL_BYTES as usize;

    /// Headers of a page with these sections: name, virtual address, virtual size.
    fn headers(sections: &[(&[u8], u32, u32)]) -> Vec<u8> {
        let mut bytes = vec![0; HEADERS_MAX_BYTES];
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        put(0, b"MZ");
        put(PE_OFFSET_AT, &u32::try_from(PE_AT).unwrap().to_le_bytes());
        put(PE_AT, b"PE\0\0");
        put(PE_AT + SECTION_COUNT_AT, &u16::try_from(sections.len()).unwrap().to_le_bytes());
        put(PE_AT + OPTIONAL_BYTES_AT, &OPTIONAL_BYTES.to_le_bytes());
        for (index, (name, address, size)) in sections.iter().enumerate() {
            let at = TABLE_AT + index * ENTRY_BYTES;
            put(at, name);
            put(at + VIRTUAL_ADDRESS_AT, &address.to_le_bytes());
            put(at + VIRTUAL_SIZE_AT, &size.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_section_is_found_by_its_whole_name_and_the_first_counts() {
        let headers = headers(&[
            (b".text", 0x1000, 0x123),
            (b".cmdline", 0x2000, 7),
            (b".linux", 0x3000, 0x1000),
            (b".linux", 0x5000, 1),
        ]);
        let table = SectionTable::read(&headers, 0x6000).unwrap();
        assert_eq!(table.find(".text"), Ok(Some(0x1000..0x1123)));
        assert_eq!(table.find(".cmdline"), Ok(Some(0x2000..0x2007)));
        assert_eq!(table.find(".linux"), Ok(Some(0x3000..0x4000)));
        for other in [".initrd", ".lin", ".linux2", ""] {
            assert_eq!(table.find(other), Ok(None), "{other:?}");
        }
    }

    #[test]
    fn a_section_past_the_end_is_refused() {
        let cases = [(0x1000, 0x1001), (0x2001, 0), (u32::MAX, u32::MAX), (0x1fff, 2)];
        for (address, size) in cases {
            let headers = headers(&[(b".linux", address, size)]);
            let table = SectionTable::read(&headers, 0x2000).unwrap();
            assert_eq!(table.find(".linux"), Err(Damage::Outside), "{address:#x} {size:#x}");
        }
        let headers = headers(&[(b".linux", 0x1000, 0x1000)]);
        let table = SectionTable::read(&headers, 0x2000).unwrap();
        assert_eq!(table.find(".linux"), Ok(Some(0x1000..0x2000)));
    }

    #[test]
    fn what_is_no_pe_file_or_cut_off_is_told_apart() {
        let good = headers(&[(b".linux", 0x1000, 1)]);
        let read = |bytes: &[u8]| SectionTable::read(bytes, 0x2000).map(|_| ());
        assert_eq!(read(&good), Ok(()));
        assert_eq!(read(b""), Err(Damage::NotPe));
        let mut bad = good.clone();
        bad[PE_AT] = b'N';
        assert_eq!(read(&bad), Err(Damage::NotPe));
        for end in 2..TABLE_AT + ENTRY_BYTES {
            assert!(read(&good[..end]).is_err(), "{end}");
        }
        assert_eq!(read(&good[..TABLE_AT + ENTRY_BYTES]), Ok(()));
        // Fields that lead elsewhere.
        for (at, value) in [(PE_OFFSET_AT, 0xFFFF), (PE_AT + 6, 0xFFFF), (PE_AT + 20, 0xFFFF)] {
            let mut bad = good.clone();
            bad[at..at + 2].copy_from_slice(&u16::to_le_bytes(value));
            assert_eq!(read(&bad), Err(Damage::Short), "{at:#x}");
        }
    }

    #[test]
    fn every_single_damaged_byte_ends_in_an_answer_within_the_image() {
        let good = headers(&[(b".text", 0x1000, 9), (b".linux", 0x1000, 0x1000)]);
        for at in 0..TABLE_AT + 2 * ENTRY_BYTES {
            for value in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut bad = good.clone();
                bad[at] = value;
                let Ok(table) = SectionTable::read(&bad, 0x2000) else { continue };
                if let Ok(Some(place)) = table.find(".linux") {
                    assert!(place.start <= place.end && place.end <= 0x2000, "{at:#x} {value:#x}");
                }
            }
        }
    }
}
