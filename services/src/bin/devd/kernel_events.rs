//! The kernel's events about devices, over netlink (netlink(7), `NETLINK_KOBJECT_UEVENT`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recvfrom, socket_with, sockopt,
};

use crate::uevent::Uevent;

/// The kernel's own multicast group.
const KERNEL_GROUP: u32 = 1;

/// Longest message: `UEVENT_BUFFER_SIZE` of the kernel is 2048, and its head comes before it.
const MESSAGE_BYTES_MAX: usize = 8192;

/// Room for the events of a whole bus that appears at once.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// The socket.
#[derive(Debug)]
pub(crate) struct KernelEvents(OwnedFd);

/// What came.
#[derive(Debug)]
pub(crate) enum Received {
    /// An event.
    Event(Uevent),
    /// Something that is none of the kernel's events.
    Other,
    /// Events were lost: the buffer was full.
    Lost,
    /// Nothing more for now.
    Nothing,
}

impl KernelEvents {
    /// Listens from now on.
    ///
    /// # Errors
    /// What socket(2) and bind(2) say.
    pub(crate) fn listen() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let protocol = Some(netlink::KOBJECT_UEVENT);
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, protocol)?;
        // Without the right to it, the usual buffer serves, and lost events are noticed.
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER_BYTES);
        bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP))?;
        Ok(Self(socket))
    }

    /// Takes the next message.
    ///
    /// # Errors
    /// What recvfrom(2) says.
    pub(crate) fn next(&self) -> io::Result<Received> {
        let mut message = [0; MESSAGE_BYTES_MAX];
        let (length, sender) = match recvfrom(&self.0, &mut message, RecvFlags::empty()) {
            Ok((_, length, sender)) => (length, sender),
            Err(Errno::AGAIN) => return Ok(Received::Nothing),
            Err(Errno::INTR) => return Ok(Received::Other),
            Err(Errno::NOBUFS) => return Ok(Received::Lost),
            Err(error) => return Err(error.into()),
        };
        // Anybody with the right to administer the network may send here, but only the kernel
        // has the port 0.
        let sender = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
        if sender.is_none_or(|sender| sender.pid() != 0) {
            return Ok(Received::Other);
        }
        let event = message.get(..length).and_then(Uevent::parse);
        Ok(event.map_or(Received::Other, Received::Event))
    }
}

impl AsFd for KernelEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
