//! `netctl`: shows the network that `netd` keeps, and changes it.
//!
//! Code map: [`arguments`] is the command line, [`commands`] does what it says,
//! [`edit`] changes `/etc/network.toml` and leaves what else stands there as it is,
//! [`text`] is what people read. Absent: state of its own, talking to the kernel.

mod arguments;
mod commands;
mod edit;
mod text;

use std::process::ExitCode;

use services::failure::Failure;
use services::program;

/// Shorthand for what commands return.
type Result<T> = std::result::Result<T, Failure>;

fn main() -> ExitCode {
    let arguments = arguments::parse(lexopt::Parser::from_env());
    program::end("netctl", arguments.and_then(|arguments| commands::run(&arguments)))
}
