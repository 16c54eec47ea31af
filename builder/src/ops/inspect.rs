//! `builder inspect`: what is in an image, a kernel or a program.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::inspect;
use crate::ops::image_file;
use crate::shell::Shell;

/// Arguments of `builder inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An initramfs, a file system, a disk, a kernel, a UEFI application, an ELF file or a manifest
    file: PathBuf,
    /// Print this file of the image instead of its listing; in a disk `root:/etc/passwd`
    /// names the partition too, and in a UEFI application `.initrd` a section
    #[arg(value_name = "PATH-IN-IMAGE", conflicts_with = "json")]
    path: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints what the file is and holds, or one of the files it holds.
///
/// # Errors
/// If it cannot be read, is nothing that is known here, or is damaged.
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    let about = |error: Error| error.context(args.file.display().to_string());
    let source = image_file::open(&args.file)?;
    if let Some(path) = &args.path {
        return inspect::extract(&source, path, &mut Data(shell)).map_err(about);
    }
    let report = inspect::inspect(&source).map_err(about)?;
    let text = if args.json {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| Error::internal(format!("cannot write JSON: {error}")))?;
        text + "\n"
    } else {
        report.to_string()
    };
    shell.data(&text);
    Ok(())
}

/// Standard output as a writer.
struct Data<'a>(&'a Shell);

impl Write for Data<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.data_bytes(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
