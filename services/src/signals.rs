//! Being asked to end, as a descriptor that becomes readable: for event loops
//! that must finish what they have in hand first.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGINT, SIGTERM};

/// Becomes readable when `SIGTERM` or `SIGINT` arrives. From its creation on
/// the signals no longer end the process by themselves.
#[derive(Debug)]
pub struct Termination(UnixStream);

impl Termination {
    /// Takes over both signals.
    ///
    /// # Errors
    /// What socketpair(2) or sigaction(2) say.
    pub fn catch() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        for signal in [SIGTERM, SIGINT] {
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(Self(reader))
    }
}

impl AsFd for Termination {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
