//! Telling PID 1 that a daemon is ready: the client's half of sd_notify(3).

use std::env;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, sendmsg_addr, socket_with,
};
use rustix::pipe::{PipeFlags, pipe_with};

/// Variable that names the socket: a path, or `@` and an abstract name.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Sends `state`, lines of `KEY=value` such as `READY=1`, to whoever started
/// this process. Does nothing where nobody asked for it.
///
/// # Errors
/// What socket(2) or sendmsg(2) say.
pub fn notify(state: &str) -> io::Result<()> {
    match Socket::open()? {
        Some(socket) => socket.send(state, SendAncillaryBuffer::default()),
        None => Ok(()),
    }
}

/// Sends `state` as [`notify`] does, and waits until it was taken, no longer than `limit`: who
/// sends for another process and ends must not be gone before PID 1 looks whose it is
/// (sd_notify_barrier(3)). Whether anybody asked for it.
///
/// # Errors
/// What socket(2), sendmsg(2) or pipe(2) say; `TimedOut`.
pub fn notify_and_wait(state: &str, limit: Duration) -> io::Result<bool> {
    let Some(socket) = Socket::open()? else { return Ok(false) };
    socket.send(state, SendAncillaryBuffer::default())?;
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    socket.send_barrier(theirs)?;
    let limit = Timespec::try_from(limit).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut fds = [PollFd::new(&ours, PollFlags::empty())];
    match poll(&mut fds, Some(&limit))? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(true),
    }
}

/// A way to whoever started this process.
struct Socket {
    socket: OwnedFd,
    address: SocketAddrUnix,
}

impl Socket {
    /// `None` where nobody asked to be told.
    fn open() -> io::Result<Option<Self>> {
        let Some(name) = env::var_os(NOTIFY_SOCKET) else { return Ok(None) };
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(abstract_name) => SocketAddrUnix::new_abstract_name(abstract_name)?,
            None => SocketAddrUnix::new(name.as_bytes())?,
        };
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        Ok(Some(Self { socket, address }))
    }

    fn send(&self, state: &str, mut extra: SendAncillaryBuffer<'_, '_, '_>) -> io::Result<()> {
        let text = [IoSlice::new(state.as_bytes())];
        let flags = SendFlags::NOSIGNAL;
        sendmsg_addr(&self.socket, &self.address, &text, &mut extra, flags)?;
        Ok(())
    }

    /// Sends the end of a pipe that the receiver closes when it has come to it, behind all
    /// that was sent before.
    fn send_barrier(&self, end: OwnedFd) -> io::Result<()> {
        let ends = [end.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut extra = SendAncillaryBuffer::new(&mut space);
        extra.push(SendAncillaryMessage::ScmRights(&ends));
        self.send("BARRIER=1", extra)
    }
}
