//! ISO 9660 (ECMA-119) around a disk that boots, so that the same bytes start a
//! machine from a CD and from a USB stick.
//!
//! The descriptors lie between the disk's partition table and its first
//! partition. One file, [`FILE_NAME`], is the EFI system partition as it lies on
//! the disk; "El Torito" (the bootable CD-ROM format specification 1.0, and UEFI
//! Specification 2.10, 13.3.2.1) names it to UEFI, and a boot image without
//! emulation to a BIOS. No Joliet, no Rock Ridge: what is for people to read is
//! on the partition.

mod descriptor;

use std::ops::Range;

use super::sink::ImageSink;
use crate::error::{Error, Result};
use descriptor::{Directory, boot_catalog, boot_record, path_table, primary, terminator};

/// Bytes of a sector of a CD.
pub const SECTOR_BYTES: u64 = SECTOR_LEN as u64;
const SECTOR_LEN: usize = 2048;
/// The only file, as ECMA-119 writes names.
pub const FILE_NAME: &str = "ESP.IMG;1";
/// Where the volume descriptors begin; what is before belongs to nobody.
const DESCRIPTORS_SECTOR: u32 = 16;
/// The other places, one sector each, in the order of their writing.
const PATH_TABLE_LITTLE_SECTOR: u32 = 19;
const PATH_TABLE_BIG_SECTOR: u32 = 20;
const ROOT_SECTOR: u32 = 21;
const CATALOG_SECTOR: u32 = 22;
/// What a BIOS loads, several sectors.
const BIOS_IMAGE_SECTOR: u32 = 23;

/// What is laid around the disk.
#[derive(Clone, Debug)]
pub struct IsoOptions<'a> {
    /// Volume identifier: at most 32 of A-Z, 0-9 and `_`.
    pub volume_id: &'a str,
    /// Every time in it, in seconds since 1970, UTC.
    pub epoch_s: u32,
    /// Length of the disk in bytes, a multiple of [`SECTOR_BYTES`].
    pub disk_bytes: u64,
    /// Where on it the EFI system partition is; both ends are multiples of [`SECTOR_BYTES`].
    pub esp: Range<u64>,
    /// What a BIOS loads at 7C00h and starts, if there is anything for it.
    pub bios_image: Option<&'a [u8]>,
}

/// Writes the descriptors into a disk whose bytes from 32 KiB to its first
/// partition are free.
///
/// # Errors
/// If the parts have no place that a CD can name, or the sink fails.
pub fn install(options: &IsoOptions<'_>, sink: &mut impl ImageSink) -> Result<()> {
    let places = Places::of(options)?;
    let date = descriptor::Date::of(options.epoch_s);
    let root = Directory { sector: ROOT_SECTOR, file: places.esp, date };
    let sectors = [
        (DESCRIPTORS_SECTOR, primary(options.volume_id, places.disk_sectors, &root)),
        (DESCRIPTORS_SECTOR + 1, boot_record(CATALOG_SECTOR)),
        (DESCRIPTORS_SECTOR + 2, terminator()),
        (PATH_TABLE_LITTLE_SECTOR, path_table(ROOT_SECTOR.to_le_bytes(), 1u16.to_le_bytes())),
        (PATH_TABLE_BIG_SECTOR, path_table(ROOT_SECTOR.to_be_bytes(), 1u16.to_be_bytes())),
        (ROOT_SECTOR, root.encode()),
        (CATALOG_SECTOR, boot_catalog(places.bios_image_sectors, places.esp.sector)),
    ];
    let mut write = |sector: u32, bytes: &[u8]| {
        sink.write_at(u64::from(sector) * SECTOR_BYTES, bytes)
            .map_err(|error| super::write_failed("ISO 9660 descriptors", &error))
    };
    for (sector, bytes) in sectors {
        write(sector, &bytes)?;
    }
    options.bios_image.map_or(Ok(()), |image| write(BIOS_IMAGE_SECTOR, image))
}

/// A file's place, in sectors of a CD and bytes.
#[derive(Clone, Copy, Debug)]
struct FilePlace {
    sector: u32,
    len_bytes: u32,
}

/// The parts in a CD's numbers.
struct Places {
    disk_sectors: u32,
    esp: FilePlace,
    /// Length of the BIOS image in sectors of 512 bytes, as its catalog counts.
    bios_image_sectors: Option<u16>,
}

impl Places {
    fn of(options: &IsoOptions<'_>) -> Result<Self> {
        let wrong = |what: &str| Error::definition(format!("the ISO cannot be laid out: {what}"));
        let sector = |bytes: u64| {
            let number = u32::try_from(bytes / SECTOR_BYTES).ok();
            number.filter(|_| bytes.is_multiple_of(SECTOR_BYTES))
        };
        let Range { start, end } = options.esp;
        let (Some(disk_sectors), Some(esp_sector), Some(_)) =
            (sector(options.disk_bytes), sector(start), sector(end))
        else {
            return Err(wrong(
                "the disk or its EFI system partition is not made of sectors of 2,048 bytes",
            ));
        };
        let Ok(len_bytes) = u32::try_from(end.saturating_sub(start)) else {
            return Err(wrong("the EFI system partition has 4 GiB or more"));
        };
        let bios_bytes = options.bios_image.map_or(0, <[u8]>::len) as u64;
        let bios_end = u64::from(BIOS_IMAGE_SECTOR) * SECTOR_BYTES + bios_bytes;
        if bios_end > start {
            return Err(wrong("the BIOS loader reaches into the EFI system partition"));
        }
        Ok(Self {
            disk_sectors,
            esp: FilePlace { sector: esp_sector, len_bytes },
            bios_image_sectors: options
                .bios_image
                .map(|image| u16::try_from(image.len().div_ceil(512)).unwrap_or(u16::MAX)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::{EPOCH_S, judge};

    const ESP: Range<u64> = 1 << 20..3 << 20;

    fn options(bios_image: Option<&[u8]>) -> IsoOptions<'_> {
        IsoOptions {
            volume_id: "KEELSON_TEST",
            epoch_s: EPOCH_S,
            disk_bytes: 4 << 20,
            esp: ESP,
            bios_image,
        }
    }

    #[test]
    fn xorriso_finds_both_boot_images_and_the_file() {
        let mut image = Vec::new();
        ImageSink::set_len(&mut image, 4 << 20).unwrap();
        image.write_at(ESP.start, b"the partition").unwrap();
        install(&options(Some(&[0x90; 5000])), &mut image).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &image).unwrap();
        let name = file.path().to_str().unwrap();
        let ask = ["-indev", name, "-report_el_torito", "plain", "-pvd_info", "-lsl"];
        let Some(report) = judge("xorriso", &ask, "/".as_ref()) else { return };
        for expected in
            ["El Torito boot img :   1  BIOS  y   none", "El Torito boot img :   2  UEFI"]
        {
            assert!(report.contains(expected), "{report}");
        }
        assert!(report.contains("KEELSON_TEST"), "{report}");
    }

    #[test]
    fn what_a_cd_cannot_name_is_refused() {
        let cases = [
            IsoOptions { disk_bytes: (4 << 20) + 512, ..options(None) },
            IsoOptions { esp: 1 << 20..(1 << 20) + 512, ..options(None) },
            IsoOptions { esp: 1 << 20..5 << 30, ..options(None) },
            IsoOptions { esp: 2048 * 24..1 << 20, ..options(Some(&[0; 4096])) },
        ];
        for case in cases {
            assert!(install(&case, &mut Vec::new()).is_err(), "{case:?}");
        }
    }
}
