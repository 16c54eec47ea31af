//! Being asked to end, and other news, as a descriptor that becomes readable: for
//! event loops that must finish what they have in hand first.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGINT, SIGTERM, SIGWINCH};

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
        readable_on(&[SIGTERM, SIGINT]).map(Self)
    }
}

/// Becomes readable when the terminal has another size (`SIGWINCH`).
#[derive(Debug)]
pub struct Resized(UnixStream);

impl Resized {
    /// Takes over the signal.
    ///
    /// # Errors
    /// What socketpair(2) or sigaction(2) say.
    pub fn catch() -> io::Result<Self> {
        let reader = readable_on(&[SIGWINCH])?;
        reader.set_nonblocking(true)?;
        Ok(Self(reader))
    }

    /// Is not readable any more until it happens again.
    pub fn forget(&mut self) {
        let mut news = [0; 64];
        while self.0.read(&mut news).is_ok_and(|length| length > 0) {}
    }
}

fn readable_on(signals: &[i32]) -> io::Result<UnixStream> {
    let (reader, writer) = UnixStream::pair()?;
    for signal in signals {
        signal_hook::low_level::pipe::register(*signal, writer.try_clone()?)?;
    }
    Ok(reader)
}

impl AsFd for Termination {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Resized {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
