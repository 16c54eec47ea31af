//! `builder clean`: removes what the builder made, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::cache::Cache;
use crate::error::{Error, IoContext, Result};
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

/// Removes outputs by their names from directories that a builder has made, and those that
/// are empty then. A file that somebody else put there stays.
///
/// # Errors
/// If something cannot be removed, or there is nothing of an image that was named.
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    let output = match &args.output {
        Some(output) => output.clone(),
        None => Project::find()?.default_output(),
    };
    let made = made(&output)?;
    if let Some(name) = args.images.iter().find(|name| !made.iter().any(|one| one.image == **name))
    {
        return Err(nothing_of(name, &made, &output));
    }
    for directory in &made {
        if args.images.is_empty() || args.images.contains(&directory.image) {
            clean_outputs(shell, &directory.path)?;
            directory.path.parent().map(remove_if_empty);
        }
    }
    if made.is_empty() && !args.cache {
        shell.note(format_args!("there are no outputs in {}", output.display()));
    } else {
        remove_if_empty(&output);
    }
    if args.cache {
        let cache = Cache::open()?;
        let root = cache.root().to_owned();
        cache.remove(shell)?;
        shell.note(format_args!("removed {}", root.display()));
    }
    Ok(())
}

/// A directory with the outputs of an image for one architecture.
struct Made {
    image: String,
    path: PathBuf,
}

/// The directories below `output` that a builder has made.
fn made(output: &Path) -> Result<Vec<Made>> {
    let mut made = Vec::new();
    for image in directories(output)? {
        let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let paths = Arch::ALL.iter().map(|arch| image.join(arch.as_str()));
        let of_image = paths.filter(|path| OutputDirectory::is_one(path));
        made.extend(of_image.map(|path| Made { image: name.clone(), path }));
    }
    Ok(made)
}

fn nothing_of(image: &str, made: &[Made], output: &Path) -> Error {
    let error =
        Error::definition(format!("there are no outputs of {image:?} in {}", output.display()));
    let mut names: Vec<&str> = made.iter().map(|one| one.image.as_str()).collect();
    names.dedup();
    if names.is_empty() { error } else { error.hint(format!("there are: {}", names.join(", "))) }
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
