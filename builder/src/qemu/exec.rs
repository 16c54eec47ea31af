//! The host's end of the exec port: frames out of a socket and into it.
//!
//! The frames themselves are `init_core::exec_protocol`'s. Never waits: the
//! session polls the socket.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use init_core::event::ExitStatus;
use init_core::exec_protocol::{Decoder, Frame, GuestFrame, HostFrame, PAYLOAD_LENGTH_MAX};

use crate::error::{Error, Result};

/// The connection to the guest's `execd`.
#[derive(Debug)]
pub struct ExecPort {
    stream: UnixStream,
    decoder: Decoder<GuestFrame>,
    /// Bytes the guest has not taken yet.
    outbox: Vec<u8>,
}

impl ExecPort {
    /// Takes over QEMU's end of the port.
    ///
    /// # Errors
    /// If the socket cannot be made non-blocking.
    pub fn new(stream: UnixStream) -> Result<Self> {
        stream.set_nonblocking(true).map_err(|error| broken(&error))?;
        Ok(Self { stream, decoder: Decoder::from_hello(), outbox: Vec::new() })
    }

    /// Queues a frame and sends what the guest takes.
    ///
    /// # Errors
    /// If the frame is too long or the connection is broken.
    pub fn send(&mut self, frame: &HostFrame) -> Result<()> {
        let bytes = frame.encode().map_err(|error| {
            Error::definition(format!("the command cannot be sent: {error}"))
                .hint(format!("a command has at most {PAYLOAD_LENGTH_MAX} bytes"))
        })?;
        self.outbox.extend_from_slice(&bytes);
        self.flush()
    }

    /// Whether bytes wait for the guest to take them.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Sends what the guest takes now.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn flush(&mut self) -> Result<()> {
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(count) => {
                    self.outbox.drain(..count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // QEMU is gone; its process and QMP say more about that.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => self.outbox.clear(),
                Err(error) => return Err(broken(&error)),
            }
        }
        Ok(())
    }

    /// The frames that have come in, and whether QEMU has closed its end.
    ///
    /// # Errors
    /// If the guest does not speak the protocol.
    pub fn receive(&mut self) -> Result<(Vec<GuestFrame>, bool)> {
        let mut chunk = [0; 16 * 1024];
        let is_closed = match self.stream.read(&mut chunk) {
            Ok(0) => true,
            Ok(count) => {
                self.decoder.push(&chunk[..count]);
                false
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                false
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
            Err(error) => return Err(broken(&error)),
        };
        let mut frames = Vec::new();
        while let Some(frame) = self.decoder.next_frame().map_err(|error| {
            Error::failure(format!("the guest does not speak the exec protocol: {error}"))
                .hint("is the image's execd of the same version as this builder?")
        })? {
            frames.push(frame);
        }
        Ok((frames, is_closed))
    }
}

impl AsFd for ExecPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The status a shell would give: a signal becomes 128 plus its number.
#[must_use]
pub const fn shell_status(status: ExitStatus) -> u8 {
    match status {
        ExitStatus::Code(code) => code,
        ExitStatus::Signal { signal, .. } => 128 + (signal.0 & 0x7f),
    }
}

fn broken(error: &std::io::Error) -> Error {
    Error::failure(format!("the exec port broke: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use init_core::description::Signal;

    #[test]
    fn frames_go_both_ways() {
        let (ours, mut guest) = UnixStream::pair().unwrap();
        let mut port = ExecPort::new(ours).unwrap();
        assert_eq!(port.receive().unwrap(), (vec![], false));
        let hello = GuestFrame::Hello { version: 1, settled: true };
        guest.write_all(b"remains of an earlier session").unwrap();
        guest.write_all(&hello.encode().unwrap()).unwrap();
        assert_eq!(port.receive().unwrap(), (vec![hello], false));
        port.send(&HostFrame::PowerOff).unwrap();
        let mut header = [0; 5];
        guest.read_exact(&mut header).unwrap();
        assert_eq!(header[0], 0x82);
        drop(guest);
        assert_eq!(port.receive().unwrap(), (vec![], true));
        port.send(&HostFrame::PowerOff).unwrap();
    }

    #[test]
    fn a_guest_that_takes_nothing_does_not_block_the_host() {
        let (ours, _guest) = UnixStream::pair().unwrap();
        let mut port = ExecPort::new(ours).unwrap();
        let command = HostFrame::Run { command: "x".repeat(PAYLOAD_LENGTH_MAX) };
        for _ in 0..64 {
            port.send(&command).unwrap();
        }
        assert!(port.has_output());
        let long = HostFrame::Run { command: "x".repeat(PAYLOAD_LENGTH_MAX + 1) };
        assert!(port.send(&long).is_err());
    }

    #[test]
    fn a_signal_reads_as_in_a_shell() {
        assert_eq!(shell_status(ExitStatus::Code(7)), 7);
        let killed = ExitStatus::Signal { signal: Signal::KILL, core_dumped: false };
        assert_eq!(shell_status(killed), 137);
    }
}
