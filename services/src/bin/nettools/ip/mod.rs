//! `ip`: shows and changes links, addresses, routes and neighbours, in the usual words.
//!
//! Code map: this module is the command line, [`show`] what is printed, [`change`] what
//! is changed. Absent: rules, tunnels, name spaces, everything that [`HELP`] leaves out.

mod change;
mod show;

use std::ffi::OsString;
use std::process::ExitCode;

use services::failure::Failure;
use services::network::netlink::Connection;
use services::network::netlink::view::{Link, links};
use services::output::print;
use services::problem::Context;

use crate::Result;

const HELP: &str = "\
Shows and changes links, addresses, routes and neighbours.

Usage: ip [-4|-6] [-br] [-j] OBJECT [COMMAND]

  ip addr  [show [[dev] LINK]]
  ip addr  add|replace|del ADDRESS/LENGTH dev LINK
  ip link  [show [[dev] LINK]]
  ip link  set [dev] LINK [up|down] [mtu N] [address MAC] [name NEW] [master BRIDGE|nomaster]
  ip link  add [name] NAME type dummy|bridge|veth peer NAME
  ip link  add [name] NAME link LINK type vlan id N
  ip link  del [dev] LINK
  ip route [show [table N|all]]
  ip route add|replace|del default|NETWORK [via ADDRESS] [dev LINK] [metric N] [src ADDRESS]
  ip neigh [show]
  ip neigh replace ADDRESS lladdr MAC dev LINK
  ip neigh del ADDRESS dev LINK

Options:
  -4, -6          one family only; of it is `default` without `via` [default: IPv4]
  -br, -brief     a line for each
  -j, -json       JSON, for programs
      --help      this text

An object or command may be shortened: `ip a`, `ip r`, `ip l s`. What netd keeps is
better changed by `netctl`: `ip` changes nothing beyond the next boot.

Exit codes: 0 done, 1 the kernel refuses, 2 the command line is wrong, 4 no such link.
";

/// The name under which problems are reported.
const TOOL: &str = "ip";

/// What is to be shown, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Options {
    /// IPv4 alone, IPv6 alone, or both.
    ipv4: Option<bool>,
    brief: bool,
    json: bool,
}

/// The tool.
pub(crate) fn main(words: Vec<OsString>) -> ExitCode {
    let words: Vec<String> =
        words.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    run(&words).map_or_else(|failure| failure.report(TOOL), |()| ExitCode::SUCCESS)
}

fn run(words: &[String]) -> Result<()> {
    let mut options = Options::default();
    let mut rest = words.iter().map(String::as_str).collect::<Vec<_>>();
    while let Some(word) = rest.first().filter(|word| word.starts_with('-')) {
        match *word {
            "-4" => options.ipv4 = Some(true),
            "-6" => options.ipv4 = Some(false),
            "-br" | "-brief" => options.brief = true,
            "-j" | "-json" => options.json = true,
            "-h" | "-help" | "--help" => return Ok(print(HELP)?),
            other => return Err(usage(format!("there is no option `{other}`"))),
        }
        rest.remove(0);
    }
    let (object, rest) = rest.split_first().ok_or_else(|| usage("what is to be shown?"))?;
    let object = chosen(object, &["address", "link", "route", "neighbour", "help"])?;
    let (command, rest) = match rest.split_first() {
        Some((command, rest)) => (*command, rest),
        None => ("show", rest),
    };
    let command =
        chosen(command, &["show", "list", "add", "del", "delete", "set", "replace", "help"])?;
    if object == "help" || command == "help" {
        return Ok(print(HELP)?);
    }
    let mut kernel = Kernel::connect()?;
    match (object, command) {
        ("address", "show" | "list") => show::addresses(&mut kernel, options, rest),
        ("link", "show" | "list") => show::links(&kernel, options, rest),
        ("route", "show" | "list") => show::routes(&mut kernel, options, rest),
        ("neighbour", "show" | "list") => show::neighbours(&mut kernel, options),
        ("address", command) => change::address(&mut kernel, options.ipv4, command, rest),
        ("link", command) => change::link(&mut kernel, command, rest),
        ("route", command) => change::route(&mut kernel, options.ipv4, command, rest),
        (_, command) => change::neighbour(&mut kernel, options.ipv4, command, rest),
    }
}

fn usage(message: impl Into<String>) -> Failure {
    crate::usage(TOOL, message)
}

/// The word that `typed` begins; the first of several.
fn chosen(typed: &str, words: &[&'static str]) -> Result<&'static str> {
    words
        .iter()
        .find(|word| word.starts_with(typed))
        .copied()
        .ok_or_else(|| usage(format!("`{typed}` is none of {}", words.join(", "))))
}

/// The kernel, and the links it has.
struct Kernel {
    connection: Connection,
    links: Vec<Link>,
}

impl Kernel {
    fn connect() -> Result<Self> {
        let asking = || "cannot ask the kernel".to_owned();
        let mut connection = Connection::open(None).context(asking)?;
        let links = links(&mut connection).context(asking)?;
        Ok(Self { connection, links })
    }

    /// The link of a name.
    fn link(&self, name: &str) -> Result<&Link> {
        self.links.iter().find(|link| link.name == name).ok_or_else(|| {
            Failure::no_such(format!("there is no link `{name}`"), "`ip -br link` shows them")
        })
    }

    /// The name of a link.
    fn name(&self, index: u32) -> String {
        let found = self.links.iter().find(|link| link.index == index);
        found.map_or_else(|| format!("if{index}"), |link| link.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_commands_may_be_shortened() {
        let objects = ["address", "link", "route", "neighbour"];
        for (typed, meant) in [
            ("a", "address"),
            ("addr", "address"),
            ("l", "link"),
            ("r", "route"),
            ("neigh", "neighbour"),
        ] {
            assert_eq!(chosen(typed, &objects).unwrap(), meant);
        }
        assert!(chosen("x", &objects).is_err());
    }

    #[test]
    fn a_wrong_command_line_is_said_to_be() {
        for line in ["", "-x addr", "colour", "addr dance"] {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let failed = run(&words).unwrap_err();
            assert!(
                matches!(failed, Failure::Problem(services::failure::Code::Usage, _)),
                "{line}: {failed:?}"
            );
        }
    }
}
