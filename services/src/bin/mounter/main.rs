//! `mounter NAME` keeps one mount: it waits for the device, checks it, mounts it, tells PID 1,
//! and unmounts when it is asked to end.
//!
//! It is the command of the service `mount-NAME`, so that other services can require the
//! mount and are stopped before it goes. docs/devices-and-mounts.md has the descriptions.
//! A mount that is there already when it starts, as after a crash, is taken over. Absent:
//! swap, network file systems, automounting.

mod description;
mod device;
mod holders;
mod mount;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::{Arg, ValueExt as _};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use services::notify::notify;
use services::problem::{Context, Problem, Result};
use services::signals::Termination;

/// The name under which problems are reported.
const PROGRAM: &str = "mounter";

const HELP: &str = "\
Mounts what a description in mounts.d says, keeps it, and unmounts it when it is asked
to end (SIGTERM). It is the command of the service mount-NAME.

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
    Help,
}

fn main() -> ExitCode {
    let command = match parse(lexopt::Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            let problem = Problem::new(error.to_string());
            problem.with_hint("`mounter --help` explains the options").print(PROGRAM);
            return ExitCode::from(2);
        }
    };
    let result = match command {
        Command::Help => {
            io::stdout().write_all(HELP.as_bytes()).context(|| "cannot write the output".to_owned())
        }
        Command::Check { files } => description::check(&files),
        Command::Keep { name } => match description::path_of(&name) {
            Some(path) => keep(&path),
            None => {
                let problem = Problem::new(format!("no description of a mount `{name}`"));
                let hint = "`ls /usr/lib/mounts.d /etc/mounts.d` shows those there are";
                problem.with_hint(hint).print(PROGRAM);
                return ExitCode::from(4);
            }
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            problem.print(PROGRAM);
            ExitCode::FAILURE
        }
    }
}

fn parse(mut parser: lexopt::Parser) -> std::result::Result<Command, lexopt::Error> {
    let mut words: Vec<String> = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    match words.split_first() {
        None => Err("the name of a mount is missing".into()),
        Some((first, files)) if first == "check" => {
            Ok(Command::Check { files: files.iter().map(PathBuf::from).collect() })
        }
        Some((name, [])) => Ok(Command::Keep { name: name.clone() }),
        Some((_, [extra, ..])) => Err(format!("unexpected argument {extra:?}").into()),
    }
}

/// Everything from the wait for the device to the unmount.
fn keep(path: &std::path::Path) -> Result<()> {
    let termination = Termination::catch().context(|| "cannot catch signals".to_owned())?;
    let description = description::load(path)?;
    let Some(source) = device::wait_for(&description, &termination)? else { return Ok(()) };
    let state = mount::establish(&description, &source)?;
    notify(&format!("READY=1\nSTATUS={state}"))
        .context(|| "cannot tell PID 1 that it is mounted".to_owned())?;
    loop {
        match poll(&mut [PollFd::new(&termination, PollFlags::IN)], None) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(Problem::new(format!("cannot wait for signals: {error}"))),
        }
    }
    mount::release(&description.target)
}
