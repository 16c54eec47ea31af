//! `timed` sets the clock by servers of the network: at once when it starts, by and by after.
//!
//! Code map: [`settings`] reads `/etc/time.toml`; [`packet`] is SNTP's message, [`ask`] sends it,
//! [`select`] says which servers agree, [`discipline`] what is done about it; [`clock`] does it,
//! [`daemon`] has all of that done and waits. `timectl` shows what is in `/run/timed/status.json`.
//! Absent: serving time to others, authentication (NTS), hardware time stamps, leap seconds.

mod ask;
mod clock;
mod daemon;
mod discipline;
mod packet;
mod select;
mod settings;

use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::Arg;
use services::problem::Result;
use services::program;

const PROGRAM: &str = "timed";

const HELP: &str = "\
Sets the clock by the servers of /etc/time.toml.

Usage: timed [OPTIONS]

Options:
      --config FILE    the settings [default: /etc/time.toml]
      --state DIR      where it says what it does [default: /run/timed]
      --user NAME      whom to become, with the right to set the clock [default: time]
      --rtc PATH       the hardware clock [default: /dev/rtc0]
      --dry-run        ask and say, but leave the clocks alone
      --check          look for mistakes in the settings, and end
  -h, --help           this text

`timectl status` shows how right the clock is. docs/names-and-time.md has every key.
";

/// What was typed.
pub(crate) struct Arguments {
    pub(crate) config: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) user: String,
    pub(crate) rtc: PathBuf,
    pub(crate) dry_run: bool,
    check: bool,
}

fn main() -> ExitCode {
    program::run(PROGRAM, HELP, parse, |arguments| run(&arguments))
}

fn run(arguments: &Arguments) -> Result<()> {
    let settings = settings::load(&arguments.config)?;
    if arguments.check {
        return Ok(());
    }
    daemon::run(arguments, &settings)
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<Arguments>> {
    let mut arguments = Arguments {
        config: PathBuf::from("/etc/time.toml"),
        state: PathBuf::from("/run/timed"),
        user: "time".to_owned(),
        rtc: PathBuf::from("/dev/rtc0"),
        dry_run: false,
        check: false,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("config") => arguments.config = parser.value()?.into(),
            Arg::Long("state") => arguments.state = parser.value()?.into(),
            Arg::Long("rtc") => arguments.rtc = parser.value()?.into(),
            Arg::Long("user") => {
                arguments.user = parser.value()?.to_string_lossy().into_owned();
            }
            Arg::Long("dry-run") => arguments.dry_run = true,
            Arg::Long("check") => arguments.check = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(arguments))
}
