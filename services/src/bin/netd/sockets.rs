//! The sockets on which servers are heard and spoken to, for each link as long as
//! somebody listens.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::BindToDevice;
use rustix::net::netdevice::index_to_name;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, ipproto, recv, sendto,
    socket_with, sockopt,
};
use services::network::datagram;
use services::network::mac::Mac;
use services::sys::{Instruction, packet_socket, send_packet};

use crate::{arp, dhcp4, dhcp6};

/// Ethernet types of IPv4 and ARP.
const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;

/// Longest packet of a link.
const PACKET_BYTES_MAX: usize = 64 * 1024;

/// Passes whole UDP packets to port 68: protocol, fragment, header length, port
/// (Documentation/networking/filter.rst).
const DHCP_FILTER: [Instruction; 8] = [
    (0x30, 0, 0, 9),
    (0x15, 0, 5, 17),
    (0x28, 0, 0, 6),
    (0x45, 3, 0, 0x1fff),
    (0xb1, 0, 0, 0),
    (0x48, 0, 0, 2),
    (0x15, 1, 0, dhcp4::CLIENT_PORT as u32),
    (0x06, 0, 0, 0),
];
/// Every router on the link (RFC 4291, 2.7.1).
const EVERY_ROUTER: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const PASS: Instruction = (0x06, 0, 0, u32::MAX);

/// What a socket hears.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// DHCP servers, beneath IP.
    Dhcp4,
    /// Nobody: that the kernel has somebody at the client's port keeps it from telling
    /// servers that there is none. Sends to one server by the kernel's routes.
    Unicast4,
    /// Whoever has an address that we would like.
    Arp,
    /// DHCPv6 servers.
    Dhcp6,
}

/// The open sockets, by link and kind.
#[derive(Debug, Default)]
pub(crate) struct Sockets(BTreeMap<(u32, Kind), OwnedFd>);

impl Sockets {
    /// The descriptors to wait for.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, Kind, BorrowedFd<'_>)> {
        self.0.iter().map(|((index, kind), fd)| (*index, *kind, fd.as_fd()))
    }

    /// Opens the one for DHCP on a link, beneath IP.
    pub(crate) fn listen4(&mut self, index: u32) -> io::Result<()> {
        let filter = [&DHCP_FILTER[..], &[PASS]].concat();
        self.0.insert((index, Kind::Dhcp4), packet_socket(index, IPV4, &filter)?);
        Ok(())
    }

    /// Opens the one for DHCPv6 on a link.
    pub(crate) fn listen6(&mut self, index: u32) -> io::Result<()> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::INET6, SocketType::DGRAM, flags, None)?;
        sockopt::set_ipv6_v6only(&fd, true)?;
        sockopt::set_socket_reuseaddr(&fd, true)?;
        sockopt::set_ipv6_multicast_if(&fd, index)?;
        // Or of the sockets of several links one hears what is said to all of them.
        let name = index_to_name(&fd, index)?;
        setsockopt(&fd, BindToDevice, &OsString::from(name))?;
        let any = Ipv6Addr::UNSPECIFIED;
        bind(&fd, &SocketAddrV6::new(any, dhcp6::CLIENT_PORT, 0, index))?;
        self.0.insert((index, Kind::Dhcp6), fd);
        Ok(())
    }

    /// Closes one.
    pub(crate) fn close(&mut self, index: u32, kind: Kind) {
        self.0.remove(&(index, kind));
    }

    /// Sends a DHCP message to every server on a link.
    pub(crate) fn broadcast4(
        &self,
        index: u32,
        source: Ipv4Addr,
        message: &[u8],
    ) -> io::Result<()> {
        let source = SocketAddrV4::new(source, dhcp4::CLIENT_PORT);
        let destination = SocketAddrV4::new(Ipv4Addr::BROADCAST, dhcp4::SERVER_PORT);
        let bytes = datagram::encode(source, destination, message)
            .ok_or_else(|| io::Error::from(rustix::io::Errno::MSGSIZE))?;
        // A message that ends a lease is sent when nobody listens any more.
        let temporary;
        let fd = match self.0.get(&(index, Kind::Dhcp4)) {
            Some(fd) => fd.as_fd(),
            None => {
                temporary = packet_socket(index, IPV4, &[PASS])?;
                temporary.as_fd()
            }
        };
        send_packet(fd, index, IPV4, Mac([0xff; 6]), &bytes)
    }

    /// Sends a DHCP message to one server, from an address that this machine has.
    pub(crate) fn unicast4(
        &mut self,
        index: u32,
        source: Ipv4Addr,
        server: Ipv4Addr,
        message: &[u8],
    ) -> io::Result<()> {
        let fd = socket_with(
            AddressFamily::INET,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        sockopt::set_socket_reuseaddr(&fd, true)?;
        bind(&fd, &SocketAddrV4::new(source, dhcp4::CLIENT_PORT))?;
        let address = SocketAddrV4::new(server, dhcp4::SERVER_PORT);
        sendto(&fd, message, SendFlags::empty(), &address)?;
        self.0.insert((index, Kind::Unicast4), fd);
        Ok(())
    }

    /// Asks who has an address, and opens the socket that hears the answer.
    pub(crate) fn probe(&mut self, index: u32, mac: Mac, address: Ipv4Addr) -> io::Result<()> {
        let fd = packet_socket(index, ARP, &[PASS])?;
        send_packet(&fd, index, ARP, Mac([0xff; 6]), &arp::probe(mac, address))?;
        self.0.insert((index, Kind::Arp), fd);
        Ok(())
    }

    /// Sends a DHCPv6 message to every server and relay on a link.
    pub(crate) fn send6(&self, index: u32, message: &[u8]) -> io::Result<()> {
        let fd = self
            .0
            .get(&(index, Kind::Dhcp6))
            .ok_or_else(|| io::Error::from(rustix::io::Errno::BADF))?;
        let address = SocketAddrV6::new(dhcp6::EVERY_SERVER, dhcp6::SERVER_PORT, 0, index);
        sendto(fd, message, SendFlags::empty(), &SocketAddr::V6(address))?;
        Ok(())
    }

    /// Asks every router on a link to say again what it has (RFC 4861, 6.3.7). The kernel hears
    /// the answer.
    pub(crate) fn solicit(&self, index: u32, mac: Option<Mac>) -> io::Result<()> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let protocol = Some(ipproto::ICMPV6);
        let fd = socket_with(AddressFamily::INET6, SocketType::RAW, flags, protocol)?;
        sockopt::set_ipv6_multicast_if(&fd, index)?;
        // Whoever hears it knows by this that no router has passed it on.
        sockopt::set_ipv6_multicast_hops(&fd, 255)?;
        let address = SocketAddrV6::new(EVERY_ROUTER, 0, 0, index);
        sendto(&fd, &solicitation(mac), SendFlags::empty(), &SocketAddr::V6(address))?;
        Ok(())
    }

    /// The next packet of a socket; `None` when there is none now. Errors of a link
    /// that is going away are told by the kernel's events as well.
    pub(crate) fn receive(&self, index: u32, kind: Kind) -> Option<Vec<u8>> {
        let fd = self.0.get(&(index, kind))?;
        let mut buffer = vec![MaybeUninit::uninit(); PACKET_BYTES_MAX];
        let ((bytes, _), _) = recv(fd, buffer.as_mut_slice(), RecvFlags::DONTWAIT).ok()?;
        Some(bytes.to_vec())
    }
}

/// A Router Solicitation (RFC 4861, 4.1), with the address to answer to if the link has one. The
/// kernel fills in its checksum.
fn solicitation(mac: Option<Mac>) -> Vec<u8> {
    let mut message = vec![133, 0, 0, 0, 0, 0, 0, 0];
    if let Some(mac) = mac {
        // Option 1, of a length of one time eight bytes (RFC 4861, 4.6.1).
        message.extend([1, 1]);
        message.extend(mac.0);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solicitation_has_whole_units_of_eight_bytes() {
        assert_eq!(solicitation(None), [133, 0, 0, 0, 0, 0, 0, 0]);
        let named = [133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7];
        assert_eq!(solicitation(Some(Mac([2, 3, 4, 5, 6, 7]))), named);
    }
}
