//! The command line of `netd`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::Arg;
use services::network::{CONFIG_FILE, RUN_DIRECTORY};
use services::problem::{Problem, Result};

const HELP: &str = "\
Makes the network of this machine and keeps it.

Usage: netd [OPTIONS]

Options:
      --config FILE      the file to follow [default: /etc/network.toml]; without
                         it there is the loopback interface and nothing else
      --run DIR          where resolv.conf and the control socket are
                         [default: /run/netd]
      --user NAME        whom to become after the start [default: net]
      --stay-root        do not become anybody
  -h, --help             this text

`netctl` shows and changes what it does. SIGTERM gives leases back and ends it;
addresses of the file stay.
";

/// What the command line asks for.
pub(crate) enum Parsed {
    /// Do the work.
    Run(Settings),
    /// Explain the command line.
    Help,
}

/// How to work.
pub(crate) struct Settings {
    /// The file to follow.
    pub(crate) config: PathBuf,
    /// Where resolv.conf and the control socket are.
    pub(crate) run: PathBuf,
    /// Whom to become.
    pub(crate) user: Option<String>,
}

/// Reads the command line.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Parsed> {
    let mut settings = Settings {
        config: CONFIG_FILE.into(),
        run: RUN_DIRECTORY.into(),
        user: Some("net".to_owned()),
    };
    let usage = |error: lexopt::Error| {
        Problem::new(error.to_string()).with_hint("`netd --help` explains the options")
    };
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Arg::Long("config") => settings.config = parser.value().map_err(usage)?.into(),
            Arg::Long("run") => settings.run = parser.value().map_err(usage)?.into(),
            Arg::Long("user") => {
                let user = parser.value().map_err(usage)?;
                settings.user = Some(user.to_string_lossy().into_owned());
            }
            Arg::Long("stay-root") => settings.user = None,
            Arg::Short('h') | Arg::Long("help") => return Ok(Parsed::Help),
            other => return Err(usage(other.unexpected())),
        }
    }
    Ok(Parsed::Run(settings))
}

/// Explains the command line.
pub(crate) fn print_help() -> ExitCode {
    match std::io::stdout().write_all(HELP.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
