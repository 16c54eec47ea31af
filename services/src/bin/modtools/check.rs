//! `modtools check`: what is wrong in the files of modprobe.d(5).

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg;
use services::failure::{Code, Failure};
use services::modules::config::{Config, DIRECTORIES, files};
use services::output;
use services::problem::Problem;

use crate::Result;

const HELP: &str = "\
Reads files of modprobe.d and reports every mistake in them.

Usage: modtools check [FILE...]

Without FILE those of /etc/modprobe.d, /run/modprobe.d and /usr/lib/modprobe.d that count.

Options:
  -h, --help  this text

Exit status: 0 done, 1 there is a mistake, 2 usage.
";

pub(crate) fn run(words: Vec<OsString>) -> Result<()> {
    let mut named: Vec<PathBuf> = Vec::new();
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(output::print(HELP)?),
            Arg::Value(file) => named.push(file.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    let cannot = |what: &str, error| Problem::new(format!("cannot read {what}: {error}"));
    if named.is_empty() {
        named = files(&DIRECTORIES.map(PathBuf::from))
            .map_err(|error| cannot("the directories of modprobe.d", error))?;
    }
    let mut config = Config::default();
    let mut findings = Vec::new();
    for file in &named {
        let shown = format!("`{}`", file.display());
        config.read(file, &mut findings).map_err(|error| cannot(&shown, error))?;
    }
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &findings {
        output::print(&format!("{finding}\n"))?;
    }
    Err(Failure::Reported(Code::Failed))
}
