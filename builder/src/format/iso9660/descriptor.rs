//! Volume descriptors, directory records and the boot catalog as bytes. Numbers
//! that ECMA-119 calls "both-byte order" are written little-endian, then big-endian.

use jiff::civil::DateTime;

use super::{FILE_NAME, FilePlace, PATH_TABLE_BIG_SECTOR, PATH_TABLE_LITTLE_SECTOR, SECTOR_LEN};
use crate::format::calendar;

/// A sector under construction.
type Sector = [u8; SECTOR_LEN];

/// Bytes of the path table: one record, the root's.
const PATH_TABLE_BYTES: u32 = 10;
/// Bytes of a directory: one sector.
const DIRECTORY_BYTES: u32 = 2048;
/// Who starts an entry of the boot catalog.
const PLATFORM_BIOS: u8 = 0;
const PLATFORM_EFI: u8 = 0xEF;
/// To the end of the medium, where a partition is too long for its 16 bits.
const SECTORS_TO_END: u16 = 0;

/// A moment, in UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Date(DateTime);

impl Date {
    /// From seconds since 1970.
    pub(super) fn of(epoch_s: u32) -> Self {
        Self(calendar::utc(epoch_s))
    }

    /// As directory records have it (section 9.1.5).
    fn record(self) -> [u8; 7] {
        let [month, day, hour, minute, second] = calendar::fields(self.0);
        let year = u8::try_from(self.0.year() - 1900).unwrap_or(u8::MAX);
        [year, month, day, hour, minute, second, 0]
    }

    /// As volume descriptors have it: digits, hundredths, and no offset (section 8.4.26.1).
    fn digits(self) -> Vec<u8> {
        let [month, day, hour, minute, second] = calendar::fields(self.0);
        let year = self.0.year();
        format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}00\0").into_bytes()
    }
}

/// The root directory, which holds the one file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory {
    pub(super) sector: u32,
    pub(super) file: FilePlace,
    pub(super) date: Date,
}

impl Directory {
    /// Its extent (section 6.8.2).
    pub(super) fn encode(&self) -> Sector {
        let mut records = self.own_record(0);
        records.extend(self.own_record(1));
        records.extend(record(FILE_NAME.as_bytes(), self.file, 0, self.date));
        sector(&[(0, &records)])
    }

    /// The record by which it names itself (0) or its parent (1), which it is too.
    fn own_record(&self, name: u8) -> Vec<u8> {
        const DIRECTORY: u8 = 2;
        let place = FilePlace { sector: self.sector, len_bytes: DIRECTORY_BYTES };
        record(&[name], place, DIRECTORY, self.date)
    }
}

/// A directory record (section 9.1).
fn record(name: &[u8], place: FilePlace, flags: u8, date: Date) -> Vec<u8> {
    let mut record = vec![0, 0];
    record.extend(both_32(place.sector));
    record.extend(both_32(place.len_bytes));
    record.extend(date.record());
    record.extend([flags, 0, 0]);
    record.extend(both_16(1));
    record.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    record.extend(name);
    if record.len() % 2 == 1 {
        record.push(0);
    }
    record[0] = u8::try_from(record.len()).unwrap_or(u8::MAX);
    record
}

/// The primary volume descriptor (section 8.4).
pub(super) fn primary(volume_id: &str, disk_sectors: u32, root: &Directory) -> Sector {
    let mut bytes = sector(&[(0, b"\x01CD001\x01")]);
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(8, &[b' '; 64]);
    put(40, volume_id.as_bytes());
    put(80, &both_32(disk_sectors));
    // One volume, the first of its set, in blocks of a sector.
    put(120, &both_16(1));
    put(124, &both_16(1));
    put(128, &[0x00, 0x08, 0x08, 0x00]);
    put(132, &both_32(PATH_TABLE_BYTES));
    put(140, &PATH_TABLE_LITTLE_SECTOR.to_le_bytes());
    put(148, &PATH_TABLE_BIG_SECTOR.to_be_bytes());
    put(156, &root.own_record(0));
    // Set, publisher, preparer, application and three files: none is named.
    put(190, &[b' '; 623]);
    put(813, &root.date.digits());
    put(830, &root.date.digits());
    let never = [&[b'0'; 16][..], &[0]].concat();
    put(847, &never);
    put(864, &never);
    put(881, &[1]);
    bytes
}

/// The descriptor that says where the boot catalog is (El Torito, figure 7).
pub(super) fn boot_record(catalog_sector: u32) -> Sector {
    sector(&[(0, b"\x00CD001\x01EL TORITO SPECIFICATION"), (71, &catalog_sector.to_le_bytes())])
}

/// The end of the descriptors (section 8.3).
pub(super) fn terminator() -> Sector {
    sector(&[(0, b"\xFFCD001\x01")])
}

/// The table of all directories, of which there is one (section 9.4), in one byte order.
pub(super) fn path_table(root_sector: [u8; 4], parent: [u8; 2]) -> Sector {
    sector(&[(0, &[1, 0]), (2, &root_sector), (6, &parent)])
}

/// The boot catalog (El Torito, section 2): for a BIOS, if it has an image, and for UEFI.
pub(super) fn boot_catalog(bios_sectors: Option<u16>, esp_sector: u32) -> Sector {
    let efi = catalog_entry(SECTORS_TO_END, esp_sector);
    match bios_sectors {
        Some(sectors) => {
            let bios = catalog_entry(sectors, super::BIOS_IMAGE_SECTOR);
            // The last section, of one entry.
            let header = [0x91, PLATFORM_EFI, 1, 0];
            let parts: [(usize, &[u8]); 4] =
                [(0, &validation(PLATFORM_BIOS)), (32, &bios), (64, &header), (96, &efi)];
            sector(&parts)
        }
        None => sector(&[(0, &validation(PLATFORM_EFI)), (32, &efi)]),
    }
}

/// The entry that tells the catalog from chance: its words sum to zero.
fn validation(platform: u8) -> [u8; 32] {
    let mut entry = [0; 32];
    entry[..2].copy_from_slice(&[1, platform]);
    entry[4..11].copy_from_slice(b"Keelson");
    entry[30..].copy_from_slice(&[0x55, 0xAA]);
    let (words, _) = entry.as_chunks::<2>();
    let sum = words.iter().fold(0u16, |sum, word| sum.wrapping_add(u16::from_le_bytes(*word)));
    entry[28..30].copy_from_slice(&sum.wrapping_neg().to_le_bytes());
    entry
}

/// Bootable, without emulation, loaded where the firmware loads by default.
fn catalog_entry(sectors: u16, sector: u32) -> [u8; 32] {
    let mut entry = [0; 32];
    entry[0] = 0x88;
    entry[6..8].copy_from_slice(&sectors.to_le_bytes());
    entry[8..12].copy_from_slice(&sector.to_le_bytes());
    entry
}

/// A sector of zeros but for these parts.
fn sector(parts: &[(usize, &[u8])]) -> Sector {
    let mut bytes = [0; SECTOR_LEN];
    for (at, part) in parts {
        bytes[*at..at + part.len()].copy_from_slice(part);
    }
    bytes
}

fn both_32(value: u32) -> [u8; 8] {
    (u64::from(value) | u64::from(value.swap_bytes()) << 32).to_le_bytes()
}

fn both_16(value: u16) -> [u8; 4] {
    (u32::from(value) | u32::from(value.swap_bytes()) << 16).to_le_bytes()
}
