//! A guest's network cards, and what each is connected to.
//!
//! Pure. QEMU's user network is a router of its own with DHCP, name service and
//! router advertisements, by which the guest reaches what the host reaches; a cable
//! joins two guests and nobody else. The options are those of qemu(1) 7.2 and
//! later. Networks of the host's (bridges, taps) are absent: they take root.

use std::fmt::{self, Display};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where the host takes connections for a guest: no other machine reaches it there.
pub const PUBLISHED_AT: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// A network card.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Card {
    /// Its hardware address.
    pub mac: Mac,
    /// What it is connected to.
    pub network: Network,
}

/// What a network card is connected to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Network {
    /// QEMU's user network.
    User {
        /// Ports of the host by which ports of the guest are reached.
        published: Vec<Port>,
        /// Whether the guest reaches nothing behind it, neither host nor world.
        is_isolated: bool,
    },
    /// A cable to one other guest.
    Cable {
        /// The UNIX socket that it is made of.
        socket: PathBuf,
        /// Which end this guest has. The one that listens is started first.
        end: CableEnd,
    },
}

/// An end of a cable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CableEnd {
    /// Its QEMU makes the socket.
    Listens,
    /// Its QEMU connects to it, when it starts.
    Connects,
}

/// A hardware address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mac([u8; 6]);

impl Mac {
    /// The same for the same card of the same guest in every run, and another for
    /// each pair: no two cards on one network have the same.
    #[must_use]
    pub const fn of(guest: u8, card: u8) -> Self {
        // The prefix by which QEMU's own default begins: locally administered, unicast.
        Self([0x52, 0x54, 0x00, 0x00, guest, card])
    }
}

impl Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A TCP port of the guest that is reached by one of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Port {
    /// The host's, at [`PUBLISHED_AT`]; 0 is any that is free.
    pub host: u16,
    /// The guest's, not 0.
    pub guest: u16,
}

impl FromStr for Port {
    type Err = String;

    /// `[HOST:]GUEST`; without `HOST` both are the same.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |word: &str| {
            let port = word.parse::<u16>().ok().filter(|port| *port > 0);
            port.ok_or_else(|| format!("{word:?} is no port from 1 to 65535"))
        };
        let (host, guest) = text.split_once(':').unwrap_or((text, text));
        Ok(Self { host: number(host)?, guest: number(guest)? })
    }
}

impl Network {
    /// QEMU's user network, with nothing published.
    #[must_use]
    pub const fn user() -> Self {
        Self::User { published: Vec::new(), is_isolated: false }
    }
}

/// QEMU's name for the network behind the card at this place.
#[must_use]
pub fn name(index: usize) -> String {
    format!("net{index}")
}

/// The words of `-netdev` before a socket's path, which stands at the end.
pub(super) fn backend(index: usize, network: &Network) -> String {
    let name = name(index);
    match network {
        Network::User { published, is_isolated } => {
            let mut words = format!("user,id={name}");
            if *is_isolated {
                words.push_str(",restrict=on");
            }
            for Port { host, guest } in published {
                words.push_str(&format!(",hostfwd=tcp:{PUBLISHED_AT}:{host}-:{guest}"));
            }
            words
        }
        Network::Cable { end, .. } => {
            let server = if *end == CableEnd::Listens { "on" } else { "off" };
            format!("stream,id={name},server={server},addr.type=unix,addr.path=")
        }
    }
}

/// The sockets that a guest with these cards listens on.
#[must_use]
pub fn listening(cards: &[Card]) -> Vec<PathBuf> {
    let socket = |card: &Card| match &card.network {
        Network::Cable { socket, end: CableEnd::Listens } => Some(socket.clone()),
        Network::Cable { .. } | Network::User { .. } => None,
    };
    cards.iter().filter_map(socket).collect()
}

/// Whether somebody listens on a UNIX socket, by the kernel's table of them in
/// /proc/net/unix (proc(5)): the fourth field has the bit `__SO_ACCEPTCON`.
#[must_use]
pub fn is_listening(table: &str, socket: &Path) -> bool {
    const ACCEPTS: u32 = 1 << 16;
    table.lines().any(|line| {
        let mut fields = line.split_whitespace();
        let flags = fields.nth(3).and_then(|flags| u32::from_str_radix(flags, 16).ok());
        flags.is_some_and(|flags| flags & ACCEPTS != 0)
            && fields.nth(3).is_some_and(|path| Path::new(path) == socket)
    })
}

/// The host's port for the guest's, out of what QEMU's monitor answers to
/// `info usernet`: a table with a line for each socket of the user network.
#[must_use]
pub fn published_port(usernet: &str, guest: u16) -> Option<u16> {
    usernet.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["TCP[HOST_FORWARD]", _descriptor, _address, host, _to, port, ..]
                if port.parse() == Ok(guest) =>
            {
                host.parse().ok()
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_they_are_typed() {
        assert_eq!("80".parse(), Ok(Port { host: 80, guest: 80 }));
        assert_eq!("2222:22".parse(), Ok(Port { host: 2222, guest: 22 }));
        for bad in ["", "0", "0:22", "22:0", "65536", "ssh", "1:2:3", ":22", "22:", "-1", "80/udp"]
        {
            let why = bad.parse::<Port>().expect_err(bad);
            assert!(why.contains("is no port"), "{why}");
        }
    }

    #[test]
    fn no_two_cards_have_one_address() {
        assert_eq!(Mac::of(1, 0).to_string(), "52:54:00:00:01:00");
        let all = (1..=2).flat_map(|guest| (0..2).map(move |card| Mac::of(guest, card)));
        let all: std::collections::BTreeSet<String> = all.map(|mac| mac.to_string()).collect();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_socket_that_is_bound_is_not_yet_listened_on() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000: 00000002 00000000 00010000 0001 01 4711 /t/cable\n\
            0000: 00000002 00000000 00000000 0001 01 4712 /t/bound\n\
            0000: 00000003 00000000 00000000 0001 03 4713\n";
        for (path, is_it) in [("/t/cable", true), ("/t/bound", false), ("/t", false)] {
            assert_eq!(is_listening(table, Path::new(path)), is_it, "{path}");
        }
    }

    #[test]
    fn the_hosts_port_is_found_in_the_monitors_table() {
        let text = "\
Hub -1 (net0):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[ESTABLISHED]   21       127.0.0.1 50000       10.0.2.15    80     0     0
  TCP[HOST_FORWARD]  17       127.0.0.1 41235       10.0.2.15    22     0     0
  TCP[HOST_FORWARD]  18       127.0.0.1 41236       10.0.2.15    80     0     0
  UDP[236 sec]       19       10.0.2.15 38000       10.0.2.3     53     0     0
";
        for (guest, host) in [(22, Some(41235)), (80, Some(41236)), (53, None), (443, None)] {
            assert_eq!(published_port(text, guest), host, "{guest}");
        }
        assert_eq!(published_port("TCP[HOST_FORWARD] 1 2", 2), None);
    }
}
