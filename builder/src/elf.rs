//! ELF files (elf(5)): what a loader must know of one, read from its headers
//! alone. [`Facts::is_static`] is the proof that a binary needs nothing beside
//! itself; [`closure`] proves it of a whole tree. Symbols, sections and
//! relocations are not looked at.

pub mod closure;
pub mod machine;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use object::endian::Endianness;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::read::{ReadCache, ReadRef, StringTable};
use object::{FileKind, elf};

use crate::arch::Arch;
use crate::error::{Error, IoContext, Result};

/// Longer interpreter paths and library names are damage.
const NAME_MAX_BYTES: u64 = 4096;
/// Longer dynamic segments are damage: 16 bytes an entry, a few dozen entries.
const DYNAMIC_MAX_BYTES: u64 = 1024 * 1024;

/// What kind of object a file is (`e_type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectKind {
    /// Position-dependent executable.
    Executable,
    /// Shared library or position-independent executable.
    Dynamic,
    /// Relocatable object, such as a kernel module.
    Relocatable,
    /// Anything else.
    Other,
}

/// What the headers of an ELF file say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// 64-bit rather than 32-bit.
    pub is_64: bool,
    /// Little-endian rather than big-endian.
    pub is_little_endian: bool,
    /// `e_machine`; compare with [`Arch::elf_machine`].
    pub machine: u16,
    /// What it is.
    pub kind: ObjectKind,
    /// The loader it asks for (`PT_INTERP`).
    pub interpreter: Option<Vec<u8>>,
    /// Libraries it needs (`DT_NEEDED`), in order.
    pub needed: Vec<Vec<u8>>,
    /// Its own name as a library (`DT_SONAME`).
    pub soname: Option<Vec<u8>>,
    /// Directories searched for its libraries and theirs (`DT_RPATH`).
    pub rpath: Vec<Vec<u8>>,
    /// Directories searched for its own libraries (`DT_RUNPATH`).
    pub runpath: Vec<Vec<u8>>,
}

impl Facts {
    /// Whether it is a program that runs without a loader and libraries: an
    /// executable, position-independent or not, with neither `PT_INTERP` nor `DT_NEEDED`.
    #[must_use]
    pub fn is_static(&self) -> bool {
        matches!(self.kind, ObjectKind::Executable | ObjectKind::Dynamic)
            && self.interpreter.is_none()
            && self.needed.is_empty()
    }

    /// Whether a kernel for `arch` runs it.
    #[must_use]
    pub fn is_for(&self, arch: Arch) -> bool {
        self.is_64 && self.is_little_endian && self.machine == arch.elf_machine()
    }

    /// Its architecture for people: "x86_64", or "machine 40, 32 bits" for one that is not ours.
    #[must_use]
    pub fn machine_name(&self) -> String {
        match Arch::ALL.into_iter().find(|arch| self.is_for(*arch)) {
            Some(arch) => arch.to_string(),
            None => {
                let bits = if self.is_64 { 64 } else { 32 };
                let order = if self.is_little_endian { "" } else { ", big-endian" };
                format!("machine {}, {bits} bits{order}", self.machine)
            }
        }
    }
}

/// The facts of an ELF file in memory; `None` if it is no ELF file.
///
/// # Errors
/// If its headers are damaged; the message is a fragment without the file's name.
pub fn facts(bytes: &[u8]) -> Result<Option<Facts>, String> {
    read_facts(bytes)
}

/// The facts of an ELF file behind any reader, of which only the headers are read.
///
/// # Errors
/// See [`facts`].
pub fn reader_facts(reader: impl Read + Seek) -> Result<Option<Facts>, String> {
    read_facts(&ReadCache::new(reader))
}

/// The facts of an ELF file on the host, of which only the headers are read.
///
/// # Errors
/// If it cannot be read or its headers are damaged.
pub fn file_facts(path: &Path) -> Result<Option<Facts>> {
    let file = File::open(path).at("read", path)?;
    read_facts(&ReadCache::new(file))
        .map_err(|why| Error::failure(format!("{} is a damaged ELF file: {why}", path.display())))
}

/// Checks that a file on the host is a static program for `arch`.
///
/// # Errors
/// If it is not, saying what it is or needs.
pub fn prove_static(path: &Path, arch: Arch) -> Result<()> {
    let not = |what: String| Error::failure(format!("{} {what}", path.display()));
    let facts = file_facts(path)?.ok_or_else(|| not("is no ELF file".into()))?;
    if !facts.is_for(arch) {
        return Err(not(format!("is for {}, not for {arch}", facts.machine_name())));
    }
    if facts.is_static() {
        return Ok(());
    }
    let mut needs: Vec<_> = facts.interpreter.iter().chain(&facts.needed).collect();
    needs.dedup();
    let needs: Vec<_> = needs.into_iter().map(|name| String::from_utf8_lossy(name)).collect();
    let needs = if needs.is_empty() { "no program".into() } else { needs.join(", ") };
    Err(not(format!("is not static: it needs {needs}"))
        .hint("link it with `-C target-feature=+crt-static`, and C code with `-static`"))
}

fn read_facts<'data, R: ReadRef<'data>>(data: R) -> Result<Option<Facts>, String> {
    match FileKind::parse(data) {
        Ok(FileKind::Elf32) => facts_of::<elf::FileHeader32<Endianness>, R>(data, false).map(Some),
        Ok(FileKind::Elf64) => facts_of::<elf::FileHeader64<Endianness>, R>(data, true).map(Some),
        _ => Ok(None),
    }
}

fn facts_of<'data, H, R>(data: R, is_64: bool) -> Result<Facts, String>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let text = |error: object::read::Error| error.to_string();
    let header = H::parse(data).map_err(text)?;
    let endian = header.endian().map_err(text)?;
    let mut facts = Facts {
        is_64,
        is_little_endian: endian == Endianness::Little,
        machine: header.e_machine(endian).0,
        kind: match header.e_type(endian) {
            elf::ET_EXEC => ObjectKind::Executable,
            elf::ET_DYN => ObjectKind::Dynamic,
            elf::ET_REL => ObjectKind::Relocatable,
            _ => ObjectKind::Other,
        },
        interpreter: None,
        needed: Vec::new(),
        soname: None,
        rpath: Vec::new(),
        runpath: Vec::new(),
    };
    let segments = header.program_headers(endian, data).map_err(text)?;
    for segment in segments {
        let len: u64 = segment.p_filesz(endian).into();
        match segment.p_type(endian) {
            elf::PT_INTERP if len > NAME_MAX_BYTES => {
                return Err("its interpreter's path is too long".into());
            }
            elf::PT_DYNAMIC if len > DYNAMIC_MAX_BYTES => {
                return Err("its dynamic segment is too long".into());
            }
            _ => {}
        }
        if let Some(path) = segment.interpreter(endian, data).map_err(text)? {
            facts.interpreter = Some(path.to_vec());
        }
        if let Some(entries) = segment.dynamic(endian, data).map_err(text)? {
            dynamic_facts::<H, R>(&mut facts, endian, data, segments, entries)?;
        }
    }
    Ok(facts)
}

/// What the dynamic segment adds.
fn dynamic_facts<'data, H, R>(
    facts: &mut Facts,
    endian: Endianness,
    data: R,
    segments: &[H::ProgramHeader],
    entries: &[H::Dyn],
) -> Result<(), String>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let entries: Vec<(elf::DynamicTag, u64)> = entries
        .iter()
        .map(|entry| (entry.d_tag(endian), entry.d_val(endian).into()))
        .take_while(|(tag, _)| *tag != elf::DT_NULL)
        .collect();
    let value = |wanted| entries.iter().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
    let table_address = value(elf::DT_STRTAB).unwrap_or(0);
    let table_len = value(elf::DT_STRSZ).unwrap_or(0);
    let strings = segments
        .iter()
        .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
        .find_map(|segment| {
            let into = table_address.checked_sub(segment.p_vaddr(endian).into())?;
            let len: u64 = segment.p_filesz(endian).into();
            let start = segment.p_offset(endian).into().checked_add(into)?;
            (into < len).then(|| StringTable::new(data, start, start.saturating_add(table_len)))
        })
        .unwrap_or_default();
    for (tag, value) in &entries {
        let string = || {
            let offset = u32::try_from(*value).map_err(|_| "a name lies outside its strings")?;
            strings.get(offset).map(<[u8]>::to_vec).map_err(|()| "a name lies outside its strings")
        };
        match *tag {
            elf::DT_NEEDED => facts.needed.push(string()?),
            elf::DT_SONAME => facts.soname = Some(string()?),
            elf::DT_RPATH => facts.rpath = directories(&string()?),
            elf::DT_RUNPATH => facts.runpath = directories(&string()?),
            _ => {}
        }
    }
    Ok(())
}

fn directories(list: &[u8]) -> Vec<Vec<u8>> {
    list.split(|byte| *byte == b':').filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests;
