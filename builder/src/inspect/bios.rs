//! The BIOS loader of a disk (docs/image-formats.md).

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::text::{printable, problems};
use crate::format::bios_boot::{self, Extent};
use crate::format::source::Source;

/// The BIOS loader of a disk and what it boots.
#[derive(Debug, Serialize)]
pub struct BiosLoaderReport {
    /// First sector of stage 2.
    pub stage2_lba: u64,
    /// Length of stage 2 in sectors of 512 bytes.
    pub stage2_sectors: u16,
    /// Checksum that stage 1 expects of stage 2.
    pub stage2_checksum: String,
    /// Version of the boot table, if it is sound.
    pub table_version: Option<u32>,
    /// Where the kernel lies.
    pub kernel: Option<ExtentReport>,
    /// Where the initramfs lies.
    pub initramfs: Option<ExtentReport>,
    /// The kernel's command line.
    pub command_line: Option<String>,
    /// Why it would not boot.
    pub problems: Vec<String>,
}

/// Where a file lies that the BIOS loader loads.
#[derive(Debug, Serialize)]
pub struct ExtentReport {
    /// First sector of 512 bytes.
    pub first_lba: u64,
    /// Length in bytes.
    pub len_bytes: u32,
    /// Checksum that the loader expects.
    pub checksum: String,
}

impl BiosLoaderReport {
    pub(super) fn of(disk: &dyn Source) -> Option<Self> {
        let loader = bios_boot::read(disk)?;
        let extent = |extent: &Extent| ExtentReport {
            first_lba: extent.first_lba,
            len_bytes: extent.len_bytes,
            checksum: extent.checksum.to_string(),
        };
        let table = loader.table.as_ref();
        Some(Self {
            stage2_lba: loader.stage2_lba,
            stage2_sectors: loader.stage2_sectors,
            stage2_checksum: loader.stage2_checksum.to_string(),
            table_version: table.map(|_| bios_boot::TABLE_VERSION),
            kernel: table.map(|table| extent(&table.kernel)),
            initramfs: table.and_then(|table| table.initramfs.as_ref()).map(extent),
            command_line: table
                .map(|table| String::from_utf8_lossy(&table.command_line).into_owned()),
            problems: loader.problems,
        })
    }
}

impl Display for BiosLoaderReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nBIOS loader: stage 2 at sector {}, {} sectors, checksum {}",
            self.stage2_lba, self.stage2_sectors, self.stage2_checksum
        )?;
        problems(f, &self.problems)?;
        for (name, extent) in [("kernel", &self.kernel), ("initramfs", &self.initramfs)] {
            if let Some(extent) = extent {
                writeln!(f, "{:<15}{extent}", format!("{name}:"))?;
            }
        }
        match &self.command_line {
            Some(line) => writeln!(f, "command line:  {}", printable(line)),
            None => Ok(()),
        }
    }
}

impl Display for ExtentReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { first_lba, len_bytes, checksum } = self;
        write!(f, "{len_bytes} bytes at sector {first_lba}, checksum {checksum}")
    }
}
