//! `modtools`: kernel modules, under five names: `modprobe`, `insmod`, `rmmod`, `lsmod`,
//! `modinfo`.
//!
//! Each does what its namesake elsewhere is mostly used for (modprobe(8), lsmod(8), …);
//! docs/kernel.md says what that is. Absent: depmod(8), which is the builder's; compressed
//! modules; `install` and `remove` commands.

mod check;
mod lsmod;
mod modinfo;
mod modprobe;
mod plain;

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use services::failure::Failure;

/// Shorthand for what tools return.
type Result<T> = std::result::Result<T, Failure>;

/// A tool: what it does with the words behind its name.
type Tool = fn(Vec<OsString>) -> Result<()>;

/// Every name, and the tool behind it.
const TOOLS: &[(&str, Tool)] = &[
    ("check", check::run),
    ("insmod", plain::run_insmod),
    ("lsmod", lsmod::run),
    ("modinfo", modinfo::run),
    ("modprobe", modprobe::run),
    ("rmmod", plain::run_rmmod),
];

fn main() -> ExitCode {
    let mut words: Vec<OsString> = env::args_os().collect();
    let called_as = if words.is_empty() { OsString::new() } else { words.remove(0) };
    let mut name = file_name(&called_as);
    if name == "modtools" && !words.is_empty() {
        name = file_name(&words.remove(0));
    }
    let Some((name, tool)) = TOOLS.iter().find(|(known, _)| *known == name) else {
        let names: Vec<&str> = TOOLS.iter().map(|(name, _)| *name).collect();
        let hint = format!("it is called as one of: {}", names.join(", "));
        return Failure::usage(format!("there is no tool `{name}`"), hint).report("modtools");
    };
    match tool(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(name),
    }
}

fn file_name(word: &OsString) -> String {
    Path::new(word).file_name().unwrap_or_default().to_string_lossy().into_owned()
}
