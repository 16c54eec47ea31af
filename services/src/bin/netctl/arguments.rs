//! The command line: words to [`Arguments`].

use std::path::PathBuf;

use init_core::diagnostic::suggest;
use lexopt::Arg;
use services::failure::{Code, Failure};
use services::network::CONFIG_FILE;
use services::network::control::CONTROL_SOCKET;
use services::problem::Problem;

use crate::Result;
use crate::edit::Setting;

/// What `netctl --help` says.
pub(crate) const HELP: &str = "\
Shows the network and changes it.

Usage: netctl [OPTIONS] COMMAND [ARGUMENTS]

Look:
  list                    every link in a line
  status LINK             everything about a link
  lease [LINK]            what DHCP servers have granted, and for how long
  check [FILE]            look for mistakes in /etc/network.toml

Change:
  renew LINK              ask for the lease again now
  up LINK, down LINK      switch a link on; off until it is switched on again
  set LINK KEY VALUE…     change the file, and the network with it:
        dhcp on|off            ask for an IPv4 address
        address A/LENGTH…      addresses that it always has; `none` for none
        gateway ADDRESS…       where default routes lead; `none` for none
        dns ADDRESS…           resolvers; `none` for none
        ipv6 auto|static|off   where IPv6 addresses come from
        metric N, mtu N
  reload                  make the network as the file says now

Options:
      --json              print JSON, for programs
      --socket PATH       netd's control socket [default: /run/netd/control]
      --config FILE       the file itself [default: /etc/network.toml]
  -h, --help              this text
  -V, --version           the version

Exit codes:
  0  done
  1  the operation failed
  2  the command line is wrong
  4  there is no link of that name

States that `list` shows: online (has a usable address), configuring (has none yet),
no-cable, down, held-down (by `netctl down`), port (of a bridge), missing (the file
makes it, and it cannot be made), unmanaged (the file is not about it).

Examples:
  netctl list
  netctl lease eth0
  netctl set eth0 address 192.0.2.2/24 && netctl set eth0 gateway 192.0.2.1
  netctl --json list | jq -r '.[] | select(.state == \"online\") | .name'
";

/// What was typed.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Arguments {
    pub(crate) command: Command,
    /// Whether the output is for programs.
    pub(crate) json: bool,
    pub(crate) socket: PathBuf,
    pub(crate) config: PathBuf,
}

/// What is to be done.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Command {
    List,
    Status(String),
    Lease(Option<String>),
    Check(Option<PathBuf>),
    Renew(String),
    SetUp(String, bool),
    Set(String, Setting),
    Reload,
    Help,
    Version,
}

const COMMANDS: [&str; 10] =
    ["list", "status", "lease", "check", "renew", "up", "down", "set", "reload", "help"];

/// Reads the command line.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Arguments> {
    let wrong = |error: lexopt::Error| usage(error.to_string());
    let mut words: Vec<String> = Vec::new();
    let (mut json, mut help, mut version) = (false, false, false);
    let (mut socket, mut config) = (PathBuf::from(CONTROL_SOCKET), PathBuf::from(CONFIG_FILE));
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => help = true,
            Arg::Short('V') | Arg::Long("version") => version = true,
            Arg::Long("json") => json = true,
            Arg::Long("socket") => socket = parser.value().map_err(wrong)?.into(),
            Arg::Long("config") => config = parser.value().map_err(wrong)?.into(),
            Arg::Value(word) => words.push(word.to_string_lossy().into_owned()),
            other => return Err(wrong(other.unexpected())),
        }
    }
    let command = match () {
        () if version => Command::Version,
        () if help => Command::Help,
        () => command(&words)?,
    };
    Ok(Arguments { command, json, socket, config })
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::usage(message, "`netctl --help` shows the commands")
}

fn command(words: &[String]) -> Result<Command> {
    let (word, rest) = words.split_first().ok_or_else(|| usage("a command is missing"))?;
    let link = || match rest {
        [link] => Ok(link.clone()),
        [] => Err(usage("the name of a link is missing")),
        _ => Err(usage("only one link at a time")),
    };
    let at_most_one = || match rest {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        _ => Err(usage("too many arguments")),
    };
    let nothing = |command| match rest {
        [] => Ok(command),
        [extra, ..] => Err(usage(format!("unexpected argument `{extra}`"))),
    };
    match word.as_str() {
        "list" => nothing(Command::List),
        "status" => Ok(Command::Status(link()?)),
        "lease" => Ok(Command::Lease(at_most_one()?)),
        "check" => Ok(Command::Check(at_most_one()?.map(PathBuf::from))),
        "renew" => Ok(Command::Renew(link()?)),
        "up" => Ok(Command::SetUp(link()?, true)),
        "down" => Ok(Command::SetUp(link()?, false)),
        "reload" => nothing(Command::Reload),
        "help" => nothing(Command::Help),
        "set" => match rest {
            [link, key, values @ ..] => {
                let setting = Setting::parse(key, values).map_err(usage)?;
                Ok(Command::Set(link.clone(), setting))
            }
            _ => Err(usage("`set` takes a link, a key and values")),
        },
        other => {
            let hint = match suggest(other, COMMANDS) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "`netctl --help` shows the commands".to_owned(),
            };
            let problem = Problem::new(format!("there is no command `{other}`")).with_hint(hint);
            Err(Failure::Problem(Code::Usage, problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Arguments> {
        parse(lexopt::Parser::from_args(words))
    }

    #[test]
    fn commands_are_read() {
        let eth0 = || "eth0".to_owned();
        for (words, command) in [
            (&["list"][..], Command::List),
            (&["status", "eth0"], Command::Status(eth0())),
            (&["lease"], Command::Lease(None)),
            (&["lease", "eth0"], Command::Lease(Some(eth0()))),
            (&["check", "f"], Command::Check(Some("f".into()))),
            (&["down", "eth0"], Command::SetUp(eth0(), false)),
            (&["set", "eth0", "dhcp", "on"], Command::Set(eth0(), Setting::Dhcp(true))),
            (&["reload", "--help"], Command::Help),
        ] {
            assert_eq!(read(words).unwrap().command, command, "{words:?}");
        }
        let arguments = read(&["--json", "list", "--socket=/s"]).unwrap();
        assert!(arguments.json);
        assert_eq!(arguments.socket.to_str(), Some("/s"));
    }

    #[test]
    fn a_wrong_command_line_is_said_to_be() {
        for words in [
            &[][..],
            &["lst"],
            &["status"],
            &["status", "a", "b"],
            &["list", "x"],
            &["set", "eth0"],
            &["set", "eth0", "dhcp", "perhaps"],
            &["--colour"],
        ] {
            match read(words).unwrap_err() {
                Failure::Problem(Code::Usage, problem) => assert!(problem.hint().is_some()),
                other => panic!("{words:?}: {other:?}"),
            }
        }
    }
}
