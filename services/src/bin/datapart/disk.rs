//! The disk that the root is on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

use services::problem::{Context, Problem, Result};
use services::random;
use services::storage::block::sysfs::{BlockDevice, Sysfs};
use services::storage::target::Target;
use services::sys::{PartitionPlace, add_partition, resize_partition};

use crate::table::{Entry, SECTOR_BYTES};
use crate::work::Disk;

/// A disk, open for writing.
pub(crate) struct RootDisk {
    sysfs: Sysfs,
    name: String,
    file: File,
    sectors: u64,
    /// A partition with its own device: first byte, the one behind its last, the device.
    inside: Option<(u64, u64, File)>,
}

impl RootDisk {
    /// Opens the disk whose partition is mounted at `/`.
    ///
    /// # Errors
    /// If the root is on no partition of a disk, or the disk has other sectors than tables
    /// are written for here, or cannot be opened.
    pub(crate) fn open() -> Result<Self> {
        let sysfs = Sysfs::default();
        let root = fs::metadata("/").context(|| "cannot look at the root".to_owned())?.dev();
        let number = (rustix::fs::major(root), rustix::fs::minor(root));
        let partition = sysfs.by_number(number).and_then(|device| device.partition);
        let Some((name, _)) = partition else {
            return Err(Problem::new("the root is on no partition of a disk").with_hint(
                "a data partition lies beside the root; this system runs from elsewhere",
            ));
        };
        let disk = sysfs
            .device(&name)
            .ok_or_else(|| Problem::new(format!("the disk `{name}` is gone")))?;
        let sector = sysfs.attribute(&disk.devpath, "queue/logical_block_size");
        if sector.as_deref() != Some("512") {
            let sector = sector.unwrap_or_else(|| "unknown".to_owned());
            return Err(Problem::new(format!("`{name}` has sectors of {sector} bytes, not 512")));
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&disk.node)
            .context(|| format!("cannot open `{}`", disk.node))?;
        let bytes = file.seek(SeekFrom::End(0)).context(|| format!("cannot measure `{name}`"))?;
        Ok(Self { sysfs, name, file, sectors: bytes / SECTOR_BYTES, inside: None })
    }

    /// The device of the partition `number`.
    pub(crate) fn partition(&self, number: u32) -> Option<BlockDevice> {
        let wanted = Some((self.name.clone(), number));
        self.sysfs.devices().ok()?.into_iter().find(|device| device.partition == wanted)
    }

    /// Where a stretch of bytes is written: the device, and the offset on it.
    fn place(&mut self, offset: u64, length: u64) -> (&mut File, u64) {
        match &mut self.inside {
            Some((start, end, file)) if *start <= offset && offset + length <= *end => {
                (file, offset - *start)
            }
            _ => (&mut self.file, offset),
        }
    }
}

impl Target for RootDisk {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (file, offset) = self.place(offset, bytes.len() as u64);
        Target::write(file, offset, bytes)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let (file, offset) = self.place(offset, bytes.len() as u64);
        Target::read(file, offset, bytes)
    }

    fn zero(&mut self, offset: u64, length: u64) -> io::Result<()> {
        let (file, offset) = self.place(offset, length);
        file.zero(offset, length)
    }
}

impl Disk for RootDisk {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some((_, _, file)) = &self.inside {
            file.sync_all()?;
        }
        self.file.sync_all()
    }

    fn announce(&mut self, entry: &Entry, is_new: bool) -> io::Result<()> {
        let place = PartitionPlace {
            number: entry.number,
            start_bytes: entry.first * SECTOR_BYTES,
            length_bytes: (entry.last + 1 - entry.first) * SECTOR_BYTES,
        };
        if is_new { add_partition(&self.file, place) } else { resize_partition(&self.file, place) }
    }

    fn enter(&mut self, entry: &Entry) -> io::Result<()> {
        let device = self.partition(entry.number).ok_or(io::ErrorKind::NotFound)?;
        let length_bytes = (entry.last + 1 - entry.first) * SECTOR_BYTES;
        if device.size_bytes != length_bytes {
            return Err(io::Error::other("the kernel knows it with another size"));
        }
        let file = OpenOptions::new().read(true).write(true).open(&device.node)?;
        let start = entry.first * SECTOR_BYTES;
        self.inside = Some((start, start + length_bytes, file));
        Ok(())
    }

    fn random(&mut self) -> io::Result<[u8; 16]> {
        random::uuid()
    }

    fn now_s(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_secs()).unwrap_or(0)
    }
}
