//! `insmod` and `rmmod`: one module, with nothing that it needs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use init_core::modinfo::{canonical, name_of};
use lexopt::{Arg, ValueExt};
use services::failure::Failure;
use services::modules::kernel;
use services::output;
use services::problem::Problem;

use crate::Result;

const INSMOD_HELP: &str = "\
Has the kernel load the module in a file, and nothing that it needs; see modprobe.

Usage: insmod FILE [PARAMETER=VALUE...]

Options:
  -h, --help  this text

Exit status: 0 done, 1 failed, 2 usage.
";

const RMMOD_HELP: &str = "\
Has the kernel unload modules that nobody uses.

Usage: rmmod MODULE...

Options:
  -h, --help  this text

Exit status: 0 done, 1 failed, 2 usage.
";

/// The words that are no options; `None` if help is asked for.
fn words(words: Vec<OsString>, what: &str) -> Result<Option<Vec<String>>> {
    let mut named = Vec::new();
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(word) => named.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if named.is_empty() {
        return Err(Failure::usage(format!("no {what} is named"), "`--help` explains the options"));
    }
    Ok(Some(named))
}

pub(crate) fn run_insmod(arguments: Vec<OsString>) -> Result<()> {
    let Some(mut words) = words(arguments, "file")? else {
        return Ok(output::print(INSMOD_HELP)?);
    };
    let file = PathBuf::from(words.remove(0));
    let name = file.to_str().and_then(name_of);
    if let Some(name) = name.filter(|name| kernel::is_live(name)) {
        return Err(Problem::new(format!("`{name}` is loaded already")).into());
    }
    Ok(kernel::load(Path::new(&file), &words)?)
}

pub(crate) fn run_rmmod(arguments: Vec<OsString>) -> Result<()> {
    let Some(words) = words(arguments, "module")? else {
        return Ok(output::print(RMMOD_HELP)?);
    };
    for word in words {
        kernel::unload(&name_of(&word).unwrap_or_else(|| canonical(&word)))?;
    }
    Ok(())
}
