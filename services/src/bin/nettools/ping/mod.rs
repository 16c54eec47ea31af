//! `ping`: asks a machine to answer, by ICMP (RFC 792) or ICMPv6 (RFC 4443).
//!
//! Code map: this module is the command line and the loop, [`echo`] the messages,
//! [`socket`] the two kinds of socket. Names are resolved by the C library's
//! `getaddrinfo` where it works in a static program, as in musl. Absent: options of
//! IP, flooding, timestamps, broadcasts.

mod echo;
mod socket;

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lexopt::Arg;
use rustix::event::{PollFd, PollFlags};
use services::failure::{Code, Failure};
use services::network::netlink::Connection;
use services::network::netlink::view::{Link, links};
use services::output::print;
use services::problem::{Context, Problem};
use services::signals::Termination;

use socket::{Outcome, Socket};

use crate::{Result, usage};

const HELP: &str = "\
Asks a machine to answer, again and again, and says how long it took.

Usage: ping [-4|-6] [-c COUNT] [-i SECONDS] [-W SECONDS] [-s BYTES] [-q] HOST

Options:
  -4, -6      by IPv4, by IPv6 [default: what the name has]
  -c COUNT    how often to ask [default: until Ctrl-C]
  -i SECONDS  pause between two questions, from 0.01 [default: 1]
  -W SECONDS  how long to wait for an answer [default: 5]
  -s BYTES    of content, 8 to 1400 [default: 56]
  -I LINK     the link to ask by, whatever the routes say; HOST%LINK says the same
  -q          only the sum at the end
      --help  this text

Ctrl-C ends it too, with the sum.

Exit codes:
  0  at least one answer came
  1  no answer came, or it cannot be asked
  2  the command line is wrong
  4  there is no such link
";

const TOOL: &str = "ping";

/// What was typed.
#[derive(Clone, PartialEq, Debug)]
struct Settings {
    host: String,
    ipv4: Option<bool>,
    count: Option<u32>,
    interval: Duration,
    patience: Duration,
    content_bytes: usize,
    link: Option<String>,
    quiet: bool,
}

/// The tool.
pub(crate) fn main(words: Vec<OsString>) -> ExitCode {
    let done = match parse(words) {
        Ok(Some(settings)) => run(&settings),
        Ok(None) => print(HELP).map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    done.map_or_else(|failure| failure.report(TOOL), |()| ExitCode::SUCCESS)
}

/// Reads the command line; `None` is a call for help.
fn parse(words: Vec<OsString>) -> Result<Option<Settings>> {
    let wrong = |error: lexopt::Error| usage(TOOL, error.to_string());
    let mut settings = Settings {
        host: String::new(),
        ipv4: None,
        count: None,
        interval: Duration::from_secs(1),
        patience: Duration::from_secs(5),
        content_bytes: 56,
        link: None,
        quiet: false,
    };
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Short('4') => settings.ipv4 = Some(true),
            Arg::Short('6') => settings.ipv4 = Some(false),
            Arg::Short('q') => settings.quiet = true,
            Arg::Short('c') => settings.count = Some(number(&mut parser, 1.0, 1e9)?),
            Arg::Short('i') => settings.interval = seconds(&mut parser, 0.01)?,
            Arg::Short('W') => settings.patience = seconds(&mut parser, 0.01)?,
            Arg::Short('s') => {
                let bytes = number(&mut parser, 8.0, 1400.0)?;
                settings.content_bytes = usize::try_from(bytes).unwrap_or_default();
            }
            Arg::Short('I') => {
                let link = parser.value().map_err(wrong)?;
                settings.link = Some(link.to_string_lossy().into_owned());
            }
            Arg::Long("help") => return Ok(None),
            Arg::Value(host) if settings.host.is_empty() => {
                settings.host = host.to_string_lossy().into_owned();
            }
            other => return Err(wrong(other.unexpected())),
        }
    }
    if settings.host.is_empty() {
        return Err(usage(TOOL, "the name of a host is missing"));
    }
    Ok(Some(settings))
}

fn real(parser: &mut lexopt::Parser, least: f64, most: f64) -> Result<f64> {
    let wrong = |error: lexopt::Error| usage(TOOL, error.to_string());
    let text = parser.value().map_err(wrong)?.to_string_lossy().into_owned();
    let number = text.parse::<f64>().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| usage(TOOL, format!("`{text}` is no number from {least} to {most}")))
}

fn seconds(parser: &mut lexopt::Parser, least: f64) -> Result<Duration> {
    Ok(Duration::from_secs_f64(real(parser, least, 86_400.0)?))
}

fn number(parser: &mut lexopt::Parser, least: f64, most: f64) -> Result<u32> {
    let number = real(parser, least, most)?;
    let whole = format!("{number:.0}").parse().ok();
    whole.ok_or_else(|| usage(TOOL, format!("{number} is no whole number")))
}

fn run(settings: &Settings) -> Result<()> {
    let (name, link) = whom(settings)?;
    let link = link.map(known).transpose()?;
    let address = resolve(name, settings.ipv4, link.as_ref())?;
    let socket = Socket::open(address, link.as_ref().map(|link| link.name.as_str()))
        .map_err(|error| cannot_ask(address, &error))?;
    // Not before: until something has been asked there is no sum, and nothing to be waited for.
    let end = Termination::catch().context(|| "cannot catch signals".to_owned())?;
    let bytes = settings.content_bytes;
    print(&format!("PING {} ({}) {bytes} bytes of content\n", settings.host, address.ip()))?;
    let (asked, times) = converse(settings, address.ip(), &socket, &end)?;
    if is_ended_by(Instant::now(), &end)? {
        // The terminal shows `^C` where the sum would begin.
        print("\n")?;
    }
    print(&sum(asked, &times))?;
    if times.is_empty() {
        let problem = Problem::new(format!("{} does not answer", settings.host));
        return Err(Failure::Problem(Code::Failed, problem));
    }
    Ok(())
}

/// Asks as often as is wanted, or until somebody wants an end: how often it was, and how long
/// each answer took.
fn converse(
    settings: &Settings,
    ip: IpAddr,
    socket: &Socket,
    end: &Termination,
) -> Result<(u32, Vec<Duration>)> {
    let (mut asked, mut times) = (0_u32, Vec::new());
    // Not by a schedule from the begin: after a silence it would catch up without a pause.
    let mut next = Instant::now();
    while settings.count.is_none_or(|count| asked < count) {
        if asked > 0 && is_ended_by(next, end)? {
            break;
        }
        next = Instant::now() + settings.interval;
        let sequence = u16::try_from(asked % 0x1_0000).unwrap_or_default();
        asked += 1;
        let line = match socket.ask(sequence, settings.content_bytes, settings.patience, end) {
            Ok(Outcome::Answer(took)) => {
                times.push(took);
                let ms = took.as_secs_f64() * 1e3;
                format!("answer from {ip}: seq={asked} time={ms:.3} ms\n")
            }
            Ok(Outcome::Silence) => format!("no answer: seq={asked}\n"),
            Ok(Outcome::End) => break,
            Err(error) => format!("cannot ask: seq={asked}: {error}\n"),
        };
        if !settings.quiet {
            print(&line)?;
        }
    }
    Ok((asked, times))
}

/// Whether somebody wants an end before the `deadline`, until which it waits.
fn is_ended_by(deadline: Instant, end: &Termination) -> Result<bool> {
    let mut watched = [PollFd::new(end, PollFlags::IN)];
    Ok(socket::wait(&mut watched, deadline).context(|| "cannot wait".to_owned())?)
}

/// Why there is no socket for `address`, and what helps.
fn cannot_ask(address: SocketAddr, error: &io::Error) -> Problem {
    let ip = address.ip();
    let problem = Problem::new(format!("cannot ask {ip}: {error}"));
    match address {
        _ if error.kind() == io::ErrorKind::PermissionDenied => {
            problem.with_hint("root may, and who is in net.ipv4.ping_group_range")
        }
        SocketAddr::V6(address) if address.scope_id() == 0 && is_of_a_link(*address.ip()) => {
            let hint = format!("say on which link: `ping {ip}%eth0`; `ip link` shows them");
            problem.with_hint(hint)
        }
        _ => problem,
    }
}

/// Whether every link may have a machine of this address (RFC 4007, 4).
fn is_of_a_link(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local() || address.segments()[0] & 0xff0f == 0xff02
}

fn sum(asked: u32, times: &[Duration]) -> String {
    let mut text = format!("{asked} asked, {} answered\n", times.len());
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    if let (Some(least), Some(most)) = (times.iter().min(), times.iter().max()) {
        let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
        let mean = times.iter().sum::<Duration>() / count;
        text.push_str(&format!(
            "shortest {:.3} ms, mean {:.3} ms, longest {:.3} ms\n",
            ms(*least),
            ms(mean),
            ms(*most)
        ));
    }
    text
}

/// The name that was typed, and the link to ask by.
fn whom(settings: &Settings) -> Result<(&str, Option<&str>)> {
    let link = settings.link.as_deref();
    match settings.host.split_once('%') {
        Some((_, scope)) if link.is_some_and(|link| link != scope) => {
            Err(usage(TOOL, format!("two links at once: `-I` says another one than `%{scope}`")))
        }
        Some((name, scope)) => Ok((name, Some(scope))),
        None => Ok((settings.host.as_str(), link)),
    }
}

/// The address behind the name, of the family that was asked for; on the link, if one is given.
fn resolve(name: &str, ipv4: Option<bool>, link: Option<&Link>) -> Result<SocketAddr> {
    let fits = |address: &IpAddr| ipv4.is_none_or(|ipv4| address.is_ipv4() == ipv4);
    let found: Vec<IpAddr> = match name.parse() {
        Ok(address) => vec![address],
        Err(_) => (name, 0)
            .to_socket_addrs()
            .context(|| format!("cannot find `{name}`"))?
            .map(|address| address.ip())
            .collect(),
    };
    let address = found.into_iter().find(fits).ok_or_else(|| {
        let family = if ipv4 == Some(true) { "IPv4" } else { "IPv6" };
        Problem::new(format!("`{name}` has no {family} address"))
    })?;
    Ok(match (address, link) {
        (IpAddr::V6(address), Some(link)) => SocketAddrV6::new(address, 0, 0, link.index).into(),
        (address, _) => SocketAddr::new(address, 0),
    })
}

/// The link of a name.
fn known(name: &str) -> Result<Link> {
    let asking = || "cannot ask the kernel for its links".to_owned();
    let mut connection = Connection::open(None).context(asking)?;
    let all = links(&mut connection).context(asking)?;
    all.into_iter().find(|link| link.name == name).ok_or_else(|| {
        Failure::no_such(format!("there is no link `{name}`"), "`ip link` shows them")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Option<Settings>> {
        parse(words.iter().map(OsString::from).collect())
    }

    #[test]
    fn the_command_line_is_read() {
        let settings = read(&["-6", "-c3", "-i", "0.2", "-W1", "-q", "host"]).unwrap().unwrap();
        assert_eq!((settings.ipv4, settings.count, settings.quiet), (Some(false), Some(3), true));
        assert_eq!(settings.interval, Duration::from_millis(200));
        assert_eq!(settings.patience, Duration::from_secs(1));
        assert_eq!(settings.host, "host");
        assert!(read(&["--help"]).unwrap().is_none());
        for wrong in [&[][..], &["-c", "0", "h"], &["-i", "x", "h"], &["a", "b"], &["-z", "h"]] {
            assert!(matches!(read(wrong), Err(Failure::Problem(Code::Usage, _))), "{wrong:?}");
        }
    }

    #[test]
    fn the_link_is_named_once() {
        for (words, expected) in [
            (&["192.0.2.1"][..], ("192.0.2.1", None)),
            (&["-I", "eth0", "192.0.2.1"], ("192.0.2.1", Some("eth0"))),
            (&["fe80::1%eth0"], ("fe80::1", Some("eth0"))),
            (&["-Ieth0", "fe80::1%eth0"], ("fe80::1", Some("eth0"))),
        ] {
            assert_eq!(whom(&read(words).unwrap().unwrap()).unwrap(), expected, "{words:?}");
        }
        let two = read(&["-I", "eth1", "fe80::1%eth0"]).unwrap().unwrap();
        assert!(matches!(whom(&two), Err(Failure::Problem(Code::Usage, _))));
    }

    #[test]
    fn a_link_that_is_not_there_is_said_for_both_families() {
        for host in ["127.0.0.1", "::1"] {
            let settings = read(&["-I", "nosuch", "-c", "1", host]).unwrap().unwrap();
            let failed = run(&settings).unwrap_err();
            assert!(matches!(failed, Failure::Problem(Code::NoSuchThing, _)), "{failed:?}");
        }
    }

    #[test]
    fn the_hint_fits_the_address_and_the_error() {
        let hint = |address: &str, errno| {
            let error = io::Error::from_raw_os_error(errno);
            let problem = cannot_ask(address.parse().unwrap(), &error);
            problem.hint().map(str::to_owned)
        };
        let link = "say on which link: `ping fe80::2%eth0`; `ip link` shows them";
        assert_eq!(hint("[fe80::2]:0", libc::EINVAL).as_deref(), Some(link));
        assert!(hint("[ff02::1]:0", libc::EINVAL).unwrap().starts_with("say on which link"));
        for address in ["[fe80::2]:0", "192.0.2.1:0"] {
            assert!(hint(address, libc::EPERM).unwrap().starts_with("root may"), "{address}");
        }
        assert_eq!(hint("[fe80::2%3]:0", libc::EINVAL), None);
        assert_eq!(hint("[2001:db8::1]:0", libc::ENETUNREACH), None);
    }

    #[test]
    fn the_sum_has_the_times() {
        let times = [2, 4, 6].map(Duration::from_millis);
        let expected = "4 asked, 3 answered\nshortest 2.000 ms, mean 4.000 ms, longest 6.000 ms\n";
        assert_eq!(sum(4, &times), expected);
        assert_eq!(sum(1, &[]), "1 asked, 0 answered\n");
    }
}
