//! Asking the kernel for its sockets (sock_diag(7)), and `/proc` for who has them.

use std::collections::{BTreeSet, HashMap};
use std::io;

use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_packet_sock_diag::unix::{ShowFlags, StateFlags as UnixStateFlags, UnixRequest};
use netlink_packet_sock_diag::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP, SockDiagMessage};
use procfs::process::{FDTarget, Process, all_processes};
use rustix::net::netdevice::index_to_name;
use rustix::net::netlink::SOCK_DIAG;
use services::network::netlink::Connection;
use services::output::tame;
use services::problem::{Context, Problem};

use super::socket::{Kind, Socket, decode, name_peers};
use crate::Result;

/// What is asked for at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Family {
    Tcp,
    Udp,
    Unix,
}

/// A process that has a socket open, and as what.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Owner {
    pub(super) pid: i32,
    pub(super) fd: i32,
    /// The name of its program, fit to be shown.
    pub(super) name: String,
}

/// All sockets of some families, ordered.
///
/// # Errors
/// The kernel was built without the answer, or refuses it.
pub(super) fn sockets(families: &BTreeSet<Family>) -> Result<Vec<Socket>> {
    let mut connection = Connection::open(Some(SOCK_DIAG))
        .context(|| "cannot ask the kernel for its sockets".to_owned())?;
    let mut found = Vec::new();
    for family in families {
        for (kind, request) in requests(*family) {
            let answer = connection.dump(&request).map_err(|error| refused(*family, &error))?;
            // A link that has gone meanwhile has no name any more.
            let link =
                |index| index_to_name(&connection, index).unwrap_or_else(|_| format!("if{index}"));
            found.extend(answer.into_iter().filter_map(|message| decode(message, kind, link)));
        }
    }
    name_peers(&mut found);
    found.sort();
    Ok(found)
}

fn requests(family: Family) -> Vec<(Kind, SockDiagMessage)> {
    let internet = |kind, family, protocol, socket_id| {
        let request = InetRequest {
            family,
            protocol,
            extensions: ExtensionFlags::empty(),
            states: StateFlags::all(),
            socket_id,
        };
        (kind, SockDiagMessage::InetRequest(request))
    };
    let both = |kind, protocol| {
        vec![
            internet(kind, AF_INET, protocol, SocketId::new_v4()),
            internet(kind, AF_INET6, protocol, SocketId::new_v6()),
        ]
    };
    match family {
        Family::Tcp => both(Kind::Tcp, IPPROTO_TCP),
        Family::Udp => both(Kind::Udp, IPPROTO_UDP),
        Family::Unix => {
            let request = UnixRequest {
                // Datagram sockets are in a state that the crate has no name for.
                state_flags: UnixStateFlags::from_bits_retain(u32::MAX),
                inode: 0,
                show_flags: ShowFlags::NAME | ShowFlags::PEER | ShowFlags::RQLEN,
                cookie: [0xff; 8],
            };
            vec![(Kind::UnixStream, SockDiagMessage::UnixRequest(request))]
        }
    }
}

fn refused(family: Family, error: &io::Error) -> Problem {
    let (what, option, others) = match family {
        Family::Tcp => ("TCP", "CONFIG_INET_DIAG", "-u -x"),
        Family::Udp => ("UDP", "CONFIG_INET_UDP_DIAG", "-t -x"),
        Family::Unix => ("unix", "CONFIG_UNIX_DIAG", "-t -u"),
    };
    if error.kind() == io::ErrorKind::NotFound {
        Problem::new(format!("the kernel does not list {what} sockets"))
            .with_hint(format!("it needs {option}; `ss {others}` does without"))
    } else {
        Problem::new(format!("cannot list {what} sockets: {error}"))
    }
}

/// The processes that have these sockets, by inode. Whom this process may not look at
/// is left out, and who ends meanwhile.
///
/// # Errors
/// There is no `/proc`.
pub(super) fn owners(sockets: &[Socket]) -> Result<HashMap<u32, Vec<Owner>>> {
    let wanted: BTreeSet<u32> =
        sockets.iter().map(|socket| socket.inode).filter(|inode| *inode != 0).collect();
    let mut found: HashMap<u32, Vec<Owner>> = HashMap::new();
    for process in all_processes().context(|| "cannot read `/proc`".to_owned())?.flatten() {
        for (inode, fd) in open_sockets(&process) {
            if wanted.contains(&inode)
                && let Ok(stat) = process.stat()
            {
                let owner = Owner { pid: process.pid, fd, name: tame(&stat.comm) };
                found.entry(inode).or_default().push(owner);
            }
        }
    }
    found.values_mut().for_each(|owners| owners.sort());
    Ok(found)
}

/// The inodes of the sockets that a process has, and the descriptors.
fn open_sockets(process: &Process) -> Vec<(u32, i32)> {
    let Ok(open) = process.fd() else { return Vec::new() };
    open.flatten()
        .filter_map(|one| match one.target {
            FDTarget::Socket(inode) => Some((u32::try_from(inode).ok()?, one.fd)),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

    use super::super::socket::{Ends, State};
    use super::*;

    const ESTABLISHED: State = State(1);
    const UNCONNECTED: State = State(7);
    const LISTENS: State = State(10);

    #[test]
    fn tcp_and_udp_sockets_of_this_process_are_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let datagram = UdpSocket::bind("127.0.0.1:0").unwrap();
        let all = sockets(&[Family::Tcp, Family::Udp].into()).unwrap();
        let find = |kind, state, address| {
            all.iter().find(|one| {
                let is_there =
                    matches!(&one.ends, Ends::Internet { local, .. } if *local == address);
                (one.kind, one.state) == (kind, state) && is_there
            })
        };
        let address = listener.local_addr().unwrap();
        let listening = find(Kind::Tcp, LISTENS, address).unwrap();
        // The client is in the queue: nobody has accepted it.
        assert_eq!(listening.receive_queue, 1);
        let connected = find(Kind::Tcp, ESTABLISHED, client.local_addr().unwrap()).unwrap();
        assert!(matches!(&connected.ends, Ends::Internet { peer, .. } if *peer == address));
        let waiting = find(Kind::Udp, UNCONNECTED, datagram.local_addr().unwrap()).unwrap();
        assert!(all.is_sorted());

        let owners = owners(&all).unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        for (socket, fd) in [
            (listening, listener.as_raw_fd()),
            (connected, client.as_raw_fd()),
            (waiting, datagram.as_raw_fd()),
        ] {
            let is_own = |owner: &Owner| (owner.pid, owner.fd) == (pid, fd);
            assert!(owners[&socket.inode].iter().any(is_own), "{socket:?} {owners:?}");
        }
    }

    #[test]
    fn an_ipv6_socket_for_everybody_takes_ipv4_too() {
        let Ok(listener) = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)) else {
            panic!("this test needs IPv6");
        };
        let address = listener.local_addr().unwrap();
        let all = sockets(&[Family::Tcp].into()).unwrap();
        assert!(all.iter().any(|one| matches!(
            &one.ends,
            Ends::Internet { local, takes_ipv4: true, .. } if *local == address
        )));
    }

    #[test]
    fn unix_sockets_of_this_process_are_found_with_their_peers() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("listens");
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let (server, _) = listener.accept().unwrap();
        let word = format!("keelson-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&word).unwrap();
        let _datagram = UnixDatagram::bind_addr(&abstract_name).unwrap();
        let all = sockets(&[Family::Unix].into()).unwrap();
        let path = path.to_str().unwrap();
        let named = |kind, state, wanted: &str| {
            all.iter().find(|one| {
                let is_named = matches!(
                    &one.ends,
                    Ends::Unix { name: Some(name), .. } if name == wanted
                );
                (one.kind, one.state) == (kind, state) && is_named
            })
        };
        assert!(named(Kind::UnixStream, LISTENS, path).is_some());
        assert!(named(Kind::UnixDatagram, UNCONNECTED, &format!("@{word}")).is_some());
        // What was accepted has the name of what listens, and the client has none.
        let accepted = named(Kind::UnixStream, ESTABLISHED, path).unwrap();
        let client_end = all.iter().find(|one| {
            let peer = (accepted.inode, Some(path.to_owned()));
            one.ends == Ends::Unix { name: None, peer: Some(peer) }
        });
        let owners = owners(&all).unwrap();
        for (socket, fd) in
            [(accepted, server.as_raw_fd()), (client_end.unwrap(), client.as_raw_fd())]
        {
            assert!(owners[&socket.inode].iter().any(|owner| owner.fd == fd), "{socket:?}");
        }
    }

    #[test]
    fn a_kernel_that_cannot_tell_is_said_to_need_an_option() {
        // No kernel lists the sockets of protocol 200, which does not exist.
        let (_, mut request) = requests(Family::Tcp).remove(0);
        let SockDiagMessage::InetRequest(inner) = &mut request else { panic!() };
        inner.protocol = 200;
        let mut connection = Connection::open(Some(SOCK_DIAG)).unwrap();
        let error = connection.dump(&request).unwrap_err();
        for (family, option, others) in [
            (Family::Tcp, "CONFIG_INET_DIAG", "`ss -u -x`"),
            (Family::Udp, "CONFIG_INET_UDP_DIAG", "`ss -t -x`"),
            (Family::Unix, "CONFIG_UNIX_DIAG", "`ss -t -u`"),
        ] {
            let text = refused(family, &error).to_string();
            assert!(text.contains("does not list") && text.contains("hint: it needs"), "{text}");
            assert!(text.contains(&format!("{option};")) && text.contains(others), "{text}");
        }
        let other = refused(Family::Tcp, &io::Error::from_raw_os_error(1)).to_string();
        assert!(other.starts_with("cannot list TCP sockets: ") && !other.contains("hint"));
    }
}
