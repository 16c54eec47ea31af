//! One question to each server: where it is, what it says, how long that took.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use services::network::dns::lookup;
use services::random;

use crate::packet::{self, Rejected, Sample};

/// Longest time for a server's addresses, and then for the answer of each.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(4);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What came of asking one server.
pub(crate) type Answer = Result<Sample, Failed>;

/// Why there is no sample.
pub(crate) enum Failed {
    Io(io::Error),
    Rejected(Rejected),
}

impl Failed {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Io(error) => error.to_string(),
            Self::Rejected(rejected) => rejected.text().to_owned(),
        }
    }
}

/// Asks all servers, names or addresses and ports, at once; `None` is one that does not want to
/// be asked.
pub(crate) fn ask_all(servers: Vec<Option<(String, u16)>>) -> Vec<Option<Answer>> {
    thread::scope(|scope| {
        let asked = |(host, port): (String, u16)| scope.spawn(move || ask(&host, port));
        let threads: Vec<_> = servers.into_iter().map(|server| server.map(asked)).collect();
        let panicked = || Err(Failed::Io(io::Error::other("the thread that asked has panicked")));
        let join =
            |thread: thread::ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(|_| panicked());
        threads.into_iter().map(|thread| thread.map(join)).collect()
    })
}

fn ask(host: &str, port: u16) -> Answer {
    let addresses = lookup(host, LOOKUP_TIMEOUT).map_err(Failed::Io)?;
    let mut last = Failed::Io(io::ErrorKind::NotFound.into());
    for address in one_of_each_family(&addresses) {
        match ask_address(SocketAddr::new(address, port)) {
            Ok(sample) => return Ok(sample),
            Err(failed) => last = failed,
        }
    }
    Err(last)
}

/// The first address, and the first of the other family: this machine may have that one alone.
fn one_of_each_family(addresses: &[IpAddr]) -> impl Iterator<Item = IpAddr> {
    let first = addresses.first();
    let is_other = |one: &&IpAddr| first.is_some_and(|first| first.is_ipv4() != one.is_ipv4());
    let other = addresses.iter().find(is_other);
    first.into_iter().chain(other).copied()
}

fn ask_address(server: SocketAddr) -> Answer {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let nonce = u64::from_be_bytes(random::bytes().map_err(Failed::Io)?);
    let connect = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        Ok(socket)
    };
    let socket = connect().map_err(Failed::Io)?;
    let sent = SystemTime::now();
    let started = Instant::now();
    socket.send(&packet::question(nonce)).map_err(Failed::Io)?;
    let mut buffer = [0; 512];
    loop {
        let left = ANSWER_TIMEOUT.saturating_sub(started.elapsed());
        let late = || Failed::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
        if left.is_zero() {
            return Err(late());
        }
        socket.set_read_timeout(Some(left)).map_err(Failed::Io)?;
        let length = match socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(late()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failed::Io(error)),
        };
        // The time that passed, not the time of day, which somebody may set meanwhile.
        let received = sent + started.elapsed();
        match packet::read(buffer.get(..length).unwrap_or_default(), nonce, sent, received) {
            Err(Rejected::NotMine) => {}
            result => return result.map_err(Failed::Rejected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_tried_by_one_address_of_each_family() {
        let both: &[(&[&str], &[&str])] = &[
            (&[], &[]),
            (&["192.0.2.1", "192.0.2.2"], &["192.0.2.1"]),
            (&["192.0.2.1", "192.0.2.2", "::1", "::2"], &["192.0.2.1", "::1"]),
            (&["::2", "::1", "192.0.2.1"], &["::2", "192.0.2.1"]),
        ];
        for (known, tried) in both {
            let parse = |text: &&str| text.parse::<IpAddr>().unwrap();
            let known: Vec<IpAddr> = known.iter().map(parse).collect();
            let tried: Vec<IpAddr> = tried.iter().map(parse).collect();
            assert_eq!(one_of_each_family(&known).collect::<Vec<_>>(), tried);
        }
    }
}
