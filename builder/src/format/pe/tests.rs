//! A small application with sections added, as objdump and our reader see it;
//! headers that must grow; what is refused; damage.

use super::*;
use crate::format::source::Source;
use crate::format::testing::{Random, judge};

/// The PE header's place in the test's applications.
const PE_AT: usize = 0x80;
const OPTIONAL_BYTES: usize = 240;
const TABLE_AT: usize = PE_AT + coff::LEN + OPTIONAL_BYTES;
/// Length of their headers in the file.
const HEADERS_BYTES: usize = 0x400;

/// An application of two sections that does nothing, with room for more in its headers.
pub(crate) fn application(machine: u16) -> Vec<u8> {
    with_sections(machine, &[(b".text", 0x1000, 3), (b".data", 0x2000, 0x234)])
}

/// The same of other sections: name, address, length.
fn with_sections(machine: u16, sections: &[(&[u8], u32, u32)]) -> Vec<u8> {
    let mut file = vec![0; HEADERS_BYTES];
    file[..2].copy_from_slice(&DOS_MAGIC);
    put(&mut file, 0x3C, 0x80);
    file[PE_AT..PE_AT + 4].copy_from_slice(&PE_MAGIC);
    put_half(&mut file, PE_AT + coff::MACHINE_AT, machine);
    put_half(&mut file, PE_AT + coff::SECTION_COUNT_AT, u16::try_from(sections.len()).unwrap());
    put_half(&mut file, PE_AT + coff::OPTIONAL_BYTES_AT, 240);
    // Executable, and may lie above 2 GiB.
    put_half(&mut file, PE_AT + 22, 0x22);
    let at = PE_AT + coff::LEN;
    put_half(&mut file, at, optional::MAGIC);
    put(&mut file, at + 16, 0x1000);
    put(&mut file, at + optional::SECTION_ALIGNMENT_AT, 0x1000);
    put(&mut file, at + optional::FILE_ALIGNMENT_AT, 0x200);
    put(&mut file, at + optional::HEADERS_BYTES_AT, 0x400);
    put(&mut file, at + optional::CHECKSUM_AT, 0xDEAD);
    put_half(&mut file, at + optional::SUBSYSTEM_AT, SUBSYSTEM_EFI_APPLICATION);
    put(&mut file, at + optional::DIRECTORY_COUNT_AT, 16);
    let mut end = 0x1000;
    for (number, (name, address, len)) in sections.iter().enumerate() {
        let entry_at = TABLE_AT + number * entry::LEN;
        file[entry_at..entry_at + name.len()].copy_from_slice(name);
        put(&mut file, entry_at + entry::VIRTUAL_BYTES_AT, *len);
        put(&mut file, entry_at + entry::VIRTUAL_ADDRESS_AT, *address);
        let raw_bytes = len.next_multiple_of(0x200);
        put(&mut file, entry_at + entry::RAW_BYTES_AT, raw_bytes);
        let offset = u32::try_from(file.len()).unwrap();
        put(&mut file, entry_at + entry::RAW_OFFSET_AT, offset);
        put(&mut file, entry_at + entry::CHARACTERISTICS_AT, 0x6000_0020);
        let content = vec![0x90 + number.to_le_bytes()[0]; raw_bytes as usize];
        file.extend(content);
        end = (address + len).next_multiple_of(0x1000);
    }
    put(&mut file, at + optional::IMAGE_BYTES_AT, end);
    file
}

fn put(file: &mut [u8], at: usize, value: u32) {
    file[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put_half(file: &mut [u8], at: usize, value: u16) {
    file[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

fn added(file: &[u8], additions: &[(&str, &[u8])]) -> Result<(Layout, Vec<u8>), String> {
    let contents: Vec<_> =
        additions.iter().map(|(name, content)| (*name, content.to_vec())).collect();
    let additions: Vec<_> =
        contents.iter().map(|(name, content)| Addition { name, content }).collect();
    let mut out = Vec::new();
    let layout = append(file, &additions, &mut out).map_err(|error| error.to_string())?;
    Ok((layout, out))
}

/// The content of a section, read back.
fn content(file: &[u8], name: &str) -> Vec<u8> {
    let headers = Headers::read(&file).unwrap();
    let region = headers.section(name).unwrap().content(&file);
    let mut bytes = vec![0; usize::try_from(region.len_bytes()).unwrap()];
    region.read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn added_sections_are_read_back_and_the_old_ones_stay_where_they_are() {
    let file = application(machine::X86_64);
    let large = vec![7; 3 * 1024 * 1024 + 5];
    let (layout, out) = added(&file, &[(".cmdline", b"quiet"), (".linux", &large)]).unwrap();
    assert_eq!(layout.len_bytes, out.len() as u64);
    assert_eq!(out.len() % 0x200, 0);
    let places: Vec<_> =
        layout.sections.iter().map(|s| (s.name.as_str(), s.offset_bytes, s.len_bytes)).collect();
    let first = (file.len() as u64).next_multiple_of(2048);
    assert_eq!(places, [(".cmdline", first, 5), (".linux", first + 2048, large.len() as u64)]);
    assert_eq!((content(&out, ".cmdline"), content(&out, ".linux")), (b"quiet".to_vec(), large));

    let (old, new) = (Headers::read(&file).unwrap(), Headers::read(&out).unwrap());
    assert_eq!(new.sections[..2], old.sections[..]);
    assert_eq!(out[HEADERS_BYTES..file.len()], file[HEADERS_BYTES..]);
    let addresses: Vec<_> = new.sections.iter().map(|s| s.address_bytes).collect();
    assert_eq!(addresses, [0x1000, 0x2000, 0x3000, 0x4000]);
    assert_eq!(new.image_bytes, 0x30_5000);
    assert_eq!(new.headers_bytes, old.headers_bytes);
    let checksum_at = PE_AT + coff::LEN + optional::CHECKSUM_AT;
    assert_eq!(out[checksum_at..checksum_at + 4], [0; 4]);
}

#[test]
fn objdump_sees_what_was_added() {
    for (arch, program) in
        [(machine::X86_64, "objdump"), (machine::AARCH64, "aarch64-linux-gnu-objdump")]
    {
        let (layout, out) =
            added(&application(arch), &[(".osrel", b"ID=x\n"), (".linux", &[1; 600])]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), out).unwrap();
        let Some(listing) = judge(program, &["-h"], file.path()) else { continue };
        for (placed, size) in layout.sections.iter().zip(["00000005", "00000258"]) {
            let line = listing.lines().find(|line| line.contains(&placed.name)).unwrap();
            let offset = format!("{:08x}", placed.offset_bytes);
            assert!(line.contains(size) && line.contains(&offset), "{line}");
        }
        let headers = judge(program, &["-p"], file.path()).unwrap();
        for field in ["SizeOfImage\t\t00005000", "SizeOfHeaders\t\t00000400", "(EFI application)"] {
            assert!(headers.contains(field), "{field} is missing in\n{headers}");
        }
    }
}

#[test]
fn headers_without_room_grow_and_contents_move_up() {
    let names: Vec<String> = (0..15).map(|number| format!(".s{number}")).collect();
    let sections: Vec<_> =
        (1..).zip(&names).map(|(page, name)| (name.as_bytes(), page * 0x1000, 0x100)).collect();
    let file = with_sections(machine::AARCH64, &sections);
    let (_, out) = added(&file, &[(".initrd", b"a"), (".linux", b"b")]).unwrap();
    let (old, new) = (Headers::read(&file).unwrap(), Headers::read(&out).unwrap());
    assert_eq!((old.headers_bytes, new.headers_bytes), (0x400, 0x600));
    for name in &names {
        assert_eq!(content(&file, name), content(&out, name), "{name}");
        let (old, new) = (old.section(name).unwrap(), new.section(name).unwrap());
        assert_eq!(new.offset_bytes, old.offset_bytes + 0x200);
        assert_eq!(new.address_bytes, old.address_bytes);
    }
    assert_eq!(content(&out, ".linux"), b"b");

    // Unless something in the file would then be elsewhere than it says.
    let mut bad = file.clone();
    let directory = PE_AT + coff::LEN + optional::DIRECTORIES_AT + 6 * optional::DIRECTORY_BYTES;
    put(&mut bad, directory + 4, 28);
    let error = added(&bad, &[(".initrd", b"a"), (".linux", b"b")]).unwrap_err();
    assert!(error.contains("debug directory"), "{error}");
    // One section header still fits, and then nothing moves.
    assert!(added(&bad, &[]).is_ok());
}

#[test]
fn impossible_additions_are_refused_with_every_reason() {
    let file = application(machine::X86_64);
    let wrong: [(&str, &[u8]); 6] =
        [(".toolong9", b"a"), ("", b"a"), (".text", b"a"), (".a", b""), (".b", b"a"), (".b", b"a")];
    let error = added(&file, &wrong).unwrap_err();
    for part in [
        "\".toolong9\" is no section's name",
        "\"\" is no section's name",
        "there is a section .text already",
        "section .a would be empty",
        "there is a section .b already",
    ] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
    struct Huge(u64);
    impl Source for Huge {
        fn len_bytes(&self) -> u64 {
            self.0
        }
        fn read_at(&self, _: u64, _: &mut [u8]) -> std::io::Result<()> {
            Err(std::io::Error::other("gone"))
        }
    }
    for len in [u64::MAX, 1 << 32, (1 << 32) - 0x1000] {
        let addition = Addition { name: ".initrd", content: &Huge(len) };
        let error = append(&file, &[addition], &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("4 GiB or more") && error.contains("hint"), "{error}");
    }
    let addition = Addition { name: ".initrd", content: &Huge(9) };
    let error = append(&file, &[addition], &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("cannot read what goes into section .initrd: gone"), "{error}");
}

#[test]
fn files_that_cannot_grow_are_refused() {
    let file = application(machine::X86_64);
    let at = PE_AT + coff::LEN;
    let certificates = at + optional::DIRECTORIES_AT + 4 * optional::DIRECTORY_BYTES + 4;
    for (place, value, why) in [
        (certificates, 8, "signed"),
        (PE_AT + coff::SYMBOLS_AT, 1, "symbol table"),
        (at + optional::FILE_ALIGNMENT_AT, 0x20, "aligned to 32 bytes"),
        (at + optional::FILE_ALIGNMENT_AT, 0x300, "aligned to 768 bytes"),
        (at + optional::SECTION_ALIGNMENT_AT, 0x200, "aligned to 512 bytes in memory"),
        (at + optional::HEADERS_BYTES_AT, 0x10_0000, "ends within its headers"),
        (TABLE_AT + entry::VIRTUAL_ADDRESS_AT, 0x200, "before the first section"),
        (TABLE_AT + 2 * entry::LEN + 8, 1, "behind its section table"),
    ] {
        let mut bad = file.clone();
        put(&mut bad, place, value);
        let error = added(&bad, &[(".linux", b"a")]).unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
    }
    let error = added(b"MZ", &[]).unwrap_err();
    assert!(error.contains("no PE file"), "{error}");
}

#[test]
fn damaged_files_end_in_an_error_not_in_a_panic() {
    let good = application(machine::X86_64);
    let mut random = Random(7);
    let mut refused = 0;
    for _ in 0..3000 {
        let mut bad = good.clone();
        for _ in 0..random.below(4) + 1 {
            // Most of it in the headers.
            let at = random.index(TABLE_AT + 3 * entry::LEN);
            bad[at] = random.byte();
        }
        if random.below(8) == 0 {
            bad.truncate(random.index(bad.len()));
        }
        refused += u32::from(added(&bad, &[(".linux", b"kernel")]).is_err());
        if let Ok(headers) = Headers::read(&bad) {
            for section in &headers.sections {
                assert!(section.content(&bad).len_bytes() <= bad.len() as u64);
            }
        }
    }
    assert!(refused > 100);
}
