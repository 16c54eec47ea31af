//! The outputs of an image: what is packed how, and how the parts find each other.
//!
//! The initramfs is the whole system in RAM and carries the image's kernel
//! parameters as a boot configuration. The disk has what firmware starts on an
//! EFI system partition, and the ext4 root, whose PARTUUID its parameters name.

mod boot_file;
mod disk;
mod initramfs;

use std::fs::{self, File};
use std::io::Write;

use crate::cache::file_sha256;
use crate::definition::Image;
use crate::definition::resolved::{DiskInitramfs, Size};
use crate::error::{Context, Error, IoContext, Result};
use crate::format::bios_boot::{self, BootCode};
use crate::format::ext4::{Ext4Options, Ext4Size};
use crate::format::guid::Guid;
use crate::format::iso9660::{self, IsoOptions};
use crate::format::sink::FileRegion;
use crate::format::source::FileSource;
use crate::format::{bootconfig, ext4, qcow2};

use super::manifest::{
    FileRecord, KernelRecord, PackageRecord, SystemRecord, TreeRecord, UserlandRecord,
};
use super::names::{DISK, ISO, KERNEL, QCOW2, ROOT, UKI};
use super::staging::Staging;
use super::system::System;
use super::{parameters, root};
use boot_file::BootFile;
use disk::Medium;

/// The volume identifier of every ISO.
const ISO_VOLUME_ID: &str = "KEELSON";
/// Share of the blocks of the root that only root may use, in percent. None: a
/// small system's services are root's or bounded otherwise.
const RESERVED_PERCENT: u8 = 0;

/// Everything that outputs are made of, and how they are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outputs<'a> {
    /// The definition.
    pub(super) image: &'a Image,
    /// The systems, in the order of `Arch::ALL`. More than one is for the disk.
    pub(super) systems: &'a [System],
    /// Which of them the other outputs are of.
    pub(super) requested: usize,
    /// What starts a disk from a BIOS, if one of the systems is for such machines.
    pub(super) bios_loader: Option<&'a BootCode>,
    /// Every time in every output, in seconds since 1970.
    pub(super) epoch_s: u32,
}

impl Outputs<'_> {
    /// The system that all outputs but the disk are of.
    pub(super) fn system(&self) -> &System {
        &self.systems[self.requested]
    }

    /// The `PARTUUID` of the requested system's root partition, if there is one.
    pub(super) fn partuuid(&self) -> Result<Option<Guid>> {
        self.image.disk_has_root().then(|| self.root_partuuid(self.system())).transpose()
    }

    /// What the manifest says of a system.
    ///
    /// # Errors
    /// If a part cannot be read.
    pub(super) fn record<'s>(&self, system: &'s System) -> Result<SystemRecord<'s>> {
        let mut programs = Vec::new();
        for built in &system.programs {
            if let Some(file) = &built.file {
                programs.push(FileRecord::of(built.program.binary.path.to_string(), file)?);
            }
        }
        let has_partition = self.image.disk_has_root();
        let root_partuuid = has_partition.then(|| self.root_partuuid(system)).transpose()?;
        Ok(SystemRecord {
            arch: system.arch,
            command_line: parameters::of_definition(self.image, system.arch).to_string(),
            kernel: KernelRecord {
                release: &system.kernel.release,
                source: &system.kernel.source,
                compiler: &system.kernel.compiler,
                config_sha256: file_sha256(&system.kernel.config)?,
                modules: system.kernel.module_count()?,
            },
            uefi: self.uefi_record(system)?,
            userland: UserlandRecord {
                target: system.toolchain.triple().to_owned(),
                libc: system.toolchain.libc.as_str(),
                compiler: system.toolchain.identity.lines().collect(),
                c_compiler: system.toolchain.c_identity.lines().next().unwrap_or_default(),
            },
            tree: TreeRecord {
                sha256: &system.tree_sha256,
                entries: system.tree.len(),
                root_partuuid: root_partuuid.map(|guid| guid.to_string()),
            },
            programs,
            packages: system.packages.iter().map(PackageRecord::from).collect(),
        })
    }

    /// Writes every output the definition asks for but the manifest.
    ///
    /// # Errors
    /// If something does not fit or cannot be written.
    pub(super) fn write(&self, staging: &mut Staging<'_>) -> Result<()> {
        let wanted = &self.image.outputs;
        let system = self.system();
        for system in self.systems {
            if let Some(finding) = root::shortage(self.image, &system.tree, "its content")? {
                return Err(Error::findings("its root cannot be made", vec![finding]));
            }
        }
        let kernel = fs::read(&system.kernel.image).at("read", &system.kernel.image)?;
        staging.create(KERNEL)?.write_all(&kernel).at("write", &staging.path_of(KERNEL))?;
        if wanted.initramfs {
            let name = initramfs::name(self.image);
            let file = staging.create(&name)?;
            self.write_initramfs(&file).context(|| format!("cannot make {name}"))?;
        }
        if wanted.root {
            let file = staging.create(ROOT)?;
            self.write_root(system, self.root_size(), &mut FileRegion::whole(&file))
                .context(|| format!("cannot make {ROOT}"))?;
        }
        self.write_bootable(staging)
    }

    /// Writes what machines boot from. Outputs whose kernels start with the same
    /// initramfs share their boot files.
    fn write_bootable(&self, staging: &mut Staging<'_>) -> Result<()> {
        let wanted = &self.image.outputs;
        let initramfs = self.image.boot_initramfs();
        let mut boot_files = Vec::new();
        if wanted.has_boot_file() {
            boot_files = self.write_boot_files(initramfs, staging)?;
        }
        if wanted.uki {
            self.copy_uki(&boot_files, staging).context(|| format!("cannot make {UKI}"))?;
        }
        if wanted.has_disk() {
            self.write_disk(&boot_files, staging)?;
        }
        if wanted.iso {
            if initramfs != DiskInitramfs::System {
                boot_files = self.write_boot_files(DiskInitramfs::System, staging)?;
            }
            self.write_iso(&boot_files, staging).context(|| format!("cannot make {ISO}"))?;
        }
        Ok(())
    }

    /// The boot files of all systems, in their order.
    fn write_boot_files(
        &self,
        initramfs: DiskInitramfs,
        staging: &mut Staging<'_>,
    ) -> Result<Vec<BootFile>> {
        let boot_file = |system| {
            self.write_boot_file(system, initramfs, staging)
                .context(|| "cannot make what firmware starts".to_owned())
        };
        self.systems.iter().map(boot_file).collect()
    }

    /// The boot file of the disk as an output of its own.
    fn copy_uki(&self, boot_files: &[BootFile], staging: &mut Staging<'_>) -> Result<()> {
        let boot_file = &boot_files[self.requested];
        let mut from = File::open(&boot_file.path).at("open", &boot_file.path)?;
        let mut file = staging.create(UKI)?;
        std::io::copy(&mut from, &mut file).at("write", &staging.path_of(UKI)).map(|_bytes| ())
    }

    fn write_disk(&self, boot_files: &[BootFile], staging: &mut Staging<'_>) -> Result<()> {
        let wanted = &self.image.outputs;
        let file = if wanted.disk { staging.create(DISK)? } else { staging.scratch(DISK)?.0 };
        self.write_medium(&self.disk_medium(), boot_files, &file)
            .context(|| format!("cannot make {DISK}"))?;
        if wanted.qcow2 {
            let source = FileSource::new(file).at("read", &staging.path_of(DISK))?;
            let file = staging.create(QCOW2)?;
            qcow2::write(&source, &mut FileRegion::whole(&file))
                .context(|| format!("cannot make {QCOW2}"))?;
        }
        Ok(())
    }

    /// A medium that is read only: the whole system is in RAM.
    fn write_iso(&self, boot_files: &[BootFile], staging: &mut Staging<'_>) -> Result<()> {
        let file = staging.create(ISO)?;
        let medium = Medium { has_roots: false, size: None, esp_size: &Size::Minimal };
        let written = self.write_medium(&medium, boot_files, &file)?;
        let loader = self.bios_loader.zip(written.boot_table.as_ref());
        let bios_image =
            loader.map(|(code, table)| bios_boot::cd_image(code, table)).transpose()?;
        let options = IsoOptions {
            volume_id: ISO_VOLUME_ID,
            epoch_s: self.epoch_s,
            disk_bytes: written.len_bytes,
            esp: written.esp,
            bios_image: bios_image.as_deref(),
        };
        iso9660::install(&options, &mut FileRegion::whole(&file))
    }

    fn write_initramfs(&self, file: &File) -> Result<()> {
        let system = self.system();
        let tree = initramfs::with_entry(&system.tree)?;
        let words = parameters::of_definition(self.image, system.arch).to_string();
        let text = bootconfig::from_command_line(&words)?;
        initramfs::write(self.image, &tree, &text, self.epoch_s, file)
    }

    /// An identifier of something that is one system's.
    fn guid(&self, purpose: &str, system: &System) -> Guid {
        let root = &self.image.root;
        let size = format!("{:?} {}", self.root_size(), root.free_bytes);
        let parts = [&system.tree_sha256, system.arch.as_str(), &root.label, &size];
        Guid::derive(purpose, &parts.map(str::as_bytes))
    }

    /// An identifier of something that all systems share.
    fn disk_guid(&self, purpose: &str) -> Guid {
        let parts: Vec<String> =
            self.systems.iter().map(|system| self.guid(purpose, system).to_string()).collect();
        let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
        Guid::derive(purpose, &parts)
    }

    fn root_size(&self) -> Ext4Size {
        match self.image.root.size {
            Size::Minimal => Ext4Size::Fit { free_bytes: self.image.root.free_bytes },
            Size::Bytes(bytes, _) => Ext4Size::Fixed { bytes },
        }
    }

    /// Writes a system's root and says how large it is, in bytes.
    fn write_root(
        &self,
        system: &System,
        size: Ext4Size,
        sink: &mut FileRegion<'_>,
    ) -> Result<u64> {
        let options = Ext4Options {
            size,
            uuid: self.guid("root file system", system),
            hash_seed: self.guid("root directory hash", system),
            label: self.image.root.label.clone(),
            epoch_s: self.epoch_s,
            reserved_percent: RESERVED_PERCENT,
        };
        Ok(ext4::write(&system.tree, &options, sink)?.size_bytes)
    }
}
