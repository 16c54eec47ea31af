//! The client's half of DNS: questions, answers that may be believed, `/etc/hosts` and
//! `resolv.conf`. Shared by `dnsd`, `nslookup` and `timed`.
//!
//! Messages are read and written by the crate `domain`. Source: RFC 1035, RFC 5452, RFC 6891.
//! Absent: recursion from the root, DNSSEC validation, search domains.

mod exchange;
mod hosts;
mod resolv_conf;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use domain::base::iana::Class;
use domain::base::{Name, Rtype, ToName};
use domain::rdata::{A, Aaaa};

pub use exchange::{Asked, Refused, Wanted, ask_tcp, ask_udp};
pub use hosts::Hosts;
pub use resolv_conf::{SERVERS_MAX, parse_servers};

/// A name of its own, ending at the root.
pub type OwnName = Name<Vec<u8>>;

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// The name, with the case in which it was asked.
    pub name: OwnName,
    /// The type of the records.
    pub rtype: Rtype,
    /// The class, in practice `IN`.
    pub class: Class,
}

/// UDP payload that every network carries without fragments (RFC 9715, 3.1), in bytes.
pub const UDP_PAYLOAD_BYTES: u16 = 1232;

/// Where programs read which server to ask.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The addresses of a name or of an address in text: from `hosts`, else from the servers that
/// `/etc/resolv.conf` names, within `within`. One that is silent leaves the others their time.
///
/// # Errors
/// The name is none, nobody answers, or it has no address.
pub fn lookup(name: &str, within: Duration) -> io::Result<Vec<IpAddr>> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let name = Name::vec_from_str(name)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
    let known = Hosts::read(Path::new("/etc/hosts")).addresses(&name);
    if !known.is_empty() {
        return Ok(known);
    }
    let text = std::fs::read_to_string(RESOLV_CONF)?;
    ask_each(&parse_servers(&text), &name, within)
}

/// Asks one server after the other, each for its share of the time that is left.
fn ask_each(servers: &[SocketAddr], name: &OwnName, within: Duration) -> io::Result<Vec<IpAddr>> {
    let deadline = Instant::now() + within;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no server is known");
    for (place, server) in servers.iter().enumerate() {
        let now = Instant::now();
        let shares = u32::try_from(servers.len() - place).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(now) / shares;
        match addresses_from(*server, name, now + share) {
            Ok(found) if found.is_empty() => {
                last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
            }
            Ok(found) => return Ok(found),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The addresses of both families; those of one, if the server does not answer for the other.
fn addresses_from(
    server: SocketAddr,
    name: &OwnName,
    deadline: Instant,
) -> io::Result<Vec<IpAddr>> {
    let (mut found, mut failed) = (Vec::new(), None);
    for rtype in [Rtype::A, Rtype::AAAA] {
        let question = Question { name: name.clone(), rtype, class: Class::IN };
        match ask(server, &question, deadline) {
            Ok(answer) => found.extend(addresses_in(&answer)),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// Asks by UDP, and by TCP if the answer does not fit.
///
/// # Errors
/// Nothing came in time that may be believed.
pub fn ask(server: SocketAddr, question: &Question, deadline: Instant) -> io::Result<Vec<u8>> {
    let wanted = Wanted::default();
    let left = || deadline.saturating_duration_since(Instant::now());
    match ask_udp(server, question, wanted, left().min(Duration::from_secs(2))) {
        Ok(Asked { message, is_truncated: false }) => Ok(message),
        Ok(_) => ask_tcp(server, question, wanted, left()).map_err(io::Error::from),
        Err(Refused::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
            // A datagram may get lost; once is nothing unusual.
            let asked = ask_udp(server, question, wanted, left())?;
            match asked.is_truncated {
                false => Ok(asked.message),
                true => ask_tcp(server, question, wanted, left()).map_err(io::Error::from),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// The addresses in the answers of a message, whatever name they belong to: a server puts the
/// chain of aliases before them.
#[must_use]
pub fn addresses_in(message: &[u8]) -> Vec<IpAddr> {
    let Ok(message) = domain::base::Message::from_octets(message) else { return Vec::new() };
    let Ok(section) = message.answer() else { return Vec::new() };
    let mut found = Vec::new();
    for record in section.flatten() {
        if let Ok(Some(a)) = record.to_record::<A>() {
            found.push(IpAddr::V4(a.data().addr()));
        } else if let Ok(Some(aaaa)) = record.to_record::<Aaaa>() {
            found.push(IpAddr::V6(aaaa.data().addr()));
        }
    }
    found
}

/// A name in lower case, without the dot at its end: how names are compared and shown.
#[must_use]
pub fn plain(name: &impl ToName) -> String {
    let text = format!("{}", name.fmt_with_dot()).to_ascii_lowercase();
    match text.strip_suffix('.') {
        Some("") | None => text,
        Some(name) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
