//! `builder image`: from definitions to files that boot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::definition;
use crate::error::{Error, Result};
use crate::host_needs::{self, Needs};
use crate::image::{self, BuiltImage, ImageRequest};
use crate::project::Project;
use crate::shell::Shell;

/// Arguments of `builder image`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names under images/, or paths of definitions
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// Build for this architecture; may be repeated [default: the host's]
    #[arg(long = "arch", value_name = "ARCH")]
    arches: Vec<Arch>,
    #[command(flatten)]
    build: BuildArgs,
}

/// Arguments of every operation that builds an image.
#[derive(Clone, Debug, clap::Args)]
pub struct BuildArgs {
    /// Put outputs into DIR/IMAGE/ARCH [default: out/ in the repository]
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Use nothing that is not on this host yet
    #[arg(long)]
    pub offline: bool,
    /// Accept no other kernel source than the pinned one, and no packages but the locked ones
    #[arg(long)]
    pub locked: bool,
    /// Build this kernel source tree or tarball
    #[arg(long, value_name = "DIR|TARBALL")]
    pub kernel_source: Option<PathBuf>,
    /// Install missing host packages without asking
    #[arg(long)]
    pub yes: bool,
}

impl BuildArgs {
    /// The request for one image and architecture.
    ///
    /// # Errors
    /// If there is no repository.
    pub fn request(&self, image: &str, arch: Arch) -> Result<ImageRequest> {
        Ok(ImageRequest {
            project: Project::find()?,
            image: image.to_owned(),
            arch,
            output: self.output.clone(),
            offline: self.offline,
            locked: self.locked,
            kernel_source: self.kernel_source.clone(),
        })
    }

    /// The same as arguments for another builder; not `--yes`.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let flag = |is_set: bool, flag: &str| is_set.then(|| vec![flag.to_owned()]);
        let path = |path: &Option<PathBuf>, option: &str| {
            path.as_ref().map(|path| vec![option.to_owned(), path.display().to_string()])
        };
        [
            path(&self.output, "--output"),
            flag(self.offline, "--offline"),
            flag(self.locked, "--locked"),
            path(&self.kernel_source, "--kernel-source"),
        ]
        .into_iter()
        .flatten()
        .flatten()
        .collect()
    }

    /// Installs what the host lacks for building, if `--yes` allows it. Without
    /// it a build says what it lacks when it comes to need it: one that finds
    /// all in the cache needs nothing.
    ///
    /// # Errors
    /// If something is missing and cannot be installed.
    pub fn prepare_host(&self, shell: &Shell, arches: &[Arch]) -> Result<()> {
        if !self.yes {
            return Ok(());
        }
        let mut needs = Needs::new();
        for arch in arches {
            needs = needs.kernel(*arch).bios_loader(*arch).userland(*arch);
        }
        host_needs::ensure(shell, &needs, true)
    }
}

/// The architectures of a command line that named none: the host's.
///
/// # Errors
/// If the host's is not one of ours.
pub fn or_host(arches: &[Arch]) -> Result<Vec<Arch>> {
    if arches.is_empty() { Ok(vec![host_arch()?]) } else { Ok(arches.to_vec()) }
}

/// The architecture of a command line that named none: the host's.
///
/// # Errors
/// If it is not one of ours.
pub fn host_arch() -> Result<Arch> {
    Arch::host().ok_or_else(|| {
        Error::definition("this host's architecture is not one that Keelson builds for")
            .hint("choose one with --arch x86_64 or --arch aarch64")
    })
}

/// Builds every image for every architecture and prints the output directories.
///
/// # Errors
/// The first that arises; definitions are all read before anything is built.
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    let arches = or_host(&args.arches)?;
    let project = Project::find()?;
    let mut named = BTreeMap::new();
    for image in &args.images {
        let read = definition::load(&project, image)?;
        let path = read.sources.last().cloned().unwrap_or_default();
        if let Some(other) = named.insert(read.name, path.clone()).filter(|other| *other != path) {
            return Err(namesakes(&project, &other, &path));
        }
    }
    args.build.prepare_host(shell, &arches)?;
    for image in &args.images {
        for arch in &arches {
            let built = image::build(shell, &args.build.request(image, *arch)?)?;
            report(shell, &built);
        }
    }
    Ok(())
}

fn namesakes(project: &Project, one: &Path, other: &Path) -> Error {
    let (one, other) = (project.show(one), project.show(other));
    Error::definition(format!("{one} and {other} would be built into the same directory"))
        .hint("name one of them otherwise, or build them apart, each with its --output")
}

fn report(shell: &Shell, built: &BuiltImage) {
    if built.is_fresh {
        let name = &built.definition.name;
        shell.note(format_args!("image {name} for {} is up to date", built.arch));
    }
    shell.data(&format!("{}\n", built.directory.display()));
}
