//! `builder clean`: removes what the builder made, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::cache::Cache;
use crate::error::{IoContext, Result};
use crate::image::staging::OutputDirectory;
use crate::project::Project;
use crate::shell::Shell;

/// Arguments of `builder clean`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove only these images' outputs [default: every image's]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// The directory with outputs [default: out/ in the repository]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Remove the cache too: sources, kernels and programs of all images
    #[arg(long)]
    cache: bool,
}

/// Removes outputs by their names, and directories that are empty then. A file
/// that somebody else put there stays.
///
/// # Errors
/// If something cannot be removed.
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    let output = match &args.output {
        Some(output) => output.clone(),
        None => Project::find()?.default_output(),
    };
    for image in directories(&output)? {
        let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !args.images.is_empty() && !args.images.contains(&name) {
            continue;
        }
        for arch in Arch::ALL {
            let directory = image.join(arch.as_str());
            if directory.is_dir() {
                clean_outputs(shell, &directory)?;
            }
        }
        remove_if_empty(&image);
    }
    remove_if_empty(&output);
    if args.cache {
        let cache = Cache::open()?;
        let root = cache.root().to_owned();
        cache.remove(shell)?;
        shell.note(format_args!("removed {}", root.display()));
    }
    Ok(())
}

fn clean_outputs(shell: &Shell, directory: &Path) -> Result<()> {
    let removed_bytes = OutputDirectory::open(shell, directory)?.clear()?;
    let mib = removed_bytes.div_ceil(crate::format::MIB);
    shell.note(format_args!("removed the outputs in {} ({mib} MiB)", directory.display()));
    Ok(())
}

fn directories(parent: &Path) -> Result<Vec<PathBuf>> {
    if !parent.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(parent).at("read", parent)? {
        let path = entry.at("read", parent)?.path();
        if path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn remove_if_empty(directory: &Path) {
    let _something_else_is_in_it = fs::remove_dir(directory);
}
