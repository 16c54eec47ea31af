//! Finding and reading descriptions of mounts.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use init_core::mount::{DIRECTORIES, MOUNT_BYTES_MAX, MountDescription, parse_mount};
use services::bounded_file;
use services::problem::{Context, Problem, Result};

/// The file that describes `name`: the machine's own, else the distribution's. A word with
/// a slash is a file by itself. `None` if there is none.
pub(crate) fn path_of(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name));
    }
    let file = format!("{name}.toml");
    DIRECTORIES.iter().rev().map(|directory| Path::new(directory).join(&file)).find(|p| p.exists())
}

/// Reads the description at `path`.
///
/// # Errors
/// If it cannot be read, or all that is wrong with it.
pub(crate) fn load(path: &Path) -> Result<MountDescription> {
    let shown = path.display().to_string();
    let bytes =
        bounded_file::read(path, MOUNT_BYTES_MAX).context(|| format!("cannot read `{shown}`"))?;
    parse_mount(&shown, &bytes).map_err(|findings| {
        let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
        Problem::new(text.join("\n"))
    })
}

/// Reads descriptions and prints what is wrong with them.
///
/// # Errors
/// If anything is wrong, or a file cannot be read.
pub(crate) fn check(files: &[PathBuf]) -> Result<()> {
    let mut files = files.to_vec();
    if files.is_empty() {
        for directory in DIRECTORIES {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            files.extend(entries.map(|entry| entry.path()));
        }
        files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
    }
    let mut wrong = 0;
    for file in &files {
        if let Err(problem) = load(file) {
            wrong += 1;
            writeln!(io::stdout(), "{problem}").context(|| "cannot write the output".to_owned())?;
        }
    }
    match wrong {
        0 => Ok(()),
        1 => Err(Problem::new("a description of a mount is wrong")),
        count => Err(Problem::new(format!("{count} descriptions of mounts are wrong"))),
    }
}
