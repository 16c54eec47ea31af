//! Making an empty FAT.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use fatfs::{FatType, FormatVolumeOptions};
use services::problem::{Context, Problem, Result};
use services::random;
use services::storage::old_content;

/// Makes a FAT with this label, and entries of so many `bits` or as the size asks for.
pub(super) fn make(label: &str, bits: Option<&str>, file: File, size_bytes: u64) -> Result<()> {
    let options = options(label, bits)?;
    let mib = size_bytes >> 20;
    let mut fresh = Fresh { file, size_bytes, is_empty: false };
    fatfs::format_volume(&mut fresh, options)
        .context(|| format!("cannot make a FAT of {mib} MiB"))?;
    fresh.file.sync_all().context(|| "cannot write the file system".to_owned())
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

    use super::*;

    const MIB: u64 = 1 << 20;

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
            make("new", Some(bits), file.try_clone().unwrap(), mib * MIB).unwrap();
            let found = block_probe::identify(&head(&file)).unwrap();
            assert_eq!((found.kind, found.label.as_str()), ("vfat", "NEW"), "FAT{bits}");
            let verdict = check(mib * MIB, |buffer, at| file.read_exact_at(buffer, at)).unwrap();
            assert_eq!(verdict, Verdict::Clean, "FAT{bits}");
        }
    }

    #[test]
    fn what_is_refused_leaves_the_device_as_it_was() {
        for (label, bits, size_bytes) in
            [("", None, 4096), ("twelve bytes", None, 16 * MIB), ("", Some("64"), 16 * MIB)]
        {
            let file = ext4(16);
            file.set_len(size_bytes).unwrap();
            make(label, bits, file.try_clone().unwrap(), size_bytes).unwrap_err();
            assert_eq!(
                block_probe::identify(&head(&file)).unwrap().label,
                "old",
                "{label} {bits:?}"
            );
        }
    }
}
