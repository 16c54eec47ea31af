//! `systools`: the tools for looking at a system and for archives that no maintained
//! crate has as a program, in one binary. Each is thin, on a maintained library.
//!
//! It does what it is called: by its links (`ps`, `tar`, …) or by its first word
//! (`systools ps`). docs/tools.md says what each leaves out.
//!
//! Code map: [`ps`] and [`top`] show what [`process`] reads, [`top`] and [`free`] what
//! [`memory`] does; [`dmesg`]; [`sysctl`]; [`gzip`], [`tar`]; [`less`]; [`resize`]. [`output`] is
//! for all, [`fullscreen`] for those that have the terminal for themselves.

mod dmesg;
mod free;
mod fullscreen;
mod gzip;
mod less;
mod memory;
mod output;
mod process;
mod ps;
mod resize;
mod sysctl;
mod tar;
mod top;

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use services::failure::Failure;

/// Shorthand for what tools return.
type Result<T> = std::result::Result<T, Failure>;

/// A tool: what it does with the words behind its name.
type Tool = fn(&str, Vec<OsString>) -> Result<()>;

/// Every name, and the tool behind it.
const TOOLS: &[(&str, Tool)] = &[
    ("dmesg", dmesg::run),
    ("free", free::run),
    ("gunzip", gzip::run),
    ("gzip", gzip::run),
    ("less", less::run),
    ("ps", ps::run),
    ("resize", resize::run),
    ("sysctl", sysctl::run),
    ("tar", tar::run),
    ("top", top::run),
    ("zcat", gzip::run),
];

fn main() -> ExitCode {
    let mut words: Vec<OsString> = env::args_os().collect();
    let called_as = if words.is_empty() { OsString::new() } else { words.remove(0) };
    let mut name = file_name(&called_as);
    if name == "systools" && !words.is_empty() {
        name = file_name(&words.remove(0));
    }
    let Some((name, tool)) = TOOLS.iter().find(|(known, _)| *known == name) else {
        let names: Vec<&str> = TOOLS.iter().map(|(name, _)| *name).collect();
        let hint = format!("it is called as one of: {}", names.join(", "));
        let problem = format!("there is no tool `{}`", output::tame(&name));
        return Failure::usage(problem, hint).report("systools");
    };
    match tool(name, words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Problem(code, problem)) => {
            Failure::Problem(code, output::tamed(&problem)).report(name)
        }
        Err(failure) => failure.report(name),
    }
}

fn file_name(word: &OsString) -> String {
    Path::new(word).file_name().unwrap_or_default().to_string_lossy().into_owned()
}
