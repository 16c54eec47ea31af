//! Opening what is to be formatted, if nothing is lost by it that was not meant to be.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::ioctl_blksszget;
use services::problem::{Context, Problem, Result};
use services::storage::block::sysfs::{BlockDevice, Sysfs};
use services::storage::block::{self, probe};
use services::storage::mounting::table::{self, Mounted};

/// Major and minor number of a device.
type Number = (u32, u32);

/// Bytes of a sector where a file takes a device's place.
pub(super) const SECTOR_BYTES: u32 = 512;

/// A device or file that may be formatted.
pub(super) struct Device {
    pub(super) file: File,
    pub(super) size_bytes: u64,
    /// What it reads and writes at once: no file system may have smaller blocks.
    pub(super) sector_bytes: u32,
}

/// Opens the device or file. With a `force_option`, which the caller was not given, it must be
/// empty.
pub(super) fn open(device: &str, force_option: Option<&str>) -> Result<Device> {
    let failed = || format!("cannot measure `{device}`");
    let mut file = open_alone(device)?;
    let size_bytes = file.seek(SeekFrom::End(0)).context(failed)?;
    file.rewind().context(failed)?;
    let sector_bytes = match block::number(&file.metadata().context(failed)?) {
        Some(_) => ioctl_blksszget(&file).map_err(io::Error::from).context(failed)?,
        None => SECTOR_BYTES,
    };
    if let Some(option) = force_option {
        refuse_content(&file, size_bytes, device, option)?;
    }
    Ok(Device { file, size_bytes, sector_bytes })
}

/// Opens it, a block device so that nobody else has claimed it: the kernel refuses `O_EXCL`
/// (open(2)) for what is mounted or swapped to, for a disk with a partition that is, and for a
/// partition of a disk that is as a whole. Unlike the table of mounts, it goes by no name.
fn open_alone(device: &str) -> Result<File> {
    let failed = || format!("cannot open `{device}`");
    let metadata = fs::metadata(device).context(failed)?;
    let number = block::number(&metadata);
    let flags = if number.is_some() { libc::O_EXCL } else { 0 };
    let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(device);
    if let Some(number) = number
        && opened.as_ref().is_err_and(|e| e.raw_os_error() == Some(libc::EBUSY))
    {
        // That it is in use counts, even where what uses it cannot be told.
        let mounts = table::mounted().unwrap_or_default();
        let sysfs = Sysfs::default();
        return Err(in_use(device, number, &mounts, |number| sysfs.by_number(number)));
    }
    opened.context(failed)
}

/// That a device is in use, and if it is mounted, where.
fn in_use(
    device: &str,
    number: Number,
    mounts: &[Mounted],
    described: impl Fn(Number) -> Option<BlockDevice>,
) -> Problem {
    let this = described(number);
    let what = |mount: &Mounted| {
        if mount.number == number {
            return Some("it".to_owned());
        }
        let (this, other) = (this.as_ref()?, described(mount.number)?);
        if is_part(&other, this) {
            Some(format!("its partition {}", other.node))
        } else {
            is_part(this, &other).then(|| format!("its disk {}", other.node))
        }
    };
    let found = mounts.iter().find_map(|mount| Some((what(mount)?, &mount.target)));
    let Some((what, target)) = found else {
        return Problem::new(format!("`{device}` is in use")).with_hint(
            "it is swapped to, held by another program, or mounted where only a service sees it",
        );
    };
    let hint = match target.as_str() {
        "/" => "the system runs from it: another one can format it".to_owned(),
        target => format!("`umount {target}` first"),
    };
    Problem::new(format!("`{device}` is in use: {what} is mounted at {target}")).with_hint(hint)
}

fn is_part(partition: &BlockDevice, disk: &BlockDevice) -> bool {
    partition.partition.as_ref().is_some_and(|(name, _)| *name == disk.name)
}

/// Refuses what holds something, naming the option that would have it overwritten.
fn refuse_content(file: &File, size_bytes: u64, device: &str, force_option: &str) -> Result<()> {
    let known = probe::filesystem_in(file).map(|found| match found.label.as_str() {
        "" => found.kind.to_owned(),
        label => format!("{} {label:?}", found.kind),
    });
    let foreign = || probe::foreign_in(file).map(str::to_owned);
    if let Some(found) = known.or_else(foreign) {
        return Err(Problem::new(format!("`{device}` holds {found} already"))
            .with_hint(format!("{force_option} makes a new file system in its place")));
    }
    if let Some(kind) = probe::partition_table(file, size_bytes) {
        return Err(Problem::new(format!("`{device}` holds a partition table ({kind}) already"))
            .with_hint(format!(
                "`lsblk` lists its partitions; {force_option} makes a file system in place of all"
            )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn mounted(number: Number, target: &str) -> Mounted {
        let (major, minor) = number;
        let line = format!("25 1 {major}:{minor} / {target} rw - ext4 /dev/root rw\n");
        table::parse(line.as_bytes()).remove(0)
    }

    /// The disks `vda` (254:0), with two partitions, and `vdb` (254:16).
    fn described(number: Number) -> Option<BlockDevice> {
        let (name, partition) = match number {
            (254, 0) => ("vda", None),
            (254, part @ (1 | 2)) => (if part == 1 { "vda1" } else { "vda2" }, Some(part)),
            (254, 16) => ("vdb", None),
            _ => return None,
        };
        Some(BlockDevice {
            name: name.into(),
            node: format!("/dev/{name}"),
            devpath: String::new(),
            number,
            size_bytes: 1 << 20,
            partition: partition.map(|part| ("vda".to_owned(), part)),
            read_only: false,
            removable: false,
            model: None,
            serial: None,
        })
    }

    #[test]
    fn who_uses_a_device_is_told_by_its_number() {
        let nothing = ("`x` is in use", "it is swapped to, held by another program");
        for (number, mount, (message, hint)) in [
            (
                (254, 2),
                ((254, 2), "/"),
                ("`x` is in use: it is mounted at /", "the system runs from it"),
            ),
            (
                (254, 0),
                ((254, 2), "/mnt"),
                (
                    "`x` is in use: its partition /dev/vda2 is mounted at /mnt",
                    "`umount /mnt` first",
                ),
            ),
            (
                (254, 1),
                ((254, 0), "/mnt"),
                ("`x` is in use: its disk /dev/vda is mounted at /mnt", "`umount /mnt` first"),
            ),
            ((254, 1), ((254, 2), "/"), nothing),
            ((254, 16), ((254, 2), "/"), nothing),
            ((7, 0), ((0, 25), "/tmp"), nothing),
            ((7, 0), ((7, 0), "/a"), ("`x` is in use: it is mounted at /a", "`umount /a` first")),
        ] {
            let mounts = [mounted((0, 3), "/proc"), mounted(mount.0, mount.1)];
            let problem = in_use("x", number, &mounts, described);
            assert_eq!(problem.message(), message, "{number:?} {mount:?}");
            assert!(problem.hint().unwrap().starts_with(hint), "{problem}");
        }
    }

    /// What opening an image of a mebibyte with these bytes says.
    fn opened(put: &[(u64, &[u8])], force_option: Option<&str>) -> Result<u64> {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        for (at, content) in put {
            file.as_file().write_all_at(content, *at).unwrap();
        }
        open(file.path().to_str().unwrap(), force_option).map(|device| device.size_bytes)
    }

    #[test]
    fn what_holds_something_is_overwritten_only_by_force() {
        let used: &[u8] = &[0, 1, 1, 0, 0x83, 1, 1, 1, 63, 0, 0, 0, 0, 8, 0, 0];
        let gpt: &[(u64, &[u8])] = &[(512, b"EFI PART")];
        let mbr: &[(u64, &[u8])] = &[(446, used), (510, &[0x55, 0xaa])];
        let ext4: &[(u64, &[u8])] = &[(1024 + 0x38, &[0x53, 0xef]), (1024 + 0x78, b"Root")];
        let ntfs: &[(u64, &[u8])] = &[(0, b"\xeb\x52\x90NTFS    "), mbr[0], mbr[1]];
        for (put, held) in [
            (gpt, "a partition table (GPT)"),
            (&[((1 << 20) - 512, b"EFI PART")], "a partition table (GPT)"),
            (&[((1 << 20) - 4096, b"EFI PART")], "a partition table (GPT)"),
            (mbr, "a partition table (MBR)"),
            (ext4, "ext4 \"Root\""),
            (ntfs, "NTFS"),
            (&[(0, b"XFSB")], "XFS"),
            (&[(0x1_0040, b"_BHRfS_M")], "btrfs"),
            (&[(3, b"EXFAT   ")], "exFAT"),
            (&[(1024, &0xf2f5_2010_u32.to_le_bytes())], "f2fs"),
            (&[(0, b"hsqs")], "squashfs"),
            (&[(0x8001, b"CD001")], "ISO 9660"),
            (&[(0, b"LUKS\xba\xbe")], "an encrypted volume (LUKS)"),
            (&[(512, b"LABELONE")], "a volume of LVM"),
            (&[(4096, &0xa92b_4efc_u32.to_le_bytes())], "a part of a RAID"),
            (&[(4086, b"SWAPSPACE2")], "a swap area"),
        ] {
            let problem = opened(put, Some("-I")).unwrap_err();
            assert!(problem.message().ends_with(&format!("holds {held} already")), "{problem}");
            assert!(problem.hint().unwrap().contains("-I makes a"), "{problem}");
            assert_eq!(opened(put, None), Ok(1 << 20));
        }
        assert_eq!(opened(&[], Some("-F")), Ok(1 << 20));
    }

    #[test]
    fn what_is_not_there_is_not_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let problem = open(path.to_str().unwrap(), None).map(drop).unwrap_err();
        assert!(problem.message().starts_with("cannot open"), "{problem}");
        assert!(!path.exists());
    }
}
