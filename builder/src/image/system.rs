//! One architecture's part of an image: its kernel, its programs, and the root
//! tree that they and the definition make.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::arch::Arch;
use crate::boot::uefi::{self, STUB_VARIABLE, Stub};
use crate::cache::Cache;
use crate::debian::lock::Locked;
use crate::definition::Image;
use crate::definition::resolved::{DiskInitramfs, Fragment};
use crate::elf;
use crate::error::{Error, Result};
use crate::kernel::fragment::Assignment;
use crate::kernel::source::SourceRequest;
use crate::kernel::{self, BuiltKernel, KernelRequest};
use crate::project::Project;
use crate::shell::Shell;
use crate::tree::FileTree;
use crate::userland::workspace::Package;
use crate::userland::{Toolchain, Userland};

use super::check::Plan;
use super::compose::compose;
use super::programs::{BuiltProgram, Program, ProgramSource};
use super::{CANNOT_BE_MADE, ImageRequest, digest, esp, kernel_needs, modules, system_manifest};

/// What one architecture's outputs are made of.
#[derive(Debug)]
pub(super) struct System {
    /// The architecture.
    pub(super) arch: Arch,
    /// Its kernel.
    pub(super) kernel: BuiltKernel,
    /// What compiled the programs.
    pub(super) toolchain: Toolchain,
    /// The programs, in the definition's order.
    pub(super) programs: Vec<BuiltProgram>,
    /// The packages that the tree takes from.
    pub(super) packages: Vec<Locked>,
    /// The whole system.
    pub(super) tree: FileTree,
    /// Its digest, from which identifiers are derived.
    pub(super) tree_sha256: String,
    /// What makes one EFI application of kernel, parameters and initramfs, if
    /// that is asked for and can be had.
    pub(super) stub: Option<Stub>,
}

/// What kernel `image` asks for.
///
/// # Errors
/// If an option is malformed or the default fragments cannot be listed.
pub fn kernel_request(
    project: &Project,
    image: &Image,
    arch: Arch,
    source: SourceRequest,
) -> Result<KernelRequest> {
    let mut fragments = Vec::new();
    for fragment in image.kernel.fragments(arch) {
        match &fragment.value {
            Fragment::Default => fragments.extend(kernel::default_fragments(project)?),
            Fragment::File(path) => fragments.push(path.clone()),
        }
    }
    let mut extra_options = Vec::new();
    let mut findings = Vec::new();
    for option in &image.kernel.options {
        match Assignment::parse(&option.value, option.place.clone()) {
            Ok(option) => extra_options.push(option),
            Err(finding) => findings.push(finding),
        }
    }
    if !findings.is_empty() {
        return Err(Error::findings("the kernel options are wrong", findings));
    }
    let needs = kernel_needs::of_image(image, arch);
    Ok(KernelRequest { project: project.clone(), arch, fragments, extra_options, needs, source })
}

/// Builds systems of one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct SystemBuilder<'a> {
    /// Where progress goes.
    pub(super) shell: &'a Shell,
    /// Where parts are kept.
    pub(super) cache: &'a Cache,
    /// What is asked for.
    pub(super) request: &'a ImageRequest,
    /// The definition.
    pub(super) image: &'a Image,
    /// What it comes to on the architecture that is built.
    pub(super) plan: &'a Plan,
}

impl SystemBuilder<'_> {
    /// Builds what one architecture's outputs are made of.
    ///
    /// # Errors
    /// If a part cannot be built, or the tree lacks something its programs need.
    pub(super) fn build(&self, arch: Arch) -> Result<System> {
        let request = self.request;
        let source = SourceRequest::from_environment(
            request.kernel_source.clone(),
            request.offline,
            request.locked,
        );
        // Before the kernel, which may take long: what cannot be made without a stub is told.
        let stub = self.stub(arch)?;
        let kernel_request = kernel_request(&request.project, self.image, arch, source)?;
        let kernel = kernel::build(self.shell, self.cache, &kernel_request)?;
        if let Some(finding) = esp::shortage(self.image, &[(arch, &kernel.image)])? {
            return Err(Error::findings(CANNOT_BE_MADE, vec![finding]));
        }
        let toolchain = Toolchain::find(self.shell, arch, request.offline)?;
        let userland = Userland {
            shell: self.shell,
            cache: self.cache,
            project: &request.project,
            toolchain: &toolchain,
            offline: request.offline,
        };
        let programs = self.programs(&userland)?;
        let descriptions = &self.plan.descriptions;
        let packages = &self.plan.packages;
        let mut tree =
            compose(&request.project, self.image, arch, descriptions, &programs, packages)?;
        for warning in modules::add(&mut tree, &kernel)? {
            self.shell.warn(warning);
        }
        if let Some(finding) = modules::without_loader(&kernel::requested(&kernel_request)?, &tree)?
        {
            self.shell.warn(finding);
        }
        if programs.iter().any(|built| built.program.binary.name == system_manifest::READER) {
            system_manifest::add(&mut tree, &self.image.name, arch, &kernel)?;
        }
        elf::closure::require(&tree, self.image.machines(arch))?;
        let tree_sha256 = digest::of_tree(&tree)?;
        let packages = packages.iter().cloned().collect();
        Ok(System { arch, kernel, toolchain, programs, packages, tree, tree_sha256, stub })
    }

    fn stub(&self, arch: Arch) -> Result<Option<Stub>> {
        if !self.image.outputs.has_boot_file() {
            return Ok(None);
        }
        let ImageRequest { project, offline, .. } = self.request;
        let stub = uefi::stub(self.shell, self.cache, project, arch, *offline)?;
        if stub.is_none() {
            check_without_stub(self.image, arch)?;
        }
        Ok(stub)
    }

    fn programs(&self, userland: &Userland<'_>) -> Result<Vec<BuiltProgram>> {
        let programs = &self.plan.programs;
        let mut files: BTreeMap<(usize, String), PathBuf> = BTreeMap::new();
        for (rank, package) in Package::ALL.into_iter().enumerate() {
            let mut names: Vec<&str> = programs
                .iter()
                .filter(|program| rank_of(program.source) == rank)
                .map(|program| program.binary.name.as_str())
                .collect();
            names.sort_unstable();
            names.dedup();
            for binary in userland.workspace(package, &names)? {
                files.insert((rank, binary.name), binary.path);
            }
        }
        for (index, wanted) in self.image.crates.iter().enumerate() {
            for binary in userland.foreign(wanted)? {
                files.insert((rank_of(ProgramSource::Crate(index)), binary.name), binary.path);
            }
        }
        let built = |program: &Program| {
            let key = (rank_of(program.source), program.binary.name.clone());
            match files.get(&key).cloned() {
                Some(file) => Ok(BuiltProgram { program: program.clone(), file: Some(file) }),
                None => Err(Error::internal(format!("{} was not built", program.binary.name))),
            }
        };
        programs.iter().map(built).collect()
    }
}

/// A number for each thing that builds programs: the packages, then the crates.
const fn rank_of(source: ProgramSource) -> usize {
    match source {
        ProgramSource::Init => 0,
        ProgramSource::Services => 1,
        ProgramSource::Sshd => 2,
        ProgramSource::Crate(index) => 3 + index,
    }
}

/// Refuses outputs that need the stub where it cannot be had.
///
/// # Errors
/// Naming the first such output.
fn check_without_stub(image: &Image, arch: Arch) -> Result<()> {
    let needing = [
        (image.outputs.uki, "a unified kernel image"),
        (image.outputs.iso, "an ISO"),
        (image.disk.initramfs != DiskInitramfs::None, "an initramfs on the disk"),
        (image.system_arches(arch).len() > 1, "a disk for two architectures"),
    ];
    match needing.into_iter().find(|(is_wanted, _)| *is_wanted) {
        None => Ok(()),
        Some((_, what)) => Err(Error::host(format!(
            "{what} needs the UEFI stub for {arch}, which is not to be had"
        ))
        .hint(format!(
            "run `rustup target add {arch}-unknown-uefi`, and leave {STUB_VARIABLE} unset"
        ))),
    }
}
