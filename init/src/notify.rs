//! The readiness socket `/run/init/notify`: PID 1's side of sd_notify(3).
//!
//! Understood are `READY=1` and `STATUS=…`; every other assignment is passed
//! over. The kernel says who the sender is; what the message claims counts for
//! nothing. Absent: descriptor store, watchdog, `MAINPID=`.

use alloc::string::String;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with, sockopt,
};

use crate::sys::socket::receive_from;

/// What services find in `NOTIFY_SOCKET`.
pub(crate) const NOTIFY_SOCKET: &str = "/run/init/notify";

/// Longest message, in bytes; the rest of a longer one is cut off.
const MESSAGE_LENGTH_MAX_BYTES: usize = 2048;

/// Longest status text that is kept, in characters.
const STATUS_LENGTH_MAX: usize = 160;

/// The socket.
pub(crate) struct NotifySocket(OwnedFd);

/// A message, and the process the kernel says it is from.
#[derive(Debug)]
pub(crate) struct Notification {
    /// The sender.
    pub(crate) pid: u32,
    /// What it says.
    pub(crate) content: Content,
}

/// What a message says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Content {
    /// `READY=1`
    pub(crate) ready: bool,
    /// `STATUS=`, on one line and free of control characters.
    pub(crate) status: Option<String>,
}

impl NotifySocket {
    /// Binds the socket; services of every user may send.
    pub(crate) fn open() -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        sockopt::set_socket_passcred(&socket, true)?;
        // Left by the initramfs' PID 1, or nothing.
        let _ = rustix::fs::unlink(NOTIFY_SOCKET);
        bind(&socket, &SocketAddrUnix::new(NOTIFY_SOCKET)?)?;
        rustix::fs::chmod(NOTIFY_SOCKET, Mode::from_raw_mode(0o666))?;
        Ok(Self(socket))
    }

    /// The next message; `None` when there is none.
    pub(crate) fn receive(&self) -> Option<Notification> {
        let mut bytes = [0; MESSAGE_LENGTH_MAX_BYTES];
        let (length, pid) = receive_from(self.0.as_fd(), &mut bytes).ok()?;
        let content = parse(bytes.get(..length).unwrap_or_default());
        Some(Notification { pid, content })
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn parse(message: &[u8]) -> Content {
    let text = String::from_utf8_lossy(message);
    let mut content = Content::default();
    for line in text.split('\n') {
        if line == "READY=1" {
            content.ready = true;
        } else if let Some(status) = line.strip_prefix("STATUS=") {
            let printable = status.chars().filter(|c| !c.is_control());
            content.status = Some(printable.take(STATUS_LENGTH_MAX).collect());
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read() {
        let status = |text: &str| Some(String::from(text));
        let table = [
            ("READY=1", Content { ready: true, status: None }),
            ("READY=1\nSTATUS=up\n", Content { ready: true, status: status("up") }),
            ("STATUS=a\x1b[2Jb", Content { ready: false, status: status("a[2Jb") }),
            ("STATUS=", Content { ready: false, status: status("") }),
            ("READY=0\nREADY=10\nXREADY=1\nMAINPID=1", Content::default()),
            ("", Content::default()),
        ];
        for (message, expected) in table {
            assert_eq!(parse(message.as_bytes()), expected, "{message:?}");
        }
        let long = parse(format!("STATUS={}", "μ".repeat(1000)).as_bytes());
        assert_eq!(long.status.unwrap().chars().count(), STATUS_LENGTH_MAX);
        assert!(parse(b"\xff\xfe\nREADY=1").ready);
    }
}
