//! Sockets at one address of the machine, so that answers come from where was asked. An IPv6
//! address may be listened at while the kernel still looks for others that have it (RFC 4862,
//! 5.4), which takes a second.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use services::problem::{Context, Result};

/// Connections that may wait to be accepted.
const WAITING_MAX: i32 = 16;

/// Takes datagrams.
pub(crate) fn datagrams(at: SocketAddr) -> Result<UdpSocket> {
    let opened = open(at, SocketType::DGRAM);
    Ok(opened.context(|| format!("cannot take datagrams at {at}"))?.into())
}

/// Takes connections.
pub(crate) fn connections(at: SocketAddr) -> Result<TcpListener> {
    let open = || -> io::Result<TcpListener> {
        let fd = open(at, SocketType::STREAM)?;
        listen(&fd, WAITING_MAX)?;
        Ok(fd.into())
    };
    open().context(|| format!("cannot take connections at {at}"))
}

fn open(at: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    match at.ip() {
        IpAddr::V4(_) => sockopt::set_ip_freebind(&fd, true)?,
        IpAddr::V6(_) => sockopt::set_ipv6_freebind(&fd, true)?,
    }
    if kind == SocketType::STREAM {
        // Connections that ended a moment ago do not stand in the way.
        sockopt::set_socket_reuseaddr(&fd, true)?;
    }
    bind(&fd, &at)?;
    Ok(fd)
}
