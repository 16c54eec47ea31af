//! Making an empty FAT.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use fatfs::{FatType, FormatVolumeOptions};
use services::problem::{Context, Problem, Result};
use services::random;
use services::storage::old_content;

use super::device::Device;

/// Largest sector that a FAT may have.
const SECTOR_BYTES_MAX: u16 = 4096;

/// Makes a FAT with this label, and entries of so many `bits` or as the size asks for.
pub(super) fn make(label: &str, bits: Option<&str>, device: Device) -> Result<()> {
    let Device { file, size_bytes, sector_bytes } = device;
    let options = options(label, bits)?.bytes_per_sector(fitting(sector_bytes)?);
    let mib = size_bytes >> 20;
    let mut fresh = Fresh { file, size_bytes, is_empty: false };
    fatfs::format_volume(&mut fresh, options)
        .context(|| format!("cannot make a FAT of {mib} MiB"))?;
    fresh.file.sync_all().context(|| "cannot write the file system".to_owned())
}

/// The sector of a FAT on a device with such sectors: Linux mounts none that has smaller ones.
fn fitting(sector_bytes: u32) -> Result<u16> {
    let fitting = u16::try_from(sector_bytes).ok().filter(|bytes| *bytes <= SECTOR_BYTES_MAX);
    fitting.ok_or_else(|| {
        Problem::new(format!("a FAT has no sectors of {sector_bytes} bytes, as the device has"))
            .with_hint(format!("it is for devices whose sectors have {SECTOR_BYTES_MAX} at most"))
    })
}

fn options(label: &str, bits: Option<&str>) -> Result<FormatVolumeOptions> {
    let label = label.to_ascii_uppercase();
    if label.len() > 11 || !label.is_ascii() || label.chars().any(char::is_control) {
        return Err(Problem::new(format!("{label:?} is no label of a FAT"))
            .with_hint("it has at most 11 characters of ASCII"));
    }
    let id = random::uuid().context(|| "no random numbers".to_owned())?;
    let mut options =
        FormatVolumeOptions::new().volume_id(u32::from_le_bytes([id[0], id[1], id[2], id[3]]));
    if !label.is_empty() {
        let mut bytes = [b' '; 11];
        for (byte, character) in bytes.iter_mut().zip(label.bytes()) {
            *byte = character;
        }
        options = options.volume_label(bytes);
    }
    Ok(match bits {
        None => options,
        Some("12") => options.fat_type(FatType::Fat12),
        Some("16") => options.fat_type(FatType::Fat16),
        Some("32") => options.fat_type(FatType::Fat32),
        Some(other) => {
            return Err(Problem::new(format!("there is no FAT{other}")).with_hint("12, 16 or 32"));
        }
    })
}

/// A device whose old content is forgotten before the first byte is written: what refuses a
/// device for its size has not written one, and leaves it as it was.
struct Fresh {
    file: File,
    size_bytes: u64,
    is_empty: bool,
}

impl Read for Fresh {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Fresh {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Write for Fresh {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_empty {
            old_content::forget(&mut self.file, self.size_bytes).map_err(io::Error::other)?;
            self.is_empty = true;
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use init_core::block_probe;
    use services::storage::ext4_format::{self, Ext4};
    use services::storage::mounting::fat::{Verdict, check};

    use super::super::device::SECTOR_BYTES;
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Makes one on the device that `file` stands for.
    fn made(label: &str, bits: Option<&str>, file: &File, sector_bytes: u32) -> Result<()> {
        let size_bytes = file.metadata().unwrap().len();
        let file = file.try_clone().unwrap();
        make(label, bits, Device { file, size_bytes, sector_bytes })
    }

    fn ext4(mib: u64) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(mib * MIB).unwrap();
        let ext4 = Ext4 { size_bytes: mib * MIB, label: "old".into(), uuid: [7; 16], now_s: 1 };
        ext4_format::format(&ext4, &mut file).unwrap();
        file
    }

    fn head(file: &File) -> Vec<u8> {
        let mut head = vec![0; block_probe::HEAD_LENGTH_BYTES];
        file.read_exact_at(&mut head, 0).unwrap();
        head
    }

    #[test]
    fn of_an_older_file_system_nothing_is_recognized() {
        for (mib, bits) in [(16, "12"), (32, "16"), (64, "32")] {
            let file = ext4(mib);
            // An EROFS's superblock would be told from these bytes.
            file.write_all_at(&[0xe2, 0xe1, 0xf5, 0xe0], 1024).unwrap();
            made("new", Some(bits), &file, SECTOR_BYTES).unwrap();
            let found = block_probe::identify(&head(&file)).unwrap();
            assert_eq!((found.kind, found.label.as_str()), ("vfat", "NEW"), "FAT{bits}");
            let verdict = check(mib * MIB, |buffer, at| file.read_exact_at(buffer, at)).unwrap();
            assert_eq!(verdict, Verdict::Clean, "FAT{bits}");
        }
    }

    #[test]
    fn its_sectors_are_the_devices() {
        for (mib, sector_bytes) in [(16, 512), (16, 4096), (64, 2048), (300, 4096)] {
            let file = tempfile::tempfile().unwrap();
            file.set_len(mib * MIB).unwrap();
            made("new", None, &file, sector_bytes).unwrap();
            let mut found = [0; 2];
            file.read_exact_at(&mut found, 11).unwrap();
            assert_eq!(u32::from(u16::from_le_bytes(found)), sector_bytes);
            let verdict = check(mib * MIB, |buffer, at| file.read_exact_at(buffer, at)).unwrap();
            assert_eq!(verdict, Verdict::Clean, "{mib} MiB by {sector_bytes}");
        }
    }

    #[test]
    fn what_is_refused_leaves_the_device_as_it_was() {
        for (label, bits, size_bytes, sector_bytes) in [
            ("", None, 4096, SECTOR_BYTES),
            ("twelve bytes", None, 16 * MIB, SECTOR_BYTES),
            ("", Some("64"), 16 * MIB, SECTOR_BYTES),
            ("", None, 16 * MIB, 8192),
            ("", None, 16 * MIB, 1 << 16),
        ] {
            let file = ext4(16);
            file.set_len(size_bytes).unwrap();
            made(label, bits, &file, sector_bytes).unwrap_err();
            assert_eq!(
                block_probe::identify(&head(&file)).unwrap().label,
                "old",
                "{label} {bits:?}"
            );
        }
    }
}
