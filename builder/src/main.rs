//! Arguments to operation to exit code.

use std::process::ExitCode;

use builder::cli::Cli;
use builder::shell::Shell;
use clap::Parser;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let shell = Shell::new(cli.quiet);
    match cli.command.run(&shell).and_then(|()| shell.finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_told() {
                shell.error(&error);
            }
            error.exit_code()
        }
    }
}
