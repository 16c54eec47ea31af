//! The kernel: its source, its configuration, its compilation.
//!
//! [`build`] does all of it and keeps the result in the cache under everything
//! that went into it: source, options, compiler, fixed settings. With nothing to
//! do it starts no program and unpacks nothing.
//!
//! `pin`, `fragment`, `config`, `kconfig` and `verify` are pure; `source`,
//! `debian`, `unpack`, `tree_digest`, `toolchain` and `compile`
//! touch the host. Booting the kernel is no business of this module.

pub mod compile;
pub mod config;
pub mod debian;
pub mod fragment;
pub mod kconfig;
pub mod modules;
pub mod pin;
pub mod source;
pub mod toolchain;
pub mod tree_digest;
pub mod unpack;
pub mod verify;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use init_core::diagnostic::Finding;

use crate::arch::Arch;
use crate::cache::{Cache, Key, KeyBuilder, lock};
use crate::error::{Error, IoContext, Result};
use crate::host_needs::{self, Needs};
use crate::project::Project;
use crate::shell::Shell;

use compile::Build;
use config::Config;
use fragment::{Assignment, Merged};
use kconfig::Kconfig;
use pin::Pin;
use source::{Source, SourceRecord, SourceRequest};
use toolchain::Toolchain;

/// The PARTUUID that the built-in parameters name as the root file system
/// (`kernel-config/default.bootconfig`): the root partition of a disk image
/// whose kernel is started by firmware alone has it.
pub const ROOT_PARTUUID: &str = "c27cd0e8-3a2e-4a5c-9d0b-5b1f6a7e4d21";

/// The cache's name for finished kernels.
const KERNELS: &str = "kernel";
/// The kernel itself in its entry of the cache.
const IMAGE: &str = "vmlinuz";
/// The pin, below `kernel-config/`.
const PIN: &str = "linux.toml";
/// The options init cannot live without, below `kernel-config/`.
const REQUIRED: &str = "required.config";
/// Parameters built into the kernel, below `kernel-config/` and below the
/// object directory, where CONFIG_BOOT_CONFIG_EMBED_FILE finds them.
const EMBEDDED_PARAMETERS: &str = "default.bootconfig";
/// Raise this number when the recipe changes in a way its inputs do not show.
const RECIPE: &str = "kernel 1";
/// The modules in a kernel's entry of the cache, if it has any.
const MODULES: &str = "modules";
/// The same number for the modules alone: a kernel without any is none the wiser.
const MODULES_RECIPE: &str = "modules 1";

/// What kernel to build.
#[derive(Clone, Debug)]
pub struct KernelRequest {
    /// The repository whose `kernel-config/` is used.
    pub project: Project,
    /// The architecture.
    pub arch: Arch,
    /// Fragments, later ones winning. The fragments of the architecture and of
    /// the kernel's series follow by themselves.
    pub fragments: Vec<PathBuf>,
    /// Options that win over all fragments, each with the place that asks for it.
    pub extra_options: Vec<Assignment>,
    /// Options that what the kernel is for needs, each with the place that
    /// asks for it. They change nothing; a kernel without one is refused.
    pub needs: Vec<Assignment>,
    /// Where the source comes from.
    pub source: SourceRequest,
}

/// A finished kernel. Its files are in the cache: copy, do not change.
#[derive(Clone, Debug)]
pub struct BuiltKernel {
    /// bzImage or Image, which is an EFI application too.
    pub image: PathBuf,
    /// The final configuration.
    pub config: PathBuf,
    /// The symbol table.
    pub system_map: PathBuf,
    /// The directory of its modules, if it has any: what belongs at `/lib/modules/RELEASE`.
    pub modules: Option<PathBuf>,
    /// The release string, as `uname -r` prints it.
    pub release: String,
    /// What it was built from.
    pub source: SourceRecord,
    /// What compiled it.
    pub compiler: String,
}

impl BuiltKernel {
    /// How many modules it has; `None` if it loads none.
    ///
    /// # Errors
    /// If their list cannot be read.
    pub fn module_count(&self) -> Result<Option<usize>> {
        self.modules.as_deref().map(modules::count).transpose()
    }
}

/// The fragments of a kernel for which nothing else is said: every one in
/// `kernel-config/` that is no architecture's, sorted by name.
///
/// # Errors
/// If the directory cannot be read.
pub fn default_fragments(project: &Project) -> Result<Vec<PathBuf>> {
    let directory = project.kernel_config();
    let mut fragments = Vec::new();
    for entry in fs::read_dir(&directory).at("read", &directory)? {
        let path = entry.at("read", &directory)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = name.strip_suffix(".config").unwrap_or_default();
        let is_architecture = Arch::ALL.iter().any(|arch| arch.as_str() == stem);
        if !stem.is_empty() && !is_architecture && name != REQUIRED {
            fragments.push(path);
        }
    }
    fragments.sort();
    Ok(fragments)
}

/// Builds the kernel, or finds it in the cache.
///
/// # Errors
/// If the source is not to be had, an option does not survive, or the compiler fails.
pub fn build(shell: &Shell, cache: &Cache, request: &KernelRequest) -> Result<BuiltKernel> {
    let plan = plan(shell, cache, request)?;
    check_cached(shell, cache, request, &plan)?;
    let entry = cache.find_or_make(shell, KERNELS, &plan.key, |directory| {
        make(shell, cache, request, &plan, directory)
    })?;
    Ok(BuiltKernel {
        image: entry.join(IMAGE),
        config: entry.join("config"),
        system_map: entry.join("System.map"),
        modules: Some(entry.join(MODULES)).filter(|path| path.is_dir()),
        release: compile::release(&entry)?,
        source: plan.source.record,
        compiler: plan.toolchain.identity,
    })
}

/// Everything a kernel is made of, and the key that follows from it.
#[derive(Debug)]
pub struct Plan {
    /// The source, perhaps not unpacked yet.
    pub source: Source,
    /// What the fragments ask for.
    pub requested: Merged,
    /// What init cannot live without.
    pub required: Merged,
    /// What the kernel is for needs.
    pub needed: Merged,
    /// The compiler.
    pub toolchain: Toolchain,
    parameters: String,
    key: Key,
}

/// What a request asks for, but for what only kernels of one series have.
///
/// # Errors
/// If a fragment is malformed.
pub fn requested(request: &KernelRequest) -> Result<Merged> {
    merge(request, None)
}

/// Works out what a request comes to, fetching the source if need be.
///
/// # Errors
/// If a fragment is malformed, or source or compiler are not to be had.
pub fn plan(shell: &Shell, cache: &Cache, request: &KernelRequest) -> Result<Plan> {
    let directory = request.project.kernel_config();
    let pin = read_pin(&request.project)?;
    // Malformed fragments are told before anything is fetched.
    requested(request)?;
    let required = merge_files(&request.project, &[directory.join(REQUIRED)])?;
    let parameters = read(&directory.join(EMBEDDED_PARAMETERS))?;
    let toolchain = toolchain::find(shell, cache, request.arch)?;
    let source = source::resolve(shell, cache, &pin, &request.source)?;
    let requested = merge(request, pin::series(&source.record.version).as_deref())?;
    let mut key = KeyBuilder::new(RECIPE)
        .part("arch", request.arch.as_str())
        .part("source", &source.record.sha256)
        .part("options", requested.text())
        .part("required", required.text())
        .part("parameters", &parameters)
        .part("compiler", &toolchain.identity)
        .part("settings", compile::fixed_settings(request.arch));
    if asks_for_modules(&requested) {
        key = key.part("modules", MODULES_RECIPE);
    }
    let key = key.finish();
    let mut needed = Merged::default();
    request.needs.iter().for_each(|need| needed.add(need.clone()));
    Ok(Plan { source, requested, required, needed, toolchain, parameters, key })
}

/// The pinned release of a project.
///
/// # Errors
/// If `linux.toml` is missing or wrong.
pub fn read_pin(project: &Project) -> Result<Pin> {
    let path = project.kernel_config().join(PIN);
    Pin::parse(&project.show(&path), &read(&path)?)
}

/// A finished kernel, if the cache has it.
#[must_use]
pub fn cached_image(cache: &Cache, plan: &Plan) -> Option<PathBuf> {
    cache.find(KERNELS, &plan.key).map(|entry| entry.join(IMAGE))
}

/// The configuration of a finished kernel, if the cache has it.
///
/// # Errors
/// If it is there and cannot be read.
pub fn cached_config(cache: &Cache, plan: &Plan) -> Result<Option<Config>> {
    match cache.find(KERNELS, &plan.key) {
        None => Ok(None),
        Some(entry) => Ok(Some(Config::parse(&read(&entry.join("config"))?))),
    }
}

/// The Kconfig files of a source tree, read for one architecture.
#[must_use]
pub fn read_kconfig(tree: &Path, arch: Arch) -> Kconfig {
    let source_arch = match arch {
        Arch::X86_64 => "x86",
        Arch::Aarch64 => "arm64",
    };
    kconfig::parser::parse(source_arch, &|path| {
        let bytes = fs::read(tree.join(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    })
}

/// Configures the kernel of a plan without compiling it.
///
/// # Errors
/// If `make` fails.
pub fn configure(
    shell: &Shell,
    cache: &Cache,
    request: &KernelRequest,
    plan: &Plan,
) -> Result<Config> {
    let (_lock, objects) = lock_objects(shell, cache, request.arch, plan)?;
    let tree = plan.source.tree(shell, cache)?;
    let log = objects.with_extension("log");
    let build = new_build(shell, request.arch, plan, &tree, &objects, &log)?;
    Ok(Config::parse(&build.configure(&plan.requested.text())?))
}

/// Whether every option survives, told without compiling anything.
///
/// # Errors
/// As [`build`], but for the compiler's.
pub fn check(shell: &Shell, cache: &Cache, request: &KernelRequest) -> Result<()> {
    let plan = plan(shell, cache, request)?;
    if check_cached(shell, cache, request, &plan)? {
        return Ok(());
    }
    let config = configure(shell, cache, request, &plan)?;
    verify(request, &plan, &plan.source.tree(shell, cache)?, &config)
}

/// Whether the kernel is in the cache. One that is there was verified when it
/// was made, but perhaps for something that needs less.
///
/// # Errors
/// If it lacks what it is needed for.
fn check_cached(
    shell: &Shell,
    cache: &Cache,
    request: &KernelRequest,
    plan: &Plan,
) -> Result<bool> {
    let Some(config) = cached_config(cache, plan)? else { return Ok(false) };
    if !verify::missed(&plan.needed, &config).is_empty() {
        verify(request, plan, &plan.source.tree(shell, cache)?, &config)?;
    }
    Ok(true)
}

fn make(
    shell: &Shell,
    cache: &Cache,
    request: &KernelRequest,
    plan: &Plan,
    into: &Path,
) -> Result<()> {
    let (_lock, objects) = lock_objects(shell, cache, request.arch, plan)?;
    let tree = plan.source.tree(shell, cache)?;
    let log = objects.with_extension("log");
    let build = new_build(shell, request.arch, plan, &tree, &objects, &log)?;
    let step = shell.step(format!("configure Linux {}", plan.source.record.version));
    let text = build.configure(&plan.requested.text())?;
    verify(request, plan, &tree, &Config::parse(&text))?;
    step.done(format_args!("{} options asked for, all kept", plan.requested.options.len()));
    let has_modules = asks_for_modules(&plan.requested);
    build.compile(shell, &text, has_modules)?;
    build.install(into)?;
    if has_modules {
        let directory = into.join(MODULES);
        build.install_modules(&directory)?;
        modules::write_lists(&directory)?;
    }
    plan.source.require_unchanged(shell, cache).inspect_err(|_changed| {
        // Here too is what was made of the changed files, and make may take it for made of the
        // old ones, should they come back with their old times.
        let _stays_at_worst = fs::remove_dir_all(&objects);
    })
}

/// Whether a kernel is to load modules.
#[must_use]
pub fn asks_for_modules(requested: &Merged) -> bool {
    requested.options.get("MODULES").is_some_and(|asked| asked.value == "y")
}

/// Prepares a build: the tools are there, the log is empty, the built-in
/// parameters are in place.
fn new_build<'a>(
    shell: &Shell,
    arch: Arch,
    plan: &'a Plan,
    tree: &'a Path,
    objects: &'a Path,
    log: &'a Path,
) -> Result<Build<'a>> {
    if plan.toolchain.is_gnu {
        host_needs::ensure(shell, &Needs::new().kernel(arch), false)?;
    }
    fs::write(log, "").at("write", log)?;
    let parameters = objects.join(EMBEDDED_PARAMETERS);
    fs::write(&parameters, &plan.parameters).at("write", &parameters)?;
    Ok(Build { arch, toolchain: &plan.toolchain, source: tree, objects, log })
}

/// Compares what was asked for with what came out.
fn verify(request: &KernelRequest, plan: &Plan, tree: &Path, config: &Config) -> Result<()> {
    let findings = findings(plan, config, &read_kconfig(tree, request.arch));
    if findings.is_empty() {
        return Ok(());
    }
    let what = format!(
        "Linux {} for {} cannot be configured as asked",
        plan.source.record.version, request.arch
    );
    Err(Error::findings(what, findings)
        .hint("`cargo builder kernel why OPTION` explains an option; docs/kernel.md has the rules"))
}

/// Everything that a configuration lacks, each thing once.
#[must_use]
pub fn findings(plan: &Plan, config: &Config, kconfig: &Kconfig) -> Vec<Finding> {
    let mut known = BTreeSet::new();
    [&plan.requested, &plan.required, &plan.needed]
        .into_iter()
        .flat_map(|asked| verify::findings(asked, config, kconfig))
        .filter(|finding| known.insert(finding.message.clone()))
        .collect()
}

/// The object directory for a plan, locked until the file is dropped.
fn lock_objects(
    shell: &Shell,
    cache: &Cache,
    arch: Arch,
    plan: &Plan,
) -> Result<(fs::File, PathBuf)> {
    let mut key = KeyBuilder::new("kernel objects 1")
        .part("source", &plan.source.record.sha256)
        .part("compiler", &plan.toolchain.identity);
    if asks_for_modules(&plan.requested) {
        // Going over to modules or back compiles everything anew: each has its objects.
        key = key.part("modules", MODULES_RECIPE);
    }
    let key = key.finish();
    let objects = cache.workspace(&format!("kernel-{arch}-{}", &key.as_str()[..16]))?;
    Ok((lock(shell, &objects.with_extension("lock"))?, objects))
}

/// What the request's fragments come to; with a series, its fragments too.
fn merge(request: &KernelRequest, series: Option<&str>) -> Result<Merged> {
    let directory = request.project.kernel_config();
    let mut paths = request.fragments.clone();
    let architecture = directory.join(format!("{}.config", request.arch));
    if !paths.contains(&architecture) {
        paths.push(architecture);
    }
    if let Some(series) = series {
        let names = [format!("{series}.config"), format!("{series}-{}.config", request.arch)];
        let optional = names.map(|name| directory.join("series").join(name));
        paths.extend(optional.into_iter().filter(|path| path.is_file()));
    }
    let mut merged = merge_files(&request.project, &paths)?;
    request.extra_options.iter().for_each(|option| merged.add(option.clone()));
    Ok(merged)
}

fn merge_files(project: &Project, paths: &[PathBuf]) -> Result<Merged> {
    let texts: Vec<(String, String)> =
        paths.iter().map(|path| Ok((project.show(path), read(path)?))).collect::<Result<_>>()?;
    fragment::merge(texts.iter().map(|(file, text)| (file.as_str(), text.as_str())))
        .map_err(|findings| Error::findings("the kernel configuration is wrong", findings))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).at("read", path)
}
