//! The sockets that carry echo messages: the kernel's own for everybody (icmp(7),
//! `ping_group_range`), or raw ones for root.

use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::BindToDevice;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send,
    socket_with,
};
use services::signals::Termination;

use super::echo;

/// Longest answer.
const ANSWER_BYTES_MAX: usize = 2048;

/// What comes of a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// An answer, after this time.
    Answer(Duration),
    /// None came in time.
    Silence,
    /// Somebody wants an end.
    End,
}

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
    /// Opens a socket for `address`, by way of `link` alone if one is given.
    pub(super) fn open(address: SocketAddr, link: Option<&str>) -> io::Result<Self> {
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
        // Before it is connected, which takes a route. The index in an IPv6 address means
        // nothing to the kernel but for addresses of a link.
        if let Some(link) = link {
            setsockopt(&fd, BindToDevice, &OsString::from(link))?;
        }
        connect(&fd, &address)?;
        let identifier = u16::try_from(std::process::id() & 0xffff).unwrap_or_default();
        Ok(Self { fd, is_v4, is_raw, identifier })
    }

    /// Asks, and waits for the answer or for the end.
    pub(super) fn ask(
        &self,
        sequence: u16,
        content_bytes: usize,
        patience: Duration,
        end: &Termination,
    ) -> io::Result<Outcome> {
        let question = echo::question(self.is_v4, self.identifier, sequence, content_bytes);
        let begin = Instant::now();
        let deadline = begin + patience;
        send(&self.fd, &question, SendFlags::empty())?;
        loop {
            let mut watched =
                [PollFd::new(&self.fd, PollFlags::IN), PollFd::new(end, PollFlags::IN)];
            let is_silent = !wait(&mut watched, deadline)?;
            if !watched[1].revents().is_empty() {
                return Ok(Outcome::End);
            }
            if is_silent {
                return Ok(Outcome::Silence);
            }
            if self.takes_answer(sequence, content_bytes)? {
                return Ok(Outcome::Answer(begin.elapsed()));
            }
            // Others' messages may come without an end.
            if Instant::now() >= deadline {
                return Ok(Outcome::Silence);
            }
        }
    }

    /// Takes the next message; whether it is the answer.
    fn takes_answer(&self, sequence: u16, content_bytes: usize) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); ANSWER_BYTES_MAX];
        let bytes = match recv(&self.fd, &mut buffer[..], RecvFlags::DONTWAIT) {
            Ok(((bytes, _), _)) => bytes,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let identifier = self.is_raw.then_some(self.identifier);
        let (is_v4, has_header) = (self.is_v4, self.is_raw && self.is_v4);
        Ok(echo::answers(bytes, is_v4, has_header, identifier, sequence, content_bytes))
    }
}

/// Waits until something can be read or the deadline is over; false if it is over.
pub(super) fn wait(watched: &mut [PollFd<'_>], deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(watched, Timespec::try_from(left).ok().as_ref()) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(ready) => return Ok(ready > 0),
        }
    }
}
