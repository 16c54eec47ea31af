//! Packet sockets (packet(7)): frames of one link, sent and received without an
//! address, and the filters that let the kernel choose among them.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, bind, sendto, socket_with};

use crate::network::mac::Mac;

/// An instruction of a filter: code, jump if true, jump if false, operand.
pub type Instruction = (u16, u8, u8, u32);

/// Where frames go to or come from: `struct sockaddr_ll`.
#[derive(Clone, Copy, Debug)]
struct LinkAddress {
    index: u32,
    ethertype: u16,
    mac: Mac,
}

// SAFETY: the pointer leads to a `sockaddr_ll` that lives until the call returns, and
// the length is its size.
unsafe impl SocketAddrArg for LinkAddress {
    unsafe fn with_sockaddr<R>(
        &self,
        call: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        let [a, b, c, d, e, f] = self.mac.0;
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET.try_into().unwrap_or_default(),
            sll_protocol: self.ethertype.to_be(),
            sll_ifindex: i32::try_from(self.index).unwrap_or_default(),
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: [a, b, c, d, e, f, 0, 0],
        };
        let length = SocketAddrLen::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or_default();
        call((&raw const address).cast(), length)
    }
}

/// A socket that receives what of `ethertype` comes in on the link `index` and passes
/// `filter`, without its Ethernet header, and never blocks.
///
/// # Errors
/// What socket(2), setsockopt(2) and bind(2) say.
pub fn packet_socket(index: u32, ethertype: u16, filter: &[Instruction]) -> io::Result<OwnedFd> {
    // Without a protocol it receives nothing until it is bound and the filter is there.
    let fd = socket_with(
        AddressFamily::PACKET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    attach_filter(&fd, filter)?;
    bind(&fd, &LinkAddress { index, ethertype, mac: Mac([0; 6]) })?;
    Ok(fd)
}

/// Sends `payload` to `mac` on the link `index`.
///
/// # Errors
/// What sendto(2) says.
pub fn send_packet(
    fd: impl AsFd,
    index: u32,
    ethertype: u16,
    mac: Mac,
    payload: &[u8],
) -> io::Result<()> {
    sendto(fd, payload, SendFlags::empty(), &LinkAddress { index, ethertype, mac })?;
    Ok(())
}

fn attach_filter(fd: &OwnedFd, filter: &[Instruction]) -> io::Result<()> {
    let mut code: Vec<libc::sock_filter> =
        filter.iter().map(|&(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k }).collect();
    let length =
        u16::try_from(code.len()).map_err(|_| io::Error::from(rustix::io::Errno::INVAL))?;
    let program = libc::sock_fprog { len: length, filter: code.as_mut_ptr() };
    let size = libc::socklen_t::try_from(size_of::<libc::sock_fprog>()).unwrap_or_default();
    // SAFETY: `program` leads to `length` instructions in `code`; both live until the
    // call returns, and the kernel copies them.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
