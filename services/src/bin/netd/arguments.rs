//! The command line of `netd`.

use std::path::PathBuf;

use lexopt::Arg;
use services::network::{CONFIG_FILE, RUN_DIRECTORY};
use services::problem::Result;

pub(crate) const HELP: &str = "\
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

/// How to work.
pub(crate) struct Settings {
    /// The file to follow.
    pub(crate) config: PathBuf,
    /// Where resolv.conf and the control socket are.
    pub(crate) run: PathBuf,
    /// Whom to become.
    pub(crate) user: Option<String>,
}

/// Reads the command line; `None` asks for help.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Option<Settings>> {
    let mut settings = Settings {
        config: CONFIG_FILE.into(),
        run: RUN_DIRECTORY.into(),
        user: Some("net".to_owned()),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("config") => settings.config = parser.value()?.into(),
            Arg::Long("run") => settings.run = parser.value()?.into(),
            Arg::Long("user") => {
                let user = parser.value()?;
                settings.user = Some(user.to_string_lossy().into_owned());
            }
            Arg::Long("stay-root") => settings.user = None,
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(settings))
}
