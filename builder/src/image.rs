//! From a definition to files that boot: kernel, userland, root tree, outputs.
//!
//! [`ImageRequest`] is what a person or another operation asks for and
//! [`BuiltImage`] what it gets. The layers below neither know each other nor
//! where files go; this one puts them together.

mod base_files;
mod build;
pub mod check;
pub mod compose;
pub mod descriptions;
mod digest;
mod disk_room;
mod esp;
mod fingerprint;
mod kernel_needs;
pub mod manifest;
mod modules;
mod names;
mod outputs;
pub mod packages;
mod parameters;
pub mod programs;
mod root;
mod secrets;
pub mod staging;
mod system;
mod system_manifest;

use std::path::PathBuf;

pub use build::build;
pub use system::kernel_request;

use crate::arch::Arch;
use crate::command_line::CommandLine;
use crate::definition::Image;
use crate::project::Project;

/// Sets the time of everything in every output, in seconds since 1970
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
pub const EPOCH_VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// What an error says whose findings are about the outputs.
const CANNOT_BE_MADE: &str = "its outputs cannot be made";

/// An image to build for one architecture.
#[derive(Clone, Debug)]
pub struct ImageRequest {
    /// The repository whose sources are built.
    pub project: Project,
    /// A name under `images/`, or the path of a definition.
    pub image: String,
    /// The architecture; the definition must support it.
    pub arch: Arch,
    /// The directory that holds `<image>/<arch>/`; [`Project::default_output`] if `None`.
    pub output: Option<PathBuf>,
    /// Use nothing that is not on this host yet.
    pub offline: bool,
    /// Refuse every fallback: the pinned kernel or none.
    pub locked: bool,
    /// A kernel source tree or tarball to use in place of the pinned one.
    pub kernel_source: Option<PathBuf>,
}

/// An image on the disk of the host. All paths exist.
#[derive(Clone, Debug)]
pub struct BuiltImage {
    /// What was built.
    pub definition: Image,
    /// What it was built for.
    pub arch: Arch,
    /// Where all of it is: `OUT/<image>/<arch>`.
    pub directory: PathBuf,
    /// bzImage or Image.
    pub kernel: PathBuf,
    /// The whole system as an initramfs, if the definition asks for it.
    pub initramfs: Option<PathBuf>,
    /// The ext4 root alone, if the definition asks for it.
    pub root: Option<PathBuf>,
    /// Kernel, parameters and initramfs as one EFI application, if the definition asks for it.
    pub uki: Option<PathBuf>,
    /// The GPT disk, if the definition asks for it.
    pub disk: Option<PathBuf>,
    /// The disk in QEMU's format, if the definition asks for it.
    pub qcow2: Option<PathBuf>,
    /// The CD image, if the definition asks for it.
    pub iso: Option<PathBuf>,
    /// `PARTUUID` of the disk's root partition, if there is a disk.
    pub root_partuuid: Option<String>,
    /// Inputs and outputs with their digests.
    pub manifest: PathBuf,
    /// The definition's kernel parameters for this architecture, without a `root=` of the builder's.
    pub command_line: CommandLine,
    /// The same with what a kernel without an initramfs finds its root by, if there is one.
    pub root_command_line: Option<CommandLine>,
    /// Whether everything was there already.
    pub is_fresh: bool,
}
