//! A checked image definition: what the rest of the builder trusts.
//!
//! Names are legal, sizes are numbers, paths are absolute on the target and
//! real places on the host, every mentioned user and group exists. Whether the
//! services exist and the files can be read is for those who open them to say.

use std::path::{Path, PathBuf};

use init_core::diagnostic::Place;
use init_core::mount::MountKind;
use init_core::name::ServiceName;

use super::raw::Located;
use crate::arch::Arch;
use crate::bus::Bus;
use crate::command_line::names_root;
use crate::elf::machine::{Machine, Machines};
use crate::error::{Error, Result};
use crate::tree::TreePath;
use crate::tree::pattern::Pattern;

/// An image to build.
#[derive(Clone, Debug)]
pub struct Image {
    /// The definition file's name without `.toml`; names the output directory.
    pub name: String,
    /// One line for people; may be empty.
    pub description: String,
    /// The architectures it supports; at least one.
    pub arches: Vec<Arch>,
    /// The host name on the target.
    pub hostname: String,
    /// What is built beside the kernel.
    pub outputs: Outputs,
    /// Services of the repository, each with its place.
    pub services: Vec<Located<ServiceName>>,
    /// Host directories laid over the tree, in order.
    pub overlays: Vec<Located<PathBuf>>,
    /// Kernel configuration and command line.
    pub kernel: Kernel,
    /// How the initramfs is packed.
    pub initramfs: Initramfs,
    /// The ext4 root.
    pub root: Root,
    /// The disk.
    pub disk: Disk,
    /// Binaries of the `services` package without a description.
    pub tools: Vec<Tool>,
    /// Rust crates built for the target.
    pub crates: Vec<Crate>,
    /// Debian packages.
    pub packages: Vec<Package>,
    /// Users, by uid.
    pub users: Vec<User>,
    /// Groups, by gid.
    pub groups: Vec<Group>,
    /// Single files.
    pub files: Vec<File>,
    /// Single directories.
    pub directories: Vec<Directory>,
    /// Single symbolic links.
    pub symlinks: Vec<Symlink>,
    /// The kinds of what is mounted beside the root, each with the place that asks for it.
    pub mounts: Vec<Located<MountKind>>,
    /// Whether a data partition is to be made behind the roots at the first boot.
    pub has_data: bool,
    /// Every definition file that was read, inherited ones first.
    pub sources: Vec<PathBuf>,
}

/// What is built beside the kernel and the manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outputs {
    /// Where it was said.
    pub place: Place,
    /// The whole system as a compressed cpio archive.
    pub initramfs: bool,
    /// The whole system as an ext4 file system.
    pub root: bool,
    /// Kernel, parameters and initramfs as one EFI application.
    pub uki: bool,
    /// A GPT disk with an EFI system partition and the ext4 root.
    pub disk: bool,
    /// The same disk in QEMU's own format.
    pub qcow2: bool,
    /// A CD image that boots into the whole system in RAM, also from a USB stick.
    pub iso: bool,
}

/// Kernel configuration and command line.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    /// Fragments for every architecture, in order.
    pub fragments: Vec<Located<Fragment>>,
    /// Single options as a `.config` has them; they win over all fragments.
    pub options: Vec<Located<String>>,
    /// Parameters for every architecture.
    pub command_line: Parameters,
    /// What one architecture adds, in the order of [`Arch::ALL`].
    pub per_arch: [ArchKernel; 2],
}

/// What one architecture adds to [`Kernel`].
#[derive(Clone, Debug, Default)]
pub struct ArchKernel {
    /// Further fragments.
    pub fragments: Vec<Located<Fragment>>,
    /// Further parameters.
    pub command_line: Parameters,
}

/// What a kernel is given on its command line, one word each.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    /// The kernel's own.
    pub kernel: Vec<Located<String>>,
    /// What stands behind a `--`: arguments of init.
    pub init: Vec<Located<String>>,
}

/// A kernel configuration fragment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fragment {
    /// Every fragment of `kernel-config/` that is no architecture's own.
    Default,
    /// This file.
    File(PathBuf),
}

/// How an initramfs is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Initramfs {
    /// The compressor.
    pub compression: Compression,
    /// Its level: 1 to 9 for gzip, 1 to 22 for zstd.
    pub level: u8,
}

/// A compressor the kernel can undo.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// Zstandard: `initramfs.cpio.zst`.
    Zstd,
    /// gzip: `initramfs.cpio.gz`.
    Gzip,
    /// None: `initramfs.cpio`.
    None,
}

/// A size that is given, or as small as the content allows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Size {
    /// As small as the content allows.
    Minimal,
    /// This many bytes, and where it was said.
    Bytes(u64, Place),
}

/// The ext4 root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Root {
    /// Its size; [`Size::Minimal`] leaves `free_bytes` on top of the content.
    pub size: Size,
    /// Free space to leave at least, in bytes.
    pub free_bytes: u64,
    /// Its volume label, 16 bytes at most.
    pub label: String,
}

/// The disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// Size of the whole disk; what is left goes to the last root.
    pub size: Size,
    /// Size of the EFI system partition.
    pub esp_size: Size,
    /// What the kernel gets to start with.
    pub initramfs: DiskInitramfs,
    /// Where the kernel must find the disk without a module.
    pub buses: Vec<Located<Bus>>,
    /// The architectures it boots on, beside the one that is built.
    pub arches: Vec<Located<Arch>>,
}

/// What the kernel on a disk gets to start with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskInitramfs {
    /// Nothing: it mounts the root itself.
    None,
    /// PID 1 alone, which finds, checks and mounts the root.
    Root,
    /// The whole system, in RAM: the disk has no root.
    System,
}

/// A binary of the `services` package without a description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tool {
    /// Its name in the package, where it goes, and its further names.
    pub binary: Binary,
    /// Where it was asked for.
    pub place: Place,
}

/// A binary and its names on the target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binary {
    /// The name Cargo knows it by.
    pub name: String,
    /// Where it goes.
    pub path: TreePath,
    /// Symbolic links to it.
    pub links: Vec<TreePath>,
}

/// A Rust crate built for the target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crate {
    /// The package's name.
    pub name: String,
    /// Where its source is.
    pub source: CrateSource,
    /// Cargo features, sorted.
    pub features: Vec<String>,
    /// Whether the crate's default features are on.
    pub default_features: bool,
    /// What is taken from it; at least one.
    pub binaries: Vec<Binary>,
    /// Service descriptions on the host that come with it.
    pub descriptions: Vec<PathBuf>,
    /// Where it was asked for.
    pub place: Place,
}

/// Where a crate's source is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CrateSource {
    /// The crate registry, at exactly this version (without the `=`).
    Registry(String),
    /// A directory on the host with a `Cargo.toml` and a `Cargo.lock`.
    Directory {
        /// The directory: a package, or a Cargo workspace.
        root: PathBuf,
        /// Where the package is in it; empty if it is the directory itself.
        package: PathBuf,
    },
}

/// A Debian package whose files are taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// What it must be for.
    pub arch: PackageArch,
    /// The version that is taken, if one is fixed here.
    pub version: Option<String>,
    /// Which of its paths; without one that is no exclusion, all but documentation.
    pub paths: Vec<Located<Pattern>>,
    /// Whether what programs need to run is taken from packages it depends on.
    pub depends: bool,
    /// Further names of one of its programs, and the program.
    pub commands: Vec<(TreePath, TreePath)>,
    /// Whether its files may take the place of others.
    pub replace: bool,
    /// Where it was asked for.
    pub place: Place,
}

/// The architecture of a package.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PackageArch {
    /// That of the image.
    Native,
    /// 32-bit x86, in images for x86_64 alone.
    I386,
}

/// A user of the target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Id of the primary group.
    pub gid: u32,
    /// For people (the GECOS field).
    pub description: String,
    /// Home directory.
    pub home: TreePath,
    /// Login shell.
    pub shell: TreePath,
    /// The hash in `/etc/shadow`: `!` and `*` match nothing, empty asks for none.
    pub password: String,
    /// Public keys that open the account, a line each (sshd(8), without options).
    pub ssh_keys: Vec<String>,
}

/// A group of the target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Group id.
    pub gid: u32,
    /// Users in it beside those whose primary group it is.
    pub members: Vec<String>,
}

/// A single file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Where it goes.
    pub path: TreePath,
    /// What is in it.
    pub content: FileContent,
    /// Permission bits.
    pub mode: u16,
    /// Owner's user id.
    pub uid: u32,
    /// Owner's group id.
    pub gid: u32,
    /// Whether it may take the place of another file.
    pub replace: bool,
    /// Where it was asked for.
    pub place: Place,
}

/// What is in a [`File`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileContent {
    /// This text.
    Text(String),
    /// The bytes of this host file.
    Source(PathBuf),
}

/// A single directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directory {
    /// Where it goes.
    pub path: TreePath,
    /// Permission bits.
    pub mode: u16,
    /// Owner's user id.
    pub uid: u32,
    /// Owner's group id.
    pub gid: u32,
    /// Where it was asked for.
    pub place: Place,
}

/// A single symbolic link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Symlink {
    /// Where it goes.
    pub path: TreePath,
    /// What it points to.
    pub target: String,
    /// Whether it may take the place of another file.
    pub replace: bool,
    /// Where it was asked for.
    pub place: Place,
}

impl Disk {
    /// Name of the EFI system partition.
    pub const ESP_NAME: &str = "esp";

    /// Name of a root partition; with its architecture where the disk has several.
    #[must_use]
    pub fn root_name(arch: Option<Arch>) -> String {
        arch.map_or_else(|| "root".to_owned(), |arch| format!("root-{arch}"))
    }
}

impl Image {
    /// That it is made for this architecture.
    ///
    /// # Errors
    /// If it is not: which ones it is made for.
    pub fn require_arch(&self, arch: Arch) -> Result<()> {
        if self.arches.contains(&arch) {
            return Ok(());
        }
        let arches: Vec<&str> = self.arches.iter().map(|arch| arch.as_str()).collect();
        Err(Error::definition(format!("it is not made for {arch}"))
            .hint(format!("its `arch` is {}", arches.join(", "))))
    }

    /// The architectures whose systems are in the outputs when it is built for
    /// `arch`, in the order of [`Arch::ALL`].
    #[must_use]
    pub fn system_arches(&self, arch: Arch) -> Vec<Arch> {
        let is_on_disk = |other: &Arch| self.disk.arches.iter().any(|on| on.value == *other);
        let has_medium = self.outputs.has_medium();
        let is_held = |other: &Arch| *other == arch || has_medium && is_on_disk(other);
        Arch::ALL.into_iter().filter(is_held).collect()
    }

    /// Whether an ext4 root is made, alone or on a disk.
    #[must_use]
    pub fn has_root(&self) -> bool {
        self.outputs.root || self.disk_has_root()
    }

    /// What the kernel that firmware starts begins with: what the disk's is to, and on a CD
    /// alone the whole system, for it has no root.
    #[must_use]
    pub fn boot_initramfs(&self) -> DiskInitramfs {
        if self.outputs.uki || self.outputs.has_disk() {
            self.disk.initramfs
        } else {
            DiskInitramfs::System
        }
    }

    /// Whether a disk with a root partition is made.
    #[must_use]
    pub fn disk_has_root(&self) -> bool {
        self.outputs.has_disk() && self.disk.initramfs != DiskInitramfs::System
    }

    /// Whether its parameters for `arch` name a root of their own.
    #[must_use]
    pub fn names_root(&self, arch: Arch) -> bool {
        names_root(self.kernel.parameters(arch).map(|word| word.value.as_str()))
    }
}

impl Image {
    /// The files of the host that it names: sources of files, kernel fragments, descriptions of
    /// crates.
    pub fn named_files(&self) -> impl Iterator<Item = &Path> {
        let sources = self.files.iter().filter_map(|file| match &file.content {
            FileContent::Source(path) => Some(path),
            _ => None,
        });
        let per_arch = self.kernel.per_arch.iter().flat_map(|arch| &arch.fragments);
        let fragments = self.kernel.fragments.iter().chain(per_arch);
        let fragments = fragments.filter_map(|fragment| match &fragment.value {
            Fragment::File(path) => Some(path),
            Fragment::Default => None,
        });
        let descriptions = self.crates.iter().flat_map(|wanted| &wanted.descriptions);
        sources.chain(fragments).chain(descriptions).map(PathBuf::as_path)
    }

    /// The machines whose programs its system for `arch` runs.
    #[must_use]
    pub fn machines(&self, arch: Arch) -> Machines {
        let has_i386 = self.packages.iter().any(|one| one.machine(arch) == Some(Machine::I386));
        Machines { arch, has_i386 }
    }
}

impl Package {
    /// What it is for in an image for `arch`; `None` if it is not in that one.
    #[must_use]
    pub fn machine(&self, arch: Arch) -> Option<Machine> {
        match (self.arch, arch) {
            (PackageArch::Native, arch) => Some(Machine::of(arch)),
            (PackageArch::I386, Arch::X86_64) => Some(Machine::I386),
            (PackageArch::I386, Arch::Aarch64) => None,
        }
    }
}

impl Outputs {
    /// Whether a disk is made, in whatever format.
    #[must_use]
    pub fn has_disk(&self) -> bool {
        self.disk || self.qcow2
    }

    /// Whether something is made that a machine boots from, be it a disk or a CD.
    #[must_use]
    pub fn has_medium(&self) -> bool {
        self.iso || self.has_disk()
    }

    /// Whether an EFI application is made for firmware to start.
    #[must_use]
    pub fn has_boot_file(&self) -> bool {
        self.uki || self.has_medium()
    }
}

impl Kernel {
    /// The fragments for `arch`, common ones first.
    pub fn fragments(&self, arch: Arch) -> impl Iterator<Item = &Located<Fragment>> {
        self.fragments.iter().chain(&self.of(arch).fragments)
    }

    /// The kernel's own parameters for `arch`, common ones first.
    pub fn parameters(&self, arch: Arch) -> impl Iterator<Item = &Located<String>> {
        self.command_line.kernel.iter().chain(&self.of(arch).command_line.kernel)
    }

    /// The arguments of init for `arch`, common ones first.
    pub fn init_arguments(&self, arch: Arch) -> impl Iterator<Item = &Located<String>> {
        self.command_line.init.iter().chain(&self.of(arch).command_line.init)
    }

    fn of(&self, arch: Arch) -> &ArchKernel {
        let [x86_64, aarch64] = &self.per_arch;
        match arch {
            Arch::X86_64 => x86_64,
            Arch::Aarch64 => aarch64,
        }
    }
}

impl Compression {
    /// What follows `initramfs.cpio` in the output's name.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
            Self::None => "",
        }
    }
}
