//! The boot table: what stage 2 is to load, and from where.
//!
//! All numbers are little-endian. Offsets are in bytes; what is not named is zero.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 8 | `KEELBOOT` |
//! | 8 | 4 | version, 1 |
//! | 16 | 24 | extent of the kernel |
//! | 40 | 24 | extent of the initramfs, of length 0 if there is none |
//! | 64 | 4 | length of the command line, at most 2,047 |
//! | 72 | 2,048 | the command line and a NUL |
//! | 2,552 | 8 | checksum of all that is before |
//!
//! An extent: first sector (8 bytes, sectors of 512), length in bytes (4), zero (4),
//! checksum (8).

use super::checksum::{Checksum, Summing};
use super::{SECTOR_BYTES, SECTOR_LEN};
use crate::error::{Error, Result};
use crate::format::source::{Source, check_end};

/// The table's length: five sectors.
pub const TABLE_BYTES: usize = 5 * SECTOR_LEN;
/// The version that is written, and the only one that is read.
pub const TABLE_VERSION: u32 = 1;
/// The longest command line in bytes, its NUL not counted: what x86 kernels take.
pub const COMMAND_LINE_BYTES_MAX: usize = 2047;

const MAGIC: &[u8; 8] = b"KEELBOOT";
const VERSION_AT: usize = 8;
const KERNEL_AT: usize = 16;
const INITRAMFS_AT: usize = 40;
const EXTENT_BYTES: usize = 24;
const COMMAND_LINE_BYTES_AT: usize = 64;
const COMMAND_LINE_AT: usize = 72;
const CHECKSUM_AT: usize = TABLE_BYTES - 8;
/// How much of an extent is read at once.
const STEP_BYTES: usize = 1024 * 1024;

/// A run of sectors that holds a file from its first byte on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// First sector of 512 bytes, from the beginning of the disk.
    pub first_lba: u64,
    /// Length of the file in bytes.
    pub len_bytes: u32,
    /// Checksum of those bytes.
    pub checksum: Checksum,
}

/// What is booted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// The kernel, a bzImage.
    pub kernel: Extent,
    /// The initramfs.
    pub initramfs: Option<Extent>,
    /// The kernel's command line.
    pub command_line: Vec<u8>,
}

impl Extent {
    /// The extent of what lies on a disk already, its checksum counted.
    ///
    /// # Errors
    /// If it does not begin a sector, is empty, has 4 GiB or more, or cannot be read.
    pub fn of(disk: &dyn Source, offset_bytes: u64, len_bytes: u64) -> Result<Self> {
        let len = u32::try_from(len_bytes).ok().filter(|len| *len > 0);
        let Some(len_bytes) = len.filter(|_| offset_bytes.is_multiple_of(SECTOR_BYTES)) else {
            return Err(Error::failure(format!(
                "{len_bytes} bytes at byte {offset_bytes} of a disk are nothing a BIOS can load"
            ))
            .hint("a file must begin a sector of 512 bytes and have less than 4 GiB"));
        };
        let checksum = sum(disk, offset_bytes, len_bytes)
            .map_err(|error| Error::failure(format!("cannot read the disk: {error}")))?;
        Ok(Self { first_lba: offset_bytes / SECTOR_BYTES, len_bytes, checksum })
    }

    /// Whether the disk still holds what the extent says.
    ///
    /// # Errors
    /// If the disk ends before it or cannot be read.
    pub fn is_unchanged(&self, disk: &dyn Source) -> std::io::Result<bool> {
        let offset_bytes = self.first_lba.saturating_mul(SECTOR_BYTES);
        Ok(sum(disk, offset_bytes, self.len_bytes)? == self.checksum)
    }

    /// Where it ends: the sector behind its last one.
    #[must_use]
    pub fn end_lba(&self) -> u64 {
        self.first_lba.saturating_add(u64::from(self.len_bytes).div_ceil(SECTOR_BYTES))
    }

    fn encode(&self) -> [u8; EXTENT_BYTES] {
        let mut bytes = [0; EXTENT_BYTES];
        bytes[..8].copy_from_slice(&self.first_lba.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.len_bytes.to_le_bytes());
        bytes[16..].copy_from_slice(&self.checksum.to_bytes());
        bytes
    }
}

/// The checksum of a part of a disk, `UnexpectedEof` if that ends before.
fn sum(disk: &dyn Source, offset_bytes: u64, len_bytes: u32) -> std::io::Result<Checksum> {
    check_end(offset_bytes, len_bytes.into(), disk.len_bytes())?;
    let mut summing = Summing::new();
    let mut buffer = vec![0; STEP_BYTES.min(len_bytes as usize)];
    let mut done = 0;
    while done < len_bytes as usize {
        let step = buffer.len().min(len_bytes as usize - done);
        disk.read_at(offset_bytes + done as u64, &mut buffer[..step])?;
        summing.update(&buffer[..step]);
        done += step;
    }
    Ok(summing.finish())
}

impl Table {
    /// The table's bytes.
    ///
    /// # Errors
    /// If the command line is too long or has a NUL in it, or an extent is empty; all at once.
    pub fn encode(&self) -> Result<[u8; TABLE_BYTES]> {
        self.check()?;
        let mut bytes = [0; TABLE_BYTES];
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        put(0, MAGIC);
        put(VERSION_AT, &TABLE_VERSION.to_le_bytes());
        put(KERNEL_AT, &self.kernel.encode());
        if let Some(initramfs) = &self.initramfs {
            put(INITRAMFS_AT, &initramfs.encode());
        }
        let command_line_bytes = u32::try_from(self.command_line.len()).unwrap_or(u32::MAX);
        put(COMMAND_LINE_BYTES_AT, &command_line_bytes.to_le_bytes());
        put(COMMAND_LINE_AT, &self.command_line);
        let checksum = Checksum::of(&bytes[..CHECKSUM_AT]).to_bytes();
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum);
        Ok(bytes)
    }

    fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        let len = self.command_line.len();
        if len > COMMAND_LINE_BYTES_MAX {
            problems.push(format!(
                "the kernel's command line has {len} bytes; at most {COMMAND_LINE_BYTES_MAX} fit"
            ));
        }
        if self.command_line.contains(&0) {
            problems.push("the kernel's command line has a NUL in it".into());
        }
        let initramfs = self.initramfs.as_ref().map(|extent| ("initramfs", extent));
        for (name, extent) in initramfs.into_iter().chain([("kernel", &self.kernel)]) {
            if extent.len_bytes == 0 {
                problems.push(format!("the {name} is empty"));
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        let message = format!("the disk cannot boot by BIOS:\n  {}", problems.join("\n  "));
        Err(Error::definition(message).hint("shorten `kernel.command-line` if it is too long"))
    }

    /// Reads a table that stage 2 would take.
    ///
    /// # Errors
    /// Why stage 2 would not.
    pub fn decode(bytes: &[u8; TABLE_BYTES]) -> Result<Self, String> {
        if !bytes.starts_with(MAGIC) {
            return Err("the boot table has no signature".into());
        }
        let version = number(bytes, VERSION_AT);
        if version != TABLE_VERSION {
            return Err(format!("the boot table has version {version}, which is not known here"));
        }
        let checksum = Checksum::from_bytes(array(bytes, CHECKSUM_AT));
        let len = number(bytes, COMMAND_LINE_BYTES_AT) as usize;
        if checksum != Checksum::of(&bytes[..CHECKSUM_AT]) || len > COMMAND_LINE_BYTES_MAX {
            return Err("the boot table has changed".into());
        }
        let initramfs = extent(bytes, INITRAMFS_AT);
        Ok(Self {
            kernel: extent(bytes, KERNEL_AT),
            initramfs: (initramfs.len_bytes > 0).then_some(initramfs),
            command_line: bytes[COMMAND_LINE_AT..COMMAND_LINE_AT + len].to_vec(),
        })
    }
}

fn array<const N: usize>(bytes: &[u8; TABLE_BYTES], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn number(bytes: &[u8; TABLE_BYTES], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

fn extent(bytes: &[u8; TABLE_BYTES], at: usize) -> Extent {
    Extent {
        first_lba: u64::from_le_bytes(array(bytes, at)),
        len_bytes: number(bytes, at + 8),
        checksum: Checksum::from_bytes(array(bytes, at + 16)),
    }
}
