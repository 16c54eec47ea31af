//! The sockets that carry echo messages: the kernel's own for everybody (icmp(7),
//! `ping_group_range`), or raw ones for root.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send,
    socket_with,
};

use super::echo;

/// Longest answer.
const ANSWER_BYTES_MAX: usize = 2048;

/// A socket for one machine.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    is_v4: bool,
    is_raw: bool,
    /// The kernel chooses it where the socket is not raw.
    identifier: u16,
}

impl Socket {
    /// Opens a socket for `address`.
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let is_v4 = address.is_ipv4();
        let (family, protocol) = if is_v4 {
            (AddressFamily::INET, ipproto::ICMP)
        } else {
            (AddressFamily::INET6, ipproto::ICMPV6)
        };
        let open = |kind| socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol));
        let (fd, is_raw) = match open(SocketType::DGRAM) {
            Ok(fd) => (fd, false),
            Err(_) => (open(SocketType::RAW)?, true),
        };
        connect(&fd, &address)?;
        let identifier = u16::try_from(std::process::id() & 0xffff).unwrap_or_default();
        Ok(Self { fd, is_v4, is_raw, identifier })
    }

    /// Asks, and waits for the answer. `None` if none comes in time.
    pub(super) fn ask(
        &self,
        sequence: u16,
        content_bytes: usize,
        patience: Duration,
    ) -> io::Result<Option<Duration>> {
        let question = echo::question(self.is_v4, self.identifier, sequence, content_bytes);
        let begin = Instant::now();
        send(&self.fd, &question, SendFlags::empty())?;
        loop {
            let left = patience.saturating_sub(begin.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            let timeout = Timespec::try_from(left).ok();
            poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], timeout.as_ref())?;
            let mut buffer = [MaybeUninit::uninit(); ANSWER_BYTES_MAX];
            let bytes = match recv(&self.fd, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok(((bytes, _), _)) => bytes,
                Err(rustix::io::Errno::AGAIN) => continue,
                Err(error) => return Err(error.into()),
            };
            let identifier = self.is_raw.then_some(self.identifier);
            let has_header = self.is_raw && self.is_v4;
            let is_v4 = self.is_v4;
            if echo::answers(bytes, is_v4, has_header, identifier, sequence, content_bytes) {
                return Ok(Some(begin.elapsed()));
            }
        }
    }
}
