//! `ss`: the sockets of TCP, UDP and the unix domain, and who has them.
//!
//! Code map: this module is the command line and the choice, [`kernel`] asks,
//! [`socket`] is what one answer means, [`show`] what is printed. Absent: raw, packet
//! and netlink sockets, filters by port, address and state, timers and the inner state
//! of TCP, closing of sockets, names instead of numbers.

mod kernel;
mod show;
mod socket;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::ExitCode;

use lexopt::Arg;
use services::failure::Failure;
use services::output::{print, print_json};

use crate::Result;

use kernel::Family;
use socket::Socket;

const HELP: &str = "\
Shows sockets: who listens, who is connected to whom, and which process has them.

Usage: ss [OPTIONS]

  -t, --tcp        TCP
  -u, --udp        UDP
  -x, --unix       unix sockets [without -t, -u, -x, -4 and -6: all three]
  -4, --ipv4       of TCP and UDP, IPv4 only
  -6, --ipv6       of TCP and UDP, IPv6 only
  -l, --listening  those that wait for whoever comes
  -a, --all        all of them [without -l and -a: those that are connected]
  -p, --processes  which processes have them; those of other people are for root to see
  -s, --summary    how many there are in each state, of all
  -H, --no-header  no line that names the columns
  -n, --numeric    numbers, which it always shows: nothing is looked up
  -j, --json       JSON, for programs
  -h, --help       this text

Recv-Q is bytes that nobody has read, Send-Q bytes on their way; of a socket that
listens, the connections that wait to be accepted and how many may wait. `*:22` is
port 22 of every address of IPv4 and IPv6, `[::]:22` that of IPv6 alone. A unix socket
is shown by name and inode, `@` before an abstract name.

Exit codes: 0 done, 1 the kernel refuses, 2 the command line is wrong.
";

/// The name under which problems are reported.
const TOOL: &str = "ss";

/// Which states are to be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Which {
    #[default]
    Connected,
    Listening,
    All,
}

/// What is to be shown, and how.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Options {
    families: BTreeSet<Family>,
    which: Which,
    /// IPv4 alone, IPv6 alone, or both.
    ipv4: Option<bool>,
    processes: bool,
    summary: bool,
    no_header: bool,
    json: bool,
}

/// The tool.
pub(crate) fn main(words: Vec<OsString>) -> ExitCode {
    run(words).map_or_else(|failure| failure.report(TOOL), |()| ExitCode::SUCCESS)
}

fn run(words: Vec<OsString>) -> Result<()> {
    let Some(options) = parse(words)? else { return Ok(print(HELP)?) };
    let mut sockets = kernel::sockets(&options.families)?;
    sockets.retain(|socket| options.wants(socket));
    if options.summary {
        return Ok(match options.json {
            true => print_json(&show::summary_list(&sockets)),
            false => print(&show::summary(&sockets)),
        }?);
    }
    let owners = options.processes.then(|| kernel::owners(&sockets)).transpose()?;
    Ok(match options.json {
        true => print_json(&show::list(&sockets, &owners)),
        false => print(&show::table(&sockets, &owners, !options.no_header)),
    }?)
}

/// What was typed; `None` is a wish for help.
fn parse(words: Vec<OsString>) -> Result<Option<Options>> {
    let mut options = Options::default();
    let (mut ipv4, mut ipv6) = (false, false);
    let (mut listening, mut all) = (false, false);
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('t') | Arg::Long("tcp") => _ = options.families.insert(Family::Tcp),
            Arg::Short('u') | Arg::Long("udp") => _ = options.families.insert(Family::Udp),
            Arg::Short('x') | Arg::Long("unix") => _ = options.families.insert(Family::Unix),
            Arg::Short('4') | Arg::Long("ipv4") => ipv4 = true,
            Arg::Short('6') | Arg::Long("ipv6") => ipv6 = true,
            Arg::Short('l') | Arg::Long("listening") => listening = true,
            Arg::Short('a') | Arg::Long("all") => all = true,
            Arg::Short('p') | Arg::Long("processes") => options.processes = true,
            Arg::Short('s') | Arg::Long("summary") => options.summary = true,
            Arg::Short('H') | Arg::Long("no-header") => options.no_header = true,
            Arg::Short('n') | Arg::Long("numeric") => {}
            Arg::Short('j') | Arg::Long("json") => options.json = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(word) => {
                let word = word.display();
                return Err(Failure::usage(
                    format!("there are no filters as `{word}`"),
                    "`ss --help` shows the options; `grep` chooses lines",
                ));
            }
            other => return Err(crate::usage(TOOL, other.unexpected().to_string())),
        }
    }
    options.which = match (listening, all || options.summary) {
        (_, true) => Which::All,
        (true, false) => Which::Listening,
        (false, false) => Which::Connected,
    };
    options.ipv4 = (ipv4 != ipv6).then_some(ipv4);
    if options.families.is_empty() {
        options.families.extend([Family::Tcp, Family::Udp]);
        if !ipv4 && !ipv6 {
            options.families.insert(Family::Unix);
        }
    }
    Ok(Some(options))
}

impl Options {
    fn wants(&self, socket: &Socket) -> bool {
        let is_of_family = match (self.ipv4, socket.is_ipv4()) {
            (Some(wanted), Some(is_ipv4)) => wanted == is_ipv4,
            _ => true,
        };
        is_of_family
            && match self.which {
                Which::Connected => socket.is_connected(),
                Which::Listening => socket.listens(),
                Which::All => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::socket::Kind;
    use super::socket::tests::{internet_socket, unix_socket};
    use super::*;

    fn parsed(line: &str) -> Options {
        parse(line.split_whitespace().map(OsString::from).collect()).unwrap().unwrap()
    }

    #[test]
    fn the_usual_words_choose_the_usual_sockets() {
        let sockets = [
            internet_socket(Kind::Tcp, 10, "0.0.0.0:22", "0.0.0.0:0"),
            internet_socket(Kind::Tcp, 1, "[::1]:22", "[::1]:4"),
            internet_socket(Kind::Udp, 7, "[::]:546", "[::]:0"),
            unix_socket(1, 10, &[(0, b"/run/a\0")]),
            unix_socket(1, 1, &[]),
        ];
        use Family::{Tcp, Udp, Unix};
        for (line, families, wanted) in [
            ("", &[Tcp, Udp, Unix][..], [false, true, false, false, true]),
            ("-tlnp", &[Tcp], [true, false, true, true, false]),
            ("-tuln4", &[Tcp, Udp], [true, false, false, true, false]),
            ("-6 -a", &[Tcp, Udp], [false, true, true, true, true]),
            ("-46", &[Tcp, Udp], [false, true, false, false, true]),
            ("-xla", &[Unix], [true; 5]),
            ("-s", &[Tcp, Udp, Unix], [true; 5]),
        ] {
            let options = parsed(line);
            assert_eq!(options.families, families.iter().copied().collect(), "{line}");
            assert_eq!(sockets.each_ref().map(|one| options.wants(one)), wanted, "{line}");
        }
        let options = parsed("-pHj --numeric");
        assert!(options.processes && options.no_header && options.json);
        assert_eq!(parse(vec!["-h".into()]).unwrap(), None);
    }

    #[test]
    fn a_wrong_command_line_is_said_to_be() {
        for line in ["-y", "--colour", "sport = :22", "-t state listening"] {
            let words = line.split_whitespace().map(OsString::from).collect();
            let failed = parse(words).unwrap_err();
            let is_usage = matches!(failed, Failure::Problem(services::failure::Code::Usage, _));
            assert!(is_usage, "{line}: {failed:?}");
        }
    }
}
