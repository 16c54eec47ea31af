//! A person at the guest's serial console: their terminal on one side, QEMU's
//! socket on the other.
//!
//! On a terminal every key goes to the guest, but for Ctrl-A, which asks for
//! something of the builder. Input that is no terminal goes through as it is.

use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::error::{Error, Result};
use crate::shell::Shell;

/// Ctrl-A, the key that QEMU and minicom taught people.
const ESCAPE: u8 = 0x01;
/// What to tell a person before they lose their Ctrl-C to the guest.
pub const HELP: &str =
    "this is the guest's serial console; Ctrl-A X quits, Ctrl-A Ctrl-A sends Ctrl-A";

/// What a person's input amounts to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Keys {
    /// For the guest.
    bytes: Vec<u8>,
    /// They want to quit.
    quits: bool,
}

/// Finds Ctrl-A in a person's input, which may come in pieces.
#[derive(Debug, Default)]
struct KeyFilter {
    is_escaped: bool,
}

impl KeyFilter {
    fn filter(&mut self, input: &[u8]) -> Keys {
        let mut keys = Keys::default();
        for byte in input {
            match (std::mem::take(&mut self.is_escaped), *byte) {
                (false, ESCAPE) => self.is_escaped = true,
                (false, byte) | (true, byte @ ESCAPE) => keys.bytes.push(byte),
                (true, b'x' | b'X') => {
                    keys.quits = true;
                    return keys;
                }
                (true, _) => {}
            }
        }
        keys
    }
}

/// A terminal in raw mode, put back when this is dropped.
#[derive(Debug)]
struct RawTerminal(Termios);

impl RawTerminal {
    fn enter() -> Option<Self> {
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _terminal_is_gone = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// The connection between the person and the guest's serial port.
#[derive(Debug)]
pub struct Console {
    stream: UnixStream,
    /// Input the guest has not taken yet.
    outbox: Vec<u8>,
    /// `None` if the input is no terminal.
    filter: Option<KeyFilter>,
    input_ended: bool,
    _terminal: Option<RawTerminal>,
}

impl Console {
    /// Connects the builder's standard input and output with QEMU's socket.
    ///
    /// # Errors
    /// If the socket cannot be made non-blocking.
    pub fn new(shell: &Shell, stream: UnixStream) -> Result<Self> {
        stream
            .set_nonblocking(true)
            .map_err(|error| Error::failure(format!("the console socket broke: {error}")))?;
        let is_terminal = std::io::stdin().is_terminal();
        if is_terminal {
            shell.note(HELP);
        }
        Ok(Self {
            stream,
            outbox: Vec::new(),
            filter: is_terminal.then(KeyFilter::default),
            input_ended: false,
            _terminal: if is_terminal { RawTerminal::enter() } else { None },
        })
    }

    /// Whether the person's input is still to be read.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        // Input is left alone until the guest has taken what it was given.
        !self.input_ended && self.outbox.is_empty()
    }

    /// Whether input waits for the guest to take it.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Shows what the guest wrote. False once QEMU has closed its end.
    pub fn show_output(&mut self, shell: &Shell) -> bool {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(count) => {
                shell.data_bytes(&chunk[..count]);
                true
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    /// Reads what the person typed and passes it on. True if they want to quit.
    pub fn take_input(&mut self) -> bool {
        let mut chunk = [0; 1024];
        // Not by way of std, whose buffer would hide from poll(2) what it holds.
        match rustix::io::read(std::io::stdin(), &mut chunk) {
            Ok(0) => self.input_ended = true,
            Ok(count) => {
                let keys = match &mut self.filter {
                    Some(filter) => filter.filter(&chunk[..count]),
                    None => Keys { bytes: chunk[..count].to_vec(), quits: false },
                };
                self.outbox.extend(keys.bytes);
                self.flush();
                return keys.quits;
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(_) => self.input_ended = true,
        }
        false
    }

    /// Passes on what the guest takes now.
    pub fn flush(&mut self) {
        match self.stream.write(&self.outbox) {
            Ok(count) => {
                self.outbox.drain(..count);
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            // QEMU is gone, which its process tells.
            Err(_) => self.outbox.clear(),
        }
    }
}

impl AsFd for Console {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_a_is_the_builders_and_all_else_the_guests() {
        let table = [
            (vec!["ls\r"], "ls\r", false),
            (vec!["\x03\x04\x1b[A"], "\x03\x04\x1b[A", false),
            (vec!["a\x01\x01b"], "a\x01b", false),
            (vec!["a\x01", "xb"], "a", true),
            (vec!["\x01X"], "", true),
            (vec!["\x01?b"], "b", false),
        ];
        for (pieces, for_guest, quits) in table {
            let mut filter = KeyFilter::default();
            let mut seen = Keys::default();
            for piece in &pieces {
                let keys = filter.filter(piece.as_bytes());
                seen.bytes.extend(keys.bytes);
                seen.quits |= keys.quits;
            }
            assert_eq!((&*seen.bytes, seen.quits), (for_guest.as_bytes(), quits), "{pieces:?}");
        }
    }
}
