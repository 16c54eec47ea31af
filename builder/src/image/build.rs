//! One image for one architecture, from request to finished files.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::boot::bios;
use crate::cache::Cache;
use crate::command_line::CommandLine;
use crate::debian::lock::Lock;
use crate::definition::resolved::DiskInitramfs;
use crate::definition::{self, Image};
use crate::elf;
use crate::error::{Context, Error, IoContext, Result};
use crate::format::bios_boot::BootCode;
use crate::kernel::{self, source};
use crate::project::Project;
use crate::shell::Shell;

use super::check::{self, Plan};
use super::descriptions::Description;
use super::fingerprint::{Fingerprint, State};
use super::manifest::{FORMAT, FileRecord, Manifest, SystemRecord};
use super::names::{DISK, ISO, KERNEL, MANIFEST, NAMES, QCOW2, ROOT, UKI};
use super::outputs::Outputs;
use super::packages::{self, Access};
use super::staging::{OutputDirectory, Staging};
use super::system::{System, SystemBuilder};
use super::{BuiltImage, CANNOT_BE_MADE, EPOCH_VARIABLE, ImageRequest, parameters};

/// The time that everything in an image has unless `SOURCE_DATE_EPOCH` says
/// otherwise: 2025-01-01 00:00:00 UTC. Any constant would do; this one is after
/// 1980, where FAT begins.
const EPOCH_DEFAULT_S: u32 = 1_735_689_600;

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
    image.require_arch(request.arch)?;
    let output = request.output.clone().unwrap_or_else(|| request.project.default_output());
    let path = output.join(&image.name).join(request.arch.as_str());
    let cache = Cache::open()?;
    let access = Access { is_offline: request.offline, is_locked: request.locked };
    let lock = packages::lock(shell, &cache, &request.project, image, access)?;
    let fingerprint = Fingerprint::of_request(shell, &cache, request, image, &lock)?;
    if let Some(state) = fresh(shell, &cache, request, &path, &fingerprint)? {
        return Ok(built(request, image, &path, &state, true));
    }
    let directory = OutputDirectory::open(shell, &path)?;
    // Another builder may have done it while this one waited for the lock.
    if let Some(state) = fresh(shell, &cache, request, &path, &fingerprint)? {
        return Ok(built(request, image, &path, &state, true));
    }
    let state = Builder { shell, cache: &cache, request, image, lock: &lock, access }
        .build(&directory, fingerprint)?;
    Ok(built(request, image, &path, &state, false))
}

/// The last build's state, if another build would do nothing: not even take the pinned kernel
/// in place of the distribution's, now that the cache has it.
fn fresh(
    shell: &Shell,
    cache: &Cache,
    request: &ImageRequest,
    directory: &Path,
    fingerprint: &Fingerprint,
) -> Result<Option<State>> {
    let Some(state) = State::find(directory, fingerprint) else { return Ok(None) };
    if let Some(package) = &state.kernel_fallback {
        if source::cached_release(cache, &kernel::read_pin(&request.project)?).is_some() {
            return Ok(None);
        }
        source::note_fallback(shell, package);
    }
    Ok(Some(state))
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
        uki: output(&|name| name == UKI),
        disk: output(&|name| name == DISK),
        qcow2: output(&|name| name == QCOW2),
        iso: output(&|name| name == ISO),
        root_partuuid: state.root_partuuid.clone(),
        manifest: directory.join(MANIFEST),
        command_line: parameters::of_definition(image, request.arch),
        root_command_line: root_command_line(request.arch, image, state),
        is_fresh,
    }
}

/// The parameters of a kernel that mounts the root by itself, if it has one to mount.
fn root_command_line(arch: Arch, image: &Image, state: &State) -> Option<CommandLine> {
    let partuuid = state.root_partuuid.as_deref();
    let finds_root = partuuid.is_some() || image.names_root(arch);
    let partuuid = partuuid.unwrap_or_default();
    finds_root.then(|| parameters::of_disk(image, arch, DiskInitramfs::None, partuuid))
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

struct Builder<'a> {
    shell: &'a Shell,
    cache: &'a Cache,
    request: &'a ImageRequest,
    image: &'a Image,
    /// Which versions of packages it takes.
    lock: &'a Lock,
    access: Access,
}

impl Builder<'_> {
    fn build(&self, directory: &OutputDirectory, fingerprint: Fingerprint) -> Result<State> {
        let epoch_s = epoch_s()?;
        self.warn_of_namesake(directory.path());
        let (shell, cache, request, image) = (self.shell, self.cache, self.request, self.image);
        let arches = image.system_arches(request.arch);
        // What can be found wrong without building is found before.
        let plans: Vec<Plan> = arches.iter().map(|arch| self.plan(*arch)).collect::<Result<_>>()?;
        let systems: Vec<System> = arches
            .iter()
            .zip(&plans)
            .map(|(arch, plan)| SystemBuilder { shell, cache, request, image, plan }.build(*arch))
            .collect::<Result<_>>()?;
        let bios_loader = if image.outputs.has_medium() && arches.contains(&Arch::X86_64) {
            Some(bios::assemble(shell, cache, &request.project)?)
        } else {
            None
        };
        let outputs = Outputs {
            image,
            systems: &systems,
            requested: arches.iter().position(|arch| *arch == request.arch).unwrap_or(0),
            bios_loader: bios_loader.as_ref(),
            epoch_s,
        };
        let step = shell.step(format!("pack {}", image.name));
        let descriptions = plans.first().map_or(&[][..], |plan| &plan.descriptions);
        let state = self.pack(directory, fingerprint, &outputs, descriptions)?;
        step.done(format_args!("{}", directory.path().display()));
        Ok(state)
    }

    /// The path of the image's own definition, as messages show it.
    fn definition(&self) -> String {
        self.image.sources.last().map_or_else(String::new, |path| self.request.project.show(path))
    }

    /// Images go by the names of their files, so that another definition may have been built
    /// into this directory.
    fn warn_of_namesake(&self, directory: &Path) {
        let definition = self.definition();
        if let Some(other) = State::definition(directory).filter(|other| *other != definition) {
            self.shell.warn(format_args!(
                "the image of {definition} takes the place of that of {other} in {}\n\
                 hint: name one of them otherwise, or give each a directory with --output",
                directory.display()
            ));
        }
    }

    /// The parts of one architecture's system, and the proof that they go together.
    fn plan(&self, arch: Arch) -> Result<Plan> {
        let (project, image) = (&self.request.project, self.image);
        let packages =
            packages::fetch(self.shell, self.cache, image, self.lock, arch, self.access)?;
        let plan = check::plan(project, image, arch, packages)?;
        for warning in &plan.verdict.warnings {
            self.shell.warn(warning);
        }
        if !plan.verdict.errors.is_empty() {
            return Err(Error::findings("its services cannot run", plan.verdict.errors));
        }
        if !plan.output_findings.is_empty() {
            return Err(Error::findings(CANNOT_BE_MADE, plan.output_findings));
        }
        elf::closure::require(&plan.tree, image.machines(arch))?;
        Ok(plan)
    }

    fn pack(
        &self,
        directory: &OutputDirectory,
        fingerprint: Fingerprint,
        outputs: &Outputs<'_>,
        descriptions: &[Description],
    ) -> Result<State> {
        let mut staging = Staging::new(directory);
        outputs.write(&mut staging)?;
        let manifest = self.manifest(outputs, descriptions, &staging)?;
        let mut file = staging.create(MANIFEST)?;
        file.write_all(manifest.as_bytes()).at("write", &staging.path_of(MANIFEST))?;
        let names: Vec<String> = staging.names().map(str::to_owned).collect();
        staging.commit()?;
        remove_stale(directory.path(), &names)?;
        let fallback = outputs.systems.iter().find_map(|system| system.kernel.source.fallback());
        let mut state =
            State::of_outputs(directory.path(), &names, self.definition(), fingerprint)?;
        state.root_partuuid = outputs.partuuid()?.map(|guid| guid.to_string());
        state.kernel_fallback = fallback.map(str::to_owned);
        self.remember(directory.path(), &state)?;
        Ok(state)
    }

    /// Writes a state that the outputs have for certain. Of a program that came or changed
    /// meanwhile, perhaps by the build itself, nothing is said: the next build looks again.
    fn remember(&self, directory: &Path, state: &State) -> Result<()> {
        match self.fingerprint_now() {
            Ok(now) if now == state.fingerprint => state.write(directory),
            Ok(now) if now.sources == state.fingerprint.sources => Ok(()),
            Ok(_) | Err(_) => {
                self.shell.warn(format_args!(
                    "what the image {} is made of changed while it was built\n\
                     hint: build it again: the outputs may be made of old and new",
                    self.image.name
                ));
                Ok(())
            }
        }
    }

    /// The fingerprint that a build would have which began now.
    fn fingerprint_now(&self) -> Result<Fingerprint> {
        let (shell, cache, request) = (self.shell, self.cache, self.request);
        let image = definition::load(&request.project, &request.image)?;
        // Of the lock only what is in its file: nothing is fetched for this.
        let access = Access { is_offline: true, is_locked: true };
        let lock = packages::lock(shell, cache, &request.project, &image, access)?;
        Fingerprint::of_request(shell, cache, request, &image, &lock)
    }

    fn manifest(
        &self,
        outputs: &Outputs<'_>,
        descriptions: &[Description],
        staging: &Staging<'_>,
    ) -> Result<String> {
        let project = &self.request.project;
        let mut inputs = Vec::new();
        let definitions = self.image.sources.iter().map(PathBuf::as_path);
        let described = descriptions.iter().map(|description| description.path.as_path());
        let mut known = BTreeSet::new();
        let paths = definitions.chain(described).chain(self.image.named_files());
        for path in paths.filter(|path| known.insert(*path)) {
            inputs.push(FileRecord::of(input_name(project, path), path)?);
        }
        let files: Vec<FileRecord> = staging
            .names()
            .map(|name| FileRecord::of(name, &staging.path_of(name)))
            .collect::<Result<_>>()?;
        let mut records: Vec<SystemRecord<'_>> =
            outputs.systems.iter().map(|system| outputs.record(system)).collect::<Result<_>>()?;
        let system = records.remove(outputs.requested);
        let manifest = Manifest {
            format: FORMAT,
            image: &self.image.name,
            builder: env!("CARGO_PKG_VERSION"),
            source_date_epoch: outputs.epoch_s,
            system,
            further_systems: records,
            bios_loader: outputs.bios_loader.map(BootCode::sha256),
            inputs,
            outputs: files,
        };
        manifest.text()
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
