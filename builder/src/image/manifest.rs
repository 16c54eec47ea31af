//! `manifest.json`: what an image was made of and what came of it.
//!
//! It is an output like the others, equal for equal inputs: no times, no host
//! paths, no user. Digests are SHA-256 in lower-case hexadecimal.

use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::arch::Arch;
use crate::cache::file_sha256;
use crate::debian::lock::Locked;
use crate::error::{Error, IoContext, Result};
use crate::kernel::source::SourceRecord;

/// Raised when a field changes its meaning or goes.
pub(super) const FORMAT: u32 = 1;

/// The manifest at `path`, for who looks at an image that is built.
///
/// # Errors
/// If it cannot be read or is not JSON.
pub fn read(path: &Path) -> Result<Value> {
    let bytes = fs::read(path).at("read", path)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::failure(format!("cannot read {}: {error}", path.display())))
}

/// The whole manifest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Manifest<'a> {
    /// [`FORMAT`]
    pub(super) format: u32,
    /// The image's name.
    pub(super) image: &'a str,
    /// Version of the builder.
    pub(super) builder: &'a str,
    /// Every time in every output, in seconds since 1970.
    pub(super) source_date_epoch: u32,
    /// The system that was asked for.
    #[serde(flatten)]
    pub(super) system: SystemRecord<'a>,
    /// Those that share the disk with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) further_systems: Vec<SystemRecord<'a>>,
    /// Digest of both stages of the disk's BIOS loader, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bios_loader: Option<String>,
    /// Definitions and the files that they name, by their path in the repository.
    pub(super) inputs: Vec<FileRecord>,
    /// Outputs but this one, by name.
    pub(super) outputs: Vec<FileRecord>,
}

/// One architecture's system.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SystemRecord<'a> {
    /// The architecture.
    pub(super) arch: Arch,
    /// Kernel parameters, without those that find the root.
    pub(super) command_line: String,
    /// The kernel.
    pub(super) kernel: KernelRecord<'a>,
    /// What UEFI firmware starts, if anything is made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uefi: Option<UefiRecord<'a>>,
    /// What compiled the programs.
    pub(super) userland: UserlandRecord<'a>,
    /// The root tree.
    pub(super) tree: TreeRecord<'a>,
    /// Programs, by their path on the target.
    pub(super) programs: Vec<FileRecord>,
    /// Debian packages that the tree takes from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) packages: Vec<PackageRecord<'a>>,
}

/// A Debian package.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PackageRecord<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// What it is for, as Debian says it.
    pub(super) arch: &'a str,
    /// Its version.
    pub(super) version: &'a str,
    /// Digest of its file.
    pub(super) sha256: &'a str,
}

impl<'a> From<&'a Locked> for PackageRecord<'a> {
    fn from(locked: &'a Locked) -> Self {
        let Locked { name, arch, version, sha256, .. } = locked;
        Self { name, arch, version, sha256 }
    }
}

/// What UEFI firmware starts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(super) enum UefiRecord<'a> {
    /// One file with everything in it.
    #[serde(rename_all = "kebab-case")]
    UnifiedKernelImage {
        /// Digest of the stub.
        stub_sha256: String,
        /// What it was compiled for.
        target: &'a str,
        /// What compiled it.
        compiler: &'a str,
        /// The kernel's parameters.
        parameters: String,
    },
    /// The kernel alone, with the parameters that are built into it.
    Kernel,
}

/// The kernel and where it comes from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct KernelRecord<'a> {
    /// As `uname -r` prints it.
    pub(super) release: &'a str,
    /// What it was built from.
    pub(super) source: &'a SourceRecord,
    /// What compiled it.
    pub(super) compiler: &'a str,
    /// Digest of its final configuration.
    pub(super) config_sha256: String,
    /// How many modules it has, if it loads any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) modules: Option<usize>,
}

/// What compiled the programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct UserlandRecord<'a> {
    /// Cargo's name for the target.
    pub(super) target: String,
    /// `musl` or `gnu`.
    pub(super) libc: &'a str,
    /// The compiler and, for glibc, linker and library.
    pub(super) compiler: Vec<&'a str>,
    /// The compiler of the C that some crates have in them.
    pub(super) c_compiler: &'a str,
}

/// The root tree.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct TreeRecord<'a> {
    /// Digest of all the target can see of it.
    pub(super) sha256: &'a str,
    /// Files, directories, links and nodes.
    pub(super) entries: usize,
    /// `PARTUUID` of the root partition, if there is a disk.
    pub(super) root_partuuid: Option<String>,
}

/// A file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FileRecord {
    /// Name or path.
    pub(super) name: String,
    /// Its length.
    pub(super) size_bytes: u64,
    /// Digest of its content.
    pub(super) sha256: String,
}

impl FileRecord {
    /// Describes the file at `path` under another name.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn of(name: impl Into<String>, path: &Path) -> Result<Self> {
        let size_bytes = fs::metadata(path).at("read", path)?.len();
        Ok(Self { name: name.into(), size_bytes, sha256: file_sha256(path)? })
    }
}

impl Manifest<'_> {
    /// As text for people and programs.
    ///
    /// # Errors
    /// None for what is in it.
    pub(super) fn text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::internal(format!("cannot write the manifest: {error}")))?;
        Ok(text + "\n")
    }
}
