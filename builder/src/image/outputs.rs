//! The outputs of an image: what is packed how, and how the parts find each other.
//!
//! The initramfs is the whole system in RAM and carries the image's kernel
//! parameters as a boot configuration. The disk has an EFI system partition with
//! the kernel as the removable-path boot application, and the ext4 root, whose
//! PARTUUID the kernel's built-in parameters name: firmware passes none.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use init_core::diagnostic::Finding;

use crate::arch::Arch;
use crate::definition::Image;
use crate::definition::resolved::{Compression, Size};
use crate::error::{Context, Error, IoContext, Result};
use crate::format::ext4::{Ext4Options, Ext4Size, Shortage};
use crate::format::fat::{FatOptions, FatSize};
use crate::format::gpt::{self, DiskOptions, PartitionOptions, partition_type};
use crate::format::guid::Guid;
use crate::format::sink::FileRegion;
use crate::format::{self, bootconfig, compress, cpio, ext4, fat};
use crate::tree::{FileTree, Node, NodeKind, TreePath};

use super::esp;
use super::programs::INIT_PATH;
use super::staging::Staging;

/// Names of outputs in the output directory.
pub(super) const KERNEL: &str = "vmlinuz";
pub(super) const ROOT: &str = "root.ext4";
pub(super) const DISK: &str = "disk.img";
pub(super) const MANIFEST: &str = "manifest.json";
/// Every name that an output may have.
pub(super) const NAMES: [&str; 7] =
    [KERNEL, "initramfs.cpio", "initramfs.cpio.gz", "initramfs.cpio.zst", ROOT, DISK, MANIFEST];
/// Free bytes on an EFI system partition of minimal size.
const ESP_FREE_BYTES: u64 = format::MIB;
/// Share of the blocks of the root that only root may use, in percent. None: a
/// small system's services are root's or bounded otherwise.
const RESERVED_PERCENT: u8 = 0;

/// What all outputs are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Material<'a> {
    /// The definition.
    pub(super) image: &'a Image,
    /// The architecture.
    pub(super) arch: Arch,
    /// The whole system.
    pub(super) tree: &'a FileTree,
    /// Its digest, from which identifiers are derived.
    pub(super) tree_sha256: &'a str,
    /// The kernel, an EFI application.
    pub(super) kernel: &'a Path,
    /// Kernel parameters for the initramfs.
    pub(super) command_line: &'a str,
    /// `PARTUUID` of the root partition, which the kernel looks for.
    pub(super) root_partuuid: Guid,
    /// Every time in every output, in seconds since 1970.
    pub(super) epoch_s: u32,
}

/// What the ext4 root of a fixed size lacks for the tree, with the line that
/// gives the size. `content` says for the message what the tree holds.
///
/// # Errors
/// If no ext4 image holds the tree.
pub(super) fn root_shortage(
    image: &Image,
    tree: &FileTree,
    content: &str,
) -> Result<Option<Finding>> {
    let (true, Size::Bytes(bytes, place)) =
        (image.outputs.root || image.outputs.disk, &image.root.size)
    else {
        return Ok(None);
    };
    Ok(Shortage::of(tree, *bytes)?.map(|shortage| {
        let message = format!("the root is too small for {content}: {shortage}");
        Finding::new(place.clone(), message).with_hint(shortage.remedy())
    }))
}

impl Material<'_> {
    /// The name of the initramfs output.
    pub(super) fn initramfs_name(&self) -> String {
        format!("initramfs.cpio{}", self.compression().suffix())
    }

    /// Writes every output the definition asks for but kernel and manifest.
    ///
    /// # Errors
    /// If something does not fit or cannot be written.
    pub(super) fn write(&self, staging: &mut Staging<'_>) -> Result<()> {
        let outputs = self.image.outputs;
        if let Some(finding) = root_shortage(self.image, self.tree, "its content")? {
            return Err(Error::findings("its root cannot be made", vec![finding]));
        }
        if outputs.initramfs {
            let name = self.initramfs_name();
            let file = staging.create(&name)?;
            self.write_initramfs(&file).context(|| format!("cannot make {name}"))?;
        }
        if outputs.root {
            let file = staging.create(ROOT)?;
            self.write_root(&mut FileRegion::whole(&file))
                .context(|| format!("cannot make {ROOT}"))?;
        }
        if outputs.disk {
            let file = staging.create(DISK)?;
            self.write_disk(&file).context(|| format!("cannot make {DISK}"))?;
        }
        Ok(())
    }

    fn guid(&self, purpose: &str) -> Guid {
        let root = &self.image.root;
        let size = format!("{:?} {}", self.root_size(), root.free_bytes);
        let parts = [self.tree_sha256, self.arch.as_str(), &root.label, &size];
        Guid::derive(purpose, &parts.map(str::as_bytes))
    }

    fn compression(&self) -> compress::Compression {
        let level = self.image.initramfs.level;
        match self.image.initramfs.compression {
            Compression::Zstd => compress::Compression::Zstd { level: i32::from(level) },
            Compression::Gzip => compress::Compression::Gzip { level: u32::from(level) },
            Compression::None => compress::Compression::None,
        }
    }

    fn write_initramfs(&self, file: &File) -> Result<()> {
        let mut tree = self.tree.clone();
        // The kernel runs /init; without it, it would look for a root to mount.
        let target = NodeKind::Symlink(INIT_PATH.as_bytes().into());
        tree.insert(TreePath::new("init")?, Node::new(target, 0o777, "the initramfs"))?;
        let options =
            cpio::CpioOptions { mtime_s: self.epoch_s, xattrs: cpio::XattrPolicy::default() };
        let len_bytes = match self.compression() {
            compress::Compression::None => {
                cpio::write_image(&tree, &options, &mut FileRegion::whole(file))?.len_bytes
            }
            compression => {
                let mut counter = Counter { out: file, count: 0 };
                let mut encoder = compress::Encoder::new(&mut counter, compression)?;
                cpio::write(&tree, &options, &mut encoder)?;
                encoder.finish()?;
                counter.count
            }
        };
        let text = bootconfig::from_command_line(self.command_line)?;
        let trailer = bootconfig::trailer(&text, len_bytes)?;
        file.write_all_at(&trailer, len_bytes).at("write", Path::new("the boot configuration"))
    }

    fn root_size(&self) -> Ext4Size {
        match self.image.root.size {
            Size::Minimal => Ext4Size::Fit { free_bytes: self.image.root.free_bytes },
            Size::Bytes(bytes, _) => Ext4Size::Fixed { bytes },
        }
    }

    fn write_root(&self, sink: &mut FileRegion<'_>) -> Result<u64> {
        let options = Ext4Options {
            size: self.root_size(),
            uuid: self.guid("root file system"),
            hash_seed: self.guid("root directory hash"),
            label: self.image.root.label.clone(),
            epoch_s: self.epoch_s,
            reserved_percent: RESERVED_PERCENT,
        };
        Ok(ext4::write(self.tree, &options, sink)?.size_bytes)
    }

    fn write_disk(&self, file: &File) -> Result<()> {
        let esp_start = gpt::ALIGNMENT_BYTES;
        let esp_bytes = self.write_esp(&mut FileRegion::starting_at(file, esp_start), esp_start)?;
        let root_start = esp_start + esp_bytes;
        let root_bytes = self.write_root(&mut FileRegion::starting_at(file, root_start))?;
        let partition = |type_guid, name: &str, guid, size_bytes: u64| PartitionOptions {
            type_guid,
            guid,
            name: name.to_owned(),
            attributes: 0,
            size_bytes: size_bytes.next_multiple_of(gpt::ALIGNMENT_BYTES),
        };
        let root_type = partition_type::root(self.arch);
        let layout = gpt::Layout::new(&DiskOptions {
            guid: self.guid("disk"),
            partitions: vec![
                partition(partition_type::ESP, "esp", self.guid("esp partition"), esp_bytes),
                partition(root_type, "root", self.root_partuuid, root_bytes),
            ],
        })?;
        let starts: Vec<u64> =
            layout.partitions().iter().map(gpt::Partition::offset_bytes).collect();
        if starts != [esp_start, root_start] {
            return Err(Error::internal("the partition table does not fit what was written"));
        }
        file.set_len(layout.disk_bytes()).at("write", Path::new(DISK))?;
        layout.write(&mut FileRegion::whole(file))
    }

    fn write_esp(&self, sink: &mut FileRegion<'_>, start_bytes: u64) -> Result<u64> {
        let size = match self.image.disk.esp_size {
            Size::Minimal => FatSize::Fit { free_bytes: ESP_FREE_BYTES },
            Size::Bytes(bytes, _) => FatSize::Fixed { bytes },
        };
        let partition_lba = start_bytes / gpt::SECTOR_BYTES;
        let options = FatOptions {
            size,
            volume_id: self.guid("esp file system").to_volume_id(),
            label: esp::LABEL.to_owned(),
            epoch_s: self.epoch_s,
            partition_lba: u32::try_from(partition_lba).unwrap_or(u32::MAX),
        };
        let summary = fat::write(&esp::tree(&[(self.arch, self.kernel)])?, &options, sink)
            .map_err(|error| match &self.image.disk.esp_size {
                Size::Bytes(_, place) => error.context(place.to_string()),
                Size::Minimal => error,
            })?;
        Ok(summary.size_bytes.next_multiple_of(gpt::ALIGNMENT_BYTES))
    }
}

/// Counts what is written.
struct Counter<W> {
    out: W,
    count: u64,
}

impl<W: Write> Write for Counter<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
