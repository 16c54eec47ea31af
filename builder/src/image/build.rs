//! One image for one architecture, from request to finished files.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::cache::{Cache, file_sha256};
use crate::definition::resolved::Fragment;
use crate::definition::{self, Image};
use crate::elf;
use crate::error::{Context, Error, IoContext, Result};
use crate::kernel::fragment::Assignment;
use crate::kernel::source::SourceRequest;
use crate::kernel::{self, BuiltKernel, KernelRequest};
use crate::project::Project;
use crate::shell::Shell;
use crate::tree::FileTree;
use crate::userland::workspace::Package;
use crate::userland::{Toolchain, Userland};

use super::check::{self, Plan};
use super::compose::compose;
use super::descriptions::Description;
use super::fingerprint::{self, State};
use super::manifest::{FORMAT, FileRecord, KernelRecord, Manifest, TreeRecord, UserlandRecord};
use super::outputs::{DISK, KERNEL, MANIFEST, Material, NAMES, ROOT};
use super::programs::{BuiltProgram, Program, ProgramSource};
use super::staging::{OutputDirectory, Staging};
use super::{BuiltImage, EPOCH_VARIABLE, ImageRequest, digest, esp};

/// The time that everything in an image has unless `SOURCE_DATE_EPOCH` says
/// otherwise: 2025-01-01 00:00:00 UTC. Any constant would do; this one is after
/// 1980, where FAT begins.
const EPOCH_DEFAULT_S: u32 = 1_735_689_600;
/// What outputs of a fixed size come to that is too small.
const CANNOT_BE_MADE: &str = "its outputs cannot be made";

/// Builds an image, or finds that there is nothing to do.
///
/// # Errors
/// If the definition is wrong, a part cannot be built, or an output cannot be written.
pub fn build(shell: &Shell, request: &ImageRequest) -> Result<BuiltImage> {
    let image = definition::load(&request.project, &request.image)?;
    build_loaded(shell, request, &image)
        .context(|| format!("cannot build image {} for {}", image.name, request.arch))
}

fn build_loaded(shell: &Shell, request: &ImageRequest, image: &Image) -> Result<BuiltImage> {
    if !image.arches.contains(&request.arch) {
        let arches: Vec<&str> = image.arches.iter().map(|arch| arch.as_str()).collect();
        let message = format!("it is not made for {}", request.arch);
        return Err(Error::definition(message).hint(format!("its `arch` is {}", arches.join(", "))));
    }
    let output = request.output.clone().unwrap_or_else(|| request.project.default_output());
    let path = output.join(&image.name).join(request.arch.as_str());
    let cache = Cache::open()?;
    let fingerprint = fingerprint::of_request(shell, &cache, request, image)?;
    if let Some(state) = State::find(&path, &fingerprint) {
        return Ok(built(request, image, &path, &state, true));
    }
    let directory = OutputDirectory::open(shell, &path)?;
    // Another builder may have done it while this one waited for the lock.
    if let Some(state) = State::find(&path, &fingerprint) {
        return Ok(built(request, image, &path, &state, true));
    }
    let state = Builder { shell, cache: &cache, request, image }.build(&directory, fingerprint)?;
    Ok(built(request, image, &path, &state, false))
}

fn built(
    request: &ImageRequest,
    image: &Image,
    directory: &Path,
    state: &State,
    is_fresh: bool,
) -> BuiltImage {
    let output = |wanted: &dyn Fn(&str) -> bool| {
        state.names().find(|name| wanted(name)).map(|name| directory.join(name))
    };
    BuiltImage {
        definition: image.clone(),
        arch: request.arch,
        directory: directory.to_owned(),
        kernel: directory.join(KERNEL),
        initramfs: output(&|name| name.starts_with("initramfs.")),
        root: output(&|name| name == ROOT),
        disk: output(&|name| name == DISK),
        root_partuuid: state.root_partuuid.clone(),
        manifest: directory.join(MANIFEST),
        command_line: command_line(image, request),
        is_fresh,
    }
}

/// The time that everything in an image has, in seconds since 1970.
///
/// # Errors
/// If `SOURCE_DATE_EPOCH` is no such number.
fn epoch_s() -> Result<u32> {
    let Some(value) = std::env::var_os(EPOCH_VARIABLE).filter(|value| !value.is_empty()) else {
        return Ok(EPOCH_DEFAULT_S);
    };
    value.to_str().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        Error::definition(format!("{EPOCH_VARIABLE} is {value:?}, no number of seconds since 1970"))
    })
}

fn command_line(image: &Image, request: &ImageRequest) -> Vec<String> {
    image.kernel.command_line(request.arch).map(|word| word.value.clone()).collect()
}

/// What the kernel of `image` is asked to be.
///
/// # Errors
/// If an option is malformed or `kernel-config/` cannot be read.
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
    Ok(KernelRequest { project: project.clone(), arch, fragments, extra_options, source })
}

struct Builder<'a> {
    shell: &'a Shell,
    cache: &'a Cache,
    request: &'a ImageRequest,
    image: &'a Image,
}

impl Builder<'_> {
    fn build(&self, directory: &OutputDirectory, fingerprint: String) -> Result<State> {
        let project = &self.request.project;
        let epoch_s = epoch_s()?;
        // What can be found wrong without building is found before.
        let Plan { descriptions, programs, verdict, output_findings, .. } =
            check::plan(project, self.image)?;
        for warning in &verdict.warnings {
            self.shell.warn(warning);
        }
        if !verdict.errors.is_empty() {
            return Err(Error::findings("its services cannot run", verdict.errors));
        }
        if !output_findings.is_empty() {
            return Err(Error::findings(CANNOT_BE_MADE, output_findings));
        }
        let source = SourceRequest::from_environment(
            self.request.kernel_source.clone(),
            self.request.offline,
            self.request.locked,
        );
        let kernel_request = kernel_request(project, self.image, self.request.arch, source)?;
        let kernel = kernel::build(self.shell, self.cache, &kernel_request)?;
        if let Some(finding) = esp::shortage(self.image, &[(self.request.arch, &kernel.image)])? {
            return Err(Error::findings(CANNOT_BE_MADE, vec![finding]));
        }
        let toolchain = Toolchain::find(self.shell, self.request.arch, self.request.offline)?;
        let programs = self.build_programs(&toolchain, programs)?;
        let tree = compose(project, self.image, &descriptions, &programs)?;
        elf::closure::require(&tree, self.request.arch)?;
        let step = self.shell.step(format!("pack {}", self.image.name));
        let state = self.pack(
            directory,
            fingerprint,
            &Parts {
                kernel: &kernel,
                toolchain: &toolchain,
                descriptions: &descriptions,
                programs: &programs,
                tree: &tree,
                epoch_s,
            },
        )?;
        step.done(format_args!("{}", directory.path().display()));
        Ok(state)
    }

    fn build_programs(
        &self,
        toolchain: &Toolchain,
        programs: Vec<Program>,
    ) -> Result<Vec<BuiltProgram>> {
        let userland = Userland {
            shell: self.shell,
            cache: self.cache,
            project: &self.request.project,
            toolchain,
            offline: self.request.offline,
        };
        let mut files: BTreeMap<(usize, String), PathBuf> = BTreeMap::new();
        for (rank, package) in [Package::Init, Package::Services].into_iter().enumerate() {
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
        programs
            .into_iter()
            .map(|program| {
                let key = (rank_of(program.source), program.binary.name.clone());
                let file = files.get(&key).cloned();
                match file {
                    Some(_) => Ok(BuiltProgram { program, file }),
                    None => Err(Error::internal(format!("{} was not built", program.binary.name))),
                }
            })
            .collect()
    }

    fn pack(
        &self,
        directory: &OutputDirectory,
        fingerprint: String,
        parts: &Parts<'_>,
    ) -> Result<State> {
        let tree_sha256 = digest::of_tree(parts.tree)?;
        let command_line = command_line(self.image, self.request).join(" ");
        let material = Material {
            image: self.image,
            arch: self.request.arch,
            tree: parts.tree,
            tree_sha256: &tree_sha256,
            kernel: &parts.kernel.image,
            command_line: &command_line,
            root_partuuid: kernel::ROOT_PARTUUID.parse()?,
            epoch_s: parts.epoch_s,
        };
        let mut staging = Staging::new(directory);
        let mut kernel = staging.create(KERNEL)?;
        let bytes = fs::read(&parts.kernel.image).at("read", &parts.kernel.image)?;
        kernel.write_all(&bytes).at("write", &staging.path_of(KERNEL))?;
        material.write(&mut staging)?;
        let partuuid = self.image.outputs.disk.then(|| material.root_partuuid.to_string());
        let manifest = self.manifest(parts, &material, partuuid.as_deref(), &staging)?;
        let mut file = staging.create(MANIFEST)?;
        file.write_all(manifest.as_bytes()).at("write", &staging.path_of(MANIFEST))?;
        let names: Vec<String> = staging.names().map(str::to_owned).collect();
        staging.commit()?;
        remove_stale(directory.path(), &names)?;
        let state = State::of_outputs(directory.path(), &names, fingerprint, partuuid)?;
        state.write(directory.path())?;
        Ok(state)
    }

    fn manifest(
        &self,
        parts: &Parts<'_>,
        material: &Material<'_>,
        root_partuuid: Option<&str>,
        staging: &Staging<'_>,
    ) -> Result<String> {
        let project = &self.request.project;
        let mut inputs = Vec::new();
        let described = parts.descriptions.iter().map(|description| &description.path);
        for path in self.image.sources.iter().chain(described) {
            inputs.push(FileRecord::of(input_name(project, path), path)?);
        }
        let mut programs = Vec::new();
        for built in parts.programs {
            if let Some(file) = &built.file {
                programs.push(FileRecord::of(built.program.binary.path.to_string(), file)?);
            }
        }
        let outputs: Vec<FileRecord> = staging
            .names()
            .map(|name| FileRecord::of(name, &staging.path_of(name)))
            .collect::<Result<_>>()?;
        let manifest = Manifest {
            format: FORMAT,
            image: &self.image.name,
            arch: self.request.arch,
            builder: env!("CARGO_PKG_VERSION"),
            source_date_epoch: parts.epoch_s,
            command_line: material.command_line,
            kernel: KernelRecord {
                release: &parts.kernel.release,
                source: &parts.kernel.source,
                compiler: &parts.kernel.compiler,
                config_sha256: file_sha256(&parts.kernel.config)?,
            },
            userland: UserlandRecord {
                target: parts.toolchain.triple().to_owned(),
                libc: parts.toolchain.libc.as_str(),
                compiler: parts.toolchain.identity.lines().collect(),
            },
            tree: TreeRecord {
                sha256: material.tree_sha256,
                entries: parts.tree.len(),
                root_partuuid,
            },
            inputs,
            programs,
            outputs,
        };
        manifest.text()
    }
}

/// What is put together.
struct Parts<'a> {
    kernel: &'a BuiltKernel,
    toolchain: &'a Toolchain,
    descriptions: &'a [Description],
    programs: &'a [BuiltProgram],
    tree: &'a FileTree,
    epoch_s: u32,
}

/// A number for each thing that builds programs: the packages, then the crates.
const fn rank_of(source: ProgramSource) -> usize {
    match source {
        ProgramSource::Init => 0,
        ProgramSource::Services => 1,
        ProgramSource::Crate(index) => 2 + index,
    }
}

/// A path of the repository, or the mere name of a file outside it.
fn input_name(project: &Project, path: &Path) -> String {
    match path.strip_prefix(project.root()) {
        Ok(inside) => inside.display().to_string(),
        Err(_) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

/// Removes outputs of an earlier build that the definition no longer asks for.
fn remove_stale(directory: &Path, names: &[String]) -> Result<()> {
    for name in NAMES {
        let path = directory.join(name);
        if !names.iter().any(|kept| kept == name) && path.exists() {
            fs::remove_file(&path).at("remove", &path)?;
        }
    }
    Ok(())
}
