//! The QEMU Machine Protocol, as far as watching a guest needs it.
//!
//! One JSON object per line over a UNIX socket (QEMU's documentation:
//! interop/qmp-spec). A greeting, `qmp_capabilities`, then commands and events.
//! Out-of-band commands are absent.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Longest line taken from QEMU, in bytes; its longest answers here are a few hundred.
const LINE_BYTES_MAX: usize = 1 << 20;

/// What QEMU says.
#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    /// The first line.
    Greeting,
    /// The last command's result.
    Return(Value),
    /// The last command failed; QEMU's description.
    Error(String),
    /// What a command with a number came to: its result, or QEMU's description of why not.
    Answer(u64, Result<Value, String>),
    /// Something happened to the machine.
    Event(Event),
}

/// What happened to the machine (QEMU's documentation: interop/qemu-qmp-ref).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// `SHUTDOWN`: it ends. The reason is a `ShutdownCause`, such as `guest-shutdown`.
    Shutdown {
        /// QEMU's word for the cause.
        reason: String,
    },
    /// `GUEST_PANICKED`: its kernel said so through pvpanic.
    Panicked,
    /// `RESET`: it starts again.
    Reset,
    /// `STOP`: it stands still; `query-status` says why.
    Stopped,
    /// Anything else, by name.
    Other(String),
}

/// Reads one line.
///
/// # Errors
/// If it is no JSON object of the protocol.
pub fn parse(line: &[u8]) -> Result<Message> {
    let bad = |why: String| Error::failure(format!("qemu spoke no QMP: {why}"));
    let value: Value = serde_json::from_slice(line).map_err(|error| bad(error.to_string()))?;
    if value.get("QMP").is_some() {
        return Ok(Message::Greeting);
    }
    let id = value.get("id").and_then(Value::as_u64);
    if let Some(result) = value.get("return").cloned() {
        return Ok(match id {
            Some(id) => Message::Answer(id, Ok(result)),
            None => Message::Return(result),
        });
    }
    if let Some(error) = value.get("error") {
        let description = error.get("desc").and_then(Value::as_str).unwrap_or("no description");
        let description = description.to_owned();
        return Ok(match id {
            Some(id) => Message::Answer(id, Err(description)),
            None => Message::Error(description),
        });
    }
    let Some(name) = value.get("event").and_then(Value::as_str) else {
        return Err(bad(String::from_utf8_lossy(line).into_owned()));
    };
    Ok(Message::Event(match name {
        "SHUTDOWN" => {
            let reason = value.pointer("/data/reason").and_then(Value::as_str);
            Event::Shutdown { reason: reason.unwrap_or("unknown").to_owned() }
        }
        "GUEST_PANICKED" => Event::Panicked,
        "RESET" => Event::Reset,
        "STOP" => Event::Stopped,
        other => Event::Other(other.to_owned()),
    }))
}

/// The host's end of the connection, after the handshake.
#[derive(Debug)]
pub struct Qmp {
    stream: UnixStream,
    buffer: Vec<u8>,
    /// Whether QEMU has closed its end: it is gone or about to go.
    is_closed: bool,
}

impl Qmp {
    /// Shakes hands on a fresh connection.
    ///
    /// # Errors
    /// If QEMU has not answered within `timeout`, or answers something else.
    pub fn handshake(stream: UnixStream, timeout: Duration) -> Result<Self> {
        let mut qmp = Self { stream, buffer: Vec::new(), is_closed: false };
        let deadline = Instant::now() + timeout;
        qmp.expect(deadline, |message| *message == Message::Greeting)?;
        qmp.send("qmp_capabilities")?;
        qmp.expect(deadline, |message| matches!(message, Message::Return(_)))?;
        qmp.stream.set_nonblocking(true).map_err(|error| broken(&error))?;
        Ok(qmp)
    }

    /// Sends a command without arguments. Its answer comes with [`Qmp::receive`].
    ///
    /// # Errors
    /// If QEMU does not take it.
    pub fn send(&mut self, command: &str) -> Result<()> {
        self.send_line(&json!({ "execute": command }))
    }

    /// Sends a command whose answer is the one with this number.
    ///
    /// # Errors
    /// If QEMU does not take it.
    pub fn ask(&mut self, id: u64, command: &str, arguments: &Value) -> Result<()> {
        self.send_line(&json!({ "execute": command, "arguments": arguments, "id": id }))
    }

    fn send_line(&mut self, value: &Value) -> Result<()> {
        let mut line = value.to_string();
        line.push('\n');
        self.stream.write_all(line.as_bytes()).map_err(|error| broken(&error))
    }

    /// What has come in; empty if nothing has. Never waits.
    ///
    /// # Errors
    /// If it is not QMP.
    pub fn receive(&mut self) -> Result<Vec<Message>> {
        self.fill()?;
        let mut messages = Vec::new();
        while let Some(message) = self.take_line()? {
            messages.push(message);
        }
        Ok(messages)
    }

    /// Whether QEMU has closed the connection.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    fn expect(&mut self, deadline: Instant, wanted: impl Fn(&Message) -> bool) -> Result<()> {
        loop {
            while let Some(message) = self.take_line()? {
                match message {
                    message if wanted(&message) => return Ok(()),
                    Message::Event(_) => {}
                    other => {
                        return Err(Error::failure(format!("qemu answered {other:?} by QMP")));
                    }
                }
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() || self.is_closed {
                return Err(Error::failure("qemu did not answer by QMP"));
            }
            self.stream.set_read_timeout(Some(rest)).map_err(|error| broken(&error))?;
            self.fill()?;
        }
    }

    /// Reads once, and on while a non-blocking stream has more.
    fn fill(&mut self) -> Result<()> {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    self.is_closed = true;
                    return Ok(());
                }
                Ok(count) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    if self.buffer.len() > LINE_BYTES_MAX {
                        return Err(Error::failure("qemu sent an endless QMP line"));
                    }
                    // A blocking stream is read once; a short read means there is no more.
                    if count < chunk.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Ok(());
                }
                // QEMU died with unread bytes from us.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    self.is_closed = true;
                    return Ok(());
                }
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    fn take_line(&mut self) -> Result<Option<Message>> {
        let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        parse(line.trim_ascii()).map(Some)
    }
}

impl AsFd for Qmp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn broken(error: &std::io::Error) -> Error {
    Error::failure(format!("the QMP connection broke: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_qemu_are_understood() {
        let shutdown = |reason: &str| Message::Event(Event::Shutdown { reason: reason.into() });
        let table: &[(&str, Message)] = &[
            (r#"{"QMP": {"version": {}, "capabilities": ["oob"]}}"#, Message::Greeting),
            (r#"{"return": {}}"#, Message::Return(json!({}))),
            (r#"{"return": "x", "id": 7}"#, Message::Answer(7, Ok(json!("x")))),
            (
                r#"{"id": 7, "error": {"class": "GenericError", "desc": "no card"}}"#,
                Message::Answer(7, Err("no card".into())),
            ),
            (
                r#"{"error": {"class": "CommandNotFound", "desc": "no such command"}}"#,
                Message::Error("no such command".into()),
            ),
            (
                r#"{"timestamp": {"seconds": 1}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}"#,
                shutdown("guest-reset"),
            ),
            (r#"{"event": "SHUTDOWN"}"#, shutdown("unknown")),
            (
                r#"{"event": "GUEST_PANICKED", "data": {"action": "pause"}}"#,
                Message::Event(Event::Panicked),
            ),
            (r#"{"event": "STOP"}"#, Message::Event(Event::Stopped)),
            (r#"{"event": "RESUME"}"#, Message::Event(Event::Other("RESUME".into()))),
        ];
        for (line, expected) in table {
            assert_eq!(parse(line.as_bytes()).unwrap(), *expected, "{line}");
        }
        for bad in ["", "hello", "[]", r#"{"x": 1}"#] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    /// A thread that plays QEMU: says each line when it has read one from us.
    fn fake_qemu(lines: &'static [&'static str]) -> UnixStream {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            let mut byte = [0];
            for (index, line) in lines.iter().enumerate() {
                while index > 0 && theirs.read(&mut byte).unwrap_or(0) == 1 && byte != *b"\n" {}
                theirs.write_all(line.as_bytes()).unwrap();
            }
        });
        ours
    }

    #[test]
    fn events_come_in_order_and_the_end_is_noticed() {
        let stream = fake_qemu(&[
            "{\"QMP\": {}}\r\n",
            "{\"event\": \"OTHER\"}\r\n{\"return\": {}}\r\n",
            "{\"return\": {}}\r\n{\"event\": \"GUEST_PANICKED\"}\r\n{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"guest-panic\"}}\r\n",
        ]);
        let mut qmp = Qmp::handshake(stream, Duration::from_secs(10)).unwrap();
        qmp.send("cont").unwrap();
        let mut seen = Vec::new();
        while !qmp.is_closed() {
            seen.extend(qmp.receive().unwrap());
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(
            seen,
            [
                Message::Return(json!({})),
                Message::Event(Event::Panicked),
                Message::Event(Event::Shutdown { reason: "guest-panic".into() }),
            ]
        );
    }

    #[test]
    fn a_silent_or_dead_qemu_does_not_hold_the_builder() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let error = Qmp::handshake(ours, Duration::from_millis(20)).unwrap_err();
        assert!(error.to_string().contains("did not answer"), "{error}");
        drop(theirs);
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(Qmp::handshake(ours, Duration::from_secs(10)).is_err());
    }
}
