//! What UEFI firmware starts: one file with kernel, parameters and initramfs, or,
//! where its stub cannot be had, the kernel alone with the parameters built into it.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use crate::cache::file_sha256;
use crate::definition::resolved::DiskInitramfs;
use crate::error::{IoContext, Result};
use crate::format::guid::Guid;
use crate::format::sink::FileRegion;
use crate::format::source::{FileSource, Source};
use crate::format::uki;
use crate::image::manifest::UefiRecord;
use crate::image::staging::Staging;
use crate::image::system::System;
use crate::image::{base_files, parameters};
use crate::kernel::{self, config::Config};

use super::{Outputs, initramfs};

/// An EFI application that boots a system, and where in it the parts lie.
#[derive(Debug)]
pub(super) struct BootFile {
    /// Where it is on the host.
    pub(super) path: PathBuf,
    /// The kernel's bytes in it.
    pub(super) kernel: Range<u64>,
    /// The initramfs' bytes in it.
    pub(super) initramfs: Option<Range<u64>>,
    /// The parameters that whoever loads the kernel by hand gives it.
    pub(super) command_line: String,
}

impl Outputs<'_> {
    /// The `PARTUUID` of a system's root partition. A kernel that is started
    /// alone looks for the one built into it.
    pub(super) fn root_partuuid(&self, system: &System) -> Result<Guid> {
        match system.stub {
            Some(_) => Ok(self.guid("root partition", system)),
            None => kernel::ROOT_PARTUUID.parse(),
        }
    }

    /// Makes the boot file of a system as a scratch file.
    pub(super) fn write_boot_file(
        &self,
        system: &System,
        initramfs: DiskInitramfs,
        staging: &mut Staging<'_>,
    ) -> Result<BootFile> {
        let partuuid = self.root_partuuid(system)?;
        let command_line =
            parameters::of_disk(self.image, system.arch, initramfs, partuuid).to_string();
        let config = &system.kernel.config;
        let config = Config::parse(&fs::read_to_string(config).at("read", config)?);
        parameters::check_room(system.arch, &config, &command_line)?;
        let Some(stub) = &system.stub else {
            return self.kernel_alone(system, command_line);
        };
        let initramfs = self.write_disk_initramfs(system, initramfs, staging)?;
        let stub = fs::read(&stub.path).at("read", &stub.path)?;
        let kernel_path = &system.kernel.image;
        let kernel = open(kernel_path)?;
        let initramfs = initramfs.as_ref().map(open).transpose()?;
        let parts = uki::Parts {
            stub: &stub,
            kernel: &kernel,
            initramfs: initramfs.as_ref().map(|source| source as &dyn Source),
            command_line: &command_line,
            release: &system.kernel.release,
            os_release: &base_files::os_release(self.image),
        };
        let (file, path) = staging.scratch(&format!("{}.efi", system.arch))?;
        let layout = uki::write(&parts, &mut FileRegion::whole(&file))?;
        Ok(BootFile { path, kernel: layout.kernel, initramfs: layout.initramfs, command_line })
    }

    /// What the manifest says of it.
    pub(super) fn uefi_record<'s>(&self, system: &'s System) -> Result<Option<UefiRecord<'s>>> {
        if !self.image.outputs.has_boot_file() {
            return Ok(None);
        }
        let Some(stub) = &system.stub else { return Ok(Some(UefiRecord::Kernel)) };
        let partuuid = self.root_partuuid(system)?;
        Ok(Some(UefiRecord::UnifiedKernelImage {
            stub_sha256: file_sha256(&stub.path)?,
            target: &stub.target,
            compiler: &stub.compiler,
            parameters: parameters::of_disk(
                self.image,
                system.arch,
                self.image.boot_initramfs(),
                partuuid,
            )
            .to_string(),
        }))
    }

    fn kernel_alone(&self, system: &System, command_line: String) -> Result<BootFile> {
        let path = system.kernel.image.clone();
        let len_bytes = fs::metadata(&path).at("read", &path)?.len();
        Ok(BootFile { path, kernel: 0..len_bytes, initramfs: None, command_line })
    }

    /// The initramfs that the disk's kernel starts with, as a scratch file.
    fn write_disk_initramfs(
        &self,
        system: &System,
        initramfs: DiskInitramfs,
        staging: &mut Staging<'_>,
    ) -> Result<Option<PathBuf>> {
        let tree = match initramfs {
            DiskInitramfs::None => return Ok(None),
            DiskInitramfs::Root => initramfs::switching(&system.tree)?,
            DiskInitramfs::System => initramfs::with_entry(&system.tree)?,
        };
        let (file, path) = staging.scratch(&format!("{}.cpio", system.arch))?;
        let parameters = initramfs::NEUTRAL_PARAMETERS;
        initramfs::write(self.image, &tree, parameters, self.epoch_s, &file)?;
        Ok(Some(path))
    }
}

fn open(path: &PathBuf) -> Result<FileSource> {
    let file = fs::File::open(path).at("open", path)?;
    FileSource::new(file).at("read", path)
}
