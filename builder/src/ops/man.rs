//! `builder man`: the manual page, in roff.

use crate::error::{Error, Result};
use crate::shell::Shell;

/// Arguments of `builder man`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints the page of `command`; `man -l -` shows it.
///
/// # Errors
/// If the page cannot be rendered.
pub fn run(shell: &Shell, _args: &Args, command: clap::Command) -> Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Error::internal(format!("cannot render the manual page: {error}")))?;
    shell.data_bytes(&page);
    Ok(())
}
