//! `nslookup` asks a name server, by default the first of `/etc/resolv.conf`, and shows its
//! answer. Absent: the interactive mode, search domains.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use domain::base::iana::{Class, Rcode};
use domain::base::{Message, Name, Rtype};
use domain::rdata::AllRecordData;
use lexopt::Arg;
use services::failure::{Code, Failure};
use services::network::dns::{Question, RESOLV_CONF, ask, parse_servers, plain};
use services::problem::{Context, Problem, Result};
use services::program;

const PROGRAM: &str = "nslookup";
/// Longest time for an answer if nothing else is said: `dnsd` takes 5.6 s to give up a server
/// that is dead, and who hears it from there knows more than who hears nothing.
const TIMEOUT_SECONDS: u64 = 10;

const HELP: &str = "\
Asks a name server and shows its answer.

Usage: nslookup [OPTIONS] NAME|ADDRESS [SERVER]

Options:
  -t, --type TYPE    what is asked for: A, AAAA, MX, TXT, NS, SOA, SRV, CNAME, PTR
                     and others [default: A and AAAA; PTR for an address]
  -p, --port PORT    port of the server [default: what is said with it, or 53]
      --timeout SEC  longest time for an answer, 1 to 60 [default: 10]
  -h, --help         this text

SERVER is an address, as 192.0.2.1 or fe80::1%eth0, or one with a port, as 192.0.2.1:5353
[default: the first one of /etc/resolv.conf].

Exit codes:
  0  there is an answer
  1  there is none, or nobody answered
  2  the command line is wrong

Examples:
  nslookup example.com
  nslookup -t MX example.com 192.0.2.1
";

/// What was typed.
struct Settings {
    name: String,
    server: Option<SocketAddr>,
    /// Whatever the server's own says.
    port: Option<u16>,
    rtype: Option<Rtype>,
    timeout: Duration,
}

fn main() -> ExitCode {
    program::run(PROGRAM, HELP, parse, |settings| match run(&settings) {
        Ok(true) => Ok(()),
        // What there was to say is on the standard output.
        Ok(false) => Err(Failure::Reported(Code::Failed)),
        Err(problem) => Err(problem.into()),
    })
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<Settings>> {
    let (mut words, mut port, mut rtype, mut seconds) = (Vec::new(), None, None, TIMEOUT_SECONDS);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('t') | Arg::Long("type") => {
                let text = value(&mut parser)?;
                let found = Rtype::from_str(&text.to_ascii_uppercase());
                rtype = Some(found.map_err(|_| Problem::new(format!("no type `{text}`")))?);
            }
            Arg::Short('p') | Arg::Long("port") => {
                let text = value(&mut parser)?;
                port = Some(text.parse().context(|| format!("--port {text}"))?);
            }
            Arg::Long("timeout") => {
                let text = value(&mut parser)?;
                let fitting = text.parse().ok().filter(|number| (1..=60).contains(number));
                seconds = fitting.ok_or_else(|| Problem::new("--timeout is from 1 to 60"))?;
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(word) => words.push(word.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().into()),
        }
    }
    let mut words = words.into_iter();
    let (name, server, more) = (words.next(), words.next(), words.next());
    let name = name.ok_or_else(|| Problem::new("the name is missing"))?;
    if let Some(more) = more {
        return Err(Problem::new(format!("unexpected argument `{more}`")));
    }
    let server = server.map(|word| named(&word)).transpose()?;
    Ok(Some(Settings { name, server, port, rtype, timeout: Duration::from_secs(seconds) }))
}

fn value(parser: &mut lexopt::Parser) -> Result<String> {
    let value = parser.value()?;
    Ok(value.to_string_lossy().into_owned())
}

/// A server as it is named in `/etc/resolv.conf` too: with its link or port, if it has one.
fn named(word: &str) -> Result<SocketAddr> {
    let servers = match word.contains(char::is_whitespace) {
        true => Vec::new(),
        false => parse_servers(&format!("nameserver {word}")),
    };
    servers.into_iter().next().ok_or_else(|| {
        Problem::new(format!("`{word}` is no address of a server"))
            .with_hint("192.0.2.1, 192.0.2.1:5353 and fe80::1%eth0, of a link that is there, are")
    })
}

/// The server to ask.
fn server(settings: &Settings) -> Result<SocketAddr> {
    let server = match settings.server {
        Some(server) => server,
        None => {
            let text = std::fs::read_to_string(RESOLV_CONF)
                .context(|| format!("cannot read `{RESOLV_CONF}`"))?;
            let first = parse_servers(&text).into_iter().next();
            first.ok_or_else(|| Problem::new(format!("`{RESOLV_CONF}` names no server")))?
        }
    };
    Ok(at_port(server, settings.port))
}

fn at_port(mut server: SocketAddr, port: Option<u16>) -> SocketAddr {
    server.set_port(port.unwrap_or(server.port()));
    server
}

/// The address without the port, but with its link.
fn shown(server: SocketAddr) -> String {
    match server {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        other => other.ip().to_string(),
    }
}

/// Asks and shows; false if the answer is that there is nothing.
fn run(settings: &Settings) -> Result<bool> {
    let server = server(settings)?;
    let (name, default) = match settings.name.parse::<IpAddr>() {
        Ok(address) => {
            let name = Name::reverse_from_addr(address).context(|| settings.name.clone())?;
            (name, &[Rtype::PTR][..])
        }
        Err(_) => {
            let name = Name::vec_from_str(&settings.name);
            (
                name.context(|| format!("`{}` is no name", settings.name))?,
                &[Rtype::A, Rtype::AAAA][..],
            )
        }
    };
    let types = settings.rtype.as_ref().map_or(default, std::slice::from_ref);
    let mut text = format!("Server:  {}\nPort:    {}\n\n", shown(server), server.port());
    let mut is_found = false;
    let mut why_not = None;
    for rtype in types {
        let question = Question { name: name.clone(), rtype: *rtype, class: Class::IN };
        let deadline = Instant::now() + settings.timeout;
        let answer = ask(server, &question, deadline);
        let answer = answer.context(|| format!("{} does not answer", shown(server)))?;
        let (lines, rcode) = show(&answer)?;
        is_found |= !lines.is_empty();
        text += &lines;
        if rcode != Rcode::NOERROR {
            why_not = Some(format!("{rcode}"));
        }
    }
    if !is_found {
        let why = why_not.unwrap_or_else(|| "no record of that type".to_owned());
        text += &format!("{}: {why}\n", plain(&name));
    }
    std::io::stdout().write_all(text.as_bytes()).context(|| "cannot write".to_owned())?;
    Ok(is_found)
}

/// A line for each record of the answer.
fn show(answer: &[u8]) -> Result<(String, Rcode)> {
    let damaged = || "the answer is damaged".to_owned();
    let message = Message::from_octets(answer).context(damaged)?;
    let mut lines = String::new();
    for record in message.answer().context(damaged)? {
        let record = record.context(damaged)?;
        let record = record.into_any_record::<AllRecordData<_, _>>().context(damaged)?;
        let (owner, rtype, data) = (plain(record.owner()), record.rtype(), record.data());
        lines += &match record.data() {
            AllRecordData::A(_) | AllRecordData::Aaaa(_) => {
                format!("Name:    {owner}\nAddress: {data}\n")
            }
            _ => format!("{owner}  {rtype}  {data}\n"),
        };
    }
    Ok((lines, message.header().rcode()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_its_link_and_its_port() {
        for (word, port, address, ip) in [
            ("192.0.2.1", None, "192.0.2.1:53", "192.0.2.1"),
            ("192.0.2.1:5353", None, "192.0.2.1:5353", "192.0.2.1"),
            ("192.0.2.1:5353", Some(54), "192.0.2.1:54", "192.0.2.1"),
            ("2001:db8::1", None, "[2001:db8::1]:53", "2001:db8::1"),
            ("fe80::1%7", None, "[fe80::1%7]:53", "fe80::1%7"),
            ("fe80::1%7", Some(5353), "[fe80::1%7]:5353", "fe80::1%7"),
        ] {
            let server = at_port(named(word).unwrap(), port);
            assert_eq!((server.to_string().as_str(), shown(server).as_str()), (address, ip));
        }
        for wrong in ["", "here", "fe80::1%no-such-link", "192.0.2.1 ", "192.0.2.1\n"] {
            assert!(named(wrong).unwrap_err().hint().is_some(), "{wrong:?}");
        }
    }
}
