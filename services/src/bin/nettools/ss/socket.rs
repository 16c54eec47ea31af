//! A socket as the kernel describes it in one message of sock_diag(7).
//!
//! Pure: [`decode`] turns a message into a [`Socket`], nothing here asks anybody.
//! Sources: `linux/inet_diag.h`, `linux/unix_diag.h`, `net/tcp_states.h`.

use std::collections::HashMap;
use std::net::SocketAddr;

use netlink_packet_sock_diag::inet::nlas::Nla as InetAttribute;
use netlink_packet_sock_diag::inet::{InetResponse, SocketId};
use netlink_packet_sock_diag::unix::UnixResponse;
use netlink_packet_sock_diag::unix::nlas::{Nla as UnixAttribute, UnixDiagName};
use netlink_packet_sock_diag::{
    SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, SockDiagMessage, TCP_CLOSE, TCP_LISTEN, TCP_SYN_RECV,
    TCP_TIME_WAIT,
};
use services::output::tame;

/// What a socket speaks, in the order in which they are listed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Kind {
    Tcp,
    Udp,
    UnixStream,
    UnixDatagram,
    UnixSequence,
}

impl Kind {
    /// The usual name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::UnixStream => "u_str",
            Self::UnixDatagram => "u_dgr",
            Self::UnixSequence => "u_seq",
        }
    }
}

/// A number of `net/tcp_states.h`, which UDP and unix sockets use too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct State(pub(super) u8);

impl State {
    /// The usual name.
    pub(super) fn name(self) -> &'static str {
        match self.0 {
            1 => "ESTAB",
            2 => "SYN-SENT",
            TCP_SYN_RECV => "SYN-RECV",
            4 => "FIN-WAIT-1",
            5 => "FIN-WAIT-2",
            TCP_TIME_WAIT => "TIME-WAIT",
            TCP_CLOSE => "UNCONN",
            8 => "CLOSE-WAIT",
            9 => "LAST-ACK",
            TCP_LISTEN => "LISTEN",
            11 => "CLOSING",
            // Newer kernels have states of their own making.
            _ => "UNKNOWN",
        }
    }
}

/// Where a socket is, and whom it talks to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Ends {
    Internet {
        local: SocketAddr,
        /// Address and port are zero where there is none.
        peer: SocketAddr,
        /// The link that it is bound to.
        interface: Option<String>,
        /// An IPv6 socket that takes IPv4 as well.
        takes_ipv4: bool,
    },
    Unix {
        /// A path, or `@` and an abstract name, fit to be shown.
        name: Option<String>,
        /// The peer's inode and name.
        peer: Option<(u32, Option<String>)>,
    },
}

/// A socket.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Socket {
    pub(super) kind: Kind,
    pub(super) state: State,
    pub(super) ends: Ends,
    /// Its number in the kernel; 0 when no process has it any more.
    pub(super) inode: u32,
    /// Bytes that nobody has read; of one that listens, connections nobody has accepted.
    pub(super) receive_queue: u32,
    /// Bytes that the peer has not confirmed; of one that listens, the most connections
    /// that may wait.
    pub(super) send_queue: u32,
    /// Whose it is; the kernel is not asked about unix sockets.
    pub(super) uid: Option<u32>,
}

impl Socket {
    /// Whether it waits for whoever comes: it listens, or takes datagrams from anybody.
    pub(super) fn listens(&self) -> bool {
        let takes_datagrams = match (&self.ends, self.kind) {
            (Ends::Internet { .. }, Kind::Udp) => true,
            (Ends::Unix { name, .. }, Kind::UnixDatagram) => name.is_some(),
            _ => false,
        };
        self.state.0 == TCP_LISTEN || (self.state.0 == TCP_CLOSE && takes_datagrams)
    }

    /// Whether it has a peer, and a process may have it.
    pub(super) fn is_connected(&self) -> bool {
        !matches!(self.state.0, TCP_LISTEN | TCP_CLOSE | TCP_SYN_RECV | TCP_TIME_WAIT)
    }

    /// Whether it is of IPv4; `None` of a unix socket.
    pub(super) fn is_ipv4(&self) -> Option<bool> {
        match &self.ends {
            Ends::Internet { local, .. } => Some(local.is_ipv4()),
            Ends::Unix { .. } => None,
        }
    }
}

/// The socket that a message of a listing describes. `asked` is what was asked for: a
/// message about an internet socket does not say. `link` names a link by its index.
pub(super) fn decode(
    message: SockDiagMessage,
    asked: Kind,
    link: impl Fn(u32) -> String,
) -> Option<Socket> {
    match message {
        SockDiagMessage::InetResponse(response) => Some(internet(&response, asked, link)),
        SockDiagMessage::UnixResponse(response) => unix(&response),
        _ => None,
    }
}

fn internet(response: &InetResponse, kind: Kind, link: impl Fn(u32) -> String) -> Socket {
    let header = &response.header;
    let SocketId { source_address, source_port, destination_address, destination_port, .. } =
        header.socket_id;
    let index = header.socket_id.interface_id;
    let is_any_ipv6 = source_address.is_ipv6() && source_address.is_unspecified();
    let only_ipv6 = response.nlas.iter().any(|one| matches!(one, InetAttribute::SkV6Only(true)));
    Socket {
        kind,
        state: State(header.state),
        ends: Ends::Internet {
            local: SocketAddr::new(source_address, source_port),
            peer: SocketAddr::new(destination_address, destination_port),
            interface: (index != 0).then(|| link(index)),
            takes_ipv4: is_any_ipv6 && !only_ipv6,
        },
        inode: header.inode,
        receive_queue: header.recv_queue,
        send_queue: header.send_queue,
        uid: Some(header.uid),
    }
}

fn unix(response: &UnixResponse) -> Option<Socket> {
    let kind = match response.header.kind {
        SOCK_STREAM => Kind::UnixStream,
        SOCK_DGRAM => Kind::UnixDatagram,
        SOCK_SEQPACKET => Kind::UnixSequence,
        _ => return None,
    };
    let queues = response.nlas.iter().find_map(|one| match one {
        UnixAttribute::ReceiveQueueLength(receive, send) => Some((*receive, *send)),
        _ => None,
    });
    let (receive_queue, send_queue) = queues.unwrap_or_default();
    Some(Socket {
        kind,
        state: State(response.header.state),
        ends: Ends::Unix {
            name: response.name().map(shown),
            peer: response.peer().filter(|inode| *inode != 0).map(|inode| (inode, None)),
        },
        inode: response.header.inode,
        receive_queue,
        send_queue,
        uid: None,
    })
}

/// A name as text; anybody may bind any bytes.
fn shown(name: &UnixDiagName) -> String {
    match name {
        UnixDiagName::Pathname(path) => tame(&path.to_string_lossy()),
        UnixDiagName::Abstract(bytes) => format!("@{}", tame(&String::from_utf8_lossy(bytes))),
    }
}

/// Tells each unix socket the name of its peer, where that has one.
pub(super) fn name_peers(sockets: &mut [Socket]) {
    let names: HashMap<u32, String> = sockets
        .iter()
        .filter_map(|socket| match &socket.ends {
            Ends::Unix { name: Some(name), .. } => Some((socket.inode, name.clone())),
            _ => None,
        })
        .collect();
    for socket in sockets {
        if let Ends::Unix { peer: Some((inode, name)), .. } = &mut socket.ends {
            *name = names.get(inode).cloned();
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader};
    use netlink_packet_sock_diag::SOCK_DIAG_BY_FAMILY;

    use super::*;

    /// A message as the kernel writes it (`struct inet_diag_msg` and attributes).
    fn internet_bytes(state: u8, local: &str, peer: &str, index: u32, rest: &[u8]) -> Vec<u8> {
        let ends: [SocketAddr; 2] = [local.parse().unwrap(), peer.parse().unwrap()];
        let mut bytes = vec![if ends[0].is_ipv4() { 2 } else { 10 }, state, 0, 0];
        ends.iter().for_each(|end| bytes.extend(end.port().to_be_bytes()));
        for end in ends {
            let address = match end.ip() {
                std::net::IpAddr::V4(address) => address.octets().to_vec(),
                std::net::IpAddr::V6(address) => address.octets().to_vec(),
            };
            bytes.extend(&address);
            bytes.resize(bytes.len() + 16 - address.len(), 0);
        }
        bytes.extend(index.to_le_bytes());
        bytes.extend([0; 8]);
        for number in [0_u32, 3, 128, 1000, 4711] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(rest);
        bytes
    }

    /// As [`internet_bytes`] (`struct unix_diag_msg` and attributes).
    fn unix_bytes(kind: u8, state: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![1, kind, state, 0, 77, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9];
        for (kind, content) in attributes {
            bytes.extend(u16::try_from(4 + content.len()).unwrap().to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(*content);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    fn read(bytes: &[u8], kind: Kind) -> Option<Socket> {
        let mut header = NetlinkHeader::default();
        header.message_type = SOCK_DIAG_BY_FAMILY;
        let message = SockDiagMessage::deserialize(&header, bytes).ok()?;
        decode(message, kind, |index| format!("link{index}"))
    }

    /// A socket of the tests here and next door.
    pub(crate) fn internet_socket(kind: Kind, state: u8, local: &str, peer: &str) -> Socket {
        read(&internet_bytes(state, local, peer, 0, &[]), kind).unwrap()
    }

    /// As [`internet_socket`].
    pub(crate) fn unix_socket(kind: u8, state: u8, attributes: &[(u16, &[u8])]) -> Socket {
        read(&unix_bytes(kind, state, attributes), Kind::UnixStream).unwrap()
    }

    #[test]
    fn a_message_about_an_internet_socket_is_understood() {
        let only_ipv6 = [5, 0, 11, 0, 1, 0, 0, 0];
        let too = [5, 0, 11, 0, 0, 0, 0, 0];
        let bytes = internet_bytes(10, "[::]:22", "[::]:0", 0, &too);
        let socket = read(&bytes, Kind::Tcp).unwrap();
        assert_eq!((socket.receive_queue, socket.send_queue), (3, 128));
        assert_eq!((socket.uid, socket.inode), (Some(1000), 4711));
        for (local, index, rest, interface, takes_ipv4) in [
            ("[::]:22", 0, &too[..], None, true),
            ("[::]:22", 0, &only_ipv6, None, false),
            ("[fe80::1]:22", 2, &too, Some("link2"), false),
            ("127.0.0.53:53", 1, &[], Some("link1"), false),
        ] {
            let peer = if local.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
            let socket = read(&internet_bytes(10, local, peer, index, rest), Kind::Tcp).unwrap();
            let expected = Ends::Internet {
                local: local.parse().unwrap(),
                peer: peer.parse().unwrap(),
                interface: interface.map(str::to_owned),
                takes_ipv4,
            };
            assert_eq!(socket.ends, expected);
        }
    }

    #[test]
    fn a_message_about_a_unix_socket_is_understood() {
        let queues = [1, 0, 0, 0, 5, 0, 0, 0];
        for (kind, attributes, name, peer) in [
            (1, &[(0_u16, &b"/run/a\0"[..]), (4, &queues)][..], Some("/run/a"), None),
            (5, &[(0, b"\0ab\x1b[2J"), (4, &queues)], Some("@ab?[2J"), None),
            (2, &[(2, &[6, 0, 0, 0]), (4, &queues)], None, Some((6, None))),
            (2, &[(2, &[0, 0, 0, 0]), (4, &queues)], None, None),
        ] {
            let socket = unix_socket(kind, 1, attributes);
            let name = name.map(str::to_owned);
            assert_eq!(socket.ends, Ends::Unix { name, peer });
            assert_eq!((socket.receive_queue, socket.send_queue, socket.inode), (1, 5, 77));
        }
        assert_eq!(unix_socket(2, 1, &[]).kind, Kind::UnixDatagram);
        assert_eq!(unix_socket(5, 1, &[]).kind, Kind::UnixSequence);
        assert_eq!(read(&unix_bytes(9, 1, &[]), Kind::UnixStream), None);
    }

    #[test]
    fn what_is_cut_off_is_no_socket() {
        let whole = internet_bytes(1, "10.0.0.1:1", "10.0.0.2:2", 0, &[5, 0, 8, 0, 0, 0, 0, 0]);
        for length in 0..72 {
            assert_eq!(read(&whole[..length], Kind::Tcp), None, "{length}");
        }
        let whole = unix_bytes(1, 1, &[(0, b"/run/a\0")]);
        for length in (0..16).chain([17, 19, 20, 25]) {
            assert_eq!(read(&whole[..length], Kind::UnixStream), None, "{length}");
        }
    }

    #[test]
    fn who_listens_and_who_is_connected() {
        let any = "0.0.0.0:0";
        let named: &[(u16, &[u8])] = &[(0, b"/run/a\0")];
        for (socket, listens, is_connected) in [
            (internet_socket(Kind::Tcp, 10, "0.0.0.0:22", any), true, false),
            (internet_socket(Kind::Tcp, 1, "10.0.0.1:22", "10.0.0.2:5"), false, true),
            (internet_socket(Kind::Tcp, 6, "10.0.0.1:22", "10.0.0.2:5"), false, false),
            (internet_socket(Kind::Tcp, 8, "10.0.0.1:22", "10.0.0.2:5"), false, true),
            (internet_socket(Kind::Udp, 7, "0.0.0.0:68", any), true, false),
            (internet_socket(Kind::Udp, 1, "10.0.0.1:68", "10.0.0.2:67"), false, true),
            (unix_socket(1, 10, named), true, false),
            (unix_socket(1, 7, named), false, false),
            (unix_socket(2, 7, named), true, false),
            (unix_socket(2, 7, &[]), false, false),
        ] {
            let found = (socket.listens(), socket.is_connected());
            assert_eq!(found, (listens, is_connected), "{socket:?}");
        }
    }

    #[test]
    fn peers_are_named_by_their_inodes() {
        let server = unix_socket(1, 1, &[(0, b"/run/a\0")]);
        let mut client = unix_socket(1, 1, &[(2, &[77, 0, 0, 0])]);
        client.inode = 78;
        let mut stranger = unix_socket(1, 1, &[(2, &[79, 0, 0, 0])]);
        stranger.inode = 80;
        let mut sockets = [server, client, stranger];
        name_peers(&mut sockets);
        let peer = |socket: &Socket| match &socket.ends {
            Ends::Unix { peer, .. } => peer.clone(),
            Ends::Internet { .. } => None,
        };
        assert_eq!(peer(&sockets[1]), Some((77, Some("/run/a".into()))));
        assert_eq!(peer(&sockets[2]), Some((79, None)));
    }
}
