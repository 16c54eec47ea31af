//! `mounter NAME` keeps one mount: it waits for the device, checks it, mounts it, tells PID 1,
//! and unmounts when it is asked to end.
//!
//! It is the command of the service `mount-NAME`, so that other services can require the
//! mount and are stopped before it goes. docs/devices-and-mounts.md has the descriptions.
//! A mount that is there already when it starts, as after a crash, is taken over. One that
//! somebody else takes away ends it with an error, so that nobody writes to what lies below.
//! Absent: swap, network file systems, automounting.

mod description;
mod device;
mod holders;
mod mount;
mod watch;

use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::{Arg, ValueExt as _};
use services::failure::Failure;
use services::notify::notify;
use services::problem::{Context, Problem, Result};
use services::program;
use services::signals::Termination;
use watch::Watch;

/// The name under which problems are reported.
const PROGRAM: &str = "mounter";

const HELP: &str = "\
Mounts what a description in mounts.d says, keeps it, and unmounts it when it is asked
to end (SIGTERM). It is the command of the service mount-NAME, and fails once somebody
else has unmounted it.

Usage: mounter NAME|FILE
       mounter check [FILE...]

NAME is the description /etc/mounts.d/NAME.toml or, where there is none,
/usr/lib/mounts.d/NAME.toml. `mounter check` reads descriptions and reports every mistake
in them; without FILE, all of both directories.

Options:
  -h, --help  this text

Exit status: 0 done, 1 failed, 2 usage, 4 no such description.
";

enum Command {
    Keep { name: String },
    Check { files: Vec<PathBuf> },
}

fn main() -> ExitCode {
    program::run(PROGRAM, HELP, parse, run)
}

fn run(command: Command) -> std::result::Result<(), Failure> {
    match command {
        Command::Check { files } => description::check(&files)?,
        Command::Keep { name } => match description::path_of(&name) {
            Some(path) => keep(&path)?,
            None => {
                let message = format!("no description of a mount `{name}`");
                let hint = "`ls /usr/lib/mounts.d /etc/mounts.d` shows those there are";
                return Err(Failure::no_such(message, hint));
            }
        },
    }
    Ok(())
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<Command>> {
    let mut words: Vec<String> = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    match words.split_first() {
        None => Err(Problem::new("the name of a mount is missing")),
        Some((first, files)) if first == "check" => {
            Ok(Some(Command::Check { files: files.iter().map(PathBuf::from).collect() }))
        }
        Some((name, [])) => Ok(Some(Command::Keep { name: name.clone() })),
        Some((_, [extra, ..])) => Err(Problem::new(format!("unexpected argument {extra:?}"))),
    }
}

/// Everything from the wait for the device to the unmount.
fn keep(path: &std::path::Path) -> Result<()> {
    let termination = Termination::catch().context(|| "cannot catch signals".to_owned())?;
    let description = description::load(path)?;
    let Some(source) = device::wait_for(&description, &termination)? else { return Ok(()) };
    let state = mount::establish(&description, &source, termination.as_fd())?;
    let watch = Watch::begin(&description.target)?;
    notify(&format!("READY=1\nSTATUS={state}"))
        .context(|| "cannot tell PID 1 that it is mounted".to_owned())?;
    watch.wait_for(&termination)?;
    mount::release(&watch)
}
