//! `svcctl`, the control client: shows what PID 1 supervises, changes it, and
//! explains why something is as it is.
//!
//! Code map: [`arguments`] and [`help`] are the command line; [`commands`] has one
//! module per command; [`text`] and [`json`] are the two ways to show things;
//! [`log_reader`] reads what `logd` wrote. Absent: state of its own, any policy.

mod arguments;
mod clock;
mod commands;
mod explanation;
mod help;
mod json;
mod log_reader;
mod text;

use std::env;
use std::process::ExitCode;

use services::failure::Failure;
use services::program;

fn main() -> ExitCode {
    let mut words = env::args_os();
    let called_as = words.next().unwrap_or_default();
    let arguments = arguments::parse(&called_as, words);
    program::end("svcctl", arguments.and_then(|arguments| commands::run(&arguments)))
}

/// Shorthand for what commands return.
type Result<T> = std::result::Result<T, Failure>;
