//! `builder completions`: a completion script for a shell.

use crate::error::Result;
use crate::shell::Shell;

/// Arguments of `builder completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to complete for
    shell: clap_complete::Shell,
}

/// Prints the script for `command` by the binary's own name, `builder`.
///
/// # Errors
/// None; the type is that of all operations.
pub fn run(shell: &Shell, args: &Args, command: clap::Command) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command.bin_name("builder"), "builder", &mut script);
    shell.data_bytes(&script);
    Ok(())
}
