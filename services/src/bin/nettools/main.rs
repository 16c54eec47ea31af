//! `nettools`: the tools that a person reaches for when the network does not do what
//! it should, as one program with a link for each: `ip`, `ping` and `ss`.
//!
//! Each is a subset of what goes by its name elsewhere, with the words people type.
//! Absent: everything that their `--help` does not name.

mod ip;
mod ping;
mod ss;

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use services::failure::Failure;
use services::problem::Problem;

/// What the tools' functions return.
type Result<T> = std::result::Result<T, Failure>;

/// A wrong command line of `tool`.
fn usage(tool: &str, message: impl Into<String>) -> Failure {
    Failure::usage(message, format!("`{tool} --help` shows how it is used"))
}

fn main() -> ExitCode {
    let mut words = env::args_os();
    let called_as = words.next().unwrap_or_default();
    let name = Path::new(&called_as).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let rest: Vec<OsString> = words.collect();
    run(&name, rest)
}

/// Runs the tool that goes by `name`; `nettools` itself takes it as its first word.
fn run(name: &str, mut words: Vec<OsString>) -> ExitCode {
    match name {
        "ip" => ip::main(words),
        "ping" => ping::main(words),
        "ss" => ss::main(words),
        _ if name.starts_with("nettools") && !words.is_empty() => {
            let name = words.remove(0).to_string_lossy().into_owned();
            if name.starts_with("nettools") { unknown(&name) } else { run(&name, words) }
        }
        other => unknown(other),
    }
}

fn unknown(name: &str) -> ExitCode {
    Problem::new(format!("there is no tool `{name}`"))
        .with_hint("`nettools ip …`, `nettools ping …` and `nettools ss …` are there")
        .print("nettools");
    ExitCode::from(2)
}
