//! `builder check`: what can be proven of images without building them.

use std::path::PathBuf;

use crate::arch::Arch;
use crate::cache::Cache;
use crate::definition;
use crate::error::{Context, Result};
use crate::image::check;
use crate::image::packages::Access;
use crate::kernel::source::SourceRequest;
use crate::project::Project;
use crate::shell::Shell;

/// Arguments of `builder check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names under images/, or paths of definitions [default: every image]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Check for this architecture; may be repeated [default: all that the image supports]
    #[arg(long = "arch", value_name = "ARCH")]
    arches: Vec<Arch>,
    /// Check the kernel options against this source tree or tarball
    #[arg(long, value_name = "DIR|TARBALL")]
    kernel_source: Option<PathBuf>,
    /// Fetch no packages: a tree that lacks some is named as not checked
    #[arg(long)]
    offline: bool,
    /// Accept no packages but those of the lock files
    #[arg(long)]
    locked: bool,
}

/// Checks every image for every architecture; all of them, whatever is found.
///
/// # Errors
/// The last image's, after the others' were printed.
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    let project = Project::find()?;
    let cache = Cache::open()?;
    let images = match args.images.is_empty() {
        true => definition::load::names(&project)?,
        false => args.images.clone(),
    };
    let mut failure: Option<crate::error::Error> = None;
    for name in &images {
        if let Err(error) = check_image(shell, &cache, &project, args, name)
            && let Some(earlier) = failure.replace(error)
        {
            shell.error(&earlier);
        }
    }
    failure.map_or(Ok(()), Err)
}

fn check_image(
    shell: &Shell,
    cache: &Cache,
    project: &Project,
    args: &Args,
    name: &str,
) -> Result<()> {
    let image = definition::load(project, name)?;
    if !args.images.is_empty() {
        let is_made = args.arches.iter().try_for_each(|arch| image.require_arch(*arch));
        is_made.context(|| format!("cannot check image {}", image.name))?;
    }
    let wanted = |arch: &&Arch| args.arches.is_empty() || args.arches.contains(arch);
    for arch in image.arches.iter().filter(wanted) {
        // No kernel is fetched for a check: if it is not here, it is named as not checked.
        let source = SourceRequest::from_environment(args.kernel_source.clone(), true, false);
        let access = Access { is_offline: args.offline, is_locked: args.locked };
        let report = check::check(shell, cache, project, &image, *arch, source, access)?;
        for warning in &report.warnings {
            shell.warn(warning);
        }
        for skipped in &report.skipped {
            shell.note(format_args!("image {} for {arch}: not checked: {skipped}", image.name));
        }
        report.into_result(format!("image {} for {arch} is wrong", image.name))?;
        shell.note(format_args!("image {} for {arch}: nothing wrong found", image.name));
    }
    Ok(())
}
