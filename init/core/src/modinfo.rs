//! What a kernel module says of itself: its ELF section `.modinfo` (elf(5)),
//! records `KEY=VALUE`, each ended by NUL, as the macros of
//! `include/linux/module.h` and modpost write them.
//!
//! Reading takes hostile input. Absent: compressed modules, 32-bit and
//! big-endian ones, signatures.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

/// The section's name.
const SECTION: &[u8] = b".modinfo";
/// The length of an ELF64 file header, in bytes.
const HEADER_BYTES: usize = 64;
/// The length of an ELF64 section header, in bytes.
const SECTION_HEADER_BYTES: usize = 64;
/// `SHT_NOBITS`: a section without bytes in the file.
const NO_BITS: u32 = 8;

/// The records, in their order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Modinfo(Vec<(String, String)>);

/// Why bytes are no module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModinfoError {
    /// They are no 64-bit little-endian ELF file.
    NotElf,
    /// A header points outside the file.
    Damaged,
    /// There is no section `.modinfo`.
    NoModule,
}

impl core::fmt::Display for ModinfoError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotElf => "it is no 64-bit little-endian ELF file",
            Self::Damaged => "its ELF headers are damaged",
            Self::NoModule => "it has no section .modinfo: it is no kernel module",
        })
    }
}

impl core::error::Error for ModinfoError {}

impl Modinfo {
    /// The records of a module's file.
    ///
    /// # Errors
    /// If it is none.
    pub fn of_file(bytes: &[u8]) -> Result<Self, ModinfoError> {
        let header = bytes.get(..HEADER_BYTES).ok_or(ModinfoError::NotElf)?;
        // ELFCLASS64, ELFDATA2LSB.
        if !header.starts_with(b"\x7fELF\x02\x01") {
            return Err(ModinfoError::NotElf);
        }
        Self::of_elf(bytes).ok_or(ModinfoError::Damaged)?.ok_or(ModinfoError::NoModule)
    }

    /// `None` is damage, `Some(None)` an ELF file without such a section.
    fn of_elf(bytes: &[u8]) -> Option<Option<Self>> {
        let table_at = u64_at(bytes, 0x28)?;
        let count = u64::from(u16_at(bytes, 0x3c)?);
        let names_index = u64::from(u16_at(bytes, 0x3e)?);
        if count == 0 || usize::from(u16_at(bytes, 0x3a)?) != SECTION_HEADER_BYTES {
            return if count == 0 { Some(None) } else { None };
        }
        let section = |index: u64| {
            let at = table_at.checked_add(index.checked_mul(SECTION_HEADER_BYTES as u64)?)?;
            slice(bytes, at, SECTION_HEADER_BYTES as u64)
        };
        let content = |header: &[u8]| slice(bytes, u64_at(header, 0x18)?, u64_at(header, 0x20)?);
        let names = content(section(names_index)?)?;
        for index in 0..count {
            let header = section(index)?;
            let name_at = usize::try_from(u32_at(header, 0)?).ok()?;
            let name = names.get(name_at..).unwrap_or_default();
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            if name == SECTION && u32_at(header, 4)? != NO_BITS {
                return Some(Some(Self::of_section(content(header)?)));
            }
        }
        Some(None)
    }

    /// The records of a section's bytes. One without `=` is left out.
    #[must_use]
    pub fn of_section(bytes: &[u8]) -> Self {
        let record = |record: &[u8]| {
            let text = String::from_utf8_lossy(record);
            let (key, value) = text.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        };
        Self(bytes.split(|byte| *byte == 0).filter_map(record).collect())
    }

    /// Every record.
    pub fn records(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The values of the records with this key.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.records().filter(move |(other, _)| *other == key).map(|(_, value)| value)
    }

    /// The modules that it takes symbols from, by their names.
    pub fn depends(&self) -> impl Iterator<Item = &str> {
        self.values("depends").flat_map(|list| list.split(',')).filter(|name| !name.is_empty())
    }
}

/// The name of a module as the kernel has it: with `_` where people may write `-`.
#[must_use]
pub fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

/// The name of the module in the file at `path`; `None` if that is no module's.
#[must_use]
pub fn name_of(path: &str) -> Option<String> {
    let file = path.rsplit('/').next().unwrap_or_default();
    file.strip_suffix(".ko").filter(|stem| !stem.is_empty()).map(canonical)
}

/// A pattern that aliases are matched with, `_` for `-` but for what is inside brackets,
/// where `-` makes a range.
#[must_use]
pub fn canonical_pattern(pattern: &str) -> String {
    let mut is_inside = false;
    let change = |c: char| {
        is_inside = match c {
            '[' => true,
            ']' => false,
            _ => is_inside,
        };
        if c == '-' && !is_inside { '_' } else { c }
    };
    pattern.chars().map(change).collect()
}

fn slice(bytes: &[u8], at: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(at).ok()?;
    let end = usize::try_from(at.checked_add(length)?).ok()?;
    bytes.get(start..end)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*field))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*field))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*field))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file with a section of names and `.modinfo`.
    fn module(modinfo: &[u8]) -> Vec<u8> {
        let names = b"\0.shstrtab\0.modinfo\0";
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(HEADER_BYTES, 0);
        let names_at = bytes.len() as u64;
        bytes.extend_from_slice(names);
        let modinfo_at = bytes.len() as u64;
        bytes.extend_from_slice(modinfo);
        let table_at = bytes.len() as u64;
        let mut section = |name: u32, kind: u32, at: u64, length: usize| {
            let start = bytes.len();
            bytes.extend_from_slice(&name.to_le_bytes());
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.resize(start + 0x18, 0);
            bytes.extend_from_slice(&at.to_le_bytes());
            bytes.extend_from_slice(&(length as u64).to_le_bytes());
            bytes.resize(start + SECTION_HEADER_BYTES, 0);
        };
        section(0, 0, 0, 0);
        section(1, 3, names_at, names.len());
        section(11, 1, modinfo_at, modinfo.len());
        bytes[0x28..0x30].copy_from_slice(&table_at.to_le_bytes());
        bytes[0x3a..0x40].copy_from_slice(&[64, 0, 3, 0, 1, 0]);
        bytes
    }

    #[test]
    fn records_are_read_in_order() {
        let info = Modinfo::of_file(&module(
            b"license=GPL\0\0alias=fs-vfat\0alias=pci:v*d[0-9]*\0depends=fat,nls-base\0odd\0\
              parm=a:b=c\0firmware=\xff.bin",
        ))
        .unwrap();
        let aliases: Vec<&str> = info.values("alias").collect();
        assert_eq!(aliases, ["fs-vfat", "pci:v*d[0-9]*"]);
        assert_eq!(info.depends().collect::<Vec<_>>(), ["fat", "nls-base"]);
        assert_eq!(info.values("parm").collect::<Vec<_>>(), ["a:b=c"]);
        assert_eq!(info.values("firmware").collect::<Vec<_>>(), ["\u{fffd}.bin"]);
        assert_eq!(info.records().count(), 6);
        let nothing = Modinfo::of_file(&module(b"depends=\0")).unwrap();
        assert_eq!(nothing.depends().count(), 0);
    }

    #[test]
    fn what_is_no_module_is_an_error() {
        let good = module(b"license=GPL\0");
        let mut elf32 = good.clone();
        elf32[4] = 1;
        let mut other_name = good.clone();
        let at = other_name.windows(8).position(|bytes| bytes == b".modinfo").unwrap();
        other_name[at] = b',';
        let mut no_sections = good.clone();
        no_sections[0x3c..0x3e].fill(0);
        for (bytes, expected) in [
            (Vec::new(), ModinfoError::NotElf),
            (b"\x7fELF\x02\x01".to_vec(), ModinfoError::NotElf),
            (elf32, ModinfoError::NotElf),
            (other_name, ModinfoError::NoModule),
            (no_sections, ModinfoError::NoModule),
        ] {
            assert_eq!(Modinfo::of_file(&bytes), Err(expected));
        }
    }

    #[test]
    fn no_damage_is_followed_out_of_the_file() {
        let good = module(b"license=GPL\0alias=x\0");
        for length in 0..good.len() {
            assert!(Modinfo::of_file(&good[..length]).is_err(), "{length}");
        }
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = value;
                let _whatever = Modinfo::of_file(&bytes);
            }
        }
        let mut far = good;
        far[0x28..0x30].fill(0xff);
        assert_eq!(Modinfo::of_file(&far), Err(ModinfoError::Damaged));
    }

    #[test]
    fn names_are_the_kernels() {
        for (path, name) in [
            ("kernel/drivers/char/hw_random/virtio-rng.ko", Some("virtio_rng")),
            ("dummy.ko", Some("dummy")),
            ("kernel/x.ko.xz", None),
            (".ko", None),
            ("", None),
        ] {
            assert_eq!(name_of(path).as_deref(), name, "{path}");
        }
        assert_eq!(canonical_pattern("net-pf-[0-9]-x"), "net_pf_[0-9]_x");
    }
}
