//! The disk: an EFI system partition with what firmware starts, an ext4 root for
//! each architecture, and the BIOS loader before them.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use init_core::diagnostic::Place;

use crate::arch::Arch;
use crate::definition::resolved::{self as definition, Size};
use crate::error::{Error, IoContext, Result};
use crate::format::bios_boot::{self, Extent, Table};
use crate::format::ext4::Ext4Size;
use crate::format::fat::{FatOptions, FatSize, FatSummary};
use crate::format::gpt::{self, DiskOptions, PartitionOptions, partition_type};
use crate::format::guid::Guid;
use crate::format::sink::FileRegion;
use crate::format::source::FileSource;
use crate::format::{self, ext4, fat};
use crate::image::system::System;
use crate::image::{disk_room, esp};
use crate::tree::TreePath;

use super::Outputs;
use super::boot_file::BootFile;
use crate::image::names::DISK;

/// Free bytes on an EFI system partition of minimal size.
const ESP_FREE_BYTES: u64 = format::MIB;
/// The partition table at either end.
const TABLE_BYTES: u64 = gpt::ALIGNMENT_BYTES;

/// What is put on a medium.
#[derive(Clone, Copy, Debug)]
pub(super) struct Medium<'p> {
    /// Whether it holds a root for each system.
    pub(super) has_roots: bool,
    /// Its size in bytes and who says so; as small as its content if `None`.
    pub(super) size: Option<(u64, &'p Place)>,
    /// The size of its EFI system partition.
    pub(super) esp_size: &'p Size,
}

/// What a medium came to.
#[derive(Debug)]
pub(super) struct Written {
    /// Length in bytes.
    pub(super) len_bytes: u64,
    /// Where its EFI system partition is, in bytes.
    pub(super) esp: Range<u64>,
    /// What a BIOS is to load, if one of the systems is for it.
    pub(super) boot_table: Option<Table>,
}

impl Outputs<'_> {
    /// The disk that the definition describes.
    pub(super) fn disk_medium(&self) -> Medium<'_> {
        let disk = &self.image.disk;
        let size = match &disk.size {
            Size::Bytes(bytes, place) => Some((*bytes, place)),
            Size::Minimal => None,
        };
        Medium { has_roots: self.image.disk_has_root(), size, esp_size: &disk.esp_size }
    }

    /// Writes a medium with the boot files of all systems: partition table, EFI
    /// system partition, roots, BIOS loader.
    pub(super) fn write_medium(
        &self,
        medium: &Medium<'_>,
        boot_files: &[BootFile],
        file: &File,
    ) -> Result<Written> {
        let esp_start = gpt::ALIGNMENT_BYTES;
        let mut sink = FileRegion::starting_at(file, esp_start);
        let esp = self.write_esp(boot_files, medium.esp_size, &mut sink)?;
        let esp_end = esp_start + esp.size_bytes.next_multiple_of(gpt::ALIGNMENT_BYTES);
        let esp_guid = self.disk_guid("esp partition");
        let mut partitions = vec![partition(
            partition_type::ESP,
            definition::Disk::ESP_NAME,
            esp_guid,
            esp_end - esp_start,
        )];
        if medium.has_roots {
            partitions.extend(self.write_roots(medium, file, esp_end)?);
        } else if let Some((bytes, place)) = medium.size
            && esp_end + TABLE_BYTES > bytes
        {
            return Err(too_small(place, bytes, esp_end + TABLE_BYTES));
        }
        let size_bytes = medium.size.map(|(bytes, _)| bytes);
        let layout = gpt::Layout::new(&DiskOptions {
            guid: self.disk_guid("disk"),
            partitions,
            size_bytes,
        })?;
        let len_bytes = layout.disk_bytes();
        file.set_len(len_bytes).at("write", Path::new(DISK))?;
        layout.write(&mut FileRegion::whole(file))?;
        let boot_table = self.boot_table(file, boot_files, &esp)?;
        if let Some((code, table)) = self.bios_loader.zip(boot_table.as_ref()) {
            bios_boot::install(code, table, &mut FileRegion::whole(file))?;
        }
        Ok(Written { len_bytes, esp: esp_start..esp_end, boot_table })
    }

    /// Writes the roots from `at_bytes` on, one after the other.
    fn write_roots(
        &self,
        medium: &Medium<'_>,
        file: &File,
        mut at_bytes: u64,
    ) -> Result<Vec<PartitionOptions>> {
        let mut partitions = Vec::new();
        for (index, system) in self.systems.iter().enumerate() {
            let is_last = index + 1 == self.systems.len();
            let size = match medium.size.filter(|_| is_last) {
                Some((bytes, place)) => self.last_root_size(system, at_bytes, bytes, place)?,
                None => self.root_size(),
            };
            let mut sink = FileRegion::starting_at(file, at_bytes);
            let written = self.write_root(system, size, &mut sink)?;
            let root_type = partition_type::root(system.arch);
            let guid = self.root_partuuid(system)?;
            let root = partition(root_type, &self.root_name(system.arch), guid, written);
            at_bytes += root.size_bytes;
            partitions.push(root);
        }
        Ok(partitions)
    }

    /// The last root takes what a disk of a given size has left, unless it has
    /// a size of its own or the rest is for data.
    ///
    /// # Errors
    /// If the disk has too little left for it, with the size that would do.
    fn last_root_size(
        &self,
        system: &System,
        at_bytes: u64,
        disk_bytes: u64,
        place: &Place,
    ) -> Result<Ext4Size> {
        let taken_bytes = at_bytes + TABLE_BYTES;
        let left_bytes = disk_bytes.saturating_sub(taken_bytes);
        let size = match self.image.root.size {
            Size::Minimal if !self.image.has_data => Ext4Size::Fixed { bytes: left_bytes },
            Size::Minimal | Size::Bytes(..) => self.root_size(),
        };
        let needed_bytes = ext4::needed_bytes(&system.tree, size)?;
        let needed_bytes = needed_bytes.next_multiple_of(gpt::ALIGNMENT_BYTES);
        if needed_bytes > left_bytes {
            return Err(too_small(place, disk_bytes, taken_bytes + needed_bytes));
        }
        Ok(size)
    }

    /// `root`, and with its architecture where there are two.
    fn root_name(&self, arch: Arch) -> String {
        definition::Disk::root_name((self.systems.len() > 1).then_some(arch))
    }

    fn write_esp(
        &self,
        boot_files: &[BootFile],
        esp_size: &Size,
        sink: &mut FileRegion<'_>,
    ) -> Result<FatSummary> {
        let files: Vec<(Arch, &Path)> = self
            .systems
            .iter()
            .zip(boot_files)
            .map(|(system, boot_file)| (system.arch, boot_file.path.as_path()))
            .collect();
        let tree = esp::tree(&files)?;
        let size = match esp_size {
            Size::Minimal => FatSize::Fit { free_bytes: ESP_FREE_BYTES },
            Size::Bytes(bytes, _) => FatSize::Fixed { bytes: *bytes },
        };
        let partition_lba = gpt::ALIGNMENT_BYTES / gpt::SECTOR_BYTES;
        let options = FatOptions {
            size,
            volume_id: self.disk_guid("esp file system").to_volume_id(),
            label: esp::LABEL.to_owned(),
            epoch_s: self.epoch_s,
            partition_lba: u32::try_from(partition_lba).unwrap_or(u32::MAX),
        };
        fat::write(&tree, &options, sink).map_err(|error| match esp_size {
            Size::Bytes(_, place) => error.context(place.to_string()),
            Size::Minimal => error,
        })
    }

    /// What a BIOS loads: the same kernel and the same initramfs as UEFI.
    fn boot_table(
        &self,
        file: &File,
        boot_files: &[BootFile],
        esp: &FatSummary,
    ) -> Result<Option<Table>> {
        let mut pairs = self.systems.iter().zip(boot_files);
        let Some((system, boot)) = pairs.find(|(system, _)| system.arch == Arch::X86_64) else {
            return Ok(None);
        };
        let path = TreePath::new(system.arch.removable_path())?;
        let extent = esp.files.iter().find(|extent| extent.path == path);
        let extent = extent.ok_or_else(|| Error::internal("the boot file has no place"))?;
        let start = gpt::ALIGNMENT_BYTES + extent.offset_bytes;
        let file = file.try_clone().at("open", Path::new(DISK))?;
        let disk = FileSource::new(file).at("read", Path::new(DISK))?;
        let place =
            |part: &Range<u64>| Extent::of(&disk, start + part.start, part.end - part.start);
        Ok(Some(Table {
            kernel: place(&boot.kernel)?,
            initramfs: boot.initramfs.as_ref().map(place).transpose()?,
            command_line: boot.command_line.clone().into_bytes(),
        }))
    }
}

fn partition(type_guid: Guid, name: &str, guid: Guid, size_bytes: u64) -> PartitionOptions {
    PartitionOptions {
        type_guid,
        guid,
        name: name.to_owned(),
        attributes: 0,
        size_bytes: size_bytes.next_multiple_of(gpt::ALIGNMENT_BYTES),
    }
}

fn too_small(place: &Place, disk_bytes: u64, needed_bytes: u64) -> Error {
    let finding = disk_room::finding(place, "", disk_bytes, needed_bytes);
    Error::findings("its parts do not fit", vec![finding])
}
