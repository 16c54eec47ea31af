//! `builder lock`: pins the versions of the Debian packages that images take.

use crate::cache::Cache;
use crate::definition;
use crate::error::Result;
use crate::image::packages;
use crate::project::Project;
use crate::shell::Shell;

/// Arguments of `builder lock`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names under images/, or paths of definitions [default: every image]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Take the best versions that the archive has now, not only what the lock lacks
    #[arg(long)]
    update: bool,
}

/// Writes the lock file of every image that takes packages.
///
/// # Errors
/// If a definition is wrong, or the archive lacks a package or cannot be asked.
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    let project = Project::find()?;
    let cache = Cache::open()?;
    let names = match args.images.is_empty() {
        true => definition::load::names(&project)?,
        false => args.images.clone(),
    };
    for name in &names {
        let image = definition::load(&project, name)?;
        if image.packages.is_empty() {
            if !args.images.is_empty() {
                shell.note(format_args!("image {} takes no packages", image.name));
            }
            continue;
        }
        let lock = packages::relock(shell, &cache, &project, &image, args.update)?;
        let count = lock.iter().count();
        shell.note(format_args!("image {}: {count} packages are locked", image.name));
    }
    Ok(())
}
